"""Items that were submitted to a pipe and wait to be pulled, and the futures of those that are under way."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from slither_actors.errors import InvalidOption, PipeFull, SlitherError
from slither_actors.item import Item


class _Promise(Future[Any]):
    """A future that is taken out of the queue when it is cancelled there."""

    def __init__(self, withdraw: Callable[[Future[Any]], bool]) -> None:
        super().__init__()
        self._withdraw = withdraw

    def cancel(self) -> bool:
        is_cancelled = super().cancel()
        if is_cancelled and self._withdraw(self):
            self.set_running_or_notify_cancel()  # nobody else will tell those that wait for several futures
        return is_cancelled


class Submissions:
    """A bounded queue and a table by id. Anybody submits, in any thread; one thread pulls.

    Args:
        pipe: how errors call the pipe.
        max_queued: items that may wait.
    """

    def __init__(self, pipe: str, max_queued: int) -> None:
        self._pipe = pipe
        self._max_queued = max_queued
        # Re-entrant, since the garbage collector may run anything anywhere, also within this lock.
        self._changed = threading.Condition(threading.RLock())
        self._queue: OrderedDict[int, tuple[Item, Future[Any]]] = OrderedDict()
        self._refusal: SlitherError | None = None
        self._puller = 0  # the thread that pulls
        self._is_driven = False
        self._wants_news = False  # whether the one that pulls waits for an item
        self.under_way: dict[int, Future[Any]] = {}
        self.wake: Callable[[], None] = lambda: None  # makes the one that pulls look

    # -- those who submit

    def put(self, item: Item, timeout_s: float | None) -> tuple[Future[Any], bool]:
        """Queue an item; waits for room. Returns its future, and whether somebody has to begin to pull.

        Raises:
            PipeFull: there was no room in time; at once in the thread that would have to make it.
            InvalidOption: the item is there already, and has not come to its end. SlitherError: nothing is taken.
        """
        with self._changed:
            if len(self._queue) >= self._max_queued:
                self._wait_for_room(timeout_s)
            if self._refusal is not None:
                raise self._refusal
            number = item.id
            if number in self._queue or number in self.under_way:
                allowed = "a payload, or an Item of which the pipe has none yet; Item.wrap(item.payload) makes one"
                raise InvalidOption("submit", "item", f"the item {number}, which is under way already", allowed)
            future = _Promise(functools.partial(self._withdraw, number))
            self._queue[number] = item, future
            wants_news, self._wants_news = self._wants_news, False
            begins, self._is_driven = not self._is_driven, True
        if wants_news:
            self.wake()
        return future, begins

    def _wait_for_room(self, timeout_s: float | None) -> None:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while len(self._queue) >= self._max_queued and self._refusal is None:
            left_s = None if until is None else until - time.monotonic()
            if (left_s is not None and left_s <= 0) or self._puller == threading.get_ident():
                raise PipeFull(self._pipe, self._max_queued)
            self._changed.wait(left_s)

    def _withdraw(self, number: int, future: Future[Any]) -> bool:
        """Take an item out of the queue, if it waits there for this future: the same one may come more than once."""
        with self._changed:
            waiting = self._queue.get(number)
            if waiting is None or waiting[1] is not future:
                return False
            del self._queue[number]
            self._changed.notify_all()
            return True

    def overdue(self, number: int, future: Future[Any]) -> bool:
        """There is no time left for an item; whether it has not come to its end, so that its future is to be told. One
        that waits is taken out of the queue; one that is under way goes its way, and what comes of it is for nobody."""
        if self._withdraw(number, future):
            return future.set_running_or_notify_cancel()
        return self.under_way.get(number) is future

    def refuse(self, error: SlitherError) -> None:
        """Take nothing more; whoever waits for room is told."""
        with self._changed:
            self._refusal = self._refusal or error
            self._changed.notify_all()

    # -- the one that pulls

    @property
    def queued(self) -> int:
        """How many items wait."""
        return len(self._queue)

    @property
    def refuses(self) -> bool:
        """Whether nothing more will come."""
        return self._refusal is not None

    @property
    def refusal(self) -> SlitherError | None:
        """Why not."""
        return self._refusal

    @property
    def is_driven(self) -> bool:
        """Whether somebody pulls, or is about to."""
        return self._is_driven

    def begin(self) -> None:
        """From now on this thread pulls."""
        self._puller = threading.get_ident()

    def leave(self) -> bool:
        """Pull no more, if nothing waits; whoever submits next has to see to it."""
        with self._changed:
            if self._queue:
                return False
            self._is_driven, self._puller = False, 0
            self._changed.notify_all()
            return True

    def wait_until_left(self, limit_s: float) -> bool:
        """Wait until nobody pulls; false where that takes longer. The thread that pulls does not wait for itself."""
        with self._changed:
            me = threading.get_ident()
            return self._changed.wait_for(lambda: not self._is_driven or self._puller == me, limit_s)

    def look(self) -> bool:
        """Whether something waits; else `wake` is called as soon as that is so."""
        if self._queue:
            return True
        with self._changed:
            self._wants_news = not self._queue
            return not self._wants_news

    def pull(self, count: int) -> list[Item]:
        """The next items, which are under way from now on and cannot be cancelled any more."""
        pulled: list[Item] = []
        with self._changed:
            while self._queue and len(pulled) < count:
                number, (item, future) = self._queue.popitem(last=False)
                if future.set_running_or_notify_cancel():
                    self.under_way[number] = future
                    pulled.append(item)
            self._changed.notify_all()
        return pulled

    def drop_queue(self, *, leaves: bool = False) -> list[Future[Any]]:
        """The futures of all that wait: they will not be pulled; with `leaves` nor will what comes, unless somebody
        sees to it."""
        with self._changed:
            if leaves:
                self._is_driven, self._puller = False, 0
            dropped = [future for _, future in self._queue.values()]
            self._queue.clear()
            self._changed.notify_all()
        return [future for future in dropped if future.set_running_or_notify_cancel()]
