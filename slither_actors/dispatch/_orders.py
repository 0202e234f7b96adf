"""What others tell a run: in any thread, for its own one to obey."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from slither_actors.errors import SlitherError


class Orders:
    """Of one run.

    Args:
        wake: makes the run's thread look here.
    """

    __slots__ = ("_lock", "_wake", "cancelled", "cutting", "draining", "news", "over", "process")

    def __init__(self, wake: Callable[[], None]) -> None:
        # Re-entrant, since the handler of a signal may stop the system wherever the thread is, and the garbage
        # collector may end an abandoned run.
        self._lock = threading.RLock()
        self._wake = wake
        self.process = os.getpid()  # whose run it is
        self.cancelled = False
        self.over = False
        self.draining: str | None = None  # who is stopping
        self.cutting: SlitherError | None = None
        self.news = False  # something that was not looked at yet

    def cancel(self) -> None:
        """End without a word."""
        with self._lock:
            self.cancelled = True
            self._tell()

    def drain(self, by: str) -> None:
        """Pull no more, and end when all that was pulled has come to its end, since `by` is stopping."""
        with self._lock:
            self.draining = self.draining or by
            self.news = True
            self._tell()

    def cut(self, error: SlitherError) -> None:
        """End now, with this error and what is finished."""
        with self._lock:
            self.cutting = self.cutting or error
            self.news = True
            self._tell()

    def look(self) -> None:
        """There may be more to pull."""
        with self._lock:
            self._tell()

    def finish(self) -> bool:
        """The run is over; false if it was already."""
        with self._lock:
            first, self.over = not self.over, True
            return first

    def _tell(self) -> None:
        if not self.over:  # else the endpoint is another's by now
            self._wake()
