"""The dispatcher's decisions, without an actor, a socket or a clock.

Events come in as method calls; what has to be sent collects in `outbox` as (address, message).
"""

from __future__ import annotations

import math
import os
import random
from typing import Any

from slither_actors.dispatch._desk import Desk, Task
from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun
from slither_actors.dispatch.messages import Ask, Batch, Complete, Failed
from slither_actors.errors import BatchTimeout, QueueTimeout, SlitherError, TransportError, WorkerCrashed
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.workers._salvage import Loss
from slither_actors.workers.messages import EndRun, LeaseRequest, LeaseReturned, RunBatch
from slither_actors.workers.parcel import Parcel

# How long leased workers are kept without work: long enough to bridge a pause between two calls.
IDLE_S = 0.1

# What still runs for a cancelled run may take this long before its worker is killed.
CANCEL_GRACE_S = 1.0

# A worker that was about to begin the batch when its supervisor looked is to be killed once more.
KILL_AGAIN_S = 0.5


class DispatchCore:
    """All runs of one dispatcher over the workers that it has leased; `stage` is how errors call it, if anything."""

    def __init__(self, stage: str | None = None) -> None:
        self._stage = stage
        self._runs: dict[str, DispatchRun] = {}
        self._desk = Desk()
        # Numbers of different dispatchers do not meet in a worker.
        self._number = int.from_bytes(os.urandom(4)) >> 1 << 32
        self._pool: str | None = None
        self._supervisor: str | None = None
        self._wanted = 0
        self._asked = False
        self._idle_since: float | None = None
        # No deadline is earlier than this one; kept up on the way, since a scan after each message costs too much.
        self.earliest = math.inf
        self.outbox: list[tuple[str, Any]] = []

    # -- runs

    def open_run(self, run: str, plan: DispatchPlan) -> None:
        self._runs[run] = DispatchRun(run, plan, self._stage)
        self.earliest = min(self.earliest, plan.deadline.at)

    def batch(self, run_id: str, edge: int, seq: int, parcels: tuple[Parcel, ...], now: float, limit: int = 0) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        owner = run.inputs[edge]
        if limit:
            self.ask(run_id, owner.port.back, limit)
        owner.receive(seq)
        run.waiting.append(Task(run_id, run.arrived, parcels, owner, run.options.timeout_s, waits_since=now))
        run.arrived += 1
        self._assign(now)

    def ask(self, run_id: str, edge: int | None, limit: int) -> None:
        run = self._runs.get(run_id)
        if run is not None:
            run.ask(edge, limit)
            self._flush(run)

    def complete(self, run_id: str, edge: int, last_seq: int) -> None:
        run = self._runs.get(run_id)
        if run is not None:
            run.inputs[edge].last_seq = last_seq
            run.fed = all(edge.done for edge in run.inputs.values())
            self._flush(run)

    def close_run(self, run_id: str, now: float, grace_s: float = CANCEL_GRACE_S) -> None:
        """The run is over for whoever asked; work that is out is for nobody."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        self.outbox.extend((address, EndRun(run.key)) for address in sorted(run.workers))
        for task in self._desk.tasks_of(run_id) if run.in_work else ():
            task.until = now + grace_s
            self.earliest = min(self.earliest, task.until)
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

    def answered(self, want: int, now: float) -> None:
        """The pool has granted what it could for a request of `want`."""
        if want == self._wanted:
            self._asked = False
            self._assign(now)

    def recalled(self, worker: Ref) -> None:
        self._desk.recall(worker)
        self._return_leases(recalled_only=True)

    def done(
        self, worker: str, number: int, parcels: tuple[Parcel, ...], now: float, losses: tuple[Loss, ...] = ()
    ) -> None:
        """`losses` are items that the worker could not read: whoever made them is charged, not this stage."""
        task = self._finish(worker, number, now)
        if task is None:
            return
        run = self._runs.get(task.run)
        if run is not None:
            run.came_back(now)
            origin = task.owner.port.origin
            run.result(task, parcels, tuple(map(origin.ends, losses)) if origin.skips else ())
            if losses and not origin.skips:
                self._halt(run, origin.error(losses[0].error), task.index + 1, now, origin.stage)
            else:
                self._flush(run)
        self._assign(now)

    def failed(self, worker: str, number: int, error: SlitherError, fatal: bool, now: float) -> None:
        task = self._finish(worker, number, now)
        if task is not None:
            self._task_failed(task, error, now, fatal=fatal)
            self._assign(now)

    def _finish(self, worker: str, number: int, now: float) -> Task | None:
        task, begun = self._desk.finish(worker, number, now)
        if begun is not None:
            self.earliest = min(self.earliest, begun.deadline(now))
        return task

    def worker_down(self, worker: Ref, running: int | None, exit_text: str, now: float) -> None:
        """A worker died. Only the batch it was running is suspect; those behind it go back to the front, unharmed.
        `running` is that batch's number, 0 for none. Nobody can tell (`None`) when its supervisor died with it: then
        the first one counts as begun, since to run a batch twice is worse than to blame an innocent one."""
        for run in self._runs.values():
            run.workers.discard(worker.address)
        held = self._desk.remove(worker.address)
        if held is not None:
            self._request(lost=worker)
        tasks = held or []
        running = tasks[0].number if running is None and tasks else running
        for task in reversed(tasks):
            if task.number == running:
                error: SlitherError = WorkerCrashed(worker.name, worker.pid, exit_text)
                if task.kill_again:
                    error = BatchTimeout(task.timeout_s, worker.name)
                self._task_failed(task, error, now)
            else:
                self._send_again(task, now)
        self._assign(now)

    def undelivered(self, worker: str, number: int, now: float) -> None:
        """A batch did not reach its worker. The news of its death may be on its way, or may have come before the lease
        did; other batches that it still had are that news's matter."""
        task = self._desk.take_back(worker, number)
        if task is not None:
            self._send_again(task, now)
            self._assign(now)

    def _send_again(self, task: Task, now: float) -> None:
        """A batch that nobody began goes back to the front."""
        run = self._runs.get(task.run)
        if run is not None:
            run.came_back(now)
            task.kill_again = 0.0
            run.put_first((task,), now)

    # -- time

    def expire(self, now: float) -> None:
        """End what is over its time, begin further attempts, return leases that idle. To be called at `earliest`."""
        for run in list(self._runs.values()):
            self._end_late(run, now)
        for worker, task, since in self._desk.running():
            if task.deadline(since) <= now and self._supervisor:
                task.kill_again = now + KILL_AGAIN_S
                why = "its run is over" if task.until <= now else f"a batch took longer than {task.timeout_s:g} s"
                self.outbox.append((self._supervisor, KillProcess(worker, why, task.number)))
        for run in self._runs.values():
            run.wake(now)
        self._assign(now)
        if self._idle_since is not None and self._idle_since + IDLE_S <= now:
            self._idle_since = None
            self._request()
            self._return_leases(recalled_only=False)
        self.earliest = self._next_deadline()

    def _end_late(self, run: DispatchRun, now: float) -> None:
        """The run's own deadline, and the patience with each batch that waits."""
        if run.plan.deadline.at <= now:
            self._halt(run, run.plan.deadline.error(), 0, now, None, grace_s=0.0)
            return
        given_up = run.give_up(now)
        for task in given_up:
            if not run.never_ran(task, run.stage):
                error = QueueTimeout(run.patience_s, run.options.pool)
                self._halt(run, error, task.index + 1, now, run.stage)
                return
        if given_up:
            self._flush(run)

    def _next_deadline(self) -> float:
        deadlines = [task.deadline(since) for _, task, since in self._desk.running()]
        deadlines += [min(run.chances.due, run.plan.deadline.at, run.gives_up_at) for run in self._runs.values()]
        if self._idle_since is not None:
            deadlines.append(self._idle_since + IDLE_S)
        return min(deadlines, default=math.inf)

    def refused(self, to: str, message: Any, error: TransportError, now: float) -> None:
        """The transport did not take a message, since too much waits for its receiver. The run that it belongs to is
        over, and no other one.

        Raises:
            TransportError: it belongs to no run, or is the word of its end.
        """
        if isinstance(message, Failed) and message.finished:  # the word without the results then
            self.outbox.append((to, Failed(message.run, message.stage, message.error, message.batch_ref, ())))
            return
        if not isinstance(message, Batch | RunBatch | Ask | Complete):
            raise error
        run = self._run_of(message)
        if isinstance(message, RunBatch) and self._desk.take_back(to, message.number) and run is not None:
            run.came_back(now)
            if message.job is not None:  # so the worker never heard of the run
                run.workers.discard(to)
        if run is not None:
            self.outbox.append((run.sink.port.consumer, Failed(run.id, run.stage, error, 0, ())))
            self.close_run(run.key, now)
        self._assign(now)

    def _run_of(self, message: Any) -> DispatchRun | None:
        return self._runs.get(message.run)

    def _assign(self, now: float) -> None:
        """Give workers what waits, one run after the other in turn."""
        progress = True
        while progress:
            progress = False
            idle_only = self._asked or any(run.starves for run in self._runs.values())
            for run in list(self._runs.values()):
                if not run.waiting or run.in_work >= run.options.max_in_flight:
                    continue
                # nothing is put behind what a busy one does while the pool may still send an idle one, or where waiting
                # has a limit
                worker = self._desk.free_worker(idle_only=idle_only or run.patience_s < math.inf)
                if worker is None:
                    self.earliest = min(self.earliest, run.gives_up_at)
                    continue
                self._send(run, worker, now)
                progress = True
                if len(self._runs) > 1:  # to the end of the line
                    self._runs[run.id] = self._runs.pop(run.id)
        if self._desk.someone_leaves:
            self._return_leases(recalled_only=True)
        self._watch_idleness(now)

    def _send(self, run: DispatchRun, worker: Ref, now: float) -> Task:
        task = run.waiting.popleft()
        run.in_work += 1
        task.number = self._number = self._number + 1
        if self._desk.assign(worker, task, now):
            self.earliest = min(self.earliest, task.deadline(now))
        job = None if worker.address in run.workers else run.plan.job
        run.workers.add(worker.address)
        self.outbox.append((worker.address, RunBatch(task.number, task.run, job, task.parcels)))
        return task

    def _watch_idleness(self, now: float) -> None:
        wanted = 0
        for run in self._runs.values():
            wanted += run.wanted
        if wanted or self._desk.running():
            self._idle_since = None
            if wanted > self._wanted:
                self._request()
        elif self._idle_since is None and (self._wanted or self._desk):
            self._idle_since = now
            self.earliest = min(self.earliest, now + IDLE_S)

    def _request(self, lost: Ref | None = None) -> None:
        """Tell the pool how many workers would be of use; again when one is lost, since another one comes for it."""
        wanted = sum(run.wanted for run in self._runs.values())
        if self._pool is not None and (wanted != self._wanted or (lost is not None and wanted)):
            self._wanted = wanted
            self._asked = wanted > 0
            self.outbox.append((self._pool, LeaseRequest(wanted, lost)))

    def _return_leases(self, *, recalled_only: bool) -> None:
        for worker in self._desk.take_idle(recalled_only=recalled_only):
            if self._pool is not None:
                self.outbox.append((self._pool, LeaseReturned(worker)))

    def _task_failed(self, task: Task, error: SlitherError, now: float, *, fatal: bool = False) -> None:
        run = self._runs.get(task.run)
        if run is None:
            return
        run.came_back(now)
        if not fatal and run.failed(task, error, run.stage, now, random.random()):
            self.earliest = min(self.earliest, run.chances.due)
            self._flush(run)
        else:
            self._halt(run, error, task.index + 1, now, run.stage)

    def _halt(
        self,
        run: DispatchRun,
        error: SlitherError,
        batch_ref: int,
        now: float,
        stage: str | None,
        grace_s: float = CANCEL_GRACE_S,
    ) -> None:
        """End the run: everything that is finished goes out."""
        failed = Failed(run.id, stage, error, batch_ref, run.last_words())
        self.outbox.append((run.sink.port.consumer, failed))
        self.close_run(run.key, now, grace_s)

    def _flush(self, run: DispatchRun) -> None:
        """Send what credit allows, ask for what there is room for, and complete what is at its end. The run is over
        when the service closes it."""
        for out in run.edges:
            for batch in out.take():
                self.outbox.append((out.port.consumer, batch))
        for edge in run.inputs.values():
            ask = edge.ask(run.id)
            if ask is not None:
                self.outbox.append((edge.port.producer, ask))
        if run.idle:
            completed = [(out, out.complete()) for out in run.edges]
            self.outbox.extend((out.port.consumer, last) for out, last in completed if last is not None)
