"""A run through a stage that somebody listens to: the same, with an event for each batch."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors import telemetry
from slither_actors.dispatch.messages import Batch
from slither_actors.errors import ItemError, type_name_of
from slither_actors.item import Item
from slither_actors.pipe._halt import RunHalted
from slither_actors.pipe._stage_plan import StagePlan
from slither_actors.pipe._stage_run import StageRun
from slither_actors.policy import Verdict
from slither_actors.workers.parcel import Parcel, count, size

if TYPE_CHECKING:
    from slither_actors.otp.reports import Reports


@attrs.define(eq=False)
class _Work:
    """The batch in work."""

    arrived: float
    began: float
    items_in: int
    bytes_in: int
    items_out: int = 0
    run_s: float = 0.0
    attempt: int = 1
    error_type: str | None = None


class MeasuredStageRun(StageRun):
    """Driven from outside as any other run.

    Args:
        args: as of `StageRun`.
        reports: takes the events, and is flushed before the end of the run is told.
    """

    def __init__(self, *args: Any, reports: Reports) -> None:
        super().__init__(*args)
        context = self.plan.context
        about = {"run": self.id, "session": context.session, "pipe": context.pipe, "stage": self.stage}
        self._about = {key: value for key, value in about.items() if value is not None}
        self._reports = reports
        self._arrivals: deque[float] = deque()
        self._done: _Work | None = None  # the batch in work, until all that came of it is on its way

    def batch(self, edge: int, seq: int, parcels: tuple[Parcel, ...]) -> None:
        super().batch(edge, seq, parcels)
        self._arrivals.append(self.clock())

    def next_batch(self) -> list[Item] | None:
        if self._work is not None:
            return None
        items = super().next_batch()
        self._done = _Work(self._arrivals.popleft(), self.clock(), count(self.in_work), size(self.in_work))
        return items

    def step(self) -> bool:
        began = self.clock()
        try:
            goes_on = super().step()
        except RunHalted as halt:
            self._ran(began)
            self._tell_halt(halt)
            raise
        self._ran(began)
        return goes_on

    def _ran(self, began: float) -> None:
        if self._done is not None:
            self._done.run_s += self.clock() - began

    def _put(self, item: Item, destination: Any, origin: Any) -> None:
        super()._put(item, destination, origin)
        if self._done is not None:
            self._done.items_out += 1

    def count_out(self, number: int) -> None:
        if self._done is not None:
            self._done.items_out += number

    def failure(self, items: list[Item], error: ItemError, attempts: int = 1, *, final: bool = False) -> Verdict:
        work = self._done
        decision = super().failure(items, error, attempts, final=final)
        if work is not None:
            again = decision is Verdict.RETRY
            work.attempt = max(work.attempt, attempts + again)
            if not again and decision is not Verdict.SPLIT:
                work.error_type = type_name_of(error)
        return decision

    def flush(self) -> list[tuple[str, Any]]:
        try:
            messages = super().flush()
        except RunHalted as halt:
            self._tell_halt(halt)
            raise
        work = self._done
        if work is not None and self._work is None:
            labels = {"outcome": "ok"} if work.error_type is None else {"outcome": "error"}
            self._tell("stop", {"items_out": work.items_out}, labels)
        if self.finished:
            self._reports.flush()
        return messages

    def last_words(self) -> tuple[Batch, ...]:
        self._reports.flush()
        return super().last_words()

    def _tell_halt(self, halt: RunHalted) -> None:
        if self._done is not None and halt.stage is None:  # else it is the fault of another one
            self._done.error_type = type_name_of(halt.error)
            self._tell("exception", {}, {"outcome": "error"})

    def _tell(self, end: str, more: dict[str, int], labels: dict[str, str]) -> None:
        work, self._done = self._done, None
        assert work is not None
        if work.error_type is not None:
            labels["error_type"] = work.error_type
        measured: dict[str, float] = {
            "time_s": work.arrived,
            "duration_s": self.clock() - work.arrived,
            "queue_s": work.began - work.arrived,
            "run_s": work.run_s,
            "items_in": work.items_in,
            "bytes_in": work.bytes_in,
            "attempt": work.attempt,
        }
        self._reports.add((*telemetry.STAGE, end), measured | more, self._about | labels)


def new_run(reports: Reports | None, run: str, stage: str, plan: StagePlan, *args: Any) -> StageRun:
    """A run through a stage: measured, if somebody listened to that when it began."""
    if reports is not None and telemetry.STAGE in plan.context.interest.prefixes:
        return MeasuredStageRun(run, stage, plan, *args, reports=reports)
    return StageRun(run, stage, plan, *args)
