"""The dispatcher's decisions, without an actor, a socket or a clock.

Events come in as method calls; what has to be sent collects in `outbox` as (address, message).
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from typing import Any

from slither_actors.dispatch._desk import Desk, Task
from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun
from slither_actors.dispatch._patience import CANCEL_GRACE_S, IDLE_S, KILL_AGAIN_S
from slither_actors.dispatch._refusals import Refusals
from slither_actors.dispatch._surrender import Surrenders
from slither_actors.dispatch.messages import Batch, Failed
from slither_actors.errors import BatchTimeout, SlitherError, WorkerCrashed
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.workers._salvage import Loss
from slither_actors.workers.messages import FIRST_BATCH, EndRun, LeaseRequest, LeaseReturned, RunBatch, WorkersClaimed
from slither_actors.workers.parcel import Parcel


class DispatchCore(Refusals, Surrenders):
    """All runs of one dispatcher over the workers that it has leased; `stage` is how errors call it, if anything, and
    `new_run` makes them."""

    def __init__(self, stage: str | None = None, new_run: Callable[..., DispatchRun] = DispatchRun) -> None:
        self._stage = stage
        self._new_run = new_run
        self._runs: dict[str, DispatchRun] = {}
        self._desk = Desk()
        # Numbers of different dispatchers do not meet in a worker.
        self._number = (int.from_bytes(os.urandom(4)) >> 1 | 1) * FIRST_BATCH
        self._pool: str | None = None
        self._supervisor: str | None = None
        self._wanted, self._asked = 0, False
        self._idle_since: float | None = None
        # No deadline is earlier; kept up on the way, since a scan after each message costs too much.
        self.earliest = math.inf
        self.outbox: list[tuple[str, Any]] = []

    # -- runs

    def open_run(self, run: str, plan: DispatchPlan) -> None:
        self._runs[run] = self._new_run(run, plan, self._stage)
        self.earliest = min(self.earliest, plan.deadline.at)

    def batch(self, run_id: str, batch: Batch, now: float) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        if batch.limit:
            self.ask(run_id, run.inputs[batch.edge].port.back, batch.limit)
        if run.arrive(batch, now):
            self._flush(run)
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
        self._pool, self._wanted = address, 0
        if at_work := self._desk.recall_all():
            self.outbox.append((address, WorkersClaimed(at_work)))
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

    def pool_refuses(self, error: SlitherError, now: float) -> None:
        """The pool has no worker, and will have none for a while: what waits for one is over."""
        self._wanted, self._asked = 0, False
        for run in [run for run in self._runs.values() if run.waiting]:
            self._halt(run, error, 0, now, run.stage)

    def recalled(self, worker: Ref, *, turn: bool = False) -> None:
        """The pool wants it back; `turn` is whether it may have more to do before."""
        self._desk.recall(worker, turn=turn)
        self._return_leases(recalled_only=True)

    def done(
        self,
        worker: str,
        number: int,
        parcels: tuple[Parcel, ...],
        now: float,
        losses: tuple[Loss, ...] = (),
        seconds: float | None = None,
    ) -> None:
        """`losses` are items that the worker could not read: whoever made them is charged, not this stage."""
        task = self._finish(worker, number, now, seconds)
        if task is None:
            return
        run = self._runs.get(task.run)
        if run is not None:
            run.came_back(task, now, seconds)
            origin = task.owner.port.origin
            run.result(task, parcels, tuple(map(origin.ends, losses)) if origin.skips else ())
            if losses and not origin.skips:
                self._halt(run, origin.error(losses[0].error), task.index + 1, now, origin.stage)
            else:
                self._flush(run)
        self._assign(now)

    def failed(
        self, worker: str, number: int, error: SlitherError, fatal: bool, now: float, seconds: float | None = None
    ) -> None:
        task = self._finish(worker, number, now, seconds)
        if task is not None:
            self._task_failed(task, error, now, seconds, fatal=fatal)
            self._assign(now)

    def _finish(self, worker: str, number: int, now: float, seconds: float | None) -> Task | None:
        task, begun = self._desk.finish(worker, number, now, seconds)
        if begun is not None:
            self.earliest = min(self.earliest, begun.deadline)
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
            run.came_back(task, now)
            task.kill_again = 0.0
            run.put_first((task,), now)

    # -- time

    def expire(self, now: float) -> None:
        """End what is over its time, begin further attempts, return leases that idle. To be called at `earliest`."""
        for run in list(self._runs.values()):
            self._end_late(run, now)
        for worker, task in self._desk.running():
            if task.deadline <= now and self._supervisor:
                task.kill_again = now + KILL_AGAIN_S
                why = "its run is over" if task.until <= now else f"a batch took longer than {task.timeout_s:g} s"
                self.outbox.append((self._supervisor, KillProcess(worker, why, task.number)))
        self._assign(now)
        if self._idle_since is not None and self._idle_since + IDLE_S <= now:
            self._idle_since = None
            self._request()
            self._return_leases(recalled_only=False)
        self.earliest = self._next_deadline(now)

    def _end_late(self, run: DispatchRun, now: float) -> None:
        """The run's own deadline, the patience with each batch that waits, and what has paused for long enough."""
        if run.plan.deadline.at <= now:
            self._halt(run, run.plan.deadline.error(), 0, now, None, grace_s=0.0)
            return
        given_up = run.give_up(now)
        for task in given_up:
            if (error := run.never_ran(task)) is not None:
                self._halt(run, error, task.index + 1, now, run.stage)
                return
        if run.let_go(now) or given_up:
            self._flush(run)
        run.wake(now)

    def _next_deadline(self, now: float) -> float:
        deadlines = [task.deadline for _, task in self._desk.running()]
        deadlines += [run.due(now) for run in self._runs.values()]
        if self._idle_since is not None:
            deadlines.append(self._idle_since + IDLE_S)
        return min(deadlines, default=math.inf)

    def _assign(self, now: float) -> None:
        """Give workers what waits, one run after the other in turn."""
        progress = True
        while progress:
            progress = False
            idle_only = self._asked or any(run.starves for run in self._runs.values())
            for run in list(self._runs.values()):
                if not run.may_send:
                    continue
                # nothing is put behind what a busy one does while the pool may still send an idle one, or where waiting
                # has a limit
                worker = self._desk.free_worker(now, idle_only=idle_only or run.idle_only)
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
        self._number += 1
        task = run.take_next(self._number, worker)
        if self._desk.assign(worker, task, now):
            self.earliest = min(self.earliest, task.deadline)
        job = None if worker.address in run.workers else run.plan.job
        run.workers.add(worker.address)
        self.outbox.append((worker.address, RunBatch(task.number, task.run, job, task.parcels)))
        return task

    def _watch_idleness(self, now: float) -> None:
        wanted = 0
        for run in self._runs.values():
            wanted += run.wanted
            if run.filling or run.pace:
                self.earliest = min(self.earliest, run.due(now))
        surplus = wanted < self._wanted and any(run.held_back for run in self._runs.values())
        if (wanted or self._desk.running()) and not surplus:
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
        leaving = self._desk.give_up(recalled_only=recalled_only, keep=self._wanted)
        wanted = sum(run.wanted for run in self._runs.values()) if leaving else 0
        for worker, instead in leaving:
            # who gives up one that others want, and has no use for it, is not to get it again when its turn comes
            less = None
            if wanted < self._wanted:
                less, self._wanted, self._asked = wanted, wanted, False
            if self._pool is not None:
                self.outbox.append((self._pool, LeaseReturned(worker, less, instead)))

    def _task_failed(
        self, task: Task, error: SlitherError, now: float, seconds: float | None = None, *, fatal: bool = False
    ) -> None:
        run = self._runs.get(task.run)
        if run is None:
            return
        run.came_back(task, now, seconds)
        if run.failed(task, error, run.stage, now, random.random(), fatal=fatal):
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
        is_over = run.idle
        if is_over:
            run.finish()
        for out in run.edges:
            for batch in out.take():
                self.outbox.append((out.port.consumer, batch))
        for edge in run.inputs.values():
            ask = edge.ask(run.id)
            if ask is not None:
                self.outbox.append((edge.port.producer, ask))
        if is_over:
            completed = [(out, out.complete()) for out in run.edges]
            self.outbox.extend((out.port.consumer, last) for out, last in completed if last is not None)
