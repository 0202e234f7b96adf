"""What a stage's process is told: once at its start, and for each run."""

from __future__ import annotations

from typing import Any

from slither_actors._code import Code
from slither_actors._message import message
from slither_actors._record import record
from slither_actors.context import SealedContext
from slither_actors.dispatch._strategy_base import Strategy
from slither_actors.dispatch.messages import InPort, Origin, OutPort
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
        unfit: who is charged with items that fit into no batch, by the name of the stage whose strategy forms them.
        session: the session that the run belongs to, if it belongs to one.
        keeps_ids: whether an item has the same id on its whole way, and each that is made of it has one of its own.
        settles_last: whether a batch that came in counts as settled only when all that came of it is sent: so whoever
            sent it knows by an `Ask` that nothing more of it will come.
    """

    inputs: tuple[InPort, ...]
    stages: dict[str, OutPort]
    sink: OutPort
    outputs: tuple[str, ...]
    next: str
    policy: Policy
    context: SealedContext
    unfit: dict[str, Origin]
    session: SessionTicket | None = None
    keeps_ids: bool = False
    settles_last: bool = False


@message
class ForgetRuns:
    """From a balancer to a replica: none of the runs that it knows goes on. There is a new balancer."""


@record
class StageSetting:
    """What a stage's process is told at its start.

    Attributes:
        pipe: name of the pipe. name: name of the stage.
        definition: the pipe class, or the stage's declaration, where it finds its function; `None` for a stage of the
            user's own class.
        options: for a stage of the user's own class.
        strategies: by the names of later stages, the strategy, or the pipe class where it stands.
    """

    pipe: str
    name: str
    definition: Code | None
    options: dict[str, Any]
    strategies: dict[str, Code]


def strategy_of(loaded: Any, stage: str) -> Strategy:
    """The strategy of a stage: what was loaded, or what the pipe class that was loaded says."""
    found: Strategy = loaded
    if not isinstance(loaded, Strategy):
        found = loaded.definition.stage(stage).declaration.options["strategy"]
    return found
