"""What happened in a simulation, as plain data."""

from __future__ import annotations

import attrs


@attrs.frozen
class Execution:
    """One batch that user code of a worker was given.

    Attributes:
        worker: name of the worker.
        run: the run it belonged to.
        stage: the worker stage, or `None` in a plain dispatch.
        items: ids of its items.
        began_s: when, in virtual seconds.
        outcome: "done", "failed", "crashed" (its worker died or was killed), or "" while it runs.
    """

    worker: str
    run: str
    stage: str | None
    items: tuple[int, ...]
    began_s: float
    outcome: str


@attrs.frozen
class SimulationReport:
    """What happened in the last run of a `Simulation`, also where that run raised.

    Attributes:
        seed: what makes it happen again.
        virtual_s: how long it took by the simulated clock.
        steps: how many things happened, one after the other.
        messages: how many messages were sent.
        executions: the batches that workers began, in that order.
        deaths: names of the processes that died, in that order.
        repeated: how many messages came twice.
    """

    seed: int
    virtual_s: float
    steps: int
    messages: int
    executions: tuple[Execution, ...]
    deaths: tuple[str, ...]
    repeated: int
    _trace: tuple[str, ...] = attrs.field(repr=False, alias="trace")

    @property
    def trace(self) -> str:
        """Every message and every death, a line each, in order. Payloads are not in it."""
        return "\n".join(self._trace)

    def attempts(self, item: int) -> int:
        """How often the item of this id was given to user code of a worker."""
        return sum(item in execution.items for execution in self.executions)
