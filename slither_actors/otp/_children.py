"""What a supervisor keeps of each child process, and the words for its end."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.otp._actions import ApiError
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ChildSpec, ExitReason
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Caller
from slither_actors.transport.process import describe_exit

# Begins the reason of a `StartError` that is about the supervisor's own state, and not about the child.
REFUSAL = "the supervisor says "


@attrs.frozen
class Request:
    """The core's token for a call that is answered later."""

    caller: Caller
    child_id: str
    forget: bool


@attrs.define(eq=False)
class Process:
    """One incarnation of one child: the operating system's process behind it."""

    spec: ChildSpec
    incarnation: int
    handle: Any
    watch: int
    ref: Ref | None = None
    announced: ExitReason | None = None
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


def why(error: ApiError | ExitReason | None) -> str:
    """Why a child did not come up, for the one who asked for it."""
    if isinstance(error, ApiError):
        return f"{REFUSAL}{error.value}"
    return error.text if error is not None else "it ended at once"


def first_line(reason: ExitReason) -> str:
    """The reason without its traceback."""
    lines = reason.text.strip().splitlines()
    return f"{reason.kind}: {lines[-1]}" if lines else reason.kind
