"""Error policies: what happens to items whose batch, or whose handler, failed."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._describe import kinds_of
from slither_actors._keywords import known_fields
from slither_actors._pauses import growing_pause_s
from slither_actors._signature import accepts, is_async
from slither_actors._validators import boolean, non_negative_seconds, number_in, positive_int
from slither_actors.errors import BatchTimeout, InvalidOption, ItemError, SlitherError, WorkerCrashed, shorten

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


def _way_out(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    is_function = callable(value) and accepts(value, 2) and not is_async(value)
    if not is_function and not isinstance(value, str | Code):
        allowed = "a plain function of item and reason, or in pipes the name of a later stage or of an output"
        raise InvalidOption("Route", "to", shorten(value), allowed)


@known_fields
@attrs.frozen
class Route:
    """Let failed items flow on: replaced by what a function makes of them, or to another place of the pipe.

    Attributes:
        to: a function, called as `to(item, reason)` for each item that failed, with the item as it came and the error.
            It returns what goes on in its place, a payload or an `Item`. In a dispatch it runs in the service, in the
            thread that takes the results. In a pipe it runs where the item is read next: in the process of the stage
            that failed or of the one behind it, in a worker if that is a worker stage, or in the service. An item for
            which it raises stands in `.dead`. In a pipe `to` may also be the name of a later stage or of an output.
            Either way the item has `error`, `stage` and `attempts` in its meta.
        isolate: as for `Skip`.
    """

    to: Callable[[Any, Any], Any] | str | Code = attrs.field(validator=_way_out)
    isolate: bool = attrs.field(default=False, validator=boolean)


def _names(classes: Any) -> tuple[str, ...]:
    """Exception classes by their names: a dispatcher decides by these, and never imports a user's module."""
    listed = classes if isinstance(classes, tuple | list) else (classes,)
    wrong = [one for one in listed if not _is_exception(one) and not _is_full_name(one)]
    if wrong or not listed:
        allowed = 'exception classes, or their full names such as "builtins.OSError", at least one'
        raise InvalidOption("Retry", "on", shorten(wrong[0] if wrong else classes), allowed)
    return tuple(one if isinstance(one, str) else kinds_of(one)[0] for one in listed)


def _is_exception(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, BaseException)


def _is_full_name(one: Any) -> bool:
    return isinstance(one, str) and "." in one and all(part.isidentifier() for part in one.split("."))


def _last_resort(value: Any) -> Halt | Skip | Route:
    policy = _BY_NAME.get(value) if isinstance(value, str) else value
    if not isinstance(policy, Halt | Skip | Route) or getattr(policy, "isolate", False):  # for Retry itself to say
        raise InvalidOption("Retry", "then", shorten(value), _LAST_RESORTS)
    return policy


@known_fields
@attrs.frozen
class Retry:
    """Run a batch that failed once more, after a pause that grows: exponential backoff with jitter.

    In a dispatch, a worker stage and a stage with `handle_batch` the whole batch runs again, elsewhere the one item. A
    batch whose worker died or was killed over it counts as failed; one that only waited behind it does not.

    Attributes:
        max_attempts: how often it may run in all.
        backoff_s: seconds before the second attempt.
        factor: each further pause is so many times the one before, up to an hour.
        jitter: share of a pause by which it is shortened or lengthened at random, 0 to 1.
        on: what is worth another attempt, as exception classes, and with them all that are derived from them; both
            that of what user code raised and the library's own count, such as `WorkerCrashed` and `BatchTimeout`. So
            `Exception` is everything. Kept by full names, which may be given too.
        then: what happens when the attempts are used up, or when the error is none of `on`: `"halt"`, `"skip"` or
            `Route(...)`. Under `"skip"` items whose attempts are used up, or that cost a worker its life, stand in
            `.dead`, others in `.skipped`.
        isolate: as for `Skip`; the halves run at once, and a single item has `max_attempts` of its own.
    """

    max_attempts: int = attrs.field(default=3, validator=positive_int)
    backoff_s: float = attrs.field(default=0.1, validator=non_negative_seconds)
    factor: float = attrs.field(default=2.0, validator=number_in(1.0, 1000.0))
    jitter: float = attrs.field(default=0.1, validator=number_in(0.0, 1.0))
    on: tuple[str, ...] = attrs.field(default=("builtins.Exception",), converter=_names)
    then: Halt | Skip | Route = attrs.field(default=Halt(), converter=_last_resort)
    isolate: bool = attrs.field(default=False, validator=boolean)

    def covers(self, error: SlitherError) -> bool:
        """Whether this is worth another attempt."""
        return isinstance(error, ItemError) and not set(self.on).isdisjoint((*error.kinds, *kinds_of(type(error))))

    def pause_s(self, attempts: int, draw: float) -> float:
        """Seconds until the next attempt, after so many.

        Args:
            attempts: how often it ran, at least once.
            draw: a random number from 0 to 1, for the jitter.
        """
        return growing_pause_s(self.backoff_s, self.factor, self.jitter, LONGEST_PAUSE_S, attempts - 1, draw)


Policy = Halt | Skip | Retry | Route
AnyPolicy = Policy | str
_BY_NAME: dict[str, Halt | Skip] = {"halt": Halt(), "skip": Skip()}
_LAST_RESORTS = '"halt", "skip", Halt(), Skip() or Route(...)'
_ALLOWED = '"halt", "skip", Halt(), Skip(), Retry() or Route(...)'
_NO_PIPE = "Route(function); only a stage of a pipe has other places to send an item to"


def as_policy(value: Any, where: str, option: str = "on_error", *, places: bool = True) -> Policy:
    """The policy that a user named.

    Args:
        places: whether there are other places to route an item to.

    Raises:
        InvalidOption: there is no such policy, or not here.
    """
    policy = _BY_NAME.get(value) if isinstance(value, str) else value
    if not isinstance(policy, Halt | Skip | Retry | Route):
        raise InvalidOption(where, option, shorten(value), _ALLOWED)
    if not places and isinstance(way_out(policy), str):
        raise InvalidOption(where, option, shorten(value), _NO_PIPE)
    return policy


class Verdict(enum.Enum):
    """What a policy means for one failure."""

    HALT = "halt"
    SPLIT = "split"
    RETRY = "retry"
    ROUTED = "routed"
    SKIPPED = "skipped"
    DEAD = "dead"


def verdict(policy: Policy, error: SlitherError, attempts: int, count: int, *, final: bool = False) -> Verdict:
    """What happens to `count` items that failed together for the `attempts`-th time.

    Args:
        final: whether another attempt would not help, or do harm.
    """
    tries_again = isinstance(policy, Retry) and not final and policy.covers(error)
    if not final and count > 1 and not isinstance(policy, Halt) and policy.isolate:
        return Verdict.SPLIT
    if isinstance(policy, Retry) and tries_again and attempts < policy.max_attempts:
        return Verdict.RETRY
    if not skips(policy):
        return Verdict.HALT
    if way_out(policy) is not None:
        return Verdict.ROUTED
    # also what is none of `on`, but cost a worker its life
    is_deadly = isinstance(policy, Retry) and isinstance(error, WorkerCrashed | BatchTimeout)
    return Verdict.DEAD if tries_again or is_deadly else Verdict.SKIPPED


def skips(policy: Policy) -> bool:
    """Whether a run outlives what cannot be mended by another attempt."""
    return not isinstance(policy.then if isinstance(policy, Retry) else policy, Halt)


def way_out(policy: Policy) -> Callable[[Any, Any], Any] | str | Code | None:
    """Where items go that are routed in the end; `None` under a policy that routes none."""
    last = policy.then if isinstance(policy, Retry) else policy
    return last.to if isinstance(last, Route) else None


def for_travel(policy: Policy) -> Policy:
    """The same policy, its function in a form that other processes can read.

    Raises:
        NotPicklable: there is no such form.
    """
    to = way_out(policy)
    return _with_way_out(policy, Code.of(to)) if callable(to) else policy


def without_function(policy: Policy) -> Policy:
    """The same policy for those who never call its function, so that it need not travel."""
    return _with_way_out(policy, "") if callable(way_out(policy)) else policy


def _with_way_out(policy: Policy, to: Code | str) -> Policy:
    if isinstance(policy, Retry):
        return attrs.evolve(policy, then=Route(to))
    assert isinstance(policy, Route)
    return attrs.evolve(policy, to=to)
