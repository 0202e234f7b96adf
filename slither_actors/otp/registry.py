"""The registry: who runs under which name, and who wants to hear of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.errors import NoProcess
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import (
    Down,
    Forgotten,
    Forward,
    ListProcesses,
    Resolve,
    Subscribe,
    Unwatch,
    Up,
    Watch,
    WatchEnded,
)
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.otp.server import Caller, Server, handles

_News = list[tuple[str, Up | Down | WatchEnded]]


class Directory:
    """Pure: names, their newest incarnation, and who wants to hear of them. Methods return who must be told what.

    A dead process is kept, with how it ended, for as long as its supervisor may start it again.

    Args:
        exists: whether there is a process at an address. One may be heard of before it is entered, since its
            supervisor tells others too.
    """

    def __init__(self, exists: Callable[[str], bool] = os.path.exists) -> None:
        self._exists = exists
        self._known: dict[str, ProcessInfo] = {}
        self._subscribers: dict[str, tuple[str, ...]] = {}
        # by watcher and number: the address that is watched
        self._watches: dict[tuple[str, int], str] = {}

    def up(self, ref: Ref, kind: str) -> _News:
        """Enter a process; who must be told."""
        before = self._known.get(ref.name)
        restarts = before.restarts + 1 if before else 0
        last_exit, finding = (before.last_exit, before.finding) if before else (None, None)
        self._known[ref.name] = ProcessInfo(ref, True, kind, restarts, last_exit, finding)
        for info in self._below(ref.name):
            if not info.alive:  # of an earlier incarnation of this supervisor, which is up with all it starts by itself
                del self._known[info.ref.name]
        return [(address, Up(ref, kind)) for address in self._interested(ref.name)]

    def down(self, message: Down) -> _News:
        """Take note of a death, once; who must be told."""
        known = self._known.get(message.ref.name)
        if known is None or known.ref != message.ref or not known.alive:
            return []
        dead = [message, *self._orphans(message.ref)]
        for one in dead:
            entry = self._known[one.ref.name]
            self._known[one.ref.name] = attrs.evolve(entry, alive=False, last_exit=one.reason, finding=one.finding)
        return self._tell(dead)

    def forget(self, name: str) -> _News:
        """Nobody will start this process again, nor what stood below it."""
        orphans = self._orphans(Ref(name, 0, "", 0))
        for info in self._below(name):
            del self._known[info.ref.name]
        self._known.pop(name, None)
        return self._tell(orphans)

    def _tell(self, dead: list[Down]) -> _News:
        news: _News = [(address, one) for one in dead for address in self._interested(one.ref.name)]
        for one in dead:
            watches = [key for key, address in self._watches.items() if address == one.ref.address]
            for watcher, number in watches:
                del self._watches[watcher, number]
                news.append((watcher, WatchEnded(number, one.ref, one.reason)))
            self.unsubscribe(one.ref.address)
        return news

    def _below(self, name: str) -> list[ProcessInfo]:
        return [info for other, info in self._known.items() if other.startswith(name + "/")]

    def _orphans(self, supervisor: Ref) -> list[Down]:
        """Whoever stood below a dead supervisor died with it, and it is not there to say so."""
        reason = ExitReason("killed", f"its supervisor {supervisor.name} died")
        return [Down(info.ref, reason) for info in self._below(supervisor.name) if info.alive]

    def watch(self, watcher: str, number: int, to: str | Ref) -> _News:
        """Tell the watcher when the process ends, or at once that there is none."""
        address = to.address if isinstance(to, Ref) else to
        known = next((info for info in self._known.values() if address in (info.ref.name, info.ref.address)), None)
        if known.alive if known else address.startswith("/") and self._exists(address):
            self._watches[watcher, number] = known.ref.address if known else address
            return []
        ref = known.ref if known else to if isinstance(to, Ref) else Ref(to, 0, "", 0)
        return [(watcher, WatchEnded(number, ref, ExitReason("unknown", "there is no such process")))]

    def unwatch(self, watcher: str, number: int) -> None:
        self._watches.pop((watcher, number), None)

    def subscribe(self, address: str, prefix: str) -> _News:
        """Remember the subscriber, beside what it had asked for before; the news of those that run already."""
        self._subscribers[address] = (*self._subscribers.get(address, ()), prefix)
        running = [info for name, info in self._known.items() if info.alive and name.startswith(prefix)]
        return [(address, Up(info.ref, info.kind)) for info in running]

    def unsubscribe(self, address: str) -> None:
        """Forget what this process, which is dead, wanted to hear of."""
        self._subscribers.pop(address, None)
        for key in [key for key in self._watches if key[0] == address]:
            del self._watches[key]

    def where_is(self, name: str) -> Ref:
        known = self._known.get(name)
        if known is None or not known.alive:
            raise NoProcess(name)
        return known.ref

    def processes(self) -> tuple[ProcessInfo, ...]:
        return tuple(self._known.values())

    def _interested(self, name: str) -> list[str]:
        return [address for address, prefixes in self._subscribers.items() if name.startswith(prefixes)]


class Registry(Server):
    """The actor around `Directory`. Supervisors report to it; anyone may subscribe."""

    corks = True

    def __init__(self) -> None:
        self._directory = Directory()

    @handles(Up)
    def _on_up(self, message: Up, sender: str) -> None:
        self._tell(self._directory.up(message.ref, message.kind))

    @handles(Down)
    def _on_down(self, message: Down, sender: str) -> None:
        self._tell(self._directory.down(message))

    @handles(Forgotten)
    def _on_forgotten(self, message: Forgotten, sender: str) -> None:
        self._tell(self._directory.forget(message.name))

    @handles(Watch)
    def _on_watch(self, message: Watch, sender: str) -> None:
        self._tell(self._directory.watch(sender, message.number, message.to))

    @handles(Unwatch)
    def _on_unwatch(self, message: Unwatch, sender: str) -> None:
        self._directory.unwatch(sender, message.number)

    @handles(Subscribe)
    def _on_subscribe(self, message: Subscribe, sender: str) -> None:
        self._tell(self._directory.subscribe(sender, message.prefix))

    @handles(Forward)
    def _on_forward(self, message: Forward, sender: str) -> None:
        self.post(message.to, message.message)

    def _tell(self, news: _News) -> None:
        for address, message in news:
            self.post(address, message)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, Resolve):
            return tuple(self._directory.where_is(name) for name in request.names)
        if isinstance(request, ListProcesses):
            return self._directory.processes()
        return super().handle_call(request, caller)

    def handle_undelivered(self, message: Any, to: str) -> None:
        self._directory.unsubscribe(to)
