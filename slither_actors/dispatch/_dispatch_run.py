"""One run through a dispatcher: what came in, what waits, what is done, what may go out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from slither_actors._code import Code
from slither_actors._record import record, replaced
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._desk import Task
from slither_actors.dispatch._edges import InEdge, OutEdge, Share
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.dispatch._second_chances import SecondChances
from slither_actors.dispatch.messages import Batch, Ends, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import QueueTimeout, SlitherError
from slither_actors.policy import Retry, Verdict, skips, verdict, way_out
from slither_actors.workers.messages import Job
from slither_actors.workers.parcel import Note, Parcel, count, noted
from slither_actors.workers.sessions import SessionTicket


@record
class SessionPart:
    """What makes a run one of a session.

    Attributes:
        ticket: the session.
        stage: how errors call the stage of a pipe that this is, if it is one.
        calls: whether it is one that waits for calls, and so keeps no session from being idle.
    """

    ticket: SessionTicket
    stage: str | None = None
    calls: bool = False


@record
class DispatchPlan:
    """A dispatcher's part in a run. `output` is where results go; `sink` is the edge to the service, for ends, and the
    same as `output` where nothing comes after; `detour` is where failed items go that are routed, `output` by default.
    """

    inputs: tuple[InPort, ...]
    output: OutPort
    sink: OutPort
    job: Job
    options: DispatchOptions
    deadline: Deadline = Deadline()
    detour: OutPort | None = None
    session: SessionPart | None = None

    def for_ticket(self, ticket: SessionTicket) -> DispatchPlan:
        """The same, with what workers are told of the session."""
        return replaced(self, job=replaced(self.job, session=ticket))


Result = tuple[tuple[Parcel, ...], tuple[Ends, ...], InEdge | None]


class DispatchRun:
    """One run through this dispatcher.

    Args:
        run: what others call it.
        stage: how errors call the stage, if it is one.
        key: what it is called here and in workers, if that is another name.
    """

    def __init__(self, run: str, plan: DispatchPlan, stage: str | None = None, key: str | None = None) -> None:
        self.id = run
        self.key = key or run
        self.stage = stage
        self.plan = plan
        self.options = plan.options
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.output = OutEdge(run, plan.output)
        self.sink = self.output if plan.sink.edge == plan.output.edge else OutEdge(run, plan.sink)
        self.detour = self._way(plan.detour or plan.output)
        self.edges = tuple(dict.fromkeys((self.output, self.sink, self.detour)))
        self.waiting: deque[Task] = deque()
        self.patience_s = plan.options.queue_timeout_s or math.inf
        self.idle_since = 0.0  # when its last batch came back from a worker
        self.chances = SecondChances()
        self.in_work = 0
        self.fed = False  # whether nothing more comes in
        self.arrived = 0
        # All that were told of it: they keep its state while others lease them, until they hear that it is over.
        self.workers: set[str] = set()
        self.reorder = ReorderBuffer[Result]() if plan.options.ordering == "preserve" else None

    def _way(self, port: OutPort) -> OutEdge:
        ways = (way for way in (self.output, self.sink) if way.port.edge == port.edge)
        return next(ways, None) or OutEdge(self.id, port)

    @property
    def idle(self) -> bool:
        """Whether everything that came in has gone out, and nothing more will come."""
        empty = not self.waiting and not self.in_work and not self.chances and not self.reorder
        return empty and all(edge.done for edge in self.inputs.values())

    @property
    def wanted(self) -> int:
        """Workers that would be of use; while more comes in, as many as may ever work at once. What pauses before
        another attempt holds none."""
        open_tasks = self.in_work + len(self.waiting)
        limit = self.options.max_in_flight
        if open_tasks >= limit or (open_tasks and not self.fed):
            return limit
        return open_tasks

    def came_back(self, now: float) -> None:
        """A batch is no longer with a worker."""
        self.in_work -= 1
        if not self.in_work:
            self.idle_since = now

    def ask(self, edge: int | None, limit: int) -> None:
        """Whoever comes next on an edge raised its limit."""
        for out in self.edges:
            if out.port.edge == edge:
                out.ask(limit)

    def result(self, task: Task, parcels: tuple[Parcel, ...], ends: tuple[Ends, ...]) -> None:
        whole = self.chances.settle(task, (parcels, ends))
        if whole is not None:
            self._add(task.index, (*whole, task.owner))

    def _add(self, index: int, result: Result) -> None:
        for due in [result] if self.reorder is None else self.reorder.add(index, result):
            self.put(due)

    def failed(self, task: Task, error: SlitherError, stage: str | None, now: float, draw: float) -> bool:
        """A task failed: the policy decides; false if the run ends here.

        Args:
            stage: how errors call the stage, if it is one.
            draw: a random number from 0 to 1, for the pause before another attempt.
        """
        policy = self.options.on_error
        task.attempts += 1
        task.kill_again = 0.0
        decision = verdict(policy, error, task.attempts, count(task.parcels))
        if decision is Verdict.HALT:
            return False
        if decision is Verdict.ROUTED:
            self.route(task, error, stage)
        elif decision is Verdict.SPLIT:
            self.put_first(self.chances.split(task), now)
        elif decision is Verdict.RETRY:
            assert isinstance(policy, Retry)
            self.chances.retry(task, now + policy.pause_s(task.attempts, draw))
        else:
            self.result(task, (), (Ends(decision.value, task.parcels, error, stage, task.attempts),))
        return True

    def wake(self, now: float) -> None:
        """Those whose pause is over are next."""
        self.put_first(self.chances.take_due(now), now)

    def put_first(self, tasks: Sequence[Task], now: float) -> None:
        """They are next, in this order."""
        for task in tasks:
            task.waits_since = now
        self.waiting.extendleft(reversed(tasks))

    @property
    def gives_up_at(self) -> float:
        """When the patience with one that waits ends. While a batch is with a worker, others wait for that."""
        if self.patience_s == math.inf or self.in_work or not self.waiting:
            return math.inf
        return max(self.idle_since, min(task.waits_since for task in self.waiting)) + self.patience_s

    @property
    def starves(self) -> bool:
        """Whether it has nothing with a worker, and a limit for how long that may be so."""
        return bool(self.waiting) and not self.in_work and self.patience_s < math.inf

    def give_up(self, now: float) -> list[Task]:
        """Those that have waited too long, and wait no more."""
        if self.gives_up_at > now:
            return []
        late = [task for task in self.waiting if task.waits_since + self.patience_s <= now]
        for task in late:
            self.waiting.remove(task)
        return late

    def never_ran(self, task: Task, stage: str | None) -> bool:
        """A task found no worker in time: the last resort of the policy decides, since no attempt was made; false if
        the run ends here."""
        if skips(self.options.on_error):
            error = QueueTimeout(self.patience_s, self.options.pool)
            if way_out(self.options.on_error) is not None:
                self.route(task, error, stage)
            else:
                self.result(task, (), (Ends("skipped", task.parcels, error, stage, task.attempts),))
            return True
        return False

    def route(self, task: Task, error: SlitherError, stage: str | None) -> None:
        """The items go on as they came, and whoever reads them next does what the policy says."""
        to = way_out(self.options.on_error)
        route = self.plan.detour.route if self.plan.detour is not None else None
        note = Note(error, stage, task.attempts, route, to if isinstance(to, Code) else None)
        self.result(task, noted(task.parcels, note), ())

    def last_words(self) -> tuple[Batch, ...]:
        """At a halt: what is finished and on its way to the service, also what stood behind a slower batch, or beside
        other parts of its own."""
        for index, part in self.chances.unfinished():
            self._add(index, (*part, None))
        for result in self.reorder.drain() if self.reorder is not None else ():
            self.put(result)
        # What would go on to another stage ends here: the run is over before it could reach an output.
        ways_out = [out for out in self.edges if out.port.consumer == self.sink.port.consumer]
        return tuple(batch for out in ways_out for batch in out.take(regardless=True))

    def put(self, result: Result) -> None:
        parcels, ends, owner = result
        if len(self.edges) == 1 or not (ends or self._are_routed(parcels)):
            self.output.put(parcels, ends, owner)
            return
        made = parcels
        routed: tuple[Parcel, ...] = ()
        if self._are_routed(parcels):
            made = tuple(parcel for parcel in parcels if not parcel[4])
            routed = tuple(parcel for parcel in parcels if parcel[4])
        parts: dict[OutEdge, tuple[tuple[Parcel, ...], tuple[Ends, ...]]] = {}
        for way, some, few in ((self.output, made, ()), (self.detour, routed, ()), (self.sink, (), ends)):
            if some or few:
                before = parts.get(way, ((), ()))
                parts[way] = (before[0] + some, before[1] + few)
        share = Share(owner, len(parts)) if owner is not None else None
        for way, (some, few) in parts.items():
            way.put(some, few, share)

    def _are_routed(self, parcels: tuple[Parcel, ...]) -> bool:
        """Whether some go another way. What a worker made has no notes."""
        return self.detour is not self.output and any(parcel[4] for parcel in parcels)
