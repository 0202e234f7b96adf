"""A time limit for strategies that have none of their own: for runs that may be short of items at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slither_actors.dispatch._strategy_base import Clock, FlushReason, Strategy
from slither_actors.item import Item


class Limited(Strategy):
    """A strategy at work under which no item waits for others any longer than this: what is held then is given up
    together. If it says by itself for how long, that holds.

    Args:
        running: the strategy at work.
        max_wait_s: seconds, counted from the first of the items that are held.
        clock: gives seconds.
    """

    def __init__(self, running: Strategy, max_wait_s: float, clock: Clock) -> None:
        self._running = running
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._held = 0
        self._since = 0.0

    def push(self, item: Item) -> Iterable[Sequence[Item]]:
        batches = self._running.push(item)
        if not self._held:
            self._since = self._clock()
        self._held += 1
        return self._noted(batches)

    def flush(self, reason: FlushReason) -> Iterable[Sequence[Item]]:
        if reason != "time" or self._running.deadline() is not None:
            return self._noted(self._running.flush(reason))
        given: list[Sequence[Item]] = []
        while (before := self._held) > 0:
            batches = self._noted(self._running.flush("ceiling"))
            if not isinstance(batches, list):
                return batches
            given += batches
            if self._held >= before:
                break
        self._held = 0
        return given

    def deadline(self) -> float | None:
        own = self._running.deadline()
        if own is not None or not self._held:
            return own
        return self._since + self._max_wait_s - self._clock()

    def _noted(self, batches: Iterable[Sequence[Item]]) -> Iterable[Sequence[Item]]:
        """The same, as a list; what is nothing of that kind is for others to refuse."""
        if isinstance(batches, str | bytes | dict | Item) or not hasattr(batches, "__iter__"):
            return batches
        noted = list(batches)
        self._held -= sum(len(batch) for batch in noted if isinstance(batch, list | tuple))
        return noted
