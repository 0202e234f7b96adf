"""SIGTERM ends a command as an exception does: every `with` on the way closes what it opened."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM

# How long the main thread may take to leave the place where an exception got lost.
_AGAIN_S = 0.02


class Terminated(SystemExit):
    """Whoever waits for the program wants it to end. A class of its own, since only those have weak references."""


class Termination:
    """The handler of SIGTERM: it raises `Terminated`, once.

    A handler runs in the middle of anything, also where nothing that is raised gets out: in a `__del__`, in a callback
    of the garbage collector, in user code that catches everything. Then the exception is freed though the command goes
    on, and the signal is raised again, until one gets through. While one is on its way further signals are ignored:
    they would cut short the closing that the first one asked for.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._main = threading.get_ident()
        self._over = False
        self._raised: weakref.ref[Terminated] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._over or (self._raised is not None and self._raised() is not None):
            return
        error = Terminated(TERMINATED)
        self._raised = weakref.ref(error, self._lost)
        try:
            raise error
        finally:
            del error  # the traceback has this frame, which must not keep it

    def _lost(self, raised: weakref.ref[Terminated]) -> None:
        # In a thread of its own: raised here, or before the main thread has left this place, it would be lost again.
        if not self._over and os.getpid() == self._pid:
            _thread.start_new_thread(self._again, ())

    def _again(self) -> None:
        time.sleep(_AGAIN_S)
        if not self._over:
            signal.pthread_kill(self._main, signal.SIGTERM)  # which also wakes it if it waits

    def end(self) -> None:
        """The command is left."""
        self._over = True


@contextmanager
def orderly_termination() -> Iterator[None]:
    """Turn SIGTERM into an exception in the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers; whoever calls from another has its own
        return
    termination = Termination()
    before = signal.signal(signal.SIGTERM, termination)
    try:
        yield
    finally:
        termination.end()
        signal.signal(signal.SIGTERM, before)
