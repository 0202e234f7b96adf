"""What `otp.endpoint.Endpoint` is to a run: whoever receives lets things happen until there is something."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import inf
from typing import Any

from slither_actors._letter import opened, sealed
from slither_actors.errors import CallTimeout, NoProcess, SlitherError
from slither_actors.otp.endpoint import Ended
from slither_actors.otp.messages import Call, Reply
from slither_actors.otp.ref import Ref
from slither_actors.testing._inline_world import InlineTree
from slither_actors.testing._service import Mailbox
from slither_actors.transport.hub import Undelivered


class Stuck(AssertionError):
    """Somebody waits in an `InlineSystem`, and nothing will ever happen there."""


class InlineEndpoint:
    """An address of the service.

    Args:
        tree: what it talks to. address: how that knows it.
        refusal: the error of a system that is over.
    """

    pending = 0

    def __init__(self, tree: InlineTree, address: str, refusal: Callable[[], SlitherError | None]) -> None:
        self.address = address
        self.closed = False
        self._tree = tree
        self._world = tree.world
        self._refusal = refusal
        self.clock = self._world.clock
        self._woken = False
        self._numbers = itertools.count(1)
        self._mailbox = Mailbox(address)
        self._messages = self._mailbox.messages
        self._world.nodes[address] = self._mailbox

    def receive(self, timeout_s: float | None) -> tuple[Any, str] | None:
        """The next message and its sender; `None` when the time is over, or the endpoint was woken.

        Raises:
            Stuck: there is no time limit, and nothing will come.
        """
        return self._next(inf if timeout_s is None else self.clock() + max(0.0, timeout_s))

    def _next(self, deadline: float) -> tuple[Any, str] | None:
        while True:
            if self._messages:
                return self._messages.popleft()
            if self._woken or self.closed:
                self._woken = False
                return None
            if self.clock() >= deadline:
                return None
            if (refusal := self._refusal()) is not None:
                raise refusal
            if not self._world.move(deadline):
                if deadline == inf:
                    raise Stuck("nothing can happen any more, and what is waited for has not come")
                return None

    def call(self, to: str, request: Any, timeout_s: float, target: str | None = None) -> Any:
        """Ask and wait for the answer, as `Line.call`."""
        who = target or to
        call = Call(next(self._numbers), sealed(request, lambda: f"the request to {who}"))
        self.post(to, call)
        aside: list[tuple[Any, str]] = []
        deadline = self.clock() + timeout_s
        try:
            while (received := self._next(deadline)) is not None:
                news, sender = received
                if isinstance(news, Reply) and news.number == call.number:
                    value, error = opened(news.outcome, lambda: f"the answer of {who}")
                    if error is not None:
                        raise error
                    return value
                if sender == to and isinstance(news, Undelivered | Ended):
                    raise NoProcess(who)
                aside.append(received)
        finally:
            self._messages.extendleft(reversed(aside))
        raise CallTimeout(who, timeout_s)

    def post(self, to: str, message: Any) -> None:
        """Send a message."""
        with self._world.lock:
            self._world.send(self.address, to, message)

    def watch(self, ref: Ref) -> Callable[[], None]:
        """Let `receive` return `Ended` when this process is dead.

        Raises:
            NoProcess: it is dead already.
        """
        with self._world.lock:
            if self._tree.find(ref.name) != ref:
                raise NoProcess(ref.name)
            return self._tree.watch(ref, lambda: self._note_end(ref))

    def _note_end(self, ref: Ref) -> None:
        self._world.settle(ref.address, self.address)
        self._messages.append((Ended(ref), ref.address))

    def wake(self) -> None:
        """Make a `receive` return `None`."""
        self._woken = True

    def rest(self) -> None:
        """Forget what has arrived."""
        self._woken = False
        self._messages.clear()

    def flush(self, limit_s: float) -> bool:
        """Nothing waits to be taken."""
        return True

    def close(self) -> None:
        """Give up the address."""
        with self._world.lock:
            if not self.closed:
                self.closed = True
                self._world.leave(self.address)
