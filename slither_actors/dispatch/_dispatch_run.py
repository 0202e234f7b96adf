"""One run through a dispatcher: what came in, what waits, what is done, what may go out."""

from __future__ import annotations

from collections import deque

import attrs

from slither_actors.dispatch._desk import Task
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.dispatch.messages import Ends, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.worker.messages import Job
from slither_actors.worker.parcel import Parcel


@attrs.frozen
class DispatchPlan:
    """A dispatcher's part in a run. `output` is where results go; `sink` is the edge to the service, for ends, and the
    same as `output` where nothing comes after."""

    inputs: tuple[InPort, ...]
    output: OutPort
    sink: OutPort
    job: Job
    options: DispatchOptions


Result = tuple[tuple[Parcel, ...], tuple[Ends, ...], InEdge]


class DispatchRun:
    """One run through this dispatcher."""

    def __init__(self, run: str, plan: DispatchPlan) -> None:
        self.id = run
        self.plan = plan
        self.options = plan.options
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.output = OutEdge(run, plan.output)
        self.sink = self.output if plan.sink.edge == plan.output.edge else OutEdge(run, plan.sink)
        self.edges = (self.output,) if self.sink is self.output else (self.output, self.sink)
        self.waiting: deque[Task] = deque()
        self.in_work = 0
        self.fed = False  # whether nothing more comes in
        self.arrived = 0
        # All that were told of it: they keep its state while others lease them, until they hear that it is over.
        self.workers: set[str] = set()
        self.reorder = ReorderBuffer[Result]() if plan.options.ordering == "preserve" else None

    @property
    def idle(self) -> bool:
        """Whether everything that came in has gone out, and nothing more will come."""
        empty = not self.waiting and not self.in_work and not self.reorder
        return empty and all(edge.done for edge in self.inputs.values())

    @property
    def wanted(self) -> int:
        """Workers that would be of use; while more comes in, as many as may ever work at once."""
        open_tasks = self.in_work + len(self.waiting)
        limit = self.options.max_in_flight
        if open_tasks >= limit or (open_tasks and not self.fed):
            return limit
        return open_tasks

    def ask(self, edge: int | None, limit: int) -> None:
        """Whoever comes next on an edge raised its limit."""
        for out in self.edges:
            if out.port.edge == edge:
                out.ask(limit)

    def result(self, task: Task, parcels: tuple[Parcel, ...], ends: tuple[Ends, ...]) -> None:
        value = (parcels, ends, task.owner)
        for due in [value] if self.reorder is None else self.reorder.add(task.index, value):
            self.put(due)

    def put(self, result: Result) -> None:
        parcels, ends, owner = result
        if parcels and ends and self.sink is not self.output:
            self.sink.put((), ends)
            ends = ()
        (self.sink if ends else self.output).put(parcels, ends, owner)
