"""What a supervisor is told: its children, its strategy, and why a child ended. Values only; nothing here runs.

::

    ChildSpec            one child: what to start, when to start it again, how to stop it
    SupervisorOptions    how the children of one supervisor hang together, and how many restarts are too many
    ExitReason           why a child ended; decides whether a transient child comes back
"""

import enum
import functools
from collections.abc import Iterable
from typing import Any, Literal, Self

import attrs

from slither_actors._code import Code
from slither_actors._codec import Frame, encode_parts
from slither_actors._keywords import known_fields
from slither_actors._validators import (
    Validator,
    name,
    non_negative_int,
    non_negative_seconds,
    one_of,
    optional,
    positive_seconds,
)
from slither_actors.errors import InvalidOption, InvalidSpec, shorten
from slither_actors.otp._spec_words import spec_errors
from slither_actors.otp.backoff import Backoff

__all__ = ["ChildSpec", "ExitReason", "Restart", "Strategy", "SupervisorOptions", "check_childspecs", "last_line"]

# OTP's words for what is wrong with a field, and in its manner for what only we have.
_SPEC_WORDS = {
    "id": "invalid_id",
    "start": "invalid_mfa",
    "args": "invalid_mfa",
    "restart": "invalid_restart_type",
    "type": "invalid_child_type",
    "shutdown_s": "invalid_shutdown",
}
_OPTION_WORDS = {"period_s": "invalid_period"}

ExitKind = Literal["normal", "shutdown", "crash", "killed", "start_failed", "unknown"]
_EXIT_KINDS = ("normal", "shutdown", "crash", "killed", "start_failed", "unknown")


@attrs.frozen
class ExitReason:
    """Why a child ended.

    ``normal`` and ``shutdown`` were announced by the child; ``crash`` names its error; ``killed`` is a signal;
    ``start_failed`` never came up; ``unknown`` is a death that nobody announced, and counts as a crash.
    """

    kind: ExitKind = attrs.field(validator=one_of(*_EXIT_KINDS))
    text: str = ""

    @property
    def is_normal(self) -> bool:
        """Whether the child ended because it was done, or was asked to; a transient child then stays down."""
        return self.kind in ("normal", "shutdown")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


def last_line(reason: ExitReason) -> str:
    """The reason without its traceback, of which the last line says what was raised."""
    lines = reason.text.strip().splitlines()
    return f"{reason.kind}: {lines[-1]}" if lines else reason.kind


class Restart(enum.Enum):
    """Which exits bring a child back."""

    PERMANENT = "permanent"
    """Every exit, also a normal one."""
    TRANSIENT = "transient"
    """Every exit but ``normal`` and ``shutdown``; after those the spec stays, with no process."""
    TEMPORARY = "temporary"
    """None; the spec is forgotten together with the process."""

    def revives(self, reason: ExitReason) -> bool:
        """Whether a child of this kind is started again after it ended by itself for ``reason``."""
        return self is Restart.PERMANENT or (self is Restart.TRANSIENT and not reason.is_normal)


class Strategy(enum.Enum):
    """Who is restarted together with a child that ended. A group stops in reverse start order, then starts in order."""

    ONE_FOR_ONE = "one_for_one"
    """Nobody else."""
    ONE_FOR_ALL = "one_for_all"
    """All others, also those that had ended normally or were stopped by hand; temporary ones are forgotten."""
    REST_FOR_ONE = "rest_for_one"
    """Those that were started after it, by the same rules."""


def instance_of(kind: type) -> Validator:
    """A validator for one class that says in words what is allowed."""
    members = list(kind) if issubclass(kind, enum.Enum) else []
    allowed = ", ".join(map(str, members)) or f"a {kind.__name__}"

    def check(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):
            raise InvalidOption(type(instance).__name__, attribute.name, shorten(value), allowed)

    return check


def _something(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        raise InvalidOption(type(instance).__name__, attribute.name, "None", "what the child runs")


@attrs.frozen
class MoreArguments:
    """Arguments that come in two parts, each encoded where it was given; only the child's process puts them together.

    Attributes:
        first: Those of a template.
        more: Those of one child.
    """

    first: "Frame | tuple[Any, ...]"
    more: "Frame | tuple[Any, ...]"

    def open(self, what: str) -> tuple[Any, ...]:
        """All of them, in order; raises as ``Frame.open``."""
        return (*_opened(self.first, what), *_opened(self.more, what))


def _opened(part: "Frame | tuple[Any, ...]", what: str) -> Any:
    return part.open(what) if isinstance(part, Frame) else part


def _arguments(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, Frame | MoreArguments):
        instance_of(tuple)(instance, attribute, value)


@spec_errors(_SPEC_WORDS)
@known_fields
@attrs.frozen
class ChildSpec:
    """One child of a supervisor.

    Attributes:
        id: Its name, unique among the children of one supervisor.
        start: What the child runs: a subclass of ``Server``, or its path "module:Class". A supervisor hands it on
            without looking.
        args: Arguments for ``start``, a tuple; encoded once the spec is ``sealed``, as one that has travelled is.
            Those of a temporary child are dropped as soon as it is up.
        restart: Which exits bring it back.
        type: ``"supervisor"`` for a child that has children of its own.
        shutdown_s: How long a polite stop may take before the child is killed. 0 kills at once, None waits for ever.
            Left out: 5 seconds for a worker, no limit for a supervisor, which needs as long as its children do.
        start_timeout_s: How long the child may take to come up, None for ever. Left out: 30 seconds for a worker, no
            limit for a supervisor, whose children have limits of their own.
        backoff: A pause before each restart; None restarts at once.
        busy_limit_s: How long one message, timer or continuation may keep the child busy before it counts as hung and
            is killed, to within a second or two; None for ever.

    Raises:
        InvalidSpec: A field is missing or has a value that is not allowed; the error names it.
    """

    id: str = attrs.field(validator=name)
    start: Any = attrs.field(validator=_something)
    args: Any = attrs.field(default=(), validator=_arguments)
    restart: Restart = attrs.field(default=Restart.PERMANENT, validator=instance_of(Restart), kw_only=True)
    type: Literal["worker", "supervisor"] = attrs.field(
        default="worker", validator=one_of("worker", "supervisor"), kw_only=True
    )
    shutdown_s: float | None = attrs.field(validator=optional(non_negative_seconds), kw_only=True)
    start_timeout_s: float | None = attrs.field(validator=optional(positive_seconds), kw_only=True)
    backoff: Backoff | None = attrs.field(default=None, validator=optional(instance_of(Backoff)), kw_only=True)
    busy_limit_s: float | None = attrs.field(default=None, validator=optional(positive_seconds), kw_only=True)

    @shutdown_s.default
    def _usual_shutdown_s(self) -> float | None:
        return None if self.type == "supervisor" else 5.0

    @start_timeout_s.default
    def _usual_start_timeout_s(self) -> float | None:
        return None if self.type == "supervisor" else 30.0

    def without_args(self) -> Self:
        """The same spec with ``args`` dropped, for a temporary child that is up and will never be started again."""
        return attrs.evolve(self, args=())

    def sealed(self) -> Self:
        """The same spec, with what the child runs and its arguments in a form that only the child's process reads.

        Raises:
            NotImportable: ``start`` is no path that could be imported.
            NotPicklable: What it runs, or an argument, cannot travel; the error names the child.
        """
        start = self.start if isinstance(self.start, Code) else Code.of(self.start)
        args = self.args
        if not isinstance(args, Frame | MoreArguments):
            args = encode_parts(args, (), f"args of child {self.id}")
        return attrs.evolve(self, start=start, args=args)

    def __reduce__(self) -> tuple[Any, ...]:
        # It travels sealed: a supervisor on the way need not be able to import any of it. Whether a path is one is for
        # the child to say.
        start = Code(self.start, None, self.start) if isinstance(self.start, str) else self.start
        sealed = attrs.evolve(self, start=start).sealed()
        return functools.partial(type(self), **attrs.asdict(sealed, recurse=False)), ()


@spec_errors(_OPTION_WORDS)
@known_fields
@attrs.frozen(kw_only=True)
class SupervisorOptions:
    """How the children of one supervisor hang together.

    Attributes:
        strategy: Who is restarted together with a child that ended.
        intensity: How many restarts within ``period_s`` are still accepted. One more, and the supervisor stops its
            children and gives up. 0 gives up at the first.
        period_s: The length of that window in seconds.
        parallel_start: Start the first children all at once instead of one after the other.
        parallel_stop: Stop them all at once when the supervisor ends: several that are stuck take no longer than one.
        dynamic: Children come and go by ``start_child`` alone. They stop all at once, and are forgotten when they end.
            With one spec among the children of the supervisor that is a template, and ``start_child`` takes the
            arguments that each child has besides: OTP's simple_one_for_one.
        revive_stopped: Whether a group restart also starts children that had ended normally or were stopped by hand,
            as OTP does.

    Raises:
        InvalidSpec: A field has a value that is not allowed, or ``dynamic`` meets a group strategy.
    """

    strategy: Strategy = attrs.field(default=Strategy.ONE_FOR_ONE, validator=instance_of(Strategy))
    intensity: int = attrs.field(default=3, validator=non_negative_int)
    period_s: float = attrs.field(default=5.0, validator=positive_seconds)
    parallel_start: bool = attrs.field(default=False, validator=instance_of(bool))
    parallel_stop: bool = attrs.field(default=False, validator=instance_of(bool))
    dynamic: bool = attrs.field(default=False, validator=instance_of(bool))
    revive_stopped: bool = attrs.field(default=True, validator=instance_of(bool))

    def __attrs_post_init__(self) -> None:
        if self.dynamic and self.strategy is not Strategy.ONE_FOR_ONE:
            # Children that come and go have no order that a group restart could follow.
            allowed = "Strategy.ONE_FOR_ONE, since dynamic is set"
            raise InvalidOption("SupervisorOptions", "strategy", str(self.strategy), allowed)


def check_childspecs(options: SupervisorOptions, specs: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    """Check a list of children the way a supervisor does when it starts.

    Args:
        options: The options of the supervisor they are meant for.
        specs: The children in start order.

    Returns:
        The same specs.

    Raises:
        InvalidSpec: One is no ChildSpec, an id stands twice, or a dynamic supervisor is given more than a template.
    """
    checked: dict[str, ChildSpec] = {}
    for spec in specs:
        if not isinstance(spec, ChildSpec):
            raise InvalidSpec("supervisor", "children", shorten(spec), "ChildSpec objects", "invalid_child_spec")
        if spec.id in checked:
            raise InvalidSpec("supervisor", "id", shorten(spec.id), "one child per id", "duplicate_child_name")
        checked[spec.id] = spec
    if len(checked) > 1 and options.dynamic:
        allowed = "one template at most: dynamic children come by start_child"
        raise InvalidSpec("supervisor", "children", ", ".join(checked), allowed, "bad_start_spec")
    return tuple(checked.values())


def checked_plan(name: str, plan: Any) -> tuple[SupervisorOptions, tuple[ChildSpec, ...]]:
    """What the ``init`` of a supervisor returned, if it is of the right form.

    Raises:
        InvalidOption: It is not. InvalidSpec: The children are not what the options allow.
    """
    if not (isinstance(plan, tuple) and len(plan) == 2):
        pass
    elif isinstance(plan[0], SupervisorOptions) and isinstance(plan[1], Iterable):
        return plan[0], check_childspecs(*plan)
    raise InvalidOption(f"init of {name}", "answer", shorten(plan), "(SupervisorOptions, [ChildSpec, ...]) or IGNORE")
