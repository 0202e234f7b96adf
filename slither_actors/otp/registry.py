"""The registry: who runs under which name, and who wants to hear of it."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.errors import NoProcess
from slither_actors.otp.messages import Down, ListProcesses, Subscribe, Up, WhereIs
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.otp.server import Caller, Server, handles


class Directory:
    """Pure: names, their newest incarnation, and subscribers by prefix. Methods return who must be told what."""

    def __init__(self) -> None:
        self._known: dict[str, ProcessInfo] = {}
        self._subscribers: dict[str, str] = {}

    def up(self, ref: Ref, kind: str) -> list[tuple[str, Up]]:
        before = self._known.get(ref.name)
        restarts = before.restarts + 1 if before else 0
        last_exit = before.last_exit if before else None
        self._known[ref.name] = ProcessInfo(ref, True, kind, restarts, last_exit)
        return [(address, Up(ref, kind)) for address in self._interested(ref.name)]

    def down(self, message: Down) -> list[tuple[str, Down]]:
        known = self._known.get(message.ref.name)
        if known is None or known.ref != message.ref:
            return []
        if message.reason.is_normal:
            del self._known[message.ref.name]
        else:
            self._known[message.ref.name] = attrs.evolve(known, alive=False, last_exit=message.reason)
        return [(address, message) for address in self._interested(message.ref.name)]

    def subscribe(self, address: str, prefix: str) -> list[Up]:
        """Remember the subscriber; returns the news of those that run already."""
        self._subscribers[address] = prefix
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
        return [address for address, prefix in self._subscribers.items() if name.startswith(prefix)]


class Registry(Server):
    """The actor around `Directory`. Supervisors report to it; anyone may subscribe."""

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
        if isinstance(request, ListProcesses):
            return self._directory.processes()
        return super().handle_call(request, caller)

    def handle_undelivered(self, message: Any, to: str) -> None:
        self._directory.unsubscribe(to)
