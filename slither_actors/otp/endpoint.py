"""Calls over a hub: those of an actor over its own, and those of the service, which is no actor, over an endpoint."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from slither_actors._letter import opened, sealed
from slither_actors._message import message
from slither_actors.config import QUEUE_LIMIT_BYTES
from slither_actors.errors import (
    CallTimeout,
    InvalidOption,
    NoProcess,
    NotDecodable,
    SlitherError,
    shorten,
)
from slither_actors.otp.messages import Call, Cast, Reply, Resolve
from slither_actors.otp.ref import Ref
from slither_actors.transport.hub import Hub, Undecodable, Undelivered, Unread


@message
class HungUp:
    """In the inbox of who waits for an answer: the process at `address` closed its end, so it is dying or dead."""

    address: str


@message
class Ended:
    """In the endpoint's own inbox, behind all that the process had sent: it is dead."""

    ref: Ref


def checked_target(to: Any) -> str | Ref:
    """What calls, casts and monitors are aimed at.

    Raises:
        InvalidOption: it is none of these.
    """
    if isinstance(to, Ref) or (isinstance(to, str) and to):
        return to
    raise InvalidOption(
        "a process", "to", shorten(to), 'a registered name, such as "children/tally", a Ref or an address'
    )


class Line:
    """Asks other processes over a hub, in the thread that owns the hub, and waits for their answers.

    What else arrives meanwhile stays in the inbox, in its order.
    """

    # What the time is, in seconds. A simulated one has a clock of its own.
    clock: Callable[[], float] = time.monotonic
    # The messages that answer, by the number of what they answer.
    _answers: ClassVar[tuple[type[Any], ...]] = (Reply,)

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.numbers = itertools.count(1)

    def receive(self, timeout_s: float | None) -> tuple[Any, str] | None:
        """The next message and its sender, `None` after `timeout_s`, or when an endpoint was woken.

        Raises:
            SystemDown: an endpoint's host is dead, so nothing more will come.
        """
        return self._next(None if timeout_s is None else time.monotonic() + timeout_s)

    def _next(self, deadline: float | None) -> tuple[Any, str] | None:
        """What `receive` returns, until a moment instead of for a time."""
        inbox = self._hub.inbox
        if inbox:
            return inbox.popleft()
        if self._is_interrupted():  # the poll that brought the last message may have brought this news too
            return None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            self._hub.poll(left)
            if inbox:
                return inbox.popleft()
            if self._is_interrupted() or self._hub.closed or (left is not None and left <= 0):
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
            NotPicklable: the request cannot travel.
            NotDecodable: the process cannot read the request, or its answer cannot be read here.
            Exception: what the process answered with.
        """
        who = target or to
        answer = self.exchange(to, request, timeout_s, who)
        if answer is None:
            raise CallTimeout(who, timeout_s)
        if isinstance(answer, Unread):
            raise NotDecodable(f"the request to {who}", answer.error)
        if isinstance(answer, Undecodable):
            raise NotDecodable(f"the answer of {who}", answer.error)
        if not isinstance(answer, Reply):
            raise self._gone(who)
        value, error = opened(answer.outcome, lambda: f"the answer of {who}")
        if error is not None:
            raise error
        return value

    def exchange(self, to: str, request: Any, timeout_s: float, who: str) -> Any:
        """Ask and wait: the `Reply`, or the news that there will be none: `Undelivered`, `HungUp` (it may have been
        read), `Unread`, `Undecodable`, or `None` when the time is over.

        Raises:
            NotPicklable: the request cannot travel. SystemDown: everything is gone.
        """
        call = self._call(request, who)
        before, self._hub.on_hang_up = self._hub.on_hang_up, self._note_hang_up
        self._hub.uncork()
        aside: list[tuple[Any, str]] = []
        try:
            self._hub.send(to, call)
            return self._await(call, to, time.monotonic() + timeout_s, aside)
        finally:
            self._hub.on_hang_up = before
            self._hub.inbox.extendleft(reversed(aside))
            if aside:
                self._hub.wake()  # a loop that waits for the hub's descriptor does not look into the inbox

    def _call(self, request: Any, who: str) -> Call:
        return Call(next(self.numbers), sealed(request, lambda: f"the request to {who} ({type(request).__name__})"))

    def _await(self, asked: Any, to: str, deadline: float, aside: list[tuple[Any, str]]) -> Any:
        """The answer, or the news that there will be none, or `None` at the deadline; others are put aside."""
        while True:
            received = self._next(deadline)
            if received is not None:
                news, sender = received
                if isinstance(news, self._answers):
                    if news.number == asked.number:
                        return news
                elif sender == to and self._ends(news, asked):
                    return news
                else:
                    aside.append(received)
            if self._hub.closed or time.monotonic() >= deadline:  # others may never stop talking
                return None

    def _ends(self, news: Any, asked: Any) -> bool:
        """Whether news of the process that was asked says that there will be no answer."""
        if isinstance(news, Unread | Undecodable):
            kinds = (type(asked),) if isinstance(news, Unread) else self._answers
            return news.head in [(kind.__name__, asked.number) for kind in kinds]
        if isinstance(news, Undelivered):
            return news.original is asked
        return isinstance(news, HungUp)

    def find(self, registry: str, to: str | Ref, limit_s: float) -> Ref:
        """Who is meant: a registered name is looked up, an address stands for itself.

        Raises:
            NoProcess: nobody runs under this name now. InvalidOption: it is none of these.
        """
        to = checked_target(to)
        if isinstance(to, Ref):
            return to
        if to.startswith("/"):
            return Ref(to, 0, to, 0)
        found: tuple[Ref, ...] = self.call(registry, Resolve((to,)), limit_s, "the registry")
        return found[0]

    def cast(self, registry: str, to: str | Ref, request: Any, limit_s: float) -> None:
        """Send without wanting an answer; the dead are no error."""
        cast = Cast(sealed(request, lambda: f"the request to {to} ({type(request).__name__})"))
        try:
            self._hub.send(self.find(registry, to, limit_s).address, cast)
        except NoProcess:
            pass

    def _note_hang_up(self, address: str) -> None:
        self._hub.inbox.append((HungUp(address), address))

    def _is_interrupted(self) -> bool:
        return False

    def _gone(self, who: str) -> SlitherError:
        return NoProcess(who)


class Endpoint(Line):
    """An address in the service, used by one thread at a time.

    Args:
        directory: the system's run directory.
        host: a descriptor that becomes readable when the host dies.
        down: makes the error to raise then.
        queue_limit_bytes: what may wait for one peer before `post` refuses more.
    """

    def __init__(
        self,
        directory: Path,
        host: int,
        down: Callable[[], SlitherError],
        queue_limit_bytes: int = QUEUE_LIMIT_BYTES,
    ) -> None:
        super().__init__(Hub(directory, queue_limit_bytes=queue_limit_bytes))
        # Its own copy: an epoll forgets a descriptor whose last copy is closed, and with it the host's death.
        self._host = os.dup(host)
        self._down = down
        self._host_died = False
        self._woken = False
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
        """Send without waiting; a receiver that is gone is reported by `receive` as `Undelivered`.

        Raises:
            SendQueueFull: too much waits for this receiver already.
        """
        self._hub.send(to, payload)

    def flush(self, limit_s: float) -> bool:
        """Wait until peers have taken what was sent, at most `limit_s`; whether they have."""
        self._hub.flush(limit_s)
        return not self._hub.pending

    def rest(self) -> None:
        """Before somebody else uses this address: forget what has arrived and a `wake` that came too late, and give
        back the memory that was kept for large messages."""
        self._woken = False
        self._hub.inbox.clear()
        self._hub.segments.release()

    def watch(self, ref: Ref) -> Callable[[], None]:
        """Let `receive` return `Ended` when this process is dead; returns what ends the watch, to be called once.

        Raises:
            NoProcess: it is dead already.
        """
        try:
            end = os.pidfd_open(ref.pid)
        except ProcessLookupError:
            raise NoProcess(ref.name) from None

        def note_end() -> None:
            self._hub.unwatch(end)
            self._hub.settle(ref.address)
            self.put_aside(Ended(ref), ref.address)

        def forget() -> None:
            self._hub.unwatch(end)
            with contextlib.suppress(OSError):  # a forked child may have closed all that it inherited
                os.close(end)

        try:
            self._hub.watch(end, note_end)
        except BaseException:
            os.close(end)
            raise
        return forget

    def settle(self) -> None:
        """Take in all that has arrived by now, also over lines that are new."""
        self._hub.settle("")

    def put_aside(self, note: Any, sender: str) -> None:
        """Let `receive` return this note, behind what has arrived by now."""
        self._hub.inbox.append((note, sender))

    def wake(self) -> None:
        """Make a `receive` in another thread return `None`, or the next one if there is none in progress."""
        self._woken = True
        self._hub.wake()

    def close(self) -> None:
        """Give up the address. A `receive` in another thread returns; repeating it does no harm."""
        if not self._hub.closed:
            self._hub.close()
            os.close(self._host)

    def _note_host_death(self) -> None:
        self._hub.unwatch(self._host)
        self._hub.settle("")  # its last words, and those of all that died with it
        self._host_died = True

    def _is_interrupted(self) -> bool:
        if self._host_died:
            raise self._down()
        woken, self._woken = self._woken, False
        return woken

    def _gone(self, who: str) -> SlitherError:
        self._hub.poll(0)  # whether everything is gone
        return self._down() if self._host_died else super()._gone(who)
