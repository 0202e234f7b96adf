"""Cutting a stream of items into batches, one at a time: never more is pulled than the next batch takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from slither_actors._validators import is_number
from slither_actors.errors import InvalidOutcome, ItemError, RemoteError, shorten
from slither_actors.item import Item

OnLoss = Callable[[Item, ItemError], None]


class Cutter:
    """Of one run.

    Args:
        size: items that a batch may have.
        max_weight: what they may weigh together; a heavier item travels alone.
        weigh: the weight of an item; `None` where only the size counts.
        max_wait_s: a batch that is not full goes out when its first item is as old, which is looked at whenever the
            source yields: one that blocks holds it up.
        on_loss: told of items that cannot be weighed. What it raises comes through.
        clock: gives seconds.
    """

    def __init__(
        self,
        size: int,
        *,
        max_weight: float = math.inf,
        weigh: Callable[[Item], Any] | None = None,
        max_wait_s: float = math.inf,
        on_loss: OnLoss | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._max_weight = max_weight
        self._weigh = weigh
        self._max_wait_s = max_wait_s
        self._on_loss = on_loss
        self._clock = clock
        self.lost = 0  # items that could not be weighed
        self._held: tuple[Item, float, float] | None = None  # the first item of the next batch, its weight and arrival

    def take(self, source: Iterator[Any]) -> tuple[list[Any], bool]:
        """The next batch, and whether the source is at its end. What the source raises comes through."""
        batch: list[Any] = []
        total, began, lost = 0.0, 0.0, self.lost
        if self._held is not None:
            first, total, began = self._held
            batch, self._held = [first], None
            if self._is_full(batch, total, self._clock() - began):
                return batch, False
        for value in source:
            item, weight = (value, 0.0) if self._weigh is None else self._weighed(Item.wrap(value))
            now = self._clock()
            if weight is None:
                if self.lost - lost >= self._size:  # or whoever waits for an end of this would wait for a good item
                    return batch, False
                continue
            if batch and total + weight > self._max_weight:
                self._held = item, weight, now
                return batch, False
            began = began if batch else now
            batch.append(item)
            total += weight
            if self._is_full(batch, total, now - began):
                return batch, False
        return batch, True

    def _is_full(self, batch: list[Any], weight: float, age_s: float) -> bool:
        return len(batch) >= self._size or weight >= self._max_weight or age_s >= self._max_wait_s

    def _weighed(self, item: Item) -> tuple[Item, float | None]:
        """The item and what it weighs, `None` if it is lost."""
        assert self._weigh is not None
        try:
            weight = self._weigh(item)
        except Exception as error:
            self._lose(item, RemoteError.of(error))
            return item, None
        if is_number(weight) and weight > 0:
            return item, float(weight)
        problem = f"an item weighs {shorten(weight)}, which is no finite number above 0"
        self._lose(item, InvalidOutcome("the weight of WeightedBatch", problem))
        return item, None

    def _lose(self, item: Item, error: ItemError) -> None:
        self.lost += 1
        if self._on_loss is not None:
            self._on_loss(item, error)
