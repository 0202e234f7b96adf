"""Actors of the library without Thespian: the classes that run in real processes, with another life behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors._letter import opened
from slither_actors.errors import SendQueueFull, StartError
from slither_actors.otp._timers import Timer, Timers
from slither_actors.otp.logs import LogScope
from slither_actors.otp.messages import Call, Surroundings, Watch, WatchEnded
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Server
from slither_actors.testing._world import Action, World
from slither_actors.transport.hub import Undelivered


class NotSimulated(Exception):
    """User code wants what a simulation does not have."""


class SimulatedLife:
    """What `otp._life.Life` is to a server in a process."""

    def __init__(self, world: World, ref: Ref, parent: str, surroundings: Surroundings) -> None:
        self.name = ref.name
        self.incarnation = ref.incarnation
        self.address = ref.address
        self.parent = parent
        self.surroundings = surroundings
        self.leaving = False
        self.shared_stores = world.stores
        self.timers = Timers()
        self.log_scope = LogScope()
        self.failure: BaseException | None = None
        self.transport = self  # with `post` and `hub`
        self.hub = self  # with `pending` and `segments`
        self.segments = self  # with `release`
        self.pending = 0
        self._watches = 0
        self._world = world

    def post(self, to: str, message: Any) -> None:
        if self._world.refuses(message):
            raise SendQueueFull(to, 2, 1)
        self._world.send(self.address, to, message)

    def release(self) -> None:
        """There is no memory to give back."""

    def monitor(self, to: str) -> None:
        self._watches += 1
        self._world.send(self.address, self.surroundings.registry or "", Watch(self._watches, to))

    def opened(self, message: Call, what: Callable[[], str]) -> Any:
        return opened(message.request, what)

    def start_timer(self, delay_s: float, action: Callable[[], None]) -> Timer:
        return self.timers.start(self._world.now + delay_s, action)

    def after_arrivals(self, address: str, action: Callable[[], None]) -> None:
        self._world.settle(address, self.address)
        action()

    def __getattr__(self, name: str) -> Any:
        self.failure = NotSimulated(f"{self.name} uses {name}: a simulation has no other actors than those of the run")
        raise self.failure


class SimulatedProcess:
    """One incarnation of one actor.

    Raises:
        StartError: it did not start.
    """

    busy = False

    def __init__(self, world: World, server: Server, ref: Ref, parent: str, surroundings: Surroundings) -> None:
        self.world = world
        self.ref = ref
        self.address = ref.address
        self.server = server
        self.life = SimulatedLife(world, ref, parent, surroundings)
        server._life = self.life  # type: ignore[assignment]
        server._clock = world.clock
        world.nodes[self.address] = self
        try:
            server.init()
        except Exception as error:
            raise StartError(ref.name, f"{type(error).__name__}: {error}") from error

    def receive(self, message: Any, sender: str) -> None:
        handler = self.server._handlers.get(type(message))
        if handler is not None:
            getattr(self.server, handler)(message, sender)
        elif isinstance(message, Call):
            self.server._answer(message, sender)
        elif isinstance(message, WatchEnded):
            self.server.handle_down(message.ref, message.reason)
        elif isinstance(message, Undelivered):
            self.server.handle_undelivered(message.original, message.to)
        else:
            self.server.handle_info(message, sender)
        if self.life.failure is not None:
            raise self.life.failure

    def actions(self) -> list[Action]:
        deadline = self.life.timers.next_deadline()
        return [self.ring] if deadline is not None and deadline <= self.world.now else []

    def wakes_at(self) -> float | None:
        return self.life.timers.next_deadline()

    def ring(self) -> None:
        """A timer has run down."""
        for timer in self.life.timers.take_due(self.world.now):
            if timer.action is not None:
                timer.action()

    @property
    def finding(self) -> Any:
        """What a supervisor finds when it is dead."""
        return None
