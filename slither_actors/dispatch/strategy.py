"""How a stream of items is cut into batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from slither_actors._keywords import known_fields
from slither_actors._signature import accepts
from slither_actors._validators import optional, positive_int, positive_number, positive_seconds
from slither_actors.dispatch._cutting import ByKey, InTurn
from slither_actors.dispatch._strategy_base import Clock, has_hooks
from slither_actors.dispatch._strategy_base import Cut as Cut
from slither_actors.dispatch._strategy_base import FlushReason as FlushReason
from slither_actors.dispatch._strategy_base import Strategy as Strategy
from slither_actors.errors import InvalidOption, shorten
from slither_actors.item import Item


def _function_of_item(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value) or not accepts(value, 1):
        allowed = f"a function of the item that gives its {attribute.name}"
        raise InvalidOption(type(instance).__name__, attribute.name, shorten(value), allowed)


@known_fields
@attrs.frozen
class FixedBatch(Strategy):
    """Batches of `size` items; the last one may be smaller.

    Attributes:
        size: items per batch.
        max_wait_s: seconds after which a batch goes out that is not full, counted from its first item. In a dispatch it
            is looked at whenever the source yields an item, so a source that blocks holds the batch up.
    """

    keeps_order: ClassVar[bool] = True

    size: int = attrs.field(validator=positive_int)
    max_wait_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))

    @property
    def needs_former(self) -> bool:
        return self.max_wait_s is not None

    def size_within(self, batch_size: int) -> int:
        return self.size

    def begin(self, batch_size: int, clock: Clock) -> Strategy:
        return InTurn(self.size, math.inf, None, self.max_wait_s, clock)


@known_fields
@attrs.frozen
class WeightedBatch(Strategy):
    """Batches that weigh `max_weight` at most, as the sum of numbers that are all floats or integers. A heavier item
    travels alone.

    The order of the items is kept. An item whose weight is no finite number above 0, or for which `weight` raises,
    fails by the error policy, alone and without another attempt.

    Attributes:
        max_weight: what the items of a batch may weigh together; just as much is allowed.
        weight: gets the `Item` and gives its weight, once; runs where batches are formed, as a `Strategy` does.
        max_size: items that a batch may have, `batch_size` by default.
        max_wait_s: as for `FixedBatch`.
    """

    keeps_order: ClassVar[bool] = True
    weighs: ClassVar[bool] = True

    max_weight: float = attrs.field(validator=positive_number)
    weight: Callable[[Item], float] = attrs.field(validator=_function_of_item)
    max_size: int | None = attrs.field(default=None, validator=optional(positive_int))
    max_wait_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))

    def size_within(self, batch_size: int) -> int:
        return self.max_size or batch_size

    @property
    def places_by(self) -> str:
        return "the weight of WeightedBatch"

    def begin(self, batch_size: int, clock: Clock) -> Strategy:
        size = self.size_within(batch_size)
        return InTurn(size, self.max_weight, self.weight, self.max_wait_s, clock)


@known_fields
@attrs.frozen
class KeyPartition(Strategy):
    """Batches of items with equal keys. Batches of one key run one at a time, in order.

    So the items of a key are worked on, and come out, in the order in which they came in: with any number of workers,
    under both orderings, through retries. Different keys run side by side, and a batch of a frequent key that is full,
    or waits for the one before it, holds up no other key.

    In a dispatch with `ordering="preserve"` the results stand in the order of the input, though batches mix it; with
    `"as_completed"` they come as batches complete. Behind a worker stage of a pipe the order of each key holds, and
    with `"preserve"` batches come in the order in which they were formed.

    It suits fewer distinct keys than items may be held, which is `(max_in_flight + 4) * batch_size` in a dispatch and
    twice `batch_size` in a pipe. Where more of them come by turns, each item has gone out before the next one of its
    key comes: then every batch has one item.

    Keys are compared with `==`. A key that does not even equal itself, such as NaN, makes a batch of its one item. An
    item whose key cannot be hashed, or for which `key` raises, fails by the error policy, alone and without another
    attempt.

    Attributes:
        key: gets the `Item` and gives its key, which must be hashable; runs where batches are formed, as a `Strategy`
            does.
        max_size: items that a batch may have, `batch_size` by default.
        max_wait_s: as for `FixedBatch`, for each key by itself. Without it a batch that is not full waits until as many
            items are held as may be; then that with the oldest item goes out.
    """

    key: Callable[[Item], Any] = attrs.field(validator=_function_of_item)
    max_size: int | None = attrs.field(default=None, validator=optional(positive_int))
    max_wait_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))

    def size_within(self, batch_size: int) -> int:
        return self.max_size or batch_size

    @property
    def places_by(self) -> str:
        return "the key of KeyPartition"

    def begin(self, batch_size: int, clock: Clock) -> Strategy:
        return ByKey(self.key, self.size_within(batch_size), self.max_wait_s, clock)


AnyStrategy = Strategy


def as_strategy(strategy: Any) -> Strategy | None:
    """The strategy that a user named, `None` where none was.

    Raises:
        InvalidOption: it is no strategy, or overrides what is not called.
    """
    if strategy is None or has_hooks(strategy):
        checked: Strategy | None = strategy
        _refuse_idle_hooks(checked)
        return checked
    if isinstance(strategy, Strategy):
        allowed = f"{type(strategy).__name__} must override push and flush"
    else:
        allowed = "None, FixedBatch(size), WeightedBatch(max_weight, weight), KeyPartition(key) or another Strategy"
    raise InvalidOption("dispatch", "strategy", shorten(strategy), allowed)


def _refuse_idle_hooks(strategy: Strategy | None) -> None:
    """The strategies above are at work in another form, so what a subclass of them overrides would never be called."""
    kinds = type(strategy).__mro__
    base = next((kind for kind in kinds if kind in (FixedBatch, WeightedBatch, KeyPartition)), None)
    if base is None or getattr(type(strategy), "begin", None) is not base.begin:
        return
    for hook in ("start", "push", "flush", "deadline"):
        if getattr(type(strategy), hook) is not getattr(Strategy, hook):
            problem = f"{type(strategy).__qualname__}, which overrides {hook}"
            allowed = f"a subclass of Strategy itself, since {base.__name__} does not call {hook}"
            raise InvalidOption("dispatch", "strategy", problem, allowed)
