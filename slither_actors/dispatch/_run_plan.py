"""What the service opens a run with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors._record import record
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._run_events import RunEvents
from slither_actors.dispatch.messages import InPort, OutPort
from slither_actors.errors import SlitherError
from slither_actors.otp.endpoint import Endpoint
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


def _leave_as_it_is(error: SlitherError, process: int) -> None:
    """Where nothing more is known."""


@record
class RunHooks:
    """What a run needs of the system around it.

    Attributes:
        release: takes the endpoint back.
        over: called once, with the run, when that is over, however it ended.
        last_exit: tells how a process ended, for the error that reaches the user; raises if the system did.
        explain: notes on an error what is known of the death behind it; takes the process that died, 0 where the error
            names it.
        events: what telemetry hears of it; the start was told.
    """

    release: Callable[[Endpoint], None]
    over: Callable[[Any], None]
    last_exit: Callable[[Ref], str]
    events: RunEvents
    explain: Callable[[SlitherError, int], None] = _leave_as_it_is
