"""Results of a stream that nobody asks for while its system stops."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from slither_actors.item import Item

# How many results are taken on behalf of whoever asks later. What is under way when a drain begins is far less, unless
# a stage makes very many items out of one.
_LIMIT = 1 << 16


class Kept:
    """Batches that were taken from a run before anybody asked for them, and the error behind them."""

    def __init__(self) -> None:
        self._batches: deque[list[Item]] = deque()
        self._error: Exception | None = None
        self._filled: threading.Event | None = None  # while somebody takes them

    def next_of(self, batches: Iterator[list[Item]]) -> list[Item] | None:
        """The next batch, of these or of the run; `None` at the end."""
        if self._batches:
            return self._batches.popleft()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return next(batches, None)

    def wait_for(self, turn: threading.Lock, *, has_it: bool) -> bool:
        """Get the turn to ask the run, if nobody has it; whoever fills this, or is about to, is waited for.

        Args:
            has_it: whether this thread has the turn, and asks again from within.
        """
        while not turn.acquire(blocking=False):
            filled = self._filled
            if filled is None or has_it:
                return False
            filled.wait()
        return True

    def fill(self, batches: Iterator[list[Item]], turn: threading.Lock, until: float) -> None:
        """Take what the run gives, whenever nobody else asks for it; until a time on the monotonic clock."""
        self._filled = filled = threading.Event()
        try:
            if turn.acquire(timeout=max(0.0, until - time.monotonic())):
                self._take(batches, turn)
        finally:
            self._filled = None
            filled.set()

    def _take(self, batches: Iterator[list[Item]], turn: threading.Lock) -> None:
        count = 0
        try:
            while count < _LIMIT and (batch := next(batches, None)) is not None:
                self._batches.append(batch)
                count += len(batch)
        except Exception as error:  # for whoever asks later
            self._error = error
        finally:
            turn.release()

    def clear(self) -> None:
        self._batches.clear()
        self._error = None
