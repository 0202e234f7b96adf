"""How a stream of items is cut into batches."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors._keywords import known_fields
from slither_actors._validators import positive_int
from slither_actors.errors import InvalidOption, shorten


@known_fields
@attrs.frozen
class FixedBatch:
    """Batches of `size` items; the last one may be smaller."""

    size: int = attrs.field(validator=positive_int)


def as_strategy(strategy: Any) -> FixedBatch | None:
    """The strategy that a user named, `None` where none was.

    Raises:
        InvalidOption: it is no strategy.
    """
    if strategy is None or isinstance(strategy, FixedBatch):
        return strategy
    raise InvalidOption("dispatch", "strategy", shorten(strategy), "None or FixedBatch(size)")
