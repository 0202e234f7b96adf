"""What a chaos does, when, and to whom: a seed decides. Pure: no clock, no process, no signal."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Collection, Iterator
from typing import Any

import attrs

from slither_actors._validators import boolean, non_negative_seconds, optional, positive_number, positive_seconds
from slither_actors.errors import InvalidOption, shorten
from slither_actors.testing._chaos_roles import DEFAULT_ROLES, ROLES, Target

KINDS = ("kill", "stop", "slow")

# A supervisor with the default options takes 3 restarts in 5 s. One is left for what dies without us.
_DEATHS = 2
_PERIOD_S = 5.5

# The default of `stopped_limit_s`.
STANDSTILL_S = 5.0

_SHORTEST_HOLD_S = 0.02
_SLOW_FOR_S = (0.2, 2.0)
_SHARE = (0.05, 0.5)


def _words(*known: str) -> Any:
    """A validator that takes some of these words, at least one."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, str) or not isinstance(value, Collection) or not value or not set(value) <= set(known):
            raise InvalidOption("Chaos", attribute.name, shorten(value), f"some of {', '.join(known)}")

    return check


def _integer(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidOption("Chaos", attribute.name, shorten(value), "a whole number")


@attrs.frozen(kw_only=True)
class ChaosOptions:
    """What may happen, how often, and to whom; `Chaos` documents each."""

    seed: int = attrs.field(factory=lambda: random.SystemRandom().randrange(10**6), validator=_integer)
    duration_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))
    rate: float = attrs.field(default=1.0, validator=positive_number)
    kinds: Collection[str] = attrs.field(default=KINDS, validator=_words(*KINDS))
    targets: Collection[str] = attrs.field(default=DEFAULT_ROLES, validator=_words(*ROLES))
    longest_stop_s: float = attrs.field(default=0.3, validator=positive_seconds)
    spare_budgets: bool = attrs.field(default=True, validator=boolean)
    settle_s: float = attrs.field(default=5.0, validator=non_negative_seconds)


@attrs.frozen
class Strike:
    """One thing that is done to one process.

    Attributes:
        number: counted from 1, also those that found nobody.
        at_s: when it is due, in seconds after the beginning.
        kind: "kill", "stop" or "slow".
        lasts_s: for how long it is stopped or slowed; 0 for a kill.
        share: what a slowed process is left of its time, from 0 to 1; else 0.
    """

    number: int
    at_s: float
    kind: str
    lasts_s: float = 0.0
    share: float = 0.0


def schedule(options: ChaosOptions) -> Iterator[Strike]:
    """All strikes in order; without end where the chaos has none. Nothing that happens has a say in it."""
    dice = random.Random(options.seed)
    kinds = [kind for kind in KINDS if kind in options.kinds]
    at_s = 0.0
    number = 0
    while True:
        # As independent accidents come: now and then several at once.
        at_s += dice.expovariate(options.rate)
        number += 1
        kind = kinds[int(dice.random() * len(kinds))]
        long, share = dice.random(), _SHARE[0] + dice.random() * (_SHARE[1] - _SHARE[0])
        if options.duration_s is not None and at_s > options.duration_s:
            return
        if kind == "stop":
            shortest = min(_SHORTEST_HOLD_S, options.longest_stop_s)
            yield Strike(number, at_s, kind, shortest + long * (options.longest_stop_s - shortest))
        elif kind == "slow":
            yield Strike(number, at_s, kind, _SLOW_FOR_S[0] + long * (_SLOW_FOR_S[1] - _SLOW_FOR_S[0]), share)
        else:
            yield Strike(number, at_s, kind)


class Aim:
    """Chooses who is hit.

    The choice depends on the seed, the number of the strike and the names that live, not on their order or numbers:
    with one process more or less another one is chosen seldom.
    """

    def __init__(self, options: ChaosOptions) -> None:
        self._seed = options.seed
        self._roles = frozenset(options.targets)
        self._spare = options.spare_budgets
        self._deaths: dict[str, deque[float]] = {}

    def choose(
        self, strike: Strike, living: Collection[Target], held: Collection[int], young: Collection[str], now: float
    ) -> Target | None:
        """Who is hit, `None` where there is nobody.

        Args:
            strike: what is due.
            living: who is there.
            held: numbers of those that are stopped or slowed this moment, who can only be killed.
            young: names of supervisors that may still be starting their children.
            now: seconds, by any clock.
        """
        allowed = [
            target
            for target in living
            if target.role in self._roles and self._may_hit(strike, target, held, young, now)
        ]
        if not allowed:
            return None
        # First the role: else the many workers of a large pool would take all that comes.
        role = max({target.role for target in allowed}, key=lambda role: self._lot(strike, role))
        fellows = [target for target in allowed if target.role == role]
        chosen = max(fellows, key=lambda target: self._lot(strike, target.process.name))
        if _is_deadly(strike):
            for supervisor in _charged(chosen, young):
                self._deaths.setdefault(supervisor, deque()).append(now + strike.lasts_s)
        return chosen

    def _may_hit(
        self, strike: Strike, target: Target, held: Collection[int], young: Collection[str], now: float
    ) -> bool:
        if strike.kind != "kill" and target.process.pid in held:
            return False
        if not _is_deadly(strike):
            return True
        return not self._spare or all(self._has_room(supervisor, now) for supervisor in _charged(target, young))

    def _has_room(self, supervisor: str, now: float) -> bool:
        deaths = self._deaths.get(supervisor, deque())
        while deaths and deaths[0] <= now - _PERIOD_S:
            deaths.popleft()
        return len(deaths) < _DEATHS

    def _lot(self, strike: Strike, word: str) -> bytes:
        return hashlib.blake2b(f"{self._seed}/{strike.number}/{word}".encode(), digest_size=8).digest()


def _is_deadly(strike: Strike) -> bool:
    """Who stands still for as long as the host bears by default is killed by it."""
    return strike.kind == "kill" or (strike.kind == "stop" and strike.lasts_s >= STANDSTILL_S)


def _charged(target: Target, young: Collection[str]) -> Iterator[str]:
    """Whose budget a death costs: that of its supervisor. One that is just starting fails of it, and is a death for the
    one above."""
    name = target.process.name
    while name != "root":
        name = name.rpartition("/")[0] or "root"
        yield name
        if name not in young:
            return
