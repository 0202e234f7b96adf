"""The dispatcher's decisions, without an actor, a socket or a clock.

Events come in as method calls; what has to be sent collects in `outbox` as (address, message).
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import Any

import attrs

from slither_actors.dispatch._desk import Desk, Task
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.dispatch.messages import Ends, Failed, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.policy import Skip
from slither_actors.errors import BatchTimeout, SlitherError, WorkerCrashed
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.worker.messages import EndRun, Job, LeaseRequest, LeaseReturned, RunBatch
from slither_actors.worker.parcel import Parcel

# How long leased workers are kept without work: long enough to bridge a pause between two calls.
IDLE_S = 0.1

# What still runs for a cancelled run may take this long before its worker is killed.
CANCEL_GRACE_S = 1.0


@attrs.frozen
class DispatchPlan:
    """A dispatcher's part in a run. `output` is where results go; `sink` is the edge to the service, for ends, and the
    same as `output` where nothing comes after."""

    inputs: tuple[InPort, ...]
    output: OutPort
    sink: OutPort
    job: Job
    options: DispatchOptions


_Result = tuple[tuple[Parcel, ...], tuple[Ends, ...], InEdge]


class _Run:
    """One run through this dispatcher."""

    def __init__(self, run: str, plan: DispatchPlan) -> None:
        self.id = run
        self.plan = plan
        self.options = plan.options
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.output = OutEdge(run, plan.output)
        self.sink = self.output if plan.sink.edge == plan.output.edge else OutEdge(run, plan.sink)
        self.waiting: deque[Task] = deque()
        self.in_work = 0
        self.arrived = 0
        self.reorder = ReorderBuffer[_Result]() if plan.options.ordering == "preserve" else None

    @property
    def idle(self) -> bool:
        """Whether everything that came in has gone out, and nothing more will come."""
        empty = not self.waiting and not self.in_work and not self.reorder
        return empty and all(edge.done for edge in self.inputs.values())

    @property
    def wanted(self) -> int:
        """Batches that could be with workers now."""
        return min(self.in_work + len(self.waiting), self.options.max_in_flight)

    def edges(self) -> list[OutEdge]:
        return [self.output] if self.sink is self.output else [self.output, self.sink]

    def result(self, task: Task, parcels: tuple[Parcel, ...], ends: tuple[Ends, ...]) -> None:
        assert isinstance(task.owner, InEdge)
        value = (parcels, ends, task.owner)
        for due in [value] if self.reorder is None else self.reorder.add(task.index, value):
            self.put(due)

    def put(self, result: _Result) -> None:
        (self.sink if result[1] else self.output).put(*result)


class DispatchCore:
    """All runs of one dispatcher over the workers that it has leased.

    Args:
        stage: how errors call this dispatcher; `None` for plain dispatch calls.
    """

    def __init__(self, stage: str | None = None) -> None:
        self._stage = stage
        self._runs: dict[str, _Run] = {}
        self._desk = Desk()
        self._cancelled: dict[str, float] = {}  # runs that are over, with work still out, and when it is killed
        # Numbers of different dispatchers do not meet in a worker.
        self._number = secrets.randbits(31) << 32
        self._pool: str | None = None
        self._supervisor: str | None = None
        self._wanted = 0
        self._idle_since: float | None = None
        self.outbox: list[tuple[str, Any]] = []

    # -- runs

    def open_run(self, run: str, plan: DispatchPlan) -> None:
        self._runs[run] = _Run(run, plan)

    def batch(self, run_id: str, edge: int, seq: int, parcels: tuple[Parcel, ...], now: float) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        owner = run.inputs[edge]
        owner.receive(seq)
        self._number += 1
        run.waiting.append(Task(self._number, run_id, run.arrived, parcels, owner))
        run.arrived += 1
        self._assign(now)

    def ask(self, run_id: str, edge: int, limit: int) -> None:
        run = self._runs.get(run_id)
        if run is not None:
            for out in run.edges():
                if out.port.edge == edge:
                    out.ask(limit)
            self._flush(run)

    def complete(self, run_id: str, edge: int, last_seq: int) -> None:
        run = self._runs.get(run_id)
        if run is not None:
            run.inputs[edge].last_seq = last_seq
            self._flush(run)

    def close_run(self, run_id: str, now: float) -> None:
        """The run is over for whoever asked; work that is out is for nobody."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        for address in self._desk.forget_run(run_id):
            self.outbox.append((address, EndRun(run_id)))
        if run.in_work:
            self._cancelled[run_id] = now + CANCEL_GRACE_S
        self._assign(now)

    # -- workers

    def pool_up(self, address: str) -> None:
        """A pool to lease from; a new one knows nothing of what the old one granted."""
        self._pool = address
        self._wanted = 0
        self._desk.recall_all()
        self._request()

    def supervisor_up(self, address: str) -> None:
        """Who can kill a worker."""
        self._supervisor = address

    def granted(self, worker: Ref, now: float) -> None:
        self._desk.seat(worker)
        self._assign(now)

    def recalled(self, worker: Ref) -> None:
        self._desk.recall(worker)
        self._return_leases(recalled_only=True)

    def done(self, worker: str, number: int, parcels: tuple[Parcel, ...], now: float) -> None:
        task = self._desk.finish(worker, number, now)
        if task is None:
            return
        run = self._runs.get(task.run)
        if run is None:
            self._cancelled_task_over(task)
        else:
            run.in_work -= 1
            run.result(task, parcels, ())
            self._flush(run)
        self._assign(now)

    def failed(self, worker: str, number: int, error: SlitherError, fatal: bool, now: float) -> None:
        task = self._desk.finish(worker, number, now)
        if task is not None:
            self._task_failed(task, error, now, fatal=fatal)
            self._assign(now)

    def worker_down(self, worker: Ref, running: int, exit_text: str, now: float) -> None:
        """A worker died. Only the batch it was running is suspect; those behind it go back to the front, unharmed."""
        for task in reversed(self._desk.remove(worker.address)):
            if task.number == running:
                timeout_s = self._timeout_of(task)
                error: SlitherError = WorkerCrashed(worker.name, worker.pid, exit_text)
                if task.timed_out and timeout_s is not None:
                    error = BatchTimeout(timeout_s, worker.name)
                self._task_failed(task, error, now)
            elif task.run in self._runs:
                self._runs[task.run].in_work -= 1
                self._runs[task.run].waiting.appendleft(task)
            else:
                self._cancelled_task_over(task)
        self._assign(now)

    def _timeout_of(self, task: Task) -> float | None:
        run = self._runs.get(task.run)
        return run.options.timeout_s if run else None

    # -- time

    def next_deadline(self) -> float | None:
        """When `expire` has something to do."""
        deadlines = [
            since + limit
            for _, task, since in self._desk.running()
            if not task.timed_out and (limit := self._limit(task, since)) is not None
        ]
        if self._idle_since is not None:
            deadlines.append(self._idle_since + IDLE_S)
        return min(deadlines, default=None)

    def expire(self, now: float) -> None:
        """Kill workers whose batch is over its time; return leases that idle."""
        for worker, task, since in self._desk.running():
            limit = self._limit(task, since)
            if not task.timed_out and limit is not None and since + limit <= now and self._supervisor:
                task.timed_out = True
                self.outbox.append((self._supervisor, KillProcess(worker, f"a batch took longer than {limit:g} s")))
        if self._idle_since is not None and self._idle_since + IDLE_S <= now:
            self._idle_since = None
            self._request()
            self._return_leases(recalled_only=False)

    def _limit(self, task: Task, since: float) -> float | None:
        if task.run in self._cancelled:
            return max(0.0, self._cancelled[task.run] - since)
        return self._timeout_of(task)

    # -- inside

    def _assign(self, now: float) -> None:
        """Give workers what waits, one run after the other in turn."""
        progress = True
        while progress:
            progress = False
            for run in list(self._runs.values()):
                if not run.waiting or run.in_work >= run.options.max_in_flight:
                    continue
                worker = self._desk.free_worker()
                if worker is None:
                    break
                task = run.waiting.popleft()
                run.in_work += 1
                is_new = self._desk.assign(worker, task, now)
                job = run.plan.job if is_new else None
                self.outbox.append((worker.address, RunBatch(task.number, task.run, job, task.parcels)))
                progress = True
        if self._desk:
            self._return_leases(recalled_only=True)
        self._watch_idleness(now)

    def _watch_idleness(self, now: float) -> None:
        wanted = sum(run.wanted for run in self._runs.values())
        if wanted > self._wanted:
            self._request()
        busy = wanted or self._desk.running()
        if busy:
            self._idle_since = None
        elif self._idle_since is None and (self._wanted or self._desk):
            self._idle_since = now

    def _request(self) -> None:
        """Tell the pool how many workers would be of use."""
        wanted = sum(run.wanted for run in self._runs.values())
        if self._pool is not None and wanted != self._wanted:
            self._wanted = wanted
            self.outbox.append((self._pool, LeaseRequest(wanted)))

    def _return_leases(self, *, recalled_only: bool) -> None:
        for worker in self._desk.take_idle(recalled_only=recalled_only):
            if self._pool is not None:
                self.outbox.append((self._pool, LeaseReturned(worker)))

    def _task_failed(self, task: Task, error: SlitherError, now: float, *, fatal: bool = False) -> None:
        run = self._runs.get(task.run)
        if run is None:
            self._cancelled_task_over(task)
            return
        run.in_work -= 1
        if isinstance(run.options.on_error, Skip) and not fatal:
            ends = Ends("skipped", task.parcels, error, self._stage, task.attempts + 1)
            run.result(task, (), (ends,))
            self._flush(run)
        else:
            self._halt(run, error, task.index + 1, now)

    def _cancelled_task_over(self, task: Task) -> None:
        if not self._desk.has_tasks_of(task.run):
            self._cancelled.pop(task.run, None)

    def _halt(self, run: _Run, error: SlitherError, batch_ref: int, now: float) -> None:
        """End the run: everything that is finished goes out, also what stood behind a slower batch."""
        for result in run.reorder.drain() if run.reorder is not None else ():
            run.put(result)
        for out in run.edges():
            self.outbox.extend((out.port.consumer, batch) for batch in out.take(regardless=True))
        self.outbox.append((run.sink.port.consumer, Failed(run.id, self._stage, error, batch_ref)))
        self.close_run(run.id, now)

    def _flush(self, run: _Run) -> None:
        """Send what credit allows, ask for what there is room for, and end what is at its end."""
        for out in run.edges():
            for batch in out.take():
                self.outbox.append((out.port.consumer, batch))
        for edge in run.inputs.values():
            ask = edge.ask(run.id)
            if ask is not None:
                self.outbox.append((edge.port.producer, ask))
        if run.idle:
            completed = [(out, out.complete()) for out in run.edges()]
            self.outbox.extend((out.port.consumer, last) for out, last in completed if last is not None)
            if not any(out.waiting for out in run.edges()):
                del self._runs[run.id]
                for address in self._desk.forget_run(run.id):
                    self.outbox.append((address, EndRun(run.id)))
