"""Progress, shown without any library: a bar for a terminal, lines for a log file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Final, Protocol, TextIO

REFRESH_S: Final = 0.1

_BAR_WIDTH: Final = 30
_FALLBACK_SIZE: Final = (80, 24)


class Meter(Protocol):
    """How far something has come."""

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more are done."""

    def close(self) -> None:
        """Leave the last state standing and begin a new line."""


class PlainMeter:
    """A line per tenth, for a log file."""

    def __init__(self, label: str, total: int, note: Callable[[str], None]) -> None:
        self._label = label
        self._total = total
        self._note = note
        self._done = 0
        self._told = 0

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more are done."""
        self._done += steps
        if self._done * 10 // self._total > self._told * 10 // self._total:
            self._tell()

    def close(self) -> None:
        """Tell the last state, unless it was told."""
        if self._done != self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = self._done
        self._note(f"{self._label}: {figures(self._done, self._total)}")


class BarMeter:
    """A bar drawn over itself, for a terminal without rich."""

    def __init__(self, label: str, total: int, err: TextIO, clock: Callable[[], float]) -> None:
        self._label = label
        self._total = total
        self._err = err
        self._clock = clock
        self._done = 0
        self._drawn_at = float("-inf")
        self._width = 0

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more are done; redraws at most ten times a second."""
        self._done += steps
        now = self._clock()
        if now - self._drawn_at >= REFRESH_S:
            self._drawn_at = now
            self._draw("")

    def close(self) -> None:
        """Leave the last state standing and begin a new line."""
        self._draw("\n")

    def _draw(self, end: str) -> None:
        filled = min(_BAR_WIDTH, self._done * _BAR_WIDTH // self._total)
        bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
        columns = shutil.get_terminal_size(_FALLBACK_SIZE).columns
        # One column less: a full line makes some terminals begin the next one.
        line = f"{self._label} [{bar}] {figures(self._done, self._total)}"[: columns - 1]
        padding = " " * max(0, self._width - len(line))
        self._width = len(line)
        try:
            self._err.write(f"\r{line}{padding}{end}")
            self._err.flush()
        except OSError:
            pass  # the terminal is gone; the work is not


def figures(done: int, total: int) -> str:
    """`"500 of 5,000 (10 %)"`."""
    return f"{done:,} of {total:,} ({done * 100 // total} %)"
