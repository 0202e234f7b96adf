"""When a worker is worn out: by what it has done, by its age, or by its memory."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors._keywords import known_fields
from slither_actors._validators import number_in, optional, positive_int, positive_seconds
from slither_actors.errors import InvalidOption, shorten


@known_fields
@attrs.frozen(kw_only=True)
class Recycle:
    """When a worker is replaced by a new one: `PoolOptions(4, recycle=Recycle(batches=10_000, rss_mb=2_000))`.

    One worker of a pool is replaced at a time. The new one is started and made ready first; then the old one gets
    nothing more to do, and ends when it has done what it has. Nobody loses anything by it.

    Workers are looked at twice a second, so one may run a little longer than is said here. One in which a session lives
    that would be lost with it is left alone until that session ends.

    Attributes:
        batches: after so many batches.
        age_s: after so many seconds.
        rss_mb: when it has more than so many megabytes (of 1,000,000 bytes) in main memory.
        jitter: how much earlier than after `batches` and `age_s` it may be, as a part of them from 0 to 1: each worker
            draws its own, so that not all are due at once.

    Raises:
        InvalidOption: a field has a value that is not allowed, or nothing is given that a worker wears out by.
    """

    batches: int | None = attrs.field(default=None, validator=optional(positive_int))
    age_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))
    rss_mb: int | None = attrs.field(default=None, validator=optional(positive_int))
    jitter: float = attrs.field(default=0.1, validator=number_in(0.0, 1.0))

    def __attrs_post_init__(self) -> None:
        if self.batches is self.age_s is self.rss_mb is None:
            raise InvalidOption("Recycle", "batches", "None, as age_s and rss_mb are", "at least one of the three")

    def limits(self, draw: float) -> Limits:
        """Those of one worker; `draw` is a random number from 0 to 1."""
        share = 1.0 - self.jitter * draw
        batches = None if self.batches is None else max(1, round(self.batches * share))
        age_s = None if self.age_s is None else self.age_s * share
        return Limits(batches, age_s, None if self.rss_mb is None else self.rss_mb * 1_000_000)


@attrs.frozen
class Limits:
    """How long one worker lasts."""

    batches: int | None
    age_s: float | None
    rss_bytes: int | None

    def worn(self, batches: int, age_s: float, rss_bytes: int) -> str:
        """Why the worker is to be replaced; empty if it is not."""
        if self.rss_bytes is not None and rss_bytes > self.rss_bytes:
            return f"it has {rss_bytes // 1_000_000} MB in memory"
        if self.batches is not None and batches >= self.batches:
            return f"it has run {batches} batches"
        if self.age_s is not None and age_s >= self.age_s:
            return f"it has run for {age_s:.0f} s"
        return ""


def check_recycle(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse what is no `Recycle`."""
    if value is not None and not isinstance(value, Recycle):
        raise InvalidOption("PoolOptions", attribute.name, shorten(value), "None, or Recycle(...)")
