"""How many items per second a stage may take."""

from __future__ import annotations

import math
from typing import Any

import attrs

from slither_actors._keywords import known_fields
from slither_actors._validators import is_number, optional, positive_int, positive_number
from slither_actors.errors import InvalidOption, shorten


@known_fields
@attrs.frozen
class Rate:
    """A limit on the items that a stage is given: in any span of `t` seconds `burst + per_second * t` at most.

    It is a token bucket: unused time adds up to `burst` items that may go at once.

    Attributes:
        per_second: items per second in the long run; may be a fraction, such as `10 / 60` for ten per minute.
        burst: items that may go at once after a pause. Left out: what goes in one second, at least 1; for a worker
            stage at least one batch.
    """

    per_second: float = attrs.field(validator=positive_number)
    burst: int | None = attrs.field(default=None, validator=optional(positive_int))

    def burst_for(self, batch_size: int) -> int:
        """The burst of a stage that is given batches of so many items at once."""
        return max(math.ceil(self.per_second), batch_size) if self.burst is None else self.burst


AnyRate = Rate | float


def as_rate(value: Any, where: str, option: str = "rate") -> Rate | None:
    """The rate that a user named, `None` where none was.

    Raises:
        InvalidOption: it is none.
    """
    if value is None or isinstance(value, Rate):
        return value
    if not is_number(value) or value <= 0:
        allowed = "None, a finite number of items per second above 0, or Rate(per_second, burst=...)"
        raise InvalidOption(where, option, shorten(value), allowed)
    return Rate(float(value))
