"""The deadlines of items that were submitted: a thread keeps them while there is one."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._strategy_base import Clock

_log = logging.getLogger(__name__)

# What is called when one is over, with `None`; or with what kept it from being kept.
Expire = Callable[[Exception | None], None]

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
        self._open: dict[int, Expire] = {}
        self._numbers = itertools.count()
        self._is_kept = False

    def watch(self, future: Future[Any], deadline: Deadline, expire: Expire) -> None:
        """Call `expire` in the thread if the future is not done by then; at once if there can be no thread."""
        number = next(self._numbers)
        with self._changed:
            self._open[number] = expire
            heapq.heappush(self._heap, (deadline.at, number))
            begins, self._is_kept = not self._is_kept, True
            if self._heap[0][1] == number:
                self._changed.notify()
        if begins:
            try:
                threading.Thread(target=self._keep, name=self._name, daemon=True).start()
            except RuntimeError as error:  # too many of them, or the interpreter ends
                self._give_up(error)
        future.add_done_callback(lambda _: self._forget(number))

    def _forget(self, number: int) -> None:
        with self._changed:
            self._open.pop(number, None)
            if len(self._heap) > 2 * len(self._open) + _SLACK:
                self._heap = [entry for entry in self._heap if entry[1] in self._open]
                heapq.heapify(self._heap)
            if not self._open:
                self._changed.notify()

    def _give_up(self, error: RuntimeError) -> None:
        """No thread keeps those that are there; the next one that comes tries again."""
        with self._changed:
            unkept = [*self._open.values()]
            self._open.clear()
            self._heap.clear()
            self._is_kept = False
        for expire in unkept:
            self._call(expire, error)

    def _keep(self) -> None:
        while (expire := self._next()) is not None:
            self._call(expire, None)
            del expire  # and the item with it, which else would be there until the next one is over

    def _call(self, expire: Expire, error: Exception | None) -> None:
        try:
            expire(error)
        except Exception:  # of one, which is no business of the others
            _log.exception("what was to be done at a deadline raised")

    def _next(self) -> Expire | None:
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
