"""What a supervisor keeps of each child process: how it is made, and why it ended."""

from __future__ import annotations

import os
from multiprocessing.popen_fork import Popen
from typing import Any

import attrs

from slither_actors.otp._stderr import Ear, Sink, heard
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ChildSpec, ExitReason
from slither_actors.otp.ref import Ref
from slither_actors.otp.shell import Shell
from slither_actors.transport._standstill import word_of
from slither_actors.transport.process import describe_exit

# What it takes to make a child: two pipes of multiprocessing, one for its standard error, and a socket or two.
_PIPES_OF_A_FORK = 4


class _Reaped(Popen):
    """A child whose resource usage is taken when it is reaped: the kernel tells it once, and to nobody else."""

    peak_bytes = 0

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            try:
                pid, status, usage = os.wait4(self.pid, flag)
            except OSError:  # somebody else has reaped it
                return None
            if pid == self.pid:
                self.returncode = os.waitstatus_to_exitcode(status)
                self.peak_bytes = usage.ru_maxrss * 1024
        return self.returncode


@attrs.define(eq=False)
class Process:
    """One incarnation of one child: the operating system's process behind it.

    Attributes:
        ear: hears what it writes to its standard error; `None` where that could not be made.
        ordered: whether somebody wanted it killed.
        stopping: whether it was asked to stop. overdue: whether it was killed since it did not.
        unasked: whether it was to end, and killed without being asked to.
        ignored: whether it did not want to run.
        failure: why it cannot start, where it or its time says so.
        stood_still: whether the host has killed it, since it had stood still.
    """

    spec: ChildSpec
    incarnation: int
    handle: Any
    watch: int
    ear: Ear | None = None
    born: float = 0.0
    ref: Ref | None = None
    announced: ExitReason | None = None
    handling: str = ""
    ordered: bool = False
    stopping: bool = False
    overdue: bool = False
    unasked: bool = False
    ignored: bool = False
    failure: ExitReason | None = None
    stood_still: bool = False
    timer: Timer | None = None

    @property
    def pid(self) -> int:
        pid: int = self.handle.pid
        return pid

    @property
    def peak_bytes(self) -> int:
        """How much main memory it had at its peak, once it is reaped; 0 if nobody knows."""
        return getattr(getattr(self.handle, "_popen", None), "peak_bytes", 0)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


def spawn(parent: Any, sink: Sink) -> tuple[Any, Any, Ear | None] | None:
    """A new shell below this actor, as its address, its process and what hears it; `None` if no process could be
    made."""
    manager = parent._myRef
    siblings = {id(info.childProc) for info in getattr(manager, "_child_procs", ())}
    with heard(sink) as ear:
        address = parent.createActor(Shell)
    handle = manager._child_procs[-1].childProc if hasattr(manager, "_child_procs") else None
    # Thespian says nothing when the fork fails
    if handle is None or id(handle) in siblings:
        if ear is not None:
            ear.close()
        return None
    popen = getattr(handle, "_popen", None)
    if type(popen) is Popen:
        popen.__class__ = _Reaped
    return address, handle, ear


def why_no_process() -> str:
    """What `spawn` has met, as far as that can be told afterwards."""
    opened: list[int] = []
    try:
        for _ in range(_PIPES_OF_A_FORK):
            opened.extend(os.pipe())
    except OSError as error:
        return f"no process could be made: {error.strerror}; is a limit reached (ulimit -n)?"
    finally:
        for fd in opened:
            os.close(fd)
    return "no process could be made; is a limit reached (ulimit -u)?"


def reason_of(process: Process, directory: str) -> ExitReason:
    """Why a process ended that had announced nothing; whoever killed it may have left word in the run directory."""
    exitcode = process.handle.exitcode
    if exitcode is None or exitcode >= 0:
        return ExitReason("crash", describe_exit(exitcode))
    word = word_of(directory, process.pid)
    process.stood_still = bool(word)
    return ExitReason("killed", word or describe_exit(exitcode))
