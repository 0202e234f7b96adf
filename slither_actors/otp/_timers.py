"""Timers of one process, without a clock: a heap of deadlines with ids and cancel."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timer:
    """One armed timer; `cancel` makes it inert."""

    __slots__ = ("action", "deadline")

    def __init__(self, deadline: float, action: Callable[[], None]) -> None:
        self.deadline = deadline
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Forget what was to be done; the empty entry leaves the heap when its time comes."""
        self.action = None


class Timers:
    """All timers of one process, in order of their deadlines; equal deadlines in order of their start."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def start(self, deadline: float, action: Callable[[], None]) -> Timer:
        timer = Timer(deadline, action)
        heapq.heappush(self._heap, (deadline, next(self._numbers), timer))
        return timer

    def next_deadline(self) -> float | None:
        """The earliest deadline of a timer that was not cancelled."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Timer]:
        """Remove and return the timers that have fallen due."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if timer.action is not None:
                due.append(timer)
        return due
