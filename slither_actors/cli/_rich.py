"""The live bar through rich; imported only where a terminal is there to show it and rich is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ._meters import REFRESH_S


class RichMeter:
    """A bar with figures and the time that is left.

    rich would redraw from a thread of its own. Here the caller's own steps do it, at most ten times a second: no
    thread, and no bar that keeps moving beside work that stands still.
    """

    def __init__(self, label: str, total: int, err: TextIO, *, colour: bool, clock: Callable[[], float]) -> None:
        console = rich.console.Console(file=err, force_terminal=True, no_color=not colour)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            # Results belong on standard output, wherever that goes; rich would print them above its bar.
            redirect_stdout=False,
            get_time=clock,
        )
        self._clock = clock
        self._drawn_at = clock()
        self._task = self._progress.add_task(label, total=total)
        self._progress.start()

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more are done; redraws at most ten times a second."""
        self._progress.advance(self._task, steps)
        now = self._clock()
        if now - self._drawn_at >= REFRESH_S:
            self._drawn_at = now
            self._progress.refresh()

    def close(self) -> None:
        """Leave the last state standing and begin a new line."""
        self._progress.refresh()
        self._progress.stop()


class RichGauge:
    """The same bar beside words that change."""

    every_s = REFRESH_S

    def __init__(self, err: TextIO, *, colour: bool) -> None:
        console = rich.console.Console(file=err, force_terminal=True, no_color=not colour)
        self._progress = Progress(
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
        )
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, fraction: float | None, words: str) -> None:
        """Draw it over the last one."""
        total = None if fraction is None else 1.0
        self._progress.update(self._task, description=words, total=total, completed=fraction or 0.0)
        self._progress.refresh()

    def close(self) -> None:
        """Leave the last words standing and begin a new line."""
        self._progress.stop()
