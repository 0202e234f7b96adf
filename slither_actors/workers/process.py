"""The worker: an actor that runs user code on one batch at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors._codec import encode
from slither_actors._record import record
from slither_actors.context import Context
from slither_actors.errors import InvalidOutcome, ItemError, NotPicklable, TransportError
from slither_actors.otp.child import ExitReason
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Server, handles
from slither_actors.store.access import stores_of_actor
from slither_actors.workers._page import Page
from slither_actors.workers._reading import read_columns
from slither_actors.workers._salvage import Loss
from slither_actors.workers.adapter import Adapter
from slither_actors.workers.executor import batch_runner, item_error, once_runner, sendable
from slither_actors.workers.messages import (
    FIRST_BATCH,
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
from slither_actors.workers.parcel import Columns, Parcel, pack, pack_by
from slither_actors.workers.pool_options import Outfit, take_off
from slither_actors.workers.sessions import SessionStates

if TYPE_CHECKING:
    from slither_actors.store.views import ProcessStores

# A dispatcher reads at once, since it runs no user code; one that does not is dead or as good as dead.
_RESULT_LIMIT_S = 30.0

# How many dead dispatchers a worker tells from those that it has not met. They are known to be dead from when their
# supervisor is, and work on for the moments in which they find out.
_DEAD_KNOWN = 256


@record
class _Work:
    """A run, as this worker knows it."""

    name: str
    execute: Callable[[Columns, Context], Columns]
    context: Context
    parcel_size: int
    ids: dict[str, str]

    def run(self, parcels: tuple[Parcel, ...], page: Page) -> tuple[tuple[Parcel, ...], list[Loss]]:
        """The results, and what cannot be read here."""
        given, losses = read_columns(parcels)
        page.items(given[0])
        if not given[0]:
            return (), losses
        rows = self.execute(given, self.context)
        try:
            return pack_by(rows, self.parcel_size) if self.parcel_size else (pack(rows),), losses
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

    _stores: ProcessStores | None = None

    def __init__(self, outfit: Outfit | None = None) -> None:
        self._outfit = outfit
        self._adapter: Adapter | None = None

    def init(self) -> None:
        if self._outfit is not None:
            self._adapter = self._outfit.put_on()
        self._page = Page(self.life.surroundings.directory)
        self._stores = stores_of_actor(self.life)
        # by dispatcher and run: a run through a pipe may have several dispatchers, each with a function of its own
        self._works: dict[tuple[str, str], _Work | Job] = {}
        self._dispatchers: set[str] = set()  # that it has to know the end of
        self._dead: deque[str] = deque(maxlen=_DEAD_KNOWN)
        self._sessions = SessionStates(self._stores)
        self._for, self._run = "", ""  # whose batch it runs, and of which run
        self.life.log_scope.ids = self._ids

    def _ids(self) -> dict[str, Any]:
        """What log records of now are about."""
        batch, work = self._page.number, self._works.get((self._for, self._run))
        if batch < FIRST_BATCH or work is None:
            return {}
        ids = work.context.ids if isinstance(work, Job) else work.ids
        return {**ids, "batch": batch}

    @handles(RunBatch)
    def _on_run_batch(self, message: RunBatch, sender: str) -> None:
        if sender in self._dead:
            return
        began = time.perf_counter()
        self._for, self._run = sender, message.run
        self._page.running(message.number)
        try:
            work = self._work(message.run, message.job, sender)
            parcels, losses = work.run(message.parcels, self._page)
            self._report()
            try:
                self.post(sender, BatchDone(message.number, parcels, time.perf_counter() - began, tuple(losses)))
            except TransportError as error:
                raise InvalidOutcome(work.name, f"its results cannot be sent back: {error}") from None
        except BaseException as error:
            self._report()
            self.post(sender, _failure(message.number, error, time.perf_counter() - began))
        # What the kernel did not take at once must not wait behind the next batch's user code: until it has left, the
        # batch is not over.
        self.drain(_RESULT_LIMIT_S)
        self._page.running(0)

    def _report(self) -> None:
        """Events come before the news of what they are a part of."""
        if self._stores is not None:
            self._stores.report()

    def _work(self, run: str, job: Job | None, sender: str) -> _Work:
        if job is not None:
            self._works[sender, run] = job
            if sender not in self._dispatchers:
                self._dispatchers.add(sender)
                self.monitor(sender)
        work = self._works[sender, run]
        if isinstance(work, Job):
            ticket = work.session
            work = self._works[sender, run] = _prepare(work, sender, self._sessions, self._adapter, self._stores)
            if ticket is not None:
                self._page.sessions(self._sessions.rooted)
        return work

    @handles(RunOnce)
    def _on_run_once(self, message: RunOnce, sender: str) -> None:
        result, failure = None, None
        self._page.running(message.number)
        try:
            context = message.context.open()
            if self._stores is not None:
                context = context.bind({}, self._stores.run_of(message.context, {}))
            result = encode(once_runner(message.executor, self._adapter)(context))
        except BaseException as error:
            failure = sendable(error)
        self._report()
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
        self._run = ""
        self._page.running(message.number)
        self._sessions.end(sender, message.key)
        self._report()
        self._page.sessions(self._sessions.rooted)
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
        self._forget(holder)
        self.post(pool, Vacated(holder))

    def handle_down(self, ref: Ref, reason: ExitReason) -> None:
        dispatcher = ref.address or ref.name  # one whose name is another's by now is known by its address alone
        self.life.after_arrivals(dispatcher, lambda: self._outlived(dispatcher))

    def _outlived(self, dispatcher: str) -> None:
        """What it may still send is nobody's."""
        self._dead.append(dispatcher)
        self._forget(dispatcher)

    def _forget(self, dispatcher: str) -> None:
        """Nobody will ask for what is kept for it."""
        self._dispatchers.discard(dispatcher)
        for key in [key for key in self._works if key[0] == dispatcher]:
            del self._works[key]
        self._sessions.forget(dispatcher)
        self._page.sessions(self._sessions.rooted)

    def terminate(self, reason: ExitReason) -> None:
        take_off(self._adapter)


def _prepare(
    job: Job, sender: str, sessions: SessionStates, adapter: Adapter | None, stores: ProcessStores | None
) -> _Work:
    try:
        execute, context = batch_runner(job.executor, adapter, job.keeps_ids), job.context.open()
    except BaseException as error:
        raise _Unusable(error) from None
    kept = None if job.session is None else sessions.enter(sender, job.session, context)
    state, views = ({}, {}) if kept is None else (kept.context.state, kept.views)
    access = None if stores is None else stores.run_of(job.context, views)
    return _Work(job.executor.name, execute, context.bind(state, access), job.parcel_size, job.context.ids)


def _culprit(name: str, rows: Columns, error: NotPicklable) -> InvalidOutcome:
    """The same error, naming the first result that cannot travel."""
    for number, result in enumerate(rows[1]):
        try:
            encode(result)
        except NotPicklable as one:
            return InvalidOutcome(name, f"result {number} ({type(result).__name__}) cannot be sent back: {one.why}")
    return InvalidOutcome(name, f"its results cannot be sent back: {error.why}")


def _failure(number: int, error: BaseException, seconds: float) -> Any:
    if isinstance(error, _Unusable):
        error = error.error
        if not isinstance(sendable(error), ItemError):
            return BatchFailed(number, sendable(error), True, seconds)
    return BatchFailed(number, item_error(error), False, seconds)
