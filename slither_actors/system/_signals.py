"""SIGTERM drains: for the time of a `with` block, in a program that has no handler of its own."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from slither_actors.dispatch.drain import DrainReport
from slither_actors.errors import DispatchError, Drained, PipeError, SlitherError, SystemDown

CODE = 128 + signal.SIGTERM

# How long the main thread may at least take to leave its blocks when all is drained.
_LEAVING_S = 1.0


class Stoppable(Protocol):
    """What a handler of signals needs to know of a system."""

    @property
    def stop(self) -> Callable[..., DrainReport]: ...
    def _consumed_by(self, thread: int) -> bool: ...


class Terminator:
    """The handler of SIGTERM while blocks of systems are open. Which those are stands here and nowhere else, so that
    whoever takes its place takes all of it.

    The first signal begins a drain in a thread of its own, since a handler runs in the middle of anything. The main
    thread goes on: its streams end, its calls return or raise, and it leaves the block by itself. Where it takes part
    in no run, or in one that had to be cut, nothing would tell it: then it is interrupted by `SystemExit`, as it is by
    a second signal. So it is where it has not left when the time of the stop is over, since it may hold a stream that
    it never asks again. Where code of the block has caught that and goes on, each further signal interrupts it again.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._main = threading.main_thread().ident or 0
        self._systems: list[tuple[Stoppable, float]] = []
        self.received = False
        self._interrupts = False  # at the next signal
        self._cutting = False
        self._raised: SystemExit | None = None
        self._left = threading.Condition()  # held while the main thread is interrupted, and while the handler goes

    @classmethod
    def join(cls, system: Stoppable, timeout_s: float) -> Terminator | None:
        """The handler that sees to this system from now on; `None` where the signal is somebody else's."""
        if threading.current_thread() is not threading.main_thread():
            return None
        handler = signal.getsignal(signal.SIGTERM)
        if handler is signal.SIG_DFL:
            handler = cls()
            signal.signal(signal.SIGTERM, handler)
        if not isinstance(handler, cls) or handler._pid != os.getpid():
            return None
        handler._systems.append((system, timeout_s))
        return handler

    def leave(self, system: Stoppable) -> None:
        """The block of the system is over."""
        self._systems = [one for one in self._systems if one[0] is not system]
        if self._systems:
            return
        with self._left:
            if signal.getsignal(signal.SIGTERM) is self:
                with contextlib.suppress(ValueError):  # not in the main thread
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._left.notify_all()

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a fork of the service has no system: it ends as it would without us
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        elif not self.received:
            self.received = self._interrupts = True
            _thread.start_new_thread(self._drain, ())  # `threading` takes locks that the interrupted code may hold
        elif self._interrupts and self._systems and not self._is_leaving():
            if not self._cutting:
                self._cutting = True
                _thread.start_new_thread(self._cut, ())
            self._raised = SystemExit(CODE)
            raise self._raised

    def _is_leaving(self) -> bool:
        """Whether the main thread, which is interrupted now, cleans up on its way out: a third signal must not cut
        short what the second has asked for."""
        error = sys.exception()
        while error is not None and error is not self._raised:
            error = error.__context__
        return error is not None

    def _drain(self) -> None:
        began, longest_s, told = time.monotonic(), 0.0, False
        for system, timeout_s in reversed(self._systems):
            takes_part = system._consumed_by(self._main)
            report = system.stop(timeout_s)
            told = told or (takes_part and not any(run.outcome == "cut" for run in report.runs))
            longest_s = max(longest_s, timeout_s)
        grace_s = max(_LEAVING_S, began + longest_s - time.monotonic()) if told else 0.0
        with self._left:
            if not self._left.wait_for(lambda: not self._systems, grace_s):
                signal.pthread_kill(self._main, signal.SIGTERM)

    def _cut(self) -> None:
        for system, _ in reversed(self._systems):
            system.stop(0, drain=False)


def is_of_the_end(error: BaseException | None) -> bool:
    """Whether this is what a stop leaves behind, and nothing that anybody has to be told of."""
    if isinstance(error, DispatchError | PipeError):
        return isinstance(error.reason, Drained | SystemDown)
    if isinstance(error, SystemExit):  # out of a block within this one
        return error.code == CODE
    return error is None or (isinstance(error, SlitherError) and isinstance(error, SystemDown))
