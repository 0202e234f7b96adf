"""The dispatcher: the actor around `DispatchCore`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._core_server import CoreServer
from slither_actors.dispatch._dispatch_run import DispatchRun
from slither_actors.dispatch._measured_run import new_run
from slither_actors.dispatch._rate_table import RateTable, SetRate
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, OpenRun, RunOpened, Surrender
from slither_actors.errors import NotDecodable, TransportError
from slither_actors.otp.messages import Down, Subscribe, Up
from slither_actors.otp.reports import Reports, reports_of
from slither_actors.otp.server import Caller, handles
from slither_actors.transport.hub import Undecodable, Unread
from slither_actors.workers.messages import (
    BatchDone,
    BatchFailed,
    LeaseAnswer,
    LeaseGranted,
    LeaseRecalled,
    LeaseRefused,
    RunBatch,
)
from slither_actors.workers.pool import LEASES, WORKERS

# What goes between a dispatcher and workers, and along the edges of a run; their first fields say which.
_OF_BATCHES = tuple(kind.__name__ for kind in (RunBatch, BatchDone, BatchFailed))
_OF_RUNS = tuple(kind.__name__ for kind in (Batch, Ask, Complete))


class Dispatcher(CoreServer):
    """Leases workers of one pool and sends them the batches of any number of runs. No user code runs here.

    Args:
        pool: name of the pool.
        stage: how errors call it; `None` for plain dispatch calls.
    """

    _core: DispatchCore

    def __init__(self, pool: str, stage: str | None = None) -> None:
        self._core = DispatchCore(stage, self._new_run)
        self._reports: Reports | None = None
        self._rates = RateTable(lambda: self._clock())
        self._prefix = f"pools/{pool}/"

    def init(self) -> None:
        registry = self.life.surroundings.registry
        assert registry is not None
        self.post(registry, Subscribe(self._prefix))
        self._reports = reports_of(self)

    def _new_run(self, *args: Any) -> DispatchRun:
        """A run; one that reports what becomes of it only where somebody listened when it began."""
        run = new_run(self._reports, *args)
        if run.plan.rate is not None:
            run.pace = self._rates.join(run.plan.rate)
        return run

    # -- the run

    @handles(Batch)
    def _on_batch(self, message: Batch, sender: str) -> None:
        self._core.batch(message.run, message, self._clock())
        self._carry_out()

    @handles(BatchDone)
    def _on_done(self, message: BatchDone, sender: str) -> None:
        self._core.done(sender, message.number, message.parcels, self._clock(), message.losses, message.seconds)
        self._carry_out()

    @handles(Ask)
    def _on_ask(self, message: Ask, sender: str) -> None:
        self._core.ask(message.run, message.edge, message.limit)
        self._carry_out()

    @handles(BatchFailed)
    def _on_failed(self, message: BatchFailed, sender: str) -> None:
        self._core.failed(sender, message.number, message.error, message.fatal, self._clock(), message.seconds)
        self._carry_out()

    @handles(Complete)
    def _on_complete(self, message: Complete, sender: str) -> None:
        self._core.complete(message.run, message.edge, message.last_seq)
        self._carry_out()

    @handles(OpenRun)
    def _on_open(self, message: OpenRun, sender: str) -> None:
        self._core.open_run(message.run, message.plan)
        self.post(sender, RunOpened(message.run))
        self._carry_out()

    @handles(CloseRun)
    def _on_close(self, message: CloseRun, sender: str) -> None:
        self._core.close_run(message.run, self._clock())
        self._carry_out()
        self.rest()

    @handles(Undecodable, Unread)
    def _on_unreadable(self, message: Undecodable | Unread, sender: str) -> None:
        """For want of memory, here or there. What travelled is lost, and somebody waits for it."""
        self._receive_other(message, sender)
        name, key = (*message.head, "", "")[:2]
        error = NotDecodable("a message of the run", message.error)
        if isinstance(key, int) and name in _OF_BATCHES:
            self._core.failed(sender, key, error, False, self._clock())
        elif isinstance(key, str) and name in _OF_RUNS and isinstance(message, Unread):
            self._core.refused(sender, Ask(key, 0, 0), error, self._clock())
        self._carry_out()

    @handles(Surrender)
    def _on_surrender(self, message: Surrender, sender: str) -> None:
        self._core.surrender(message.run, self._keys_of(message.run), sender, self.name, self._clock())
        self._carry_out()
        self.rest()

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if not isinstance(request, SetRate):
            return super().handle_call(request, caller)
        is_known = self._rates.change(request.ticket)
        self._core.expire(self._clock())  # what waits may go sooner now
        self._carry_out()
        return is_known

    def _keys_of(self, run: str) -> Iterable[str]:
        """What the parts of a run are called here."""
        return (run,)

    # -- the pool

    @handles(LeaseGranted)
    def _on_granted(self, message: LeaseGranted, sender: str) -> None:
        self._core.granted(message.worker, self._clock())
        self._carry_out()

    @handles(LeaseAnswer)
    def _on_answer(self, message: LeaseAnswer, sender: str) -> None:
        self._core.answered(message.want, self._clock())
        self._carry_out()

    @handles(LeaseRefused)
    def _on_lease_refused(self, message: LeaseRefused, sender: str) -> None:
        self._core.pool_refuses(message.error, self._clock())
        self._carry_out()

    @handles(LeaseRecalled)
    def _on_recalled(self, message: LeaseRecalled, sender: str) -> None:
        self._core.recalled(message.worker, turn=message.turn)
        self._carry_out()

    @handles(Up)
    def _on_up(self, message: Up, sender: str) -> None:
        if message.ref.name == self._prefix + LEASES:
            self._core.pool_up(message.ref.address)
        elif message.ref.name == self._prefix + WORKERS:
            self._core.supervisor_up(message.ref.address)
        self._carry_out()

    @handles(Down)
    def _on_down(self, message: Down, sender: str) -> None:
        if message.ref.name.startswith(self._prefix + WORKERS + "/"):
            # what the worker had sent before it died comes first
            self.life.after_arrivals(message.ref.address, lambda: self._worker_down(message))

    def _worker_down(self, message: Down) -> None:
        self._core.worker_down(message.ref, message.finding, message.reason.text, self._clock())
        self._carry_out()

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, RunBatch):
            self._core.undelivered(to, message.number, self._clock())
            self._carry_out()
        elif isinstance(message, Batch | Ask | Complete):  # whoever takes part in the run has left it without a word
            self._core.close_run(message.run, self._clock())
            self._carry_out()

    def _not_sent(self, to: str, message: Any, error: TransportError) -> None:
        self._core.refused(to, message, error, self._clock())
