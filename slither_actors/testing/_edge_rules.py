"""What must be true of messages on the edges of a run: credit, numbers, terminals."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, Failed, InPort, OpenRun, OutPort
from slither_actors.testing import _peek
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._rules import Rule, on_delivered, on_sent
from slither_actors.workers.messages import RunBatch


@attrs.define
class Edge:
    """What has been seen of one edge. `allowed` is what the producer was told, `asked` what the consumer has said."""

    window: int
    back: int | None
    allowed: int
    asked: int
    sent: int = 0
    delivered: int = 0
    completed: bool = False


class _EdgeRule(Rule):
    """Learns the edges of a run from the plans of its nodes."""

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self.edges: dict[tuple[str, int], Edge] = {}

    @on_sent(OpenRun)
    def _learn(self, sender: str, to: str, message: OpenRun) -> None:
        plan = message.plan
        ways = (plan.output,) if isinstance(plan, DispatchPlan) else tuple(plan.stages.values())
        ports: tuple[InPort | OutPort, ...] = (*plan.inputs, *ways, plan.sink)
        for port in ports:
            self.edges[message.run, port.edge] = Edge(port.window, port.back, port.window, port.window)


class UnitsWithinCredit(_EdgeRule):
    """I1: units sent never exceed the credit limit of their subscription, at each instant."""

    id = "I1"

    @on_delivered(Ask)
    def _note(self, sender: str, to: str, message: Ask) -> None:
        edge = self.edges[message.run, message.edge]
        edge.allowed = max(edge.allowed, message.limit)

    @on_delivered(Batch)
    def _note_arrival(self, sender: str, to: str, message: Batch) -> None:
        edge = self.edges[message.run, message.edge]
        edge.delivered = message.seq
        if message.limit and edge.back is not None:  # told along with it, in place of an Ask
            way_back = self.edges[message.run, edge.back]
            way_back.allowed = max(way_back.allowed, message.limit)

    @on_sent(Batch)
    def _look(self, sender: str, to: str, message: Batch) -> None:
        edge = self.edges[message.run, message.edge]
        allowed = edge.allowed
        if edge.back is not None:  # what came back is settled, without an Ask
            allowed = edge.window + self.edges[message.run, edge.back].delivered
        self.check(
            message.seq <= allowed,
            f"{sender} sends batch {message.seq} on edge {message.edge} of {message.run}, {allowed} are allowed",
        )


class CreditNeverShrinks(_EdgeRule):
    """I2: a credit limit is monotone. That repeating any `Ask` changes nothing is proved by repeating them."""

    id = "I2"

    @on_sent(Ask)
    def _look(self, sender: str, to: str, message: Ask) -> None:
        edge = self.edges[message.run, message.edge]
        problem = f"{sender} lowers its limit from {edge.asked} to {message.limit} on edge {message.edge}"
        self.check(message.limit > edge.asked, problem)
        edge.asked = message.limit


class HeldWithinCeiling(Rule):
    """I3: what a node holds never exceeds its declared ceiling, the window of each edge."""

    id = "I3"

    @on_delivered(Batch)
    def _look(self, sender: str, to: str, message: Batch) -> None:
        process = self.book.world.nodes[to]
        if isinstance(process, SimulatedProcess):
            for number, held, window in _peek.held(process.server, message.run):
                self.check(0 <= held <= window, f"{to} holds {held} batches of edge {number}, {window} are allowed")


class NumbersWithoutGaps(_EdgeRule):
    """I5: the numbers of a subscription have no gap and no repetition, as its consumer sees them."""

    id = "I5"

    @on_delivered(Batch)
    def _look(self, sender: str, to: str, message: Batch) -> None:
        edge = self.edges[message.run, message.edge]
        problem = f"{to} gets batch {message.seq} of edge {message.edge} after {edge.delivered}"
        self.check(message.seq == edge.delivered + 1, problem)
        edge.delivered = message.seq


class NothingAfterTheEnd(_EdgeRule):
    """I11: after a terminal message nothing follows, and a subscription has one terminal."""

    id = "I11"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._failed: set[tuple[str, str]] = set()
        self._closed: set[tuple[str, str, str]] = set()

    @on_sent(Batch, Complete)
    def _look_at_edge(self, sender: str, to: str, message: Batch | Complete) -> None:
        edge = self.edges[message.run, message.edge]
        name = type(message).__name__
        self.check(not edge.completed, f"{sender} sends a {name} on edge {message.edge}, which is complete")
        edge.completed = isinstance(message, Complete)

    @on_sent(Batch, Complete, RunBatch, Ask, Failed)
    def _look_at_run(self, sender: str, to: str, message: Any) -> None:
        name, run = type(message).__name__, message.run
        self.check((sender, run) not in self._failed, f"{sender} sends a {name} of {run}, which it has failed")
        self.check((sender, to, run) not in self._closed, f"{sender} sends {to} a {name} of {run}, which it has closed")
        if isinstance(message, Failed):
            self._failed.add((sender, run))

    @on_sent(CloseRun)
    def _note_close(self, sender: str, to: str, message: CloseRun) -> None:
        self._closed.add((sender, to, message.run))


class FewUnacknowledged(_EdgeRule):
    """I19: few messages are unacknowledged at any time: on an edge no more batches than its window."""

    id = "I19"

    @on_sent(Ask)
    def _note(self, sender: str, to: str, message: Ask) -> None:
        self.edges[message.run, message.edge].asked = message.limit

    @on_sent(Batch)
    def _look(self, sender: str, to: str, message: Batch) -> None:
        edge = self.edges[message.run, message.edge]
        if message.limit and edge.back is not None:
            self.edges[message.run, edge.back].asked = message.limit
        if edge.back is None:
            out = message.seq - (edge.asked - edge.window)
            problem = f"{out} batches of edge {message.edge} are not acknowledged, {edge.window} may be"
            self.check(out <= edge.window, problem)
