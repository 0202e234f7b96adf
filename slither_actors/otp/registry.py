"""The registry: who runs under which name, and who wants to hear of it."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.errors import NoProcess
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import (
    Down,
    EndOf,
    Forgotten,
    Forward,
    Link,
    LinkEnded,
    ListProcesses,
    Resolve,
    Subscribe,
    Unlink,
    Unwatch,
    Up,
    Watch,
    WatchEnded,
)
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.otp.server import Caller, Server, handles

# How many deaths are remembered, for those who ask when the name has another process, or none.
_REMEMBERED = 256

_News = list[tuple[str, Up | Down | WatchEnded | LinkEnded]]
_NOBODY = ExitReason("unknown", "there is no such process")


def _has_socket(address: str) -> bool:
    return address.startswith("/") and os.path.exists(address)


class Directory:
    """Pure: names, their newest incarnation, and who wants to hear of them. Methods return who must be told what.

    A dead process is kept, with how it ended, for as long as its supervisor may start it again.

    Args:
        exists: whether there is a process at an address. One may be heard of before it is entered, since its
            supervisor tells others too.
    """

    def __init__(self, exists: Callable[[str], bool] = _has_socket) -> None:
        self._exists = exists
        self._known: dict[str, ProcessInfo] = {}
        self._subscribers: dict[str, tuple[str, ...]] = {}
        self._ended: OrderedDict[str, Down] = OrderedDict()  # by address, the newest last
        self._links: dict[str, set[str]] = {}
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

    def end_of(self, ref: Ref) -> tuple[bool, ExitReason | None, Any]:
        """Whether it is dead, why, and what its supervisor found."""
        death = self._ended.get(ref.address)
        if death is not None:
            return True, death.reason, death.finding
        known = self._known.get(ref.name)
        return known is None or known.ref != ref, None, None

    def _tell(self, dead: list[Down]) -> _News:
        self._ended.update((one.ref.address, one) for one in dead)
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        news: _News = [(address, one) for one in dead for address in self._interested(one.ref.name)]
        for one in dead:
            watches = [key for key, address in self._watches.items() if address == one.ref.address]
            for watcher, number in watches:
                del self._watches[watcher, number]
                news.append((watcher, WatchEnded(number, one.ref, one.reason)))
            self.unsubscribe(one.ref.address)
            for other in self._links.pop(one.ref.address, ()):
                self._links[other].discard(one.ref.address)
                news.append((other, LinkEnded(one.ref, one.reason)))
        return news

    def _below(self, name: str) -> list[ProcessInfo]:
        return [info for other, info in self._known.items() if other.startswith(name + "/")]

    def _orphans(self, supervisor: Ref) -> list[Down]:
        """Whoever stood below a dead supervisor died with it, and it is not there to say so."""
        reason = ExitReason("killed", f"its supervisor {supervisor.name} died")
        return [Down(info.ref, reason) for info in self._below(supervisor.name) if info.alive]

    def watch(self, watcher: str, number: int, to: str | Ref) -> _News:
        """Tell the watcher when the process ends, or at once that there is none."""
        lives, ref = self._look_up(to)
        if lives:
            self._watches[watcher, number] = ref.address
            return []
        return [(watcher, WatchEnded(number, ref, _NOBODY))]

    def link(self, one: str, to: str | Ref) -> _News:
        """Tell each of the two when the other ends, or at once that there is none."""
        lives, ref = self._look_up(to)
        if not lives:
            return [(one, LinkEnded(ref, _NOBODY))]
        if ref.address != one:
            self._links.setdefault(one, set()).add(ref.address)
            self._links.setdefault(ref.address, set()).add(one)
        return []

    def unlink(self, one: str, to: str | Ref) -> str:
        """Forget a link; the address of the other."""
        other = self._look_up(to)[1].address
        for here, there in ((one, other), (other, one)):
            self._links.get(here, set()).discard(there)
        return other

    def _look_up(self, to: str | Ref) -> tuple[bool, Ref]:
        """Whether there is such a process, and which one it is, as far as that is known."""
        address = to.address if isinstance(to, Ref) else to
        known = next((info for info in self._known.values() if address in (info.ref.name, info.ref.address)), None)
        if known is not None:
            return known.alive, known.ref
        lives = self._exists(address)
        return lives, to if isinstance(to, Ref) else Ref(to, 0, to if lives else "", 0)

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

    def __init__(self, directory: Directory | None = None) -> None:
        self._directory = directory or Directory()

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

    @handles(Link)
    def _on_link(self, message: Link, sender: str) -> None:
        self._tell(self._directory.link(sender, message.to))

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
        if isinstance(request, Unlink):
            return self._directory.unlink(request.sender, request.to)
        if isinstance(request, EndOf):
            return self._directory.end_of(request.ref)
        if isinstance(request, ListProcesses):
            return self._directory.processes()
        return super().handle_call(request, caller)

    def handle_undelivered(self, message: Any, to: str) -> None:
        self._directory.unsubscribe(to)
