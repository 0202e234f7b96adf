"""A line that says how something goes: drawn over itself on a terminal, said again now and then in a log."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from ._meters import REFRESH_S

LOG_S: Final = 5.0

_BAR_WIDTH: Final = 20
_FALLBACK_SIZE: Final = (80, 24)


class Gauge(Protocol):
    """Where it is shown. `every_s` is how often it is worth while."""

    every_s: float

    def show(self, fraction: float | None, words: str) -> None:
        """Show how much is done, if that is known, and how it goes."""

    def close(self) -> None:
        """Leave the last words standing."""


class NoGauge:
    """Nobody looks."""

    every_s = float("inf")

    def show(self, fraction: float | None, words: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LogGauge:
    """A line each time."""

    every_s = LOG_S

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def show(self, fraction: float | None, words: str) -> None:
        """Say it."""
        self._note(words if fraction is None else f"{fraction:4.0%}  {words}")

    def close(self) -> None:
        """All is said."""


class LineGauge:
    """A line on a terminal without rich."""

    every_s = REFRESH_S

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._width = 0

    def show(self, fraction: float | None, words: str) -> None:
        """Draw it over the last one."""
        if fraction is not None:
            filled = int(fraction * _BAR_WIDTH)
            words = f"[{'#' * filled}{'-' * (_BAR_WIDTH - filled)}] {fraction:4.0%}  {words}"
        columns = shutil.get_terminal_size(_FALLBACK_SIZE).columns
        line = words[: columns - 1]  # a full line makes some terminals begin the next one
        self._write(f"\r{line}{' ' * max(0, self._width - len(line))}")
        self._width = len(line)

    def close(self) -> None:
        """Begin a new line, where something was drawn."""
        if self._width:
            self._write("\n")

    def _write(self, text: str) -> None:
        try:
            self._err.write(text)
            self._err.flush()
        except OSError:
            pass  # the terminal is gone; the work is not
