"""A virtual scheduler, clock and network. What happens next is drawn from one source of chance.

Messages travel in channels, one for each sender and receiver: in order within a channel, in any order between two, as
over stream sockets. Nothing gets lost between the living. What is on its way to a process that dies is lost as far as
the kernel had it already, and comes back to its sender from there on.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from slither_actors.testing._faults import REFUSABLE, REPEATABLE, Faults
from slither_actors.testing._trace import Trace
from slither_actors.transport.hub import Undelivered

# A simulation in which more happens goes round in circles.
_MOST_STEPS = 200_000

Action = Callable[[], None]


class Node(Protocol):
    """Whoever has an address."""

    address: str

    @property
    def busy(self) -> bool:
        """Whether messages have to wait."""
        ...

    def receive(self, message: Any, sender: str) -> None: ...

    def actions(self) -> list[Action]:
        """What it can do by itself now."""
        ...

    def wakes_at(self) -> float | None:
        """When it will be able to do something by itself, if nothing comes before."""
        ...


class Watcher(Protocol):
    """Whoever looks at all that happens."""

    def sent(self, sender: str, to: str, message: Any) -> None: ...
    def delivered(self, sender: str, to: str, message: Any) -> None: ...
    def begun(self, worker: Any, dispatcher: str, message: Any) -> None: ...
    def ended(self, worker: str, outcome: str) -> None: ...
    def died(self, process: Any) -> None: ...
    def silent(self) -> None: ...
    def endless(self) -> None: ...


class World:
    """All that happens in one simulation.

    Args:
        seed: decides all.
        faults: how often something goes wrong.
    """

    def __init__(self, seed: int, faults: Faults) -> None:
        self.seed = seed
        self.faults = faults
        self.rng = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.repeated = 0
        self.settling: tuple[str, str] | None = None
        self.nodes: dict[str, Node] = {}
        self.channels: dict[tuple[str, str], deque[Any]] = {}
        self.trace = Trace()
        self.watcher: Watcher  # set before anything happens
        self.stores: Any = None  # of all processes, where there are some
        self._later: list[tuple[float, Action]] = []

    def clock(self) -> float:
        return self.now

    def chance(self, probability: float) -> bool:
        return probability > 0 and self.rng.random() < probability

    # -- the network

    def send(self, sender: str, to: str, message: Any) -> None:
        self.watcher.sent(sender, to, message)
        self.trace.sent(self.now, sender, to, message)
        if to in self.nodes:
            self._put(sender, to, message)
            if isinstance(message, REPEATABLE) and self.chance(self.faults.repeats):
                self.repeated += 1
                self.after(self.rng.random() * 0.05, lambda: self._repeat(sender, to, message))
        else:
            self._put(to, sender, Undelivered(to, message))

    def refuses(self, message: Any) -> bool:
        """Whether a transport does not take a message, since too much waits."""
        return isinstance(message, REFUSABLE) and self.chance(self.faults.refusals)

    def deliver(self, channel: tuple[str, str]) -> None:
        """The next message of a channel arrives."""
        messages = self.channels[channel]
        message = messages.popleft()
        if not messages:
            del self.channels[channel]
        sender, to = channel
        node = self.nodes.get(to)
        if node is not None:
            self.trace.delivered(self.now, sender, to, message)
            self.watcher.delivered(sender, to, message)
            node.receive(message, sender)

    def settle(self, sender: str, to: str) -> None:
        """All that a dead process had sent to another one arrives."""
        self.settling = sender, to
        while (sender, to) in self.channels:
            self.deliver((sender, to))
        self.settling = None

    def leave(self, address: str) -> None:
        """This address is nobody's any more."""
        del self.nodes[address]
        for channel in [channel for channel in self.channels if channel[1] == address]:
            sender, waiting = channel[0], self.channels.pop(channel)
            taken = self.rng.randrange(len(waiting) + 1)
            for number, message in enumerate(waiting):
                if number >= taken and sender in self.nodes and not isinstance(message, Undelivered):
                    self._put(address, sender, Undelivered(address, message))

    def _put(self, sender: str, to: str, message: Any) -> None:
        self.channels.setdefault((sender, to), deque()).append(message)

    def _repeat(self, sender: str, to: str, message: Any) -> None:
        if sender in self.nodes and to in self.nodes:
            self._put(sender, to, message)

    # -- the scheduler

    def after(self, delay_s: float, action: Action) -> None:
        self._later.append((self.now + delay_s, action))

    def step(self) -> bool:
        """One thing happens; false when nothing can, now or ever."""
        can = self._choices()
        if not can:
            if not self.channels:
                self.watcher.silent()
            times = [at for at, _ in self._later]
            times += [at for node in self.nodes.values() if (at := node.wakes_at()) is not None]
            if not times:
                return False
            self.now = max(self.now, min(times))
            return True
        self.steps += 1
        self.rng.choice(can)()
        if self.rng.random() < 0.3:
            self.now += self.rng.random() * 0.01
        return True

    def play(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let things happen until nothing can, or until `is_over`."""
        idle = 0
        while not is_over():
            before = self.steps
            if not self.step():
                return
            idle = idle + 1 if self.steps == before else 0
            if self.steps > _MOST_STEPS or idle > _MOST_STEPS:
                self.watcher.endless()
                return

    def _choices(self) -> list[Action]:
        can: list[Action] = []
        for channel in self.channels:
            node = self.nodes.get(channel[1])
            if node is None or not node.busy:
                can.append(partial(self.deliver, channel))
        for node in self.nodes.values():
            can += node.actions()
        if self._later:
            due = [entry for entry in self._later if entry[0] <= self.now]
            can += [partial(self._do, entry) for entry in due]
        return can

    def _do(self, entry: tuple[float, Action]) -> None:
        self._later.remove(entry)
        entry[1]()
