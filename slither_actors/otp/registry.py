"""The registry: who runs under which name, and who wants to hear of it."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.errors import NoProcess
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import Down, ListProcesses, Resolve, Subscribe, Up, WhereIs
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.otp.server import Caller, Server, handles


class Directory:
    """Pure: names, their newest incarnation, and subscribers by prefix. Methods return who must be told what."""

    def __init__(self) -> None:
        self._known: dict[str, ProcessInfo] = {}
        self._subscribers: dict[str, tuple[str, ...]] = {}

    def up(self, ref: Ref, kind: str) -> list[tuple[str, Up]]:
        """Enter a process; who must be told."""
        before = self._known.get(ref.name)
        restarts = before.restarts + 1 if before else 0
        last_exit = before.last_exit if before else None
        self._known[ref.name] = ProcessInfo(ref, True, kind, restarts, last_exit)
        return [(address, Up(ref, kind)) for address in self._interested(ref.name)]

    def down(self, message: Down) -> list[tuple[str, Down]]:
        """Take note of a death, once; who must be told."""
        known = self._known.get(message.ref.name)
        if known is None or known.ref != message.ref or not known.alive:
            return []
        news = [message, *self._orphans(message.ref)]
        for one in news:
            if one.reason.is_normal:
                del self._known[one.ref.name]
            else:
                entry = self._known[one.ref.name]
                self._known[one.ref.name] = attrs.evolve(entry, alive=False, last_exit=one.reason)
        return [(address, one) for one in news for address in self._interested(one.ref.name)]

    def _orphans(self, supervisor: Ref) -> list[Down]:
        """Whoever stood below a dead supervisor died with it, and it is not there to say so."""
        reason = ExitReason("killed", f"its supervisor {supervisor} died")
        below = [info for name, info in self._known.items() if info.alive and name.startswith(supervisor.name + "/")]
        return [Down(info.ref, reason) for info in below]

    def subscribe(self, address: str, prefix: str) -> list[Up]:
        """Remember the subscriber, beside what it had asked for before; the news of those that run already."""
        self._subscribers[address] = (*self._subscribers.get(address, ()), prefix)
        return [Up(info.ref, info.kind) for name, info in self._known.items() if info.alive and name.startswith(prefix)]

    def unsubscribe(self, address: str) -> None:
        self._subscribers.pop(address, None)

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
        for address, news in self._directory.up(message.ref, message.kind):
            self.post(address, news)

    @handles(Down)
    def _on_down(self, message: Down, sender: str) -> None:
        for address, news in self._directory.down(message):
            self.post(address, news)

    @handles(Subscribe)
    def _on_subscribe(self, message: Subscribe, sender: str) -> None:
        for news in self._directory.subscribe(sender, message.prefix):
            self.post(sender, news)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, WhereIs):
            return self._directory.where_is(request.name)
        if isinstance(request, Resolve):
            return tuple(self._directory.where_is(name) for name in request.names)
        if isinstance(request, ListProcesses):
            return self._directory.processes()
        return super().handle_call(request, caller)

    def handle_undelivered(self, message: Any, to: str) -> None:
        self._directory.unsubscribe(to)
