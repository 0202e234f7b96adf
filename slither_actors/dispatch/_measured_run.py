"""A run through a dispatcher that somebody listens to: the same, with an event for each attempt at a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors import telemetry
from slither_actors.dispatch._desk import Task
from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun, Result
from slither_actors.dispatch.messages import Batch, Ends
from slither_actors.errors import QueueTimeout, SlitherError, type_name_of
from slither_actors.otp.ref import Ref
from slither_actors.policy import Verdict, verdict
from slither_actors.workers.parcel import Parcel, count, size

if TYPE_CHECKING:
    from slither_actors.otp.reports import Reports


@attrs.define(eq=False)
class _Whole:
    """A batch from its arrival until all of it is settled, with all its attempts."""

    arrived: float
    items: int
    bytes: int
    queue_s: float = math.nan  # until its first attempt began
    run_s: float = 0.0
    attempt: int = 0


@attrs.define(eq=False)
class _Attempt:
    """One attempt that has come back: how long it waited, and ran."""

    task: Task
    worker: str
    queue_s: float
    run_s: float


class MeasuredRun(DispatchRun):
    """Told from outside as any other run.

    Args:
        reports: takes the events, and is flushed before the end of the run is told.
    """

    def __init__(
        self,
        run: str,
        plan: DispatchPlan,
        stage: str | None = None,
        key: str | None = None,
        *,
        reports: Reports,
    ) -> None:
        super().__init__(run, plan, stage, key)
        context = plan.job.context
        self._reports = reports
        self._tells_batches = telemetry.BATCH in context.interest.prefixes
        self._tells_stage = stage is not None and telemetry.STAGE in context.interest.prefixes
        about = {"run": run, "session": context.session, "pipe": context.pipe, "stage": stage}
        self._about: dict[str, Any] = {key: value for key, value in about.items() if value is not None}
        self._workers: dict[int, str] = {}  # by number: the worker that a batch is with
        self._wholes: dict[int, _Whole] = {}
        self._attempt: _Attempt | None = None  # what came back last, until it is known what becomes of it
        self._now = 0.0

    # -- what befalls a batch

    def arrive(self, message: Batch, now: float) -> bool:
        self._now = now
        if self._tells_stage:
            self._wholes[self.arrived] = _Whole(now, count(message.parcels), size(message.parcels))
        return super().arrive(message, now)

    def take_next(self, number: int, worker: Ref) -> Task:
        self._workers[number] = worker.name
        return super().take_next(number, worker)

    def came_back(self, task: Task, now: float, seconds: float | None = None) -> None:
        super().came_back(task, now)
        self._now = now
        run_s = max(0.0, now - task.began) if seconds is None else seconds
        queue_s = max(0.0, now - task.waits_since - run_s)
        self._attempt = _Attempt(task, self._workers.pop(task.number, ""), queue_s, run_s)

    def result(self, task: Task, parcels: tuple[Parcel, ...], ends: tuple[Ends, ...]) -> None:
        if self._attempt is not None:  # else it failed, which is told, or was never begun
            made = {"items_out": count(parcels), "bytes_out": size(parcels)}
            self._tell("stop", self._attempt, made, {"outcome": "ok"})
        super().result(task, parcels, ends)

    def failed(
        self, task: Task, error: SlitherError, stage: str | None, now: float, draw: float, *, fatal: bool = False
    ) -> bool:
        attempt, kind = self._attempt, type_name_of(error)
        decision = Verdict.HALT
        if not fatal:
            decision = verdict(self.options.on_error, error, task.attempts + 1, count(task.parcels))
        labels = {"outcome": "error", "error_type": kind}
        if attempt is not None:
            self._tell("exception", attempt, {}, labels | {"verdict": decision.value})
        whole = self._wholes.get(task.index)
        if whole is not None and decision is Verdict.HALT:
            self._tell_stage("exception", whole, {}, labels)
        return super().failed(task, error, stage, now, draw, fatal=fatal)

    def put_first(self, tasks: Sequence[Task], now: float) -> None:
        self._attempt = None  # nobody began with it
        super().put_first(tasks, now)

    def never_ran(self, task: Task) -> QueueTimeout | None:
        error = super().never_ran(task)
        if error is not None and (whole := self._wholes.get(task.index)) is not None:
            self._tell_stage("exception", whole, {}, {"outcome": "error", "error_type": type_name_of(error)})
        return error

    def give_up(self, now: float) -> list[Task]:
        self._now = now
        return super().give_up(now)

    def _add(self, index: int, result: Result) -> None:
        whole = self._wholes.pop(index, None)
        if whole is not None:
            parcels, ends = result[:2]
            errors = [end.error for end in ends] + [parcel[4][-1].error for parcel in parcels if parcel[4]]
            labels = {"outcome": "error", "error_type": type_name_of(errors[0])} if errors else {"outcome": "ok"}
            self._tell_stage("stop", whole, {"items_out": count(parcels)}, labels)
        super()._add(index, result)

    # -- the end

    def finish(self) -> None:
        self._reports.flush()
        super().finish()

    def last_words(self) -> tuple[Batch, ...]:
        self._wholes.clear()  # what is cut has not come to its end
        self._reports.flush()
        return super().last_words()

    # -- telling

    def _tell(self, end: str, attempt: _Attempt, more: dict[str, int], labels: dict[str, str]) -> None:
        self._attempt = None
        task, queue_s, run_s = attempt.task, attempt.queue_s, attempt.run_s
        whole = self._wholes.get(task.index)
        if whole is not None:
            if math.isnan(whole.queue_s):
                whole.queue_s = max(0.0, self._now - whole.arrived - run_s)
            whole.run_s += run_s
            whole.attempt = max(whole.attempt, task.attempts + 1)
        if not self._tells_batches:
            return
        measured = {
            "time_s": self._now - queue_s - run_s,
            "duration_s": queue_s + run_s,
            "queue_s": queue_s,
            "run_s": run_s,
            "items_in": count(task.parcels),
            "bytes_in": size(task.parcels),
            "attempt": task.attempts + 1,
            **more,
        }
        about = {
            **self._about,
            "pool": self.options.pool,
            "worker": attempt.worker,
            "batch": task.number,
            "batch_ref": task.index + 1,
            **labels,
        }
        self._reports.add((*telemetry.BATCH, end), measured, about)

    def _tell_stage(self, end: str, whole: _Whole, more: dict[str, int], labels: dict[str, str]) -> None:
        duration_s = self._now - whole.arrived
        measured: dict[str, float] = {
            "time_s": whole.arrived,
            "duration_s": duration_s,
            "queue_s": duration_s if math.isnan(whole.queue_s) else whole.queue_s,
            "run_s": whole.run_s,
            "items_in": whole.items,
            "bytes_in": whole.bytes,
            "attempt": whole.attempt,
        }
        self._reports.add((*telemetry.STAGE, end), measured | more, self._about | labels)


def new_run(
    reports: Reports | None, run: str, plan: DispatchPlan, stage: str | None = None, key: str | None = None
) -> DispatchRun:
    """A run through a dispatcher: measured, if somebody listened to that when it began."""
    wanted = plan.job.context.interest.prefixes
    if reports is not None and (telemetry.BATCH in wanted or (stage is not None and telemetry.STAGE in wanted)):
        return MeasuredRun(run, plan, stage, key, reports=reports)
    return DispatchRun(run, plan, stage, key)
