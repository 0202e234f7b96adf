"""The world of an `InlineSystem`: what is sent first arrives first, nothing goes wrong by itself, waiting is free."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from math import inf
from typing import Any

from slither_actors.errors import StartError
from slither_actors.otp.child import ChildSpec, ExitReason
from slither_actors.otp.messages import Down
from slither_actors.otp.ref import Ref
from slither_actors.testing._faults import Faults
from slither_actors.testing._process import NotSimulated
from slither_actors.testing._tree import Tree
from slither_actors.testing._world import Action, World
from slither_actors.testing.clock import FakeClock

_log = logging.getLogger(__name__)

# What a message takes, about as long as a real one: some parties talk until a timer runs down.
_MESSAGE_S = 200e-6

# How often nothing but the time may move before nobody believes that something else will.
_MOST_JUMPS = 10_000


class _Unwatched:
    """A watcher, and a trace, that look at nothing: what runs here may run for long."""

    messages = 0

    def _nothing(self, *_: Any) -> None:
        """Nothing."""

    sent = delivered = begun = ended = died = silent = endless = note = _nothing


class InlineWorld(World):
    """Deterministic: what is due first, then messages in the order in which they were sent, then time passes.

    Safe to use from several threads, one of which moves it at a time.
    """

    def __init__(self, clock: FakeClock, faults: Faults) -> None:
        self._fake = clock
        super().__init__(0, faults)
        self.watcher = _Unwatched()
        self.trace: Any = self.watcher
        self.lock = threading.RLock()
        self._order: deque[tuple[str, str]] = deque()
        self._jumps = 0

    @property
    def now(self) -> float:
        return self._fake.now

    @now.setter
    def now(self, value: float) -> None:
        if value > self._fake.now:
            self._fake.advance(value - self._fake.now)

    def _put(self, sender: str, to: str, message: Any) -> None:
        super()._put(sender, to, message)
        self._order.append((sender, to))

    def move(self, until: float = inf) -> bool:
        """One thing happens; false if nothing can before `until`."""
        with self.lock:
            if self._act() or self._deliver():
                self._jumps = 0
                return True
            return self._jump(until)

    def settle_all(self) -> None:
        """Let everything happen that can without time passing."""
        while self.move(self.now):
            pass

    def _deliver(self) -> bool:
        """The first message whose receiver is free."""
        while self._order and self._order[0] not in self.channels:  # it arrived in a hurry, or never will
            self._order.popleft()
        for place, channel in enumerate(self._order):
            node = self.nodes.get(channel[1])
            if channel in self.channels and (node is None or not node.busy):
                del self._order[place]
                self.now += _MESSAGE_S
                self.deliver(channel)
                return True
        return False

    def _act(self) -> bool:
        """What has been due for the longest time; what needs no time comes before it."""
        due = [(at, number, self._doing(at, act)) for number, (at, act) in enumerate(self._later) if at <= self.now]
        for number, node in enumerate(self.nodes.values(), len(due)):
            if actions := node.actions():
                at = node.wakes_at()
                due.append((-inf if at is None else at, number, actions[0]))
        if due:
            min(due, key=lambda entry: entry[:2])[2]()
        return bool(due)

    def _doing(self, at: float, action: Action) -> Action:
        return lambda: self._do((at, action))

    def _jump(self, until: float) -> bool:
        """Time passes, to the next moment at which something is due."""
        times = [at for at, _ in self._later]
        times += [at for node in self.nodes.values() if (at := node.wakes_at()) is not None]
        target = min([until, *times])
        self._jumps += 1
        if target == inf or target <= self.now or self._jumps > _MOST_JUMPS:
            self._jumps = 0
            return False
        self.now = target
        return True


class InlineTree(Tree):
    """A tree whose parts may be stopped in order. All its processes are this one."""

    world: InlineWorld

    def _new_pid(self) -> int:
        return os.getpid()

    def find(self, name: str) -> Ref | None:
        """Who runs under a name now; supervisors always do."""
        return super().find(name) or (Ref(name, 1, name, os.getpid()) if name in self.world.nodes else None)

    def names(self) -> tuple[str, ...]:
        """Those that run."""
        return tuple(self._up)

    def restarts_of(self, name: str) -> int:
        """How often somebody took the place of one who died."""
        return self._incarnations[name] - 1

    def grow(self, prefix: str, spec: ChildSpec) -> None:
        """Start a child and all below it, or nothing of it."""
        try:
            super().grow(prefix, spec)
        except StartError:
            self.stop(f"{prefix}/{spec.id}")
            raise

    def children_of(self, supervisor: str) -> list[str]:
        """Names of the children that a supervisor has, whether they run or are being restarted."""
        return [name for name in self._supervisors if name.rpartition("/")[0] == supervisor]

    def stop(self, prefix: str, why: str = "") -> None:
        """Stop a child and all below it in reverse order, with their hooks."""
        for name in [name for name in reversed(self._up) if f"{name}/".startswith(f"{prefix}/")]:
            process = self.processes[self._up[name].address]
            with contextlib.suppress(NotSimulated):
                try:
                    process.server.terminate(ExitReason("shutdown", why))
                except Exception:
                    _log.exception("%s: its end", name)
            if self._up.get(name) == process.ref:
                self._leave(name, ExitReason("shutdown", why))
        for name in [name for name in self._supervisors if f"{name}/".startswith(f"{prefix}/")]:
            del self._supervisors[name]
        for name in [name for name in self.world.nodes if f"{name}/".startswith(f"{prefix}/")]:
            self.world.leave(name)

    def _leave(self, name: str, reason: ExitReason) -> None:
        ref = self._up.pop(name)
        del self.processes[ref.address]
        self._exits[ref.address] = reason
        self.world.leave(ref.address)
        self._report(self._supervisors[name].address, Down(ref, reason, None))
        self._tell_watches(ref)
