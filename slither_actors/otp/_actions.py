"""What the supervisor's core wants done, and what it answers. The actor around it carries these out, in order."""

import enum

from slither_actors._record import record
from slither_actors.otp.child import ChildSpec, ExitReason


class ApiError(enum.Enum):
    """Why an API call was refused, by the names that OTP gives."""

    ALREADY_STARTED = "already_started"
    ALREADY_PRESENT = "already_present"
    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"
    INVALID_CHILD_SPEC = "invalid_child_spec"
    """Arguments for a template, where there is none."""
    SHUTDOWN = "shutdown"
    """Ours: the supervisor is stopping. (In OTP the caller of such a call exits.)"""


@record
class Cause:
    """One exit that led to a restart, or to the end."""

    child_id: str
    reason: ExitReason


@record
class StartChild:
    """Start this child. Report ``child_started``, ``child_ignored`` or ``child_start_failed``, and its exit whatever
    happens."""

    child_id: str
    incarnation: int
    spec: ChildSpec


@record
class StopChild:
    """Ask the child to end, and report ``child_stop_timeout`` after ``shutdown_s`` seconds (None: never). ``cause`` is
    the exit of another child that leads to it."""

    child_id: str
    incarnation: int
    shutdown_s: float | None
    cause: Cause | None = None


@record
class KillChild:
    """Kill the child with all it started; its exit is awaited. It may be gone already."""

    child_id: str
    incarnation: int


@record
class RetryLater:
    """Call ``retry`` once the messages that wait now are dealt with, but not before ``pause_s`` seconds are over."""

    pause_s: float = 0.0


@record
class Started:
    """All initial children are up."""


@record
class StartFailed:
    """An initial child did not come up; those that were up have been stopped. The core has ended."""

    child_id: str
    reason: ExitReason


@record
class GiveUp:
    """The restart budget is spent and all children are stopped: exit with ``reason``. The core has ended."""

    reason: ExitReason
    causes: tuple[Cause, ...]
    """The exits within the window, oldest first; the last one broke the budget."""


@record
class Stopped:
    """All children are stopped, as asked. The core has ended."""


@record
class Forgotten:
    """For reports: this child is down and its spec is gone."""

    child_id: str


@record
class Reply:
    """The answer to an API call: ``error`` is None where it succeeded.

    ``value`` is the incarnation of the child for ``start_child`` and ``restart_child``, also beside ALREADY_STARTED;
    None where the child did not want to run. ``child_id`` is that of the child of a template.
    An ExitReason as error says why the child did not come up.
    """

    token: object
    value: int | None = None
    error: ApiError | ExitReason | None = None
    child_id: str | None = None


@record
class Restarted:
    """For reports: a child is up again after ``old_incarnation``. ``cause`` is the exit that led to the restart."""

    child_id: str
    old_incarnation: int
    cause: ExitReason


Action = (
    StartChild
    | StopChild
    | KillChild
    | RetryLater
    | Started
    | StartFailed
    | GiveUp
    | Stopped
    | Forgotten
    | Reply
    | Restarted
)
