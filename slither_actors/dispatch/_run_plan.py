"""What the service opens a run with."""

from __future__ import annotations

from typing import Any

from slither_actors._record import record
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch.messages import InPort, OutPort
from slither_actors.otp.ref import Ref
from slither_actors.workers._reading import Reroute


@record
class Node:
    """A process that takes part in a run, and its plan."""

    ref: Ref
    plan: Any


@record
class RunPlan:
    """All of one run: its nodes, the edge that the source feeds, the edges that lead to the service, when it must be
    over, and the function of a `Route` that is called here."""

    run: str
    nodes: tuple[Node, ...]
    source: OutPort
    sinks: tuple[InPort, ...]
    deadline: Deadline = Deadline()
    reroute: Reroute | None = None

    def again(self, attempt: int) -> RunPlan:
        """The same plan for a further attempt to open it. A name of its own keeps it apart from what is still said
        about the one before, on another way."""
        name = f"{self.run}.{attempt}"
        return RunPlan(name, self.nodes, self.source, self.sinks, self.deadline, self.reroute)
