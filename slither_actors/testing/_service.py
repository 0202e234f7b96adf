"""The service's side: a real `Run` in a thread of its own, which is let go on only when the scheduler says so."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from slither_actors.errors import NoProcess, SendQueueFull
from slither_actors.otp.endpoint import Ended
from slither_actors.otp.ref import Ref
from slither_actors.testing._tree import Tree
from slither_actors.testing._world import Action, World


class _Abandoned(BaseException):
    """The simulation ends while a service is in the middle of something."""


class Party:
    """A thread of the service. It runs while everything else stands still, from one wait to the next.

    Args:
        world: where it lives.
        body: what it does; gets this party.
    """

    busy = False

    def __init__(self, world: World, name: str, body: Callable[[Party], None]) -> None:
        self.world = world
        self.address = f"{name}, its thread"
        self.over = False
        self.error: BaseException | None = None
        self._body = body
        self._may_go: Callable[[], bool] = lambda: True
        self._deadline: float | None = None
        self._go, self._back = threading.Lock(), threading.Lock()  # held by whoever must wait
        self._go.acquire()
        self._back.acquire()
        self._abandoned = False
        self._thread = threading.Thread(target=self._live, name="simulated service", daemon=True)
        self._thread.start()
        world.nodes[self.address] = self

    # -- in its thread

    def wait(self, may_go: Callable[[], bool] = lambda: True, deadline: float | None = None) -> None:
        """Let others have their turn, until this may go on, or the deadline is there."""
        self._may_go, self._deadline = may_go, deadline
        self._back.release()
        self._go.acquire()
        if self._abandoned:
            raise _Abandoned

    def _live(self) -> None:
        self._go.acquire()
        try:
            if not self._abandoned:
                self._body(self)
        except _Abandoned:
            pass
        except BaseException as error:
            self.error = error
        self.over = True
        self._back.release()

    @property
    def is_me(self) -> bool:
        return threading.current_thread() is self._thread

    # -- in the thread of the scheduler

    def receive(self, message: Any, sender: str) -> None:
        """Nothing is sent to a thread."""

    def actions(self) -> list[Action]:
        if self.over or not (self._may_go() or self._is_late()):
            return []
        return [] if self.world.chance(self.world.faults.laziness) else [self.resume]

    def wakes_at(self) -> float | None:
        if self.over:
            return None
        return self.world.now if self._may_go() or self._is_late() else self._deadline

    def resume(self) -> None:
        self._go.release()
        self._back.acquire()

    def abandon(self) -> None:
        """End the thread, wherever it is."""
        self._abandoned = True
        while not self.over:
            self.resume()
        self._thread.join()

    def _is_late(self) -> bool:
        return self._deadline is not None and self._deadline <= self.world.now


class Mailbox:
    """The node in the network that an endpoint is."""

    busy = False

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: deque[tuple[Any, str]] = deque()

    def receive(self, message: Any, sender: str) -> None:
        self.messages.append((message, sender))

    def actions(self) -> list[Action]:
        return []

    def wakes_at(self) -> float | None:
        return None


class SimulatedEndpoint:
    """What `otp.endpoint.Endpoint` is to a run, in the thread of a party."""

    def __init__(self, party: Party, tree: Tree, address: str) -> None:
        self.address = address
        self.closed = False
        self._party = party
        self._tree = tree
        self._world = party.world
        self.clock = party.world.clock
        self._mailbox = Mailbox(address)
        self._woken = False
        self._world.nodes[address] = self._mailbox

    def receive(self, timeout_s: float | None) -> tuple[Any, str] | None:
        messages = self._mailbox.messages
        deadline = None if timeout_s is None else self._world.now + max(0.0, timeout_s)
        self._party.wait(lambda: bool(messages) or self._woken, deadline)
        if messages:
            return messages.popleft()
        self._woken = False
        return None

    def post(self, to: str, message: Any) -> None:
        if self._world.refuses(message):
            raise SendQueueFull(to, 2, 1)
        self._world.send(self.address, to, message)

    def watch(self, ref: Ref) -> Callable[[], None]:
        if self._tree.find(ref.name) != ref:
            raise NoProcess(ref.name)
        return self._tree.watch(ref, lambda: self._note_end(ref))

    def _note_end(self, ref: Ref) -> None:
        self._world.settle(ref.address, self.address)
        self._mailbox.messages.append((Ended(ref), ref.address))

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._world.leave(self.address)


@contextlib.contextmanager
def attended(parties: list[Party]) -> Iterator[None]:
    """No thread is left behind, whatever happens."""
    try:
        yield
    finally:
        for party in parties:
            party.abandon()
