"""Messages between actors, whatever they do for a living: start, stop, calls, and news of each other."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._codec import Frame
from slither_actors._letter import Letter
from slither_actors._message import message
from slither_actors.config import QUEUE_LIMIT_BYTES
from slither_actors.otp.child import ChildSpec, ExitReason, MoreArguments, SupervisorOptions
from slither_actors.otp.ref import Ref


@attrs.frozen
class Surroundings:
    """What every process of a system is told at its start.

    Attributes:
        directory: its run directory.
        registry: address of the registry; `None` in the few processes that are started before it.
        gateway: address in the service where log records and reports go.
        log_level: records below this level stay in the process.
        queue_limit_bytes: what may wait for one peer before sending more to it is an error.
        stderr: a descriptor of the service's standard error; below the root, 2 is what the supervisor hears.
    """

    directory: str
    registry: str | None
    gateway: str | None
    log_level: int
    queue_limit_bytes: int = QUEUE_LIMIT_BYTES
    stderr: int = 2


@message
class Init:
    """To a fresh shell: what to become. Answered by `Started`, `Ignored` or `StartFailed`."""

    name: str
    incarnation: int
    code: Code
    args: Frame | MoreArguments
    parent: str
    surroundings: Surroundings
    busy_limit_s: float | None = None


@message
class Started:
    """From a child: it is up. `info` is what its class wants the parent to know."""

    name: str
    incarnation: int
    pid: int
    info: Any


@message
class StartFailed:
    """From a child: it could not become what it was told to, and exits."""

    name: str
    incarnation: int
    error: str


@message
class EventNotes:
    """To the gateway: emit these events in the service. Each is a name, measurements and metadata."""

    events: tuple[tuple[Any, ...], ...]


@message
class TreeEvents:
    """To the gateway: emit these events of the tree, with the name of the system put to their metadata."""

    events: tuple[tuple[Any, ...], ...]


@message
class StartFailure:
    """To the gateway, before `StartFailed`: the error behind it, where it is more than its text. With a `child` it is
    that only if this child dies while it starts."""

    error: Exception
    child: str = ""


@message
class Ignored:
    """From a child: it does not want to run, which is no failure, and exits."""

    name: str
    incarnation: int


@message
class Exiting:
    """From a child, before an exit of its own accord. A death without it is a crash. `handling` is the kind of message
    that it crashed at."""

    name: str
    incarnation: int
    reason: ExitReason
    handling: str = ""


@message
class Shutdown:
    """To a child: clean up and exit with reason *shutdown*. `why` is what led to it, if that was no wish."""

    why: str = ""


@message
class Call:
    """A request that wants a `Reply` with the same number."""

    number: int
    request: Letter


@message
class Reply:
    """The answer to a `Call`: a value and an error, of which one is `None`."""

    number: int
    outcome: Letter


@message
class Cast:
    """A request that wants no answer."""

    request: Letter


@message
class Forward:
    """To the registry: send this on. It arrives when the registry knows all that the sender had told it before."""

    to: str
    message: Any


@message
class Up:
    """News: this process runs."""

    ref: Ref
    kind: str


@message
class Down:
    """News: this process is dead. `finding` is what its supervisor's `autopsy` found."""

    ref: Ref
    reason: ExitReason
    finding: Any = None


@message
class Forgotten:
    """To the registry: the supervisor of the process of this name, which is dead, will not start it again."""

    name: str


@message
class Watch:
    """To the registry: send me `WatchEnded` with this number when the process at `to` (a name, a `Ref` or an address)
    ends, or at once if there is none."""

    number: int
    to: str | Ref


@message
class Unwatch:
    """To the registry: forget my `Watch` of this number."""

    number: int


@message
class WatchEnded:
    """From the registry: what this watch was over is dead."""

    number: int
    ref: Ref
    reason: ExitReason


@message
class Link:
    """To the registry: should the sender or the process at `to` end, tell the other one by `LinkEnded`; at once, if
    there is none."""

    to: str | Ref


@message
class Unlink:
    """Call to the registry: forget this `Link`, whoever of the two asked for it. The reply is the other's address."""

    to: str | Ref
    sender: str


@message
class LinkEnded:
    """From the registry: who this process was linked with is dead."""

    ref: Ref
    reason: ExitReason


@message
class Subscribe:
    """To the registry: send me `Up` and `Down` of all names under `prefix`, beginning with those that run now."""

    prefix: str


@message
class Resolve:
    """Call to the registry: the `Ref`s under all these names, or `NoProcess` for the first that is missing."""

    names: tuple[str, ...]


@message
class EndOf:
    """Call to the registry: whether this process has ended, why (`None` if nobody knows), and what its supervisor
    found. That is known of the newest dead only, however many there were."""

    ref: Ref


@message
class ListProcesses:
    """Call to the registry: all it knows, as a tuple of `ProcessInfo`."""


@message
class StartChild:
    """Call to a supervisor: add this child, or one of its template with these arguments, and start it. The reply is
    its `Ref`, `None` if it does not want to run, or `StartError`."""

    spec: ChildSpec | Frame


@message
class TerminateChild:
    """Call to a supervisor: stop this child, or end the attempts to restart it. Its spec stays, unless the child is
    temporary or the supervisor dynamic. A child of a template is meant by its `Ref`."""

    child_id: str | Ref


@message
class RestartChild:
    """Call to a supervisor: start this child, which is stopped. The reply is as for `StartChild`."""

    child_id: str


@message
class DeleteChild:
    """Call to a supervisor: forget the spec of this child, which is stopped."""

    child_id: str


@message
class ChangeSupervisor:
    """Call to a supervisor: take these options, and these specs for children that are there or new."""

    options: SupervisorOptions
    specs: tuple[ChildSpec, ...]


@message
class WhichChildren:
    """Call to a supervisor: its children, newest first, as a tuple of `ChildInfo`."""


@message
class CountChildren:
    """Call to a supervisor: its `ChildCounts`."""


@message
class GetChildSpec:
    """Call to a supervisor: the `ChildSpec` of this child."""

    child_id: str


@message
class KillProcess:
    """To a supervisor, also as a call: kill this incarnation now, which is not held against it. The reply is whether it
    was killed.

    `only` is what it must be at work on, as the supervisor's `at_work` says it; `None` kills whatever it does.
    """

    ref: Ref
    why: str
    only: int | None = None


@message
class TreeDown:
    """From the root to the service: the restart budget is spent; `causes` says why, newest last."""

    causes: tuple[str, ...]


@message
class LogLine:
    """From any process to the service: one log record, already formatted; no payload, no objects. `about` are the ids
    of what it is about."""

    logger: str
    level: int
    text: str
    created: float
    process: str
    pid: int
    about: tuple[tuple[str, Any], ...] = ()
