"""The first Ctrl-C or SIGTERM lets what was read come to its end; the second one means what it always means."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Draining:
    """The handler of both signals.

    Args:
        begin: begins the drain; called in the middle of anything.
        waking: what the interpreter writes to when a signal arrives, so that who waits notices.

    Attributes:
        received: the signal that came first; 0 for none.
    """

    def __init__(self, begin: Callable[[], object], waking: int) -> None:
        self.received = 0
        self._waking = waking
        self._woken_before: int | None = None
        self._begin = begin
        self._before: dict[int, Any] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        first, self.received = not self.received, self.received or number
        self.restore()
        if first:
            self._begin()
        else:  # while the first one is on its way
            signal.raise_signal(number)

    def install(self) -> None:
        # A signal that comes just before the main thread waits for something interrupts nothing.
        woken_before = signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        if self._woken_before is None:
            self._woken_before = woken_before
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self)

    def sleep(self) -> None:
        """Wake nobody any more."""
        woken_before, self._woken_before = self._woken_before, None
        if woken_before is not None:
            signal.set_wakeup_fd(woken_before)

    def restore(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def draining(begin: Callable[[], object], waking: int) -> Iterator[Draining]:
    """Have the first signal call `begin` in the block, and write to `waking`; further ones do what they did before."""
    handler = Draining(begin, waking)
    if threading.current_thread() is threading.main_thread():  # others may set no handlers
        handler.install()
    try:
        yield handler
    finally:
        handler.restore()
        handler.sleep()
