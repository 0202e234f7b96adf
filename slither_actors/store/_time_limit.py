"""Interrupts Python code that takes too long, by a timer signal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any


class _Overrun(BaseException):
    """Raised where the code is when its time is over; not an `Exception`, which that code may swallow."""


def interrupted_after(limit_s: float, function: Callable[..., Any], *arguments: Any) -> tuple[Any, bool]:
    """What `function` returns, and `False`; or `None`, and `True` where it was interrupted after `limit_s`.

    Calls nest: the time of those around goes on, and that of another timer of the process, whose handler is called when
    it is over. Only the main thread can be interrupted; in others nothing is.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*arguments), False
    alarm = _Alarm(limit_s)
    try:
        try:
            alarm.set()
            result = function(*arguments)
            alarm.armed = False
            return result, False
        except _Overrun:
            if not alarm.rang:
                raise  # a call's around this one
            return None, True
    finally:
        alarm.armed = False
        alarm.clear()


class _Alarm:
    """One call's use of the process's one timer."""

    def __init__(self, limit_s: float) -> None:
        self.armed = True
        self.rang = False
        self._end = time.monotonic() + limit_s
        self._handler: Any = None  # that of the timer before this one, with the time of it that is left
        self._other_end = 0.0
        self._interval_s = 0.0
        self._other_rang = False

    def set(self) -> None:
        """Let the timer ring when the first of both times is over."""
        left_s, self._interval_s = signal.getitimer(signal.ITIMER_REAL)
        if left_s:
            self._other_end = time.monotonic() + left_s
        self._handler = signal.getsignal(signal.SIGALRM) or signal.SIG_DFL  # none is one that is not Python's
        signal.signal(signal.SIGALRM, self._ring)
        _let_ring_at(min(self._end, self._other_end or self._end))

    def _ring(self, number: int, frame: Any) -> None:
        if not self.armed:
            return
        if self._other_rang or not 0.0 < self._other_end < self._end:
            self.armed, self.rang = False, True
            raise _Overrun
        self._other_rang = True
        _let_ring_at(self._end)
        if callable(self._handler):
            self._handler(number, frame)

    def clear(self) -> None:
        """Leave the timer as if this call had not been."""
        if self._handler is None:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._handler)
        if self._other_rang:
            signal.setitimer(signal.ITIMER_REAL, self._interval_s, self._interval_s)
        elif self._other_end:
            _let_ring_at(self._other_end, self._interval_s)


def _let_ring_at(end: float, interval_s: float = 0.0) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(1e-6, end - time.monotonic()), interval_s)
