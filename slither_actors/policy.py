"""Error policies: what happens to items whose batch, or whose handler, failed."""

from __future__ import annotations

import enum
import sys
from typing import Any

import attrs

from slither_actors._describe import kinds_of
from slither_actors._keywords import known_fields
from slither_actors._validators import boolean, non_negative_seconds, number_in, positive_int
from slither_actors.errors import InvalidOption, ItemError, SlitherError, shorten

# No pause between two attempts is longer, however often the factor was applied.
LONGEST_PAUSE_S = 3600.0


@attrs.frozen
class Halt:
    """End the run; what was finished by then is in `partial_results`."""


@known_fields
@attrs.frozen
class Skip:
    """Take the items of the batch out of the flow; they stand in `.skipped` with `meta["error"]`.

    Attributes:
        isolate: run a batch that failed again in halves, and so on, until what fails is single items: only those are
            skipped. The others run more than once, so the function must bear that.
    """

    isolate: bool = attrs.field(default=False, validator=boolean)


def _names(classes: Any) -> tuple[str, ...]:
    """Exception classes by their names: a dispatcher decides by these, and never imports a user's module."""
    listed = classes if isinstance(classes, tuple | list) else (classes,)
    wrong = [one for one in listed if not isinstance(one, str) and not _is_exception(one)]
    if wrong or not listed:
        raise InvalidOption("Retry", "on", shorten(wrong[0] if wrong else classes), "exception classes, at least one")
    return tuple(one if isinstance(one, str) else kinds_of(one)[0] for one in listed)


def _is_exception(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, BaseException)


def _last_resort(value: Any) -> Halt | Skip:
    policy = _BY_NAME.get(value) if isinstance(value, str) else value
    if not isinstance(policy, Halt | Skip) or policy == Skip(isolate=True):  # that is for Retry itself to say
        raise InvalidOption("Retry", "then", shorten(value), _LAST_RESORTS)
    return policy


@known_fields
@attrs.frozen
class Retry:
    """Run a batch that failed once more, after a pause that grows: exponential backoff with jitter.

    In a worker stage and a dispatch the whole batch runs again, in a local, router or own stage the one item. A batch
    whose worker died or was killed over it counts as failed; one that only waited behind it does not.

    Attributes:
        max_attempts: how often it may run in all.
        backoff_s: seconds before the second attempt.
        factor: each further pause is so many times the one before, up to an hour.
        jitter: share of a pause by which it is shortened or lengthened at random, 0 to 1.
        on: what is worth another attempt, as exception classes: theirs, those derived from them, and the library's own
            such as `WorkerCrashed` and `BatchTimeout`, which are `Exception` too. Kept by name.
        then: what happens when the attempts are used up, or when the error is none of `on`: `"halt"` or `"skip"`.
            Under `"skip"` items whose attempts are used up stand in `.dead`, others in `.skipped`.
        isolate: as for `Skip`; the halves run at once, and a single item has `max_attempts` of its own.
    """

    max_attempts: int = attrs.field(default=3, validator=positive_int)
    backoff_s: float = attrs.field(default=0.1, validator=non_negative_seconds)
    factor: float = attrs.field(default=2.0, validator=number_in(1.0, 1000.0))
    jitter: float = attrs.field(default=0.1, validator=number_in(0.0, 1.0))
    on: tuple[str, ...] = attrs.field(default=("builtins.Exception",), converter=_names)
    then: Halt | Skip = attrs.field(default=Halt(), converter=_last_resort)
    isolate: bool = attrs.field(default=False, validator=boolean)

    def covers(self, error: SlitherError) -> bool:
        """Whether this is worth another attempt."""
        return isinstance(error, ItemError) and not set(self.on).isdisjoint(error.kinds)

    def pause_s(self, attempts: int, draw: float) -> float:
        """Seconds until the next attempt, after so many.

        Args:
            attempts: how often it ran, at least once.
            draw: a random number from 0 to 1, for the jitter.
        """
        try:
            growth = self.factor ** (attempts - 1)
        except OverflowError:
            growth = sys.float_info.max
        return min(self.backoff_s * growth, LONGEST_PAUSE_S) * (1 + self.jitter * (2 * draw - 1))


Policy = Halt | Skip | Retry
AnyPolicy = Policy | str
_BY_NAME: dict[str, Halt | Skip] = {"halt": Halt(), "skip": Skip()}
_LAST_RESORTS = '"halt", "skip", Halt() or Skip()'
_ALLOWED = '"halt", "skip", Halt(), Skip() or Retry()'


def as_policy(value: Any, where: str, option: str = "on_error") -> Policy:
    """The policy that a user named.

    Raises:
        InvalidOption: there is no such policy.
    """
    if isinstance(value, Halt | Skip | Retry):
        return value
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    raise InvalidOption(where, option, shorten(value), _ALLOWED)


class Verdict(enum.Enum):
    """What a policy means for one failure."""

    HALT = "halt"
    SPLIT = "split"
    RETRY = "retry"
    SKIPPED = "skipped"
    DEAD = "dead"


def verdict(policy: Policy, error: SlitherError, attempts: int, count: int) -> Verdict:
    """What happens to `count` items that failed together for the `attempts`-th time; 0 if no other would help."""
    tries_again = isinstance(policy, Retry) and attempts > 0 and policy.covers(error)
    may_split = isinstance(policy, Skip | Retry) and policy.isolate and (tries_again or isinstance(policy, Skip))
    if may_split and attempts and count > 1:
        return Verdict.SPLIT
    if isinstance(policy, Retry) and tries_again and attempts < policy.max_attempts:
        return Verdict.RETRY
    if not skips(policy):
        return Verdict.HALT
    return Verdict.DEAD if tries_again else Verdict.SKIPPED


def skips(policy: Policy) -> bool:
    """Whether a run outlives what cannot be mended by another attempt."""
    return isinstance(policy.then if isinstance(policy, Retry) else policy, Skip)
