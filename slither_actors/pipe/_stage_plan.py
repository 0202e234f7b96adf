"""What a stage's process is told: once at its start, and for each run."""

from __future__ import annotations

from typing import Any

from slither_actors._code import Code
from slither_actors._record import record
from slither_actors.context import SealedContext
from slither_actors.dispatch.messages import InPort, OutPort
from slither_actors.policy import Policy
from slither_actors.workers.sessions import SessionTicket


@record
class StagePlan:
    """A stage's part in a run.

    Attributes:
        inputs: edges that lead here.
        stages: edges to later stages, by name.
        sink: the edge to the service, for outputs and ends.
        outputs: names of the outputs.
        next: where an item goes by itself.
        policy: what an error means.
        context: given to user code.
        holds: names of stages whose edges wait until a batch is full, since they lead to workers.
        session: the session that the run belongs to, if it belongs to one.
    """

    inputs: tuple[InPort, ...]
    stages: dict[str, OutPort]
    sink: OutPort
    outputs: tuple[str, ...]
    next: str
    policy: Policy
    context: SealedContext
    holds: frozenset[str]
    session: SessionTicket | None = None


@record
class StageSetting:
    """What a stage's process is told at its start.

    Attributes:
        pipe: name of the pipe. name: name of the stage.
        definition: the pipe class, or the stage's declaration, where it finds its function; `None` for a stage of the
            user's own class.
        options: for a stage of the user's own class.
    """

    pipe: str
    name: str
    definition: Code | None
    options: dict[str, Any]
