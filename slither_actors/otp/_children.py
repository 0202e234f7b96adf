"""What a supervisor keeps of each child process, and the words for its end."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors._record import record
from slither_actors.errors import ChildRefused
from slither_actors.otp._actions import ApiError
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ChildSpec, ExitReason
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Caller
from slither_actors.transport.process import describe_exit

_HINTS = {
    ApiError.ALREADY_STARTED: "it runs already",
    ApiError.ALREADY_PRESENT: "it is stopped, but not forgotten: restart_child starts it, delete_child forgets it",
    ApiError.RUNNING: "it runs: terminate_child stops it",
    ApiError.RESTARTING: "it is being restarted: terminate_child ends that",
    ApiError.NOT_FOUND: "the supervisor has no such child",
    ApiError.SIMPLE_ONE_FOR_ONE: "a dynamic supervisor forgets children that end: start_child adds a new one",
    ApiError.SHUTDOWN: "the supervisor is stopping",
}


@record
class Request:
    """The core's token for a call that is answered later."""

    caller: Caller
    child_id: str


@attrs.define(eq=False)
class Process:
    """One incarnation of one child: the operating system's process behind it."""

    spec: ChildSpec
    incarnation: int
    handle: Any
    watch: int
    ref: Ref | None = None
    announced: ExitReason | None = None
    ordered: bool = False  # whether somebody wanted it killed
    timer: Timer | None = None

    @property
    def pid(self) -> int:
        pid: int = self.handle.pid
        return pid

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


def reason_of(exitcode: int | None) -> ExitReason:
    """Why a process ended that had announced nothing."""
    text = describe_exit(exitcode)
    return ExitReason("killed" if exitcode is not None and exitcode < 0 else "crash", text)


def refusal(child: str, error: ApiError) -> ChildRefused:
    """What the caller of a supervisor is told."""
    return ChildRefused(child, error.value, _HINTS[error])


def last_line(reason: ExitReason) -> str:
    """The reason without its traceback, of which the last line says what was raised."""
    lines = reason.text.strip().splitlines()
    return f"{reason.kind}: {lines[-1]}" if lines else reason.kind
