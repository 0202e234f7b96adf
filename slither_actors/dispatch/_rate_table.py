"""The rate limits of all stages that a dispatcher works for."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from slither_actors._message import message
from slither_actors.dispatch._token_bucket import RateTicket, TokenBucket


@message
class SetRate:
    """Call to who keeps a rate limit: this one holds from now on. The reply is whether there is one of the name."""

    ticket: RateTicket


class Pace:
    """What a run asks before it hands on a batch."""

    __slots__ = ("__weakref__", "_bucket", "_clock")

    def __init__(self, bucket: TokenBucket, clock: Callable[[], float]) -> None:
        self._bucket = bucket
        self._clock = clock

    def holds(self, items: int) -> bool:
        """Whether so many have to wait."""
        return self._bucket.allowed_at(items) > self._clock()

    def allowed_at(self, items: int) -> float:
        """When so many may go, if nothing goes before."""
        return self._bucket.allowed_at(items)

    def take(self, items: int) -> None:
        """So many go now."""
        self._bucket.take(items, self._clock())


class RateTable:
    """Limits by name. One that no run uses is kept until it has forgotten what went: a new run gets no burst for being
    new.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}
        self._paces: weakref.WeakValueDictionary[str, Pace] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._buckets)

    def join(self, ticket: RateTicket) -> Pace:
        """For a run that tells this limit."""
        if not self.change(ticket):
            self._sweep()
            self._buckets[ticket.name] = TokenBucket(ticket)
        pace = self._paces.get(ticket.name)
        if pace is None:
            pace = self._paces[ticket.name] = Pace(self._buckets[ticket.name], self._clock)
        return pace

    def change(self, ticket: RateTicket) -> bool:
        """The limit of this name is another one, if that is newer; whether there is one of the name."""
        bucket = self._buckets.get(ticket.name)
        if bucket is not None:
            bucket.change(ticket, self._clock())
        return bucket is not None

    def _sweep(self) -> None:
        now = self._clock()
        unused = self._buckets.keys() - self._paces.keys()
        for name in [name for name in unused if self._buckets[name].is_full(now)]:
            del self._buckets[name]
