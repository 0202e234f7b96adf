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
from slither_actors.dispatch._filling_edge import FillingEdge
from slither_actors.dispatch._lane_queues import LaneQueues
from slither_actors.dispatch._load import Load
from slither_actors.dispatch._rate_table import Pace
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.dispatch._second_chances import SecondChances
from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.dispatch.messages import Batch, Ends, InPort, OutPort, Tag
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import QueueTimeout, SlitherError
from slither_actors.otp.ref import Ref
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
    Where it `echoes`, results say by their tag which batch they came of. `rate` limits the items that go to workers.
    """

    inputs: tuple[InPort, ...]
    output: OutPort
    sink: OutPort
    job: Job
    options: DispatchOptions
    deadline: Deadline = Deadline()
    detour: OutPort | None = None
    session: SessionPart | None = None
    echoes: bool = False
    rate: RateTicket | None = None

    def for_ticket(self, ticket: SessionTicket) -> DispatchPlan:
        """The same, with what workers are told of the session."""
        return replaced(self, job=replaced(self.job, session=ticket))


Result = tuple[tuple[Parcel, ...], tuple[Ends, ...], InEdge | None, Tag | None]


class DispatchRun:
    """One run through this dispatcher.

    Args:
        run: what others call it.
        stage: how errors call the stage, if it is one.
        key: what it is called here and in workers, if that is another name.
    """

    pace: Pace | None = None  # of the rate limit that its plan tells of; set by who knows that of others

    def __init__(self, run: str, plan: DispatchPlan, stage: str | None = None, key: str | None = None) -> None:
        self.id = run
        self.key = key or run
        self.stage = stage
        self.plan = plan
        self.options = plan.options
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.output = _way_out(run, plan.output)
        self.sink = self.output if plan.sink.edge == plan.output.edge else OutEdge(run, plan.sink)
        self.detour = self._way(plan.detour or plan.output)
        self.edges = tuple(dict.fromkeys((self.output, self.sink, self.detour)))
        self.filling = [edge for edge in self.edges if isinstance(edge, FillingEdge) and edge.port.max_wait_s]
        self.waiting: deque[Task] = deque()
        self.patience_s = plan.options.queue_timeout_s or math.inf
        # Nothing is put behind what a worker does where there is a limit for that, or where it would make one key wait
        # for another.
        self.idle_only = self.patience_s < math.inf
        self.idle_since = 0.0  # when its last batch came back from a worker
        self.chances = SecondChances()
        self.lanes = LaneQueues()
        self.load = Load(limit) if (limit := plan.options.max_in_flight_weight) is not None else None
        self.in_work = 0
        self.fed = False  # whether nothing more comes in
        self.arrived = 0
        # All that were told of it: they keep its state while others lease them, until they hear that it is over.
        self.workers: set[str] = set()
        self.reorder = ReorderBuffer[Result]() if plan.options.ordering == "preserve" else None

    def _way(self, port: OutPort) -> OutEdge:
        ways = (way for way in (self.output, self.sink) if way.port.edge == port.edge)
        return next(ways, None) or _way_out(self.id, port)

    @property
    def idle(self) -> bool:
        """Whether everything that came in has gone out, and nothing more will come."""
        empty = not self.waiting and not self.in_work and not self.chances and not self.reorder
        return empty and all(edge.done for edge in self.inputs.values())

    @property
    def wanted(self) -> int:
        """Workers that would be of use; while more comes in, as many as may ever work at once. What pauses before
        another attempt holds none, and none is kept for what has to wait for credit by weight."""
        if self.held_back:
            return self.in_work
        open_tasks = self.in_work + len(self.waiting)
        limit = self.options.max_in_flight
        if open_tasks >= limit or (open_tasks and not self.fed):
            return limit
        return open_tasks

    def arrive(self, message: Batch, now: float) -> bool:
        """A batch came in; true if it was none, and something may have to go out."""
        owner = self.inputs[message.edge]
        owner.receive(message.seq)
        task = Task(self.key, self.arrived, message.parcels, owner, self.options.timeout_s, waits_since=now)
        self.arrived += 1
        if message.tag is not None:
            task.tag = message.tag
            if (error := message.tag[3]) is not None:
                self.route(task, error, self.stage)
                return True
            if task.lane:
                self.idle_only = True
                if not self.lanes.enter(task):
                    return False
        self.waiting.append(task)
        return False

    @property
    def may_send(self) -> bool:
        """Whether there is a batch that credit lets go to a worker."""
        return bool(self.waiting) and self.in_work < self.options.max_in_flight and not self.held_back

    @property
    def held_back(self) -> bool:
        """Whether the next batch is too heavy to go while others are with workers, or too early."""
        if not self.waiting or (self.load is None and self.pace is None):
            return False
        if self.load is not None and not self.load.fits(self.waiting[0].weight):
            return True
        return self.pace is not None and self.pace.holds(count(self.waiting[0].parcels))

    @property
    def paced_until(self) -> float:
        """When the rate limit lets the next batch go."""
        if self.pace is None or not self.waiting:
            return -math.inf
        return self.pace.allowed_at(count(self.waiting[0].parcels))

    def take_next(self, number: int, worker: Ref) -> Task:
        """The batch that goes to this worker now, under this number."""
        task = self.waiting.popleft()
        task.number = number
        self.in_work += 1
        if self.load is not None:
            self.load.add(number, task.weight)
        if self.pace is not None:
            self.pace.take(count(task.parcels))
        return task

    def came_back(self, task: Task, now: float, seconds: float | None = None) -> None:
        """A batch is no longer with a worker, which has run it for so many seconds, if it can say."""
        self.in_work -= 1
        if self.load is not None:
            self.load.remove(task.number)
        if not self.in_work:
            self.idle_since = now

    def ask(self, edge: int | None, limit: int) -> None:
        """Whoever comes next on an edge raised its limit."""
        for out in self.edges:
            if out.port.edge == edge:
                out.ask(limit)

    def result(self, task: Task, parcels: tuple[Parcel, ...], ends: tuple[Ends, ...]) -> None:
        if task.lane and (following := self.lanes.leave(task)) is not None:
            self._put_in_turn(following)
        whole = self.chances.settle(task, (parcels, ends))
        if whole is not None:
            self._add(task.index, (*whole, task.owner, task.tag))

    def _put_in_turn(self, task: Task) -> None:
        """It waits no longer for its lane, and is next after those that came before it."""
        before = sum(1 for other in self.waiting if other.index < task.index)
        self.waiting.insert(before, task)

    def _add(self, index: int, result: Result) -> None:
        for due in [result] if self.reorder is None else self.reorder.add(index, result):
            self.put(due)

    def failed(
        self, task: Task, error: SlitherError, stage: str | None, now: float, draw: float, *, fatal: bool = False
    ) -> bool:
        """A task failed: the policy decides; false if the run ends here.

        Args:
            stage: how errors call the stage, if it is one.
            draw: a random number from 0 to 1, for the pause before another attempt.
            fatal: whether the run cannot work at all.
        """
        if fatal:
            return False
        policy = self.options.on_error
        task.attempts += 1
        task.kill_again = 0.0
        decision = verdict(policy, error, task.attempts, count(task.parcels))
        if decision is Verdict.HALT:
            return False
        if decision is Verdict.ROUTED:
            self.route(task, error, stage)
        elif decision is Verdict.SPLIT:
            left, right = self.chances.split(task)
            if task.lane:
                self.lanes.put_next(right)
            self.put_first((left,) if task.lane else (left, right), now)
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
        since = min(task.waits_since for task in self.waiting)
        return max(self.idle_since, self.paced_until, since) + self.patience_s

    def due(self, now: float) -> float:
        """When there is something to do though nothing happens."""
        held = (edge.due(now) for edge in self.filling)
        paced = self.paced_until
        return min(self.chances.due, self.plan.deadline.at, self.gives_up_at, paced if paced > now else math.inf, *held)

    def let_go(self, now: float) -> bool:
        """Batches for the next stage that are not full, and have waited for long enough, go as they are; whether there
        were any."""
        due = [edge for edge in self.filling if edge.due(now) <= now]
        for edge in due:
            edge.finish()
        return bool(due)

    @property
    def starves(self) -> bool:
        """Whether it has something for an idle worker, and can use no other one: beside runs that put their batches
        behind others it would never find one."""
        return self.idle_only and self.may_send

    def give_up(self, now: float) -> list[Task]:
        """Those that have waited too long, and wait no more."""
        if self.gives_up_at > now:
            return []
        late = [task for task in self.waiting if task.waits_since + self.patience_s <= now]
        for task in late:
            self.waiting.remove(task)
        return late

    def never_ran(self, task: Task) -> QueueTimeout | None:
        """A task found no worker in time: the last resort of the policy decides, since no attempt was made; the error
        if the run ends here."""
        error = QueueTimeout(self.patience_s, self.options.pool)
        if not skips(self.options.on_error):
            return error
        if way_out(self.options.on_error) is not None:
            self.route(task, error, self.stage)
        else:
            self.result(task, (), (Ends("skipped", task.parcels, error, self.stage, task.attempts),))
        return None

    def route(self, task: Task, error: SlitherError, stage: str | None) -> None:
        """The items go on as they came, and whoever reads them next does what the policy says."""
        to = way_out(self.options.on_error)
        route = self.plan.detour.route if self.plan.detour is not None else None
        note = Note(error, stage, task.attempts, route, to if isinstance(to, Code) else None, self.plan.job.keeps_ids)
        self.result(task, noted(task.parcels, note), ())

    def finish(self) -> None:
        """Everything that came in has come to its end here."""
        for out in self.edges:
            out.finish()

    def last_words(self) -> tuple[Batch, ...]:
        """At a halt: what is finished and on its way to the service, also what stood behind a slower batch, or beside
        other parts of its own."""
        for index, part, tag in self.chances.unfinished():
            self._add(index, (*part, None, tag))
        for result in self.reorder.drain() if self.reorder is not None else ():
            self.put(result)
        # What would go on to another stage ends here: the run is over before it could reach an output.
        ways_out = [out for out in self.edges if out.port.consumer == self.sink.port.consumer]
        return tuple(batch for out in ways_out for batch in out.take(regardless=True))

    def put(self, result: Result) -> None:
        parcels, ends, owner, tag = result
        tag = tag if self.plan.echoes else None
        # What a worker made has no notes.
        routed = tuple(parcel for parcel in parcels if parcel[4]) if self.detour is not self.output else ()
        if len(self.edges) == 1 or not (ends or routed):
            self.output.put(parcels, ends, owner, tag)
            return
        made = tuple(parcel for parcel in parcels if not parcel[4]) if routed else parcels
        parts: dict[OutEdge, tuple[tuple[Parcel, ...], tuple[Ends, ...]]] = {}
        for way, some, few in ((self.output, made, ()), (self.detour, routed, ()), (self.sink, (), ends)):
            if some or few:
                before = parts.get(way, ((), ()))
                parts[way] = (before[0] + some, before[1] + few)
        share = Share(owner, len(parts)) if owner is not None else None
        for way, (some, few) in parts.items():
            way.put(some, few, share, tag)


def _way_out(run: str, port: OutPort) -> OutEdge:
    return FillingEdge(run, port) if port.wants_full else OutEdge(run, port)
