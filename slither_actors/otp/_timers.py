"""Timers of one process, without a clock: a heap of deadlines with ids and cancel."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

# So few cancelled timers are not worth a clean-up.
_SPARED = 64


class Timer:
    """One armed timer; `cancel` makes it inert."""

    __slots__ = ("_timers", "action", "deadline")

    def __init__(self, deadline: float, action: Callable[[], None], timers: Timers) -> None:
        self.deadline = deadline
        self.action: Callable[[], None] | None = action
        self._timers = timers

    def cancel(self) -> None:
        """Forget what was to be done."""
        if self.action is not None:
            self.action = None
            self._timers.note_cancelled()


class Timers:
    """All timers of one process, in order of their deadlines; equal deadlines in order of their start."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap)

    def start(self, deadline: float, action: Callable[[], None]) -> Timer:
        timer = Timer(deadline, action, self)
        heapq.heappush(self._heap, (deadline, next(self._numbers), timer))
        return timer

    def note_cancelled(self) -> None:
        """A cancelled timer stays in the heap until its time, or until such are more than half of it: deadlines that
        are armed for each request and nearly never reached would pile up."""
        self._cancelled += 1
        if self._cancelled > _SPARED and self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_deadline(self) -> float | None:
        """The earliest deadline of a timer that was not cancelled."""
        while self._heap and self._heap[0][2].action is None:
            self._take()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Timer]:
        """Remove and return the timers that have fallen due."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            timer = self._take()
            if timer.action is not None:
                due.append(timer)
        return due

    def _take(self) -> Timer:
        timer = heapq.heappop(self._heap)[2]
        if timer.action is None:
            self._cancelled = max(0, self._cancelled - 1)
        return timer
