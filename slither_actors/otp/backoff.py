"""`Backoff`: a pause before each restart of a child, longer every time."""

from __future__ import annotations

import attrs

from slither_actors._keywords import known_fields
from slither_actors._pauses import growing_pause_s
from slither_actors._validators import number_in, positive_seconds
from slither_actors.errors import InvalidOption


@known_fields
@attrs.frozen(kw_only=True)
class Backoff:
    """Wait before a child is started again, for what crashes because something else is away.

    The pause counts from the end of the child. Every restart still counts against the budget of its supervisor, which
    is charged before the pause: choose `intensity` and `period_s` so that the pauses have room in them.

    Attributes:
        min_s: Seconds before the first restart.
        max_s: No pause is longer.
        factor: Each further pause is so many times the one before.
        jitter: Share of a pause by which it is shortened or lengthened at random, 0 to 1, so that children that ended
            together do not come back together.
        reset_s: After so many seconds up, the next pause is the first one again.

    Raises:
        InvalidOption: A field has a value that is not allowed, or ``max_s`` is below ``min_s``.
    """

    min_s: float = attrs.field(default=0.1, validator=positive_seconds)
    max_s: float = attrs.field(default=30.0, validator=positive_seconds)
    factor: float = attrs.field(default=2.0, validator=number_in(1.0, 1000.0))
    jitter: float = attrs.field(default=0.1, validator=number_in(0.0, 1.0))
    reset_s: float = attrs.field(default=60.0, validator=positive_seconds)

    def __attrs_post_init__(self) -> None:
        if self.max_s < self.min_s:
            raise InvalidOption("Backoff", "max_s", repr(self.max_s), f"at least min_s, which is {self.min_s!r}")

    def pause_s(self, restarts: int, draw: float) -> float:
        """Seconds before the next restart.

        Args:
            restarts: How many there were since the last quiet time.
            draw: A random number from 0 to 1, for the jitter.
        """
        return growing_pause_s(self.min_s, self.factor, self.jitter, self.max_s, restarts, draw)
