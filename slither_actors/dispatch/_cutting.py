"""The strategies at work: what forms the batches of one run. `strategy.py` has what users write."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors._validators import is_number
from slither_actors.dispatch._strategy_base import Clock, Cut, FlushReason, Strategy
from slither_actors.errors import InvalidOutcome, shorten
from slither_actors.item import Item

_NONE: tuple[Cut, ...] = ()


class InTurn(Strategy):
    """Cuts by size, and by weight where there is one: the order of the items is kept.

    Args:
        size: items that a batch may have.
        max_weight: what they may weigh together; a heavier item travels alone.
        weigh: the weight of an item; `None` where only the size counts.
        max_wait_s: how old the first item of a batch may become.
        clock: gives seconds.
    """

    keeps_order = True

    def __init__(
        self, size: int, max_weight: float, weigh: Callable[[Item], Any] | None, max_wait_s: float | None, clock: Clock
    ) -> None:
        self._size = size
        self._max_weight = max_weight
        self._weigh = weigh
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._batch = Cut()
        self._since = 0.0

    def push(self, item: Item) -> Sequence[Cut]:
        weight = 0.0 if self._weigh is None else weight_of(self._weigh(item))
        full = self.flush("ceiling") if self._batch.weight + weight > self._max_weight else _NONE
        batch = self._batch
        if not batch and self._max_wait_s is not None:
            self._since = self._clock()
        batch.append(item)
        batch.weight += weight
        if len(batch) >= self._size or batch.weight >= self._max_weight:
            return [*full, *self.flush("ceiling")]
        return full

    def flush(self, reason: FlushReason) -> Sequence[Cut]:
        batch = self._batch
        if not batch:
            return _NONE
        self._batch = Cut()
        return [batch]

    def deadline(self) -> float | None:
        if self._max_wait_s is None or not self._batch:
            return None
        return self._since + self._max_wait_s - self._clock()


class ByKey(Strategy):
    """Cuts by key: a batch has items of one key, in their order.

    Lanes stand in the order of their oldest item: one that was emptied is forgotten, and begins anew behind all others.
    So there are never more of them than items are held, whatever the keys are.

    Args:
        key: the key of an item.
        size: items that a batch may have.
        max_wait_s: how old the first item of a batch may become.
        clock: gives seconds.
    """

    def __init__(self, key: Callable[[Item], Any], size: int, max_wait_s: float | None, clock: Clock) -> None:
        self._key = key
        self._size = size
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._lanes: dict[Any, tuple[Cut, float]] = {}

    def push(self, item: Item) -> Sequence[Cut]:
        key = self._key(item)
        number = lane_of(key)
        if key != key:  # such as NaN: it equals nothing, so nothing would ever join it
            return [Cut([item])]
        found = self._lanes.get(key)
        if found is None:
            since = self._clock() if self._max_wait_s is not None else 0.0
            found = self._lanes[key] = Cut(lane=number), since
        batch = found[0]
        batch.append(item)
        if len(batch) < self._size:
            return _NONE
        del self._lanes[key]
        return [batch]

    def flush(self, reason: FlushReason) -> Sequence[Cut]:
        if reason == "end":
            batches = [batch for batch, _ in self._lanes.values()]
            self._lanes.clear()
            return batches
        now = self._clock() if reason == "time" else math.inf
        flushed: list[Cut] = []
        while self._lanes and not (flushed and reason == "ceiling"):
            oldest = next(iter(self._lanes))
            if self._lanes[oldest][1] + (self._max_wait_s or 0.0) > now:
                break
            flushed.append(self._lanes.pop(oldest)[0])
        return flushed

    def deadline(self) -> float | None:
        if self._max_wait_s is None or not self._lanes:
            return None
        _, since = next(iter(self._lanes.values()))
        return since + self._max_wait_s - self._clock()


def weight_of(weight: Any) -> float:
    """A weight as a number, also where it is one of another library.

    Raises:
        InvalidOutcome: it is no finite number above 0.
    """
    if isinstance(weight, numbers.Real) and weight is not True:
        try:
            number = float(weight)
        except OverflowError:
            number = math.inf
        if is_number(number) and number > 0:
            return number
    problem = f"an item weighs {shorten(weight)}, which is no finite number above 0"
    raise InvalidOutcome("the weight of WeightedBatch", problem)


def lane_of(key: Any) -> int:
    """The lane of a key: equal keys have the same one. Two keys that share one by chance only wait for each other.

    That is so for whoever forms batches of one stage, though hashes of texts differ from process to process: either the
    service does alone, or stages do, and all processes of a tree are forked from one, so their hashes are the same.

    Raises:
        InvalidOutcome: it is not hashable.
    """
    try:
        return hash(key) or 1
    except TypeError:
        kind = type(key).__qualname__
        problem = f"a key of type {kind} is not hashable; a text, a number or a tuple of these is"
        raise InvalidOutcome("the key of KeyPartition", problem) from None
