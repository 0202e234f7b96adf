"""Messages between actors, whatever they do for a living: start, stop, calls, and news of each other."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._codec import Frame
from slither_actors._message import message
from slither_actors.otp.child import ExitReason
from slither_actors.otp.ref import Ref


@attrs.frozen
class Surroundings:
    """What every process of a system is told at its start.

    Attributes:
        system: the system's name.
        directory: its run directory.
        registry: address of the registry; `None` in the few processes that are started before it.
        gateway: address in the service where log records and reports go.
        log_level: records below this level stay in the process.
    """

    system: str
    directory: str
    registry: str | None
    gateway: str | None
    log_level: int


@message
class Init:
    """To a fresh shell: what to become. Answered by `Started` or `StartFailed`."""

    name: str
    incarnation: int
    code: Code
    args: tuple[Any, ...] | Frame
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
    """To a child: clean up and exit with reason *shutdown*; after `within_s` it is killed."""

    within_s: float | None


@message
class Call:
    """A request that wants a `Reply` with the same number."""

    number: int
    request: Any


@message
class Reply:
    """The answer to a `Call`: `value`, or `error` where that is not `None`."""

    number: int
    value: Any
    error: Exception | None


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
class Subscribe:
    """To the registry: send me `Up` and `Down` of all names under `prefix`, beginning with those that run now."""

    prefix: str


@message
class WhereIs:
    """Call to the registry: the `Ref` under `name`, or `NoProcess`."""

    name: str


@message
class Resolve:
    """Call to the registry: the `Ref`s under all these names, or `NoProcess` for the first that is missing."""

    names: tuple[str, ...]


@message
class ListProcesses:
    """Call to the registry: all it knows, as a tuple of `ProcessInfo`."""


@message
class KillProcess:
    """To a supervisor: kill this incarnation now; `charge` says whether it counts against the restart budget."""

    ref: Ref
    why: str


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
