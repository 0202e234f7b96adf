"""The service's side of the conversation: calls into the tree from a process that is no actor."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slither_actors._message import message
from slither_actors.errors import CallTimeout, NoProcess, NotDecodable, SlitherError
from slither_actors.otp.messages import Call, Reply
from slither_actors.transport.hub import Hub, Undecodable, Undelivered, Unread


@message
class HungUp:
    """In the endpoint's own inbox: the process at `address` closed its end, so it is dying or dead."""

    address: str


class Endpoint:
    """An address in the service, used by one thread at a time.

    Args:
        directory: the system's run directory.
        host: a descriptor that becomes readable when the host dies.
        down: makes the error to raise then.
    """

    def __init__(self, directory: Path, host: int, down: Callable[[], SlitherError]) -> None:
        self._hub = Hub(directory)
        # Its own copy: an epoll forgets a descriptor whose last copy is closed, and with it the host's death.
        self._host = os.dup(host)
        self._down = down
        self._host_died = False
        self._woken = False
        self._numbers = itertools.count(1)
        self._later: deque[tuple[Any, str]] = deque()
        self._hub.watch(self._host, self._note_host_death)
        self._hub.on_hang_up = self._note_hang_up

    @property
    def address(self) -> str:
        return self._hub.address

    @property
    def pending(self) -> int:
        """How many messages wait for a peer to read."""
        return self._hub.pending

    @property
    def closed(self) -> bool:
        return self._hub.closed

    def post(self, to: str, payload: Any) -> None:
        """Send without waiting; a receiver that is gone is reported by `receive` as `Undelivered`."""
        self._hub.send(to, payload)

    def receive(self, timeout_s: float | None) -> tuple[Any, str] | None:
        """The next message and its sender, `None` after `timeout_s` or `wake`.

        Raises:
            SystemDown: the host is dead, so nothing more will come.
        """
        if self._later:
            return self._later.popleft()
        inbox = self._hub.inbox
        if inbox:
            return inbox.popleft()
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            self._hub.poll(left)
            if inbox:
                return inbox.popleft()
            if self._host_died:
                raise self._down()
            if self._woken or self._hub.closed or (left is not None and left <= 0):
                self._woken = False
                return None

    def call(self, to: str, request: Any, timeout_s: float, target: str | None = None) -> Any:
        """Ask and wait for the answer; a late answer to an earlier question is never taken for it.

        Args:
            to: address of the process.
            request: what its `handle_call` understands.
            timeout_s: how long to wait.
            target: how errors call the process.

        Raises:
            CallTimeout: no answer in time. NoProcess: it is gone. SystemDown: everything is gone.
            NotDecodable: the process cannot read the request, or its answer cannot be read here.
            Exception: what the process answered with.
        """
        number = next(self._numbers)
        who = target or to
        aside: list[tuple[Any, str]] = []
        deadline = time.monotonic() + timeout_s
        self.post(to, Call(number, request))
        try:
            while True:
                received = self.receive(deadline - time.monotonic())
                if received is None:
                    if self._hub.closed or time.monotonic() >= deadline:
                        raise CallTimeout(who, timeout_s)
                    continue
                news, sender = received
                if isinstance(news, Reply):
                    if news.number == number:
                        if news.error is not None:
                            raise news.error
                        return news.value
                elif isinstance(news, Unread) and news.head == ("Call", number):
                    raise NotDecodable(f"the request to {who}", news.error)
                elif isinstance(news, Undecodable) and news.head == ("Reply", number):
                    raise NotDecodable(f"the answer of {who}", news.error)
                elif isinstance(news, Undelivered | HungUp) and sender == to:
                    self._hub.poll(0)  # whether everything is gone
                    raise self._down() if self._host_died else NoProcess(who)
                else:
                    aside.append(received)
                    if time.monotonic() >= deadline:  # others may never stop talking
                        raise CallTimeout(who, timeout_s)
        finally:
            self._later.extend(aside)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` within `receive` when `fd` becomes readable."""
        self._hub.watch(fd, callback)

    def unwatch(self, fd: int) -> None:
        self._hub.unwatch(fd)

    def put_aside(self, note: Any, sender: str) -> None:
        """Let `receive` return this note, behind what has arrived by now. For callbacks of `watch`."""
        self._hub.inbox.append((note, sender))

    def after_arrivals(self, address: str, note: Any) -> None:
        """Let `receive` return this note behind all that the dead process at `address` had sent."""
        self._hub.settle(address)
        self._hub.inbox.append((note, address))

    def wake(self) -> None:
        """Make a `receive` in another thread return `None`, or the next one if there is none in progress."""
        self._woken = True
        self._hub.wake()

    def close(self) -> None:
        """Give up the address. A `receive` in another thread returns; repeating it does no harm."""
        if not self._hub.closed:
            self._hub.close()
            os.close(self._host)

    def _note_hang_up(self, address: str) -> None:
        self._hub.inbox.append((HungUp(address), address))

    def _note_host_death(self) -> None:
        self._hub.unwatch(self._host)
        self._host_died = True
