"""A rate limit, without a clock: who asks says what the time is."""

from __future__ import annotations

import math

from slither_actors._record import record


@record
class RateTicket:
    """What a stage is told of its rate limit.

    Attributes:
        name: whose it is: all runs with this name share one bucket.
        per_second: items per second; infinite where there is no limit now.
        burst: items that may go at once.
        version: of two tickets with one name the one with the greater number holds.
    """

    name: str
    per_second: float
    burst: int
    version: int = 0


class TokenBucket:
    """In any span of `t` seconds `burst + per_second * t` items at most.

    Kept as one number, the time at which the bucket will be full again. So when something may go is one sum, and
    whoever waits until just then finds that it may.

    Args:
        ticket: the limit. The bucket is full at first.
    """

    def __init__(self, ticket: RateTicket) -> None:
        self.ticket = ticket
        self._full_at = -math.inf

    def allowed_at(self, items: int) -> float:
        """When so many may go at once; more than the burst never may, and count as much as that."""
        ticket = self.ticket
        if ticket.per_second == math.inf:
            return -math.inf
        return self._full_at - (ticket.burst - min(items, ticket.burst)) / ticket.per_second

    def allowed(self, items: int, now: float) -> int:
        """How many of so many may go now."""
        ticket = self.ticket
        if self.allowed_at(items) <= now:
            return items if ticket.per_second == math.inf else min(items, ticket.burst)
        least, most = 0, min(items, ticket.burst) - 1
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if self.allowed_at(middle) <= now else (least, middle - 1)
        return least

    def is_full(self, now: float) -> bool:
        """Whether nothing is known any more of what went."""
        return self._full_at <= now

    def take(self, items: int, now: float) -> None:
        """So many go."""
        if self.ticket.per_second < math.inf:
            self._full_at = max(self._full_at, now) + items / self.ticket.per_second

    def change(self, ticket: RateTicket, now: float) -> bool:
        """Another limit from now on, unless a newer one was told already; whether it was taken. What was saved up
        stays, as far as the new burst goes."""
        old = self.ticket
        if ticket.version <= old.version:
            return False
        lacking = max(0.0, self._full_at - now) * old.per_second if old.per_second < math.inf else 0.0
        # Fewer than all that are there may be kept, never more.
        saved = max(0.0, min(old.burst - lacking, ticket.burst)) if old.per_second < math.inf else ticket.burst
        self.ticket = ticket
        self._full_at = now + (ticket.burst - saved) / ticket.per_second if ticket.per_second < math.inf else -math.inf
        return True
