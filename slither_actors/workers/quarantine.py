"""Workers that die again and again are kept down for a while."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

from slither_actors._keywords import known_fields
from slither_actors._validators import non_negative_seconds, positive_int, positive_number, positive_seconds
from slither_actors.errors import InvalidOption, shorten


@known_fields
@attrs.frozen(kw_only=True)
class Quarantine:
    """When a worker that keeps dying is kept down: `PoolOptions(4, quarantine=Quarantine(crashes=3, within_s=10))`.

    What counts is a death in its start, in its warm-up, or while it is idle. One that dies under a batch does not
    count: that is the batch's fault, and its policy's matter. With this option these deaths do not spend the restart
    budget, so that the system lives on, however often they happen.

    Attributes:
        crashes: so many deaths
        within_s: within so many seconds put a worker into quarantine: none is started in its place
        pause_s: for so many seconds. Then one is. Until it has lived for `within_s`, its first death puts it back,
        factor: for so many times as long as before,
        longest_s: but never for longer than this.

    Raises:
        InvalidOption: a field has a value that is not allowed.
    """

    crashes: int = attrs.field(default=3, validator=positive_int)
    within_s: float = attrs.field(default=10.0, validator=positive_seconds)
    pause_s: float = attrs.field(default=5.0, validator=positive_seconds)
    factor: float = attrs.field(default=2.0, validator=positive_number)
    longest_s: float = attrs.field(default=300.0, validator=non_negative_seconds)

    def __attrs_post_init__(self) -> None:
        if self.factor < 1.0:
            raise InvalidOption("Quarantine", "factor", shorten(self.factor), "a number of at least 1")
        if self.longest_s < self.pause_s:
            allowed = f"at least pause_s={self.pause_s:g}"
            raise InvalidOption("Quarantine", "longest_s", shorten(self.longest_s), allowed)

    def pause(self, strikes: int) -> float:
        """How long the quarantine after so many others is."""
        try:
            return min(self.longest_s, self.pause_s * self.factor**strikes)
        except OverflowError:
            return self.longest_s


@attrs.define
class _Record:
    deaths: deque[float] = attrs.field(factory=deque)
    strikes: int = 0  # quarantines since it last lived long enough
    until: float = 0.0  # when the last quarantine is over


class CrashBook:
    """The deaths of the workers of one pool, by id. Pure: the time comes from outside."""

    def __init__(self, options: Quarantine) -> None:
        self._options = options
        self._records: dict[str, _Record] = {}

    def died(self, worker: str, now: float) -> float:
        """A worker died, or could not start: how long its place stays empty, 0 for not at all."""
        options = self._options
        record = self._records.setdefault(worker, _Record())
        if record.strikes and now - record.until > options.within_s:
            record.strikes = 0
        record.deaths.append(now)
        while now - record.deaths[0] > options.within_s:
            record.deaths.popleft()
        if not record.strikes and len(record.deaths) < options.crashes:
            return 0.0
        pause_s = options.pause(record.strikes)
        record.strikes += 1
        record.until = now + pause_s
        return pause_s

    def confined(self, now: float) -> frozenset[str]:
        """Those that are in quarantine."""
        return frozenset(worker for worker, record in self._records.items() if record.until > now)

    def forget(self, worker: str) -> None:
        """Its place is gone."""
        self._records.pop(worker, None)


def check_quarantine(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse what is no `Quarantine`."""
    if value is not None and not isinstance(value, Quarantine):
        raise InvalidOption("PoolOptions", attribute.name, shorten(value), "None, or Quarantine(...)")
