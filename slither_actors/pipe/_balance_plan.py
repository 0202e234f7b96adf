"""The plan of a stage whose items pass a balancer: that of the stage, and what goes on between the two."""

from __future__ import annotations

from slither_actors._record import record, replaced
from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.dispatch.messages import InPort, OutPort
from slither_actors.pipe._stage_plan import StagePlan
from slither_actors.workers.sessions import SessionTicket

# Items that the edges of one way may hold together, however many replicas they lead to.
EDGE_ITEMS = 64

# Batches at a replica, or on an edge from it, that are not settled: one in work, one waiting.
REPLICA_WINDOW = 2

# With more of them an edge to each would have to hold more than `EDGE_ITEMS`.
MOST_REPLICAS = EDGE_ITEMS // REPLICA_WINDOW


def share_of(replicas: int) -> int:
    """Items per batch to and from each of so many replicas."""
    return EDGE_ITEMS // (REPLICA_WINDOW * replicas)


@record
class BalancePlan:
    """A balancer's part in a run.

    Attributes:
        stage: the part of the stage, as if it were one process: its edges are the balancer's.
        replicas: how many processes it is.
        ordered: whether what they make goes on in the order of the input.
        first: number of the first edge between the balancer and a replica; all others follow.
        formed: later stages whose batches a strategy forms, which runs in the replicas.
        rate: limits the items that go to the replicas.
    """

    stage: StagePlan
    replicas: int
    ordered: bool
    first: int
    formed: frozenset[str]
    rate: RateTicket | None = None

    @property
    def inputs(self) -> tuple[InPort, ...]:
        return self.stage.inputs

    @property
    def stages(self) -> dict[str, OutPort]:
        return self.stage.stages

    @property
    def sink(self) -> OutPort:
        return self.stage.sink

    @property
    def edges_per_replica(self) -> int:
        return len(self.inputs) + len(self.stages) + 1

    def owns(self, edge: int) -> bool:
        """Whether an edge is one between the balancer and a replica."""
        return self.first <= edge < self.first + self.edges_per_replica * self.replicas

    def for_session(self, ticket: SessionTicket) -> BalancePlan:
        """The same for a run of a session."""
        return replaced(self, stage=replaced(self.stage, session=ticket))

    def for_replica(self, number: int, balancer: str, replica: str) -> StagePlan:
        """The part of one replica, whose edges lead from the balancer and back to it.

        Args:
            number: which one, from 0.
            balancer, replica: their addresses.
        """
        edge = self.first + number * self.edges_per_replica
        inputs = tuple(
            InPort(edge + place, balancer, REPLICA_WINDOW, port.origin) for place, port in enumerate(self.inputs)
        )
        edge += len(inputs)
        size = share_of(self.replicas)
        stages = {}
        for place, (name, port) in enumerate(self.stages.items()):
            to = OutPort(edge + place, balancer, REPLICA_WINDOW, size, port.route)
            if name in self.formed:  # there, so that is where items wait for others
                to = replaced(to, batch_size=port.batch_size, wants_full=True, max_wait_s=port.max_wait_s)
            stages[name] = to
        sink = OutPort(edge + len(stages), balancer, REPLICA_WINDOW, size, self.sink.route)
        return replaced(self.stage, inputs=inputs, stages=stages, sink=sink, settles_last=True)


def edges_between(inputs: int, stages: int, replicas: int) -> int:
    """How many edges there are between a balancer and its replicas."""
    return (inputs + stages + 1) * replicas
