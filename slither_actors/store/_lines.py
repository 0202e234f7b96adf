"""The way of writes: from any thread of any process to the owner of a store, over sockets of their own."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slither_actors._letter import is_plain
from slither_actors.errors import SlitherError
from slither_actors.otp.endpoint import Line
from slither_actors.otp.messages import Reply
from slither_actors.store.messages import WriteTables, Written
from slither_actors.transport.awaiting import AWAIT_S, Awaiting
from slither_actors.transport.hub import Hub


class WriteLine(Line):
    """A line for one thread at a time. `writer` and the next one of `numbers` name a write once and for ever.

    The inbox of the actor around it is not touched: what that one is sent while it waits here stays in its order.
    """

    _answers = (Reply, Written)

    def __init__(self, directory: Path) -> None:
        super().__init__(Hub(directory))
        self.writer = os.urandom(16)
        self._whole = True
        self._asked = ""
        self._awaiting = Awaiting(self._hub)
        self._hub.on_hang_up = self._note_hang_up

    @property
    def closed(self) -> bool:
        return self._hub.closed

    def exchange(self, to: str, request: Any, timeout_s: float, who: str) -> Any:
        """As for any line, but nobody else uses this hub, so nothing of it has to be put back."""
        alone = type(request) is WriteTables and is_plain(request.operation)
        asked = request if alone else self._call(request, who)
        self._whole = False
        self._asked = to
        hub = self._hub
        hub.send(to, asked)
        inbox = hub.inbox
        if alone and not inbox and timeout_s > AWAIT_S:
            self._awaiting.receive(to)
            if inbox and type(inbox[0][0]) is Written and inbox[0][0].number == request.number:  # as most often
                self._whole = True
                return inbox.popleft()[0]
        answer = self._await(asked, to, time.monotonic() + timeout_s, [])
        self._whole = True
        return answer

    def _next(self, deadline: float | None) -> tuple[Any, str] | None:
        hub = self._hub
        if not hub.inbox and deadline is not None and deadline - time.monotonic() > AWAIT_S:
            self._awaiting.receive(self._asked)
        return hub.inbox.popleft() if hub.inbox else super()._next(deadline)

    def rest(self) -> bool:
        """Forget what came too late, and give back the memory that was kept for large messages; false if this line
        cannot be used again: it is closed, or was interrupted anywhere within, as by a signal handler that raises."""
        hub = self._hub
        hub.inbox.clear()
        hub.segments.release()
        return self._whole and not hub.closed

    def close(self) -> None:
        self._hub.close()


class WriteLines:
    """Lends lines in this process; a forked child gets its own.

    Args:
        directory: the system's run directory.
        refusal: the error of a system that is over.
    """

    def __init__(self, directory: Path, refusal: Callable[[], SlitherError | None] = lambda: None) -> None:
        self.directory = directory
        self.refusal = refusal
        self._idle: list[WriteLine] = []  # changed by single operations alone, so without a lock
        self._closed = False
        weakref.finalize(self, _close_all, self._idle)

    def borrow(self) -> WriteLine:
        """A line for the caller alone, until `give_back`.

        Raises:
            RunDirectoryError: the system is gone.
        """
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return WriteLine(self.directory)
            if not line._hub.closed:  # else it is the parent's, of which this is a fork
                return line

    def give_back(self, line: WriteLine) -> None:
        """Let others have it, if it is as good as new."""
        if not line.rest():
            line.close()
            return
        self._idle.append(line)
        if self._closed:  # looked at afterwards, so that none stays behind
            _close_all(self._idle)

    def close(self) -> None:
        """Close those that idle; those in use are closed when they are given back."""
        self._closed = True
        _close_all(self._idle)


def _close_all(lines: list[WriteLine]) -> None:
    with contextlib.suppress(IndexError):
        while True:
            lines.pop().close()
