"""A server with child processes: it knows them by name, kills them when told to, and finds out why they died."""

from __future__ import annotations

import os

import attrs

from slither_actors.otp._children import Process
from slither_actors.otp._coroner import Coroner
from slither_actors.otp._inquest import Work
from slither_actors.otp.child import ExitReason, last_line
from slither_actors.otp.messages import Down, Exiting, Forgotten, KillProcess, Surroundings, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Server, handles
from slither_actors.transport.process import held_still, kill_group

_STDERR = 2


class Parent(Server):
    """What a supervisor is besides what it decides."""

    has_children = True
    _processes: dict[tuple[str, int], Process]
    _surroundings: Surroundings
    _coroner: Coroner

    def _take_charge(self) -> None:
        """In the process, before the first child."""
        given = self.life.surroundings
        if given.stderr == _STDERR:  # that of a child is a pipe, so the way to the service's gets another number
            given = attrs.evolve(given, stderr=os.dup(_STDERR))
        self._surroundings = given
        self._processes = {}
        self._coroner = Coroner(self.life, os.dup(given.stderr), self.start_timer)

    # -- what subclasses may override

    def last_work(self, ref: Ref) -> Work:
        """What a child that is dead was at, as far as its supervisor knows; called before `autopsy`."""
        return Work()

    def at_work(self, ref: Ref) -> int | None:
        """What a child is at work on now, for those who want it killed for that alone."""
        return None

    @property
    def surroundings(self) -> Surroundings:
        """What children are told of the system; a subclass may change it while it starts them."""
        return self._surroundings

    @surroundings.setter
    def surroundings(self, value: Surroundings) -> None:
        self._surroundings = value

    def refs(self) -> list[Ref]:
        """The children that are up."""
        return [process.ref for process in self._processes.values() if process.ref is not None]

    # -- kills

    @handles(KillProcess)
    def _on_kill(self, message: KillProcess, sender: str) -> None:
        self._kill_as_told(message)

    def _kill_as_told(self, message: KillProcess) -> bool:
        process = self._find(message.ref.name, message.ref.incarnation)
        if process is None or process.handle.exitcode is not None:
            return False
        with held_still(process.pid):  # or it could begin with something else between the look and the kill
            if message.only not in (None, self.at_work(message.ref)):
                return False
            process.announced = ExitReason("killed", message.why)
            process.ordered = True
            self._kill(process)
        return True

    def _kill(self, process: Process) -> None:
        # asking for the exit code reaps a dead child, so a pid that is still ours to kill is not another's yet
        if process.handle.exitcode is None:
            kill_group(process.pid)

    # -- deaths

    @handles(Exiting)
    def _on_exiting(self, message: Exiting, sender: str) -> None:
        process = self._find(message.name, message.incarnation)
        if process is not None:
            process.announced, process.handling = message.reason, message.handling

    def _told_of(self, child_id: str, reason: ExitReason) -> str:
        """How a child ended, with what else is known of it, in one line."""
        incident = self._coroner.inquest.latest(child_id)
        return last_line(reason) if incident is None else incident.line

    # -- names

    def _child_name(self, child_id: str) -> str:
        return f"{self.name}/{child_id}" if self.name else child_id

    def _ref_of(self, child_id: str, incarnation: int) -> Ref | None:
        process = self._processes.get((child_id, incarnation))
        return None if process is None else process.ref

    def _find(self, name: str, incarnation: int) -> Process | None:
        return self._processes.get((name.rpartition("/")[2], incarnation))

    def _tell_registry(self, news: Up | Down | Forgotten) -> None:
        registry = self.surroundings.registry
        if registry is not None and (isinstance(news, Forgotten) or registry != news.ref.address):
            self.post(registry, news)
