"""What must be true of sessions: where their batches run, in which order, and that none holds up another."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch.messages import Batch, Failed, OpenRun, ends_of
from slither_actors.dispatch.sessions import SessionDispatcher
from slither_actors.errors import SessionLost
from slither_actors.testing import _peek
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._rules import Rule, on_delivered, on_sent
from slither_actors.testing._worker import SimulatedWorker
from slither_actors.workers.messages import EndSession, RunBatch
from slither_actors.workers.sessions import SessionTicket


class OneWorkerPerSession(Rule):
    """I17: all of a session happens on one incarnation of one worker, one batch at a time and each run in its order.
    That changes only where the worker is dead, or the state was declared disposable; no epoch passes without a death.
    """

    id = "I17"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._tickets: dict[tuple[str, str], SessionTicket] = {}  # by run and dispatcher
        self._homes: dict[tuple[str, str], str] = {}  # by dispatcher and session: the worker
        self._places: dict[tuple[str, str], dict[int, int]] = {}  # by run and dispatcher, of items: when they came
        self._newest: dict[tuple[str, str], frozenset[int]] = {}  # the same of the newest batch
        self._deaths = 0

    @on_sent(OpenRun)
    def _learn(self, sender: str, to: str, message: OpenRun) -> None:
        part = getattr(message.plan, "session", None)
        if part is not None and isinstance(part.ticket, SessionTicket):
            self._tickets[message.run, to] = part.ticket

    @on_sent(EndSession)
    def _end(self, sender: str, to: str, message: EndSession) -> None:
        self._homes.pop((sender, message.key.rpartition("/")[0]), None)

    def begun(self, worker: SimulatedWorker, dispatcher: str, message: RunBatch, ids: tuple[int, ...]) -> None:
        ticket = self._tickets.get((message.run, dispatcher))
        if ticket is None:
            return
        lane, living = (dispatcher, ticket.id), self.book.world.nodes
        for other, run, holder in self.book.running():
            at_once = other != worker.address and (holder, self._session_of(run, holder)) == lane
            self.check(not at_once, f"session {ticket.id} is at work at {other} and at {worker.address}")
        home = self._homes.setdefault(lane, worker.address)
        moved = home != worker.address and home in living and ticket.mode != "hint"
        self.check(not moved, f"session {ticket.id} goes from {home}, which lives, to {worker.address}")
        self._homes[lane] = worker.address
        self._check_order(message.run, dispatcher, ids)

    def _session_of(self, run: str, dispatcher: str) -> str:
        ticket = self._tickets.get((run, dispatcher))
        return ticket.id if ticket is not None else ""

    @on_delivered(Batch)
    def _note_places(self, sender: str, to: str, message: Batch) -> None:
        if (message.run, to) in self._tickets:
            places = self._places.setdefault((message.run, to), {})
            for one in self.book.ids(message.parcels):
                places.setdefault(one, len(places))

    def _check_order(self, run: str, dispatcher: str, ids: tuple[int, ...]) -> None:
        """What is older than the newest batch is a part of that, or all of it once more. A strategy may mix the order
        of the input, so what counts is when batches came."""
        known = self._places[run, dispatcher]
        places = frozenset(known[one] for one in ids)
        newest = self._newest.get((run, dispatcher), frozenset())
        if min(places) > max(newest, default=-1):
            self._newest[run, dispatcher] = places
        else:
            self.check(newest.issuperset(places), f"{run} goes back behind what it began later")

    def died(self, process: SimulatedProcess) -> None:
        self._deaths += isinstance(process, SimulatedWorker)

    @on_sent(Batch, Failed)
    def _look(self, sender: str, to: str, message: Batch | Failed) -> None:
        errors = [ends.error for ends in ends_of(message)]
        errors += [message.error] if isinstance(message, Failed) else []
        for error in errors:
            if isinstance(error, SessionLost):
                problem = f"epoch {error.epoch} of session {error.session} after {self._deaths} deaths"
                self.check(error.epoch <= 1 + self._deaths, problem)


class LanesDoNotStopEachOther(Rule):
    """I13: a lane that is stopped stops no other one: a session with work does not wait beside its idle worker."""

    id = "I13"

    def silent(self) -> None:
        for node in self.book.world.nodes.values():
            if isinstance(node, SimulatedProcess) and isinstance(node.server, SessionDispatcher):
                waiting = _peek.forgotten_lanes(node.server)
                self.check(not waiting, f"{node.address}: {waiting} wait beside idle workers")


RULES = (OneWorkerPerSession, LanesDoNotStopEachOther)
