"""The deadlines of items that were submitted: a thread keeps them while there is one."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._strategy_base import Clock

# How many entries may stand in the heap beside those that mean something.
_SLACK = 64


class ItemDeadlines:
    """Of one handle. Those of futures that are done are forgotten, and the thread ends with the last one.

    Args:
        name: of the thread.
        clock: gives seconds.
    """

    def __init__(self, name: str, clock: Clock = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())  # re-entrant, as in _submissions.py
        self._heap: list[tuple[float, int]] = []
        self._open: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._is_kept = False

    def watch(self, future: Future[Any], deadline: Deadline, expire: Callable[[], None]) -> None:
        """Call `expire` in the thread if the future is not done by then."""
        number = next(self._numbers)
        with self._changed:
            self._open[number] = expire
            heapq.heappush(self._heap, (deadline.at, number))
            begins, self._is_kept = not self._is_kept, True
            if self._heap[0][1] == number:
                self._changed.notify()
        if begins:
            threading.Thread(target=self._keep, name=self._name, daemon=True).start()
        future.add_done_callback(lambda _: self._forget(number))

    def _forget(self, number: int) -> None:
        with self._changed:
            self._open.pop(number, None)
            if len(self._heap) > 2 * len(self._open) + _SLACK:
                self._heap = [entry for entry in self._heap if entry[1] in self._open]
                heapq.heapify(self._heap)
            if not self._open:
                self._changed.notify()

    def _keep(self) -> None:
        while (expire := self._next()) is not None:
            expire()

    def _next(self) -> Callable[[], None] | None:
        """Waits for the next one that is over; `None` if there is none any more."""
        with self._changed:
            while self._open:
                at, number = self._heap[0]
                left_s = at - self._clock()
                if number not in self._open:
                    heapq.heappop(self._heap)
                elif left_s > 0:
                    self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
                else:
                    heapq.heappop(self._heap)
                    return self._open.pop(number)
            self._heap.clear()
            self._is_kept = False
            return None
