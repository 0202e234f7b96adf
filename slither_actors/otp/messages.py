"""Messages between actors, whatever they do for a living: start, stop, calls, and news of each other."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._codec import Frame
from slither_actors._message import message
from slither_actors.config import QUEUE_LIMIT_BYTES
from slither_actors.otp.child import ChildSpec, ExitReason
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
    """

    directory: str
    registry: str | None
    gateway: str | None
    log_level: int
    queue_limit_bytes: int = QUEUE_LIMIT_BYTES


@message
class Init:
    """To a fresh shell: what to become. Answered by `Started` or `StartFailed`."""

    name: str
    incarnation: int
    code: Code
    args: Frame
    parent: str
    surroundings: Surroundings


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
class Exiting:
    """From a child, before an exit of its own accord. A death without it is a crash."""

    name: str
    incarnation: int
    reason: ExitReason


@message
class Shutdown:
    """To a child: clean up and exit with reason *shutdown*. `why` is what led to it, if that was no wish."""

    why: str = ""


@message
class Call:
    """A request, encoded, that wants a `Reply` with the same number."""

    number: int
    request: Frame


@message
class Reply:
    """The answer to a `Call`, encoded: a value and an error, of which one is `None`."""

    number: int
    outcome: Frame


@message
class Cast:
    """A request, encoded, that wants no answer."""

    request: Frame


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
class Subscribe:
    """To the registry: send me `Up` and `Down` of all names under `prefix`, beginning with those that run now."""

    prefix: str


@message
class Resolve:
    """Call to the registry: the `Ref`s under all these names, or `NoProcess` for the first that is missing."""

    names: tuple[str, ...]


@message
class ListProcesses:
    """Call to the registry: all it knows, as a tuple of `ProcessInfo`."""


@message
class StartChild:
    """Call to a supervisor: add this child and start it. The reply is its `Ref`, or `StartError`."""

    spec: ChildSpec


@message
class TerminateChild:
    """Call to a supervisor: stop this child, or end the attempts to restart it. Its spec stays, unless the child is
    temporary or the supervisor dynamic."""

    child_id: str


@message
class RestartChild:
    """Call to a supervisor: start this child, which is stopped. The reply is its `Ref`, or `StartError`."""

    child_id: str


@message
class DeleteChild:
    """Call to a supervisor: forget the spec of this child, which is stopped."""

    child_id: str


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
    """From any process to the service: one log record, already formatted; no payload, no objects."""

    logger: str
    level: int
    text: str
    created: float
    process: str
    pid: int
