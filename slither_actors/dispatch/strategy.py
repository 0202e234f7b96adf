"""How a stream of items is cut into batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors._keywords import known_fields
from slither_actors._signature import accepts
from slither_actors._validators import optional, positive_int, positive_number, positive_seconds
from slither_actors.dispatch._cutter import Cutter, OnLoss
from slither_actors.errors import InvalidOption, shorten
from slither_actors.item import Item


@known_fields
@attrs.frozen
class FixedBatch:
    """Batches of `size` items; the last one may be smaller.

    Attributes:
        size: items per batch.
        max_wait_s: seconds after which a batch goes out that is not full, counted from its first item. It is looked at
            whenever the source yields an item, so a source that blocks holds the batch up.
    """

    size: int = attrs.field(validator=positive_int)
    max_wait_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))

    def size_within(self, batch_size: int) -> int:
        """Items that a batch may have."""
        return self.size

    def cutter(self, batch_size: int, on_loss: OnLoss) -> Cutter | None:
        """What cuts one run, `None` where only the size counts."""
        return None if self.max_wait_s is None else Cutter(self.size, max_wait_s=self.max_wait_s)


def _weight_function(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value) or not accepts(value, 1):
        raise InvalidOption("WeightedBatch", "weight", shorten(value), "a function of the item that gives its weight")


@known_fields
@attrs.frozen
class WeightedBatch:
    """Batches that weigh `max_weight` at most. A heavier item travels alone.

    The order of the items is kept. An item whose weight is no finite number above 0, or for which `weight` raises,
    fails by the error policy, alone and without another attempt.

    Attributes:
        max_weight: what the items of a batch may weigh together; just as much is allowed.
        weight: gets the `Item` and gives its weight; runs in the thread that pulls the source.
        max_size: items that a batch may have, `batch_size` by default.
        max_wait_s: as for `FixedBatch`.
    """

    max_weight: float = attrs.field(validator=positive_number)
    weight: Callable[[Item], float] = attrs.field(validator=_weight_function)
    max_size: int | None = attrs.field(default=None, validator=optional(positive_int))
    max_wait_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))

    def size_within(self, batch_size: int) -> int:
        """Items that a batch may have."""
        return self.max_size or batch_size

    def cutter(self, batch_size: int, on_loss: OnLoss) -> Cutter | None:
        """What cuts one run."""
        return Cutter(
            self.size_within(batch_size),
            max_weight=self.max_weight,
            weigh=self.weight,
            max_wait_s=math.inf if self.max_wait_s is None else self.max_wait_s,
            on_loss=on_loss,
        )


AnyStrategy = FixedBatch | WeightedBatch


def as_strategy(strategy: Any) -> AnyStrategy | None:
    """The strategy that a user named, `None` where none was.

    Raises:
        InvalidOption: it is no strategy.
    """
    if strategy is None or isinstance(strategy, FixedBatch | WeightedBatch):
        return strategy
    allowed = "None, FixedBatch(size) or WeightedBatch(max_weight, weight)"
    raise InvalidOption("dispatch", "strategy", shorten(strategy), allowed)
