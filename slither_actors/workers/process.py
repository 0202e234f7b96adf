"""The worker: an actor that runs user code on one batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slither_actors._codec import encode
from slither_actors._record import record
from slither_actors.context import Context
from slither_actors.errors import InvalidOutcome, ItemError, NotPicklable, TransportError
from slither_actors.otp.child import ExitReason
from slither_actors.otp.server import Server, handles
from slither_actors.workers._page import Page
from slither_actors.workers._reading import read_columns
from slither_actors.workers._salvage import Loss
from slither_actors.workers.adapter import Adapter
from slither_actors.workers.executor import batch_runner, item_error, once_runner, sendable
from slither_actors.workers.messages import (
    BatchDone,
    BatchFailed,
    EndRun,
    EndSession,
    Job,
    OnceDone,
    RunBatch,
    RunOnce,
    Vacate,
    Vacated,
)
from slither_actors.workers.parcel import Columns, Parcel, pack
from slither_actors.workers.pool_options import Outfit, take_off
from slither_actors.workers.sessions import SessionStates

# A dispatcher reads at once, since it runs no user code; one that does not is dead or as good as dead.
_RESULT_LIMIT_S = 30.0


@record
class _Work:
    """A run, as this worker knows it."""

    name: str
    execute: Callable[[Columns, Context], Columns]
    context: Context

    def run(self, parcel: Parcel) -> tuple[Parcel | None, list[Loss]]:
        """The results, `None` if there are none, and what cannot be read here."""
        given, losses = read_columns(parcel)
        if not given[0]:
            return None, losses
        rows = self.execute(given, self.context)
        try:
            return pack(rows), losses
        except NotPicklable as error:
            raise _culprit(self.name, rows, error) from None


class _Unusable(Exception):
    """The run's executor cannot be made ready here. It is tried again with the next batch: what it needs may come."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Worker(Server):
    """Runs batches in its own process. Everything that user code raises, `SystemExit` too, is a failed batch.

    Args:
        outfit: what to do before the first of them.
    """

    def __init__(self, outfit: Outfit | None = None) -> None:
        self._outfit = outfit
        self._adapter: Adapter | None = None

    def init(self) -> None:
        if self._outfit is not None:
            self._adapter = self._outfit.put_on()
        self._page = Page(self.life.surroundings.directory)
        # by dispatcher and run: a run through a pipe may have several dispatchers, each with a function of its own
        self._works: dict[tuple[str, str], _Work | Job] = {}
        self._sessions = SessionStates()

    @handles(RunBatch)
    def _on_run_batch(self, message: RunBatch, sender: str) -> None:
        began = time.perf_counter()
        self._page.running(message.number)
        try:
            work = self._work(message.run, message.job, sender)
            done = [work.run(parcel) for parcel in message.parcels]
            parcels = tuple([parcel for parcel, _ in done if parcel is not None])
            losses = tuple([loss for _, lost in done for loss in lost])
            try:
                self.post(sender, BatchDone(message.number, parcels, time.perf_counter() - began, losses))
            except TransportError as error:
                raise InvalidOutcome(work.name, f"its results cannot be sent back: {error}") from None
        except BaseException as error:
            self.post(sender, _failure(message.number, error))
        # What the kernel did not take at once must not wait behind the next batch's user code: until it has left, the
        # batch is not over.
        self.drain(_RESULT_LIMIT_S)
        self._page.running(0)

    def _work(self, run: str, job: Job | None, sender: str) -> _Work:
        if job is not None:
            self._works[sender, run] = job
        work = self._works[sender, run]
        if isinstance(work, Job):
            work = self._works[sender, run] = _prepare(work, sender, self._sessions, self._adapter)
        return work

    @handles(RunOnce)
    def _on_run_once(self, message: RunOnce, sender: str) -> None:
        result, failure = None, None
        self._page.running(message.number)
        try:
            result = encode(once_runner(message.executor, self._adapter)(message.context.open()))
        except BaseException as error:
            failure = sendable(error)
        self.post(sender, OnceDone(message.number, result, failure))
        self.drain(_RESULT_LIMIT_S)
        self._page.running(0)

    @handles(EndRun)
    def _on_end_run(self, message: EndRun, sender: str) -> None:
        self._works.pop((sender, message.run), None)
        if not self._works:
            self.rest()

    @handles(EndSession)
    def _on_end_session(self, message: EndSession, sender: str) -> None:
        self._page.running(message.number)
        self._sessions.end(sender, message.key)
        if message.number:
            self.post(sender, BatchDone(message.number, (), 0.0, ()))
            self.drain(_RESULT_LIMIT_S)
            self._page.running(0)

    @handles(Vacate)
    def _on_vacate(self, message: Vacate, sender: str) -> None:
        if message.holder:  # a batch that it had sent before it died comes first, or it would be run after all
            self.life.after_arrivals(message.holder, lambda: self._vacate(message.holder, sender))
        else:
            self._vacate(message.holder, sender)

    def _vacate(self, holder: str, pool: str) -> None:
        for key in [key for key in self._works if key[0] == holder]:
            del self._works[key]
        self._sessions.forget(holder)
        self.post(pool, Vacated(holder))

    def terminate(self, reason: ExitReason) -> None:
        take_off(self._adapter)


def _prepare(job: Job, sender: str, sessions: SessionStates, adapter: Adapter | None) -> _Work:
    try:
        execute, context = batch_runner(job.executor, adapter), job.context.open()
    except BaseException as error:
        raise _Unusable(error) from None
    state = {} if job.session is None else sessions.enter(sender, job.session, context)
    return _Work(job.executor.name, execute, context.bind(state))


def _culprit(name: str, rows: Columns, error: NotPicklable) -> InvalidOutcome:
    """The same error, naming the first result that cannot travel."""
    for number, result in enumerate(rows[1]):
        try:
            encode(result)
        except NotPicklable as one:
            return InvalidOutcome(name, f"result {number} ({type(result).__name__}) cannot be sent back: {one.why}")
    return InvalidOutcome(name, f"its results cannot be sent back: {error.why}")


def _failure(number: int, error: BaseException) -> Any:
    if isinstance(error, _Unusable):
        error = error.error
        if not isinstance(sendable(error), ItemError):
            return BatchFailed(number, sendable(error), True)
    return BatchFailed(number, item_error(error), False)
