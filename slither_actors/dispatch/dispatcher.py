"""The dispatcher: the actor around `DispatchCore`."""

from __future__ import annotations

import math
from typing import Any

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._outbox import send_all
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, OpenRun, RunOpened
from slither_actors.errors import TransportError
from slither_actors.otp._timers import Timer
from slither_actors.otp.messages import Down, Subscribe, Up
from slither_actors.otp.server import Server, handles
from slither_actors.workers.messages import BatchDone, BatchFailed, LeaseAnswer, LeaseGranted, LeaseRecalled, RunBatch
from slither_actors.workers.pool import LEASES, WORKERS


class Dispatcher(Server):
    """Leases workers of one pool and sends them the batches of any number of runs. No user code runs here.

    Args:
        pool: name of the pool.
        stage: how errors call it; `None` for plain dispatch calls.
    """

    corks = True

    def __init__(self, pool: str, stage: str | None = None) -> None:
        self._core = DispatchCore(stage)
        self._prefix = f"pools/{pool}/"
        self._timer: Timer | None = None
        self._timer_at = math.inf

    def init(self) -> None:
        registry = self.life.surroundings.registry
        assert registry is not None
        self.post(registry, Subscribe(self._prefix))

    # -- the run

    @handles(Batch)
    def _on_batch(self, message: Batch, sender: str) -> None:
        self._core.batch(message.run, message.edge, message.seq, message.parcels, self._clock(), message.limit)
        self._carry_out()

    @handles(BatchDone)
    def _on_done(self, message: BatchDone, sender: str) -> None:
        self._core.done(sender, message.number, message.parcels, self._clock(), message.losses)
        self._carry_out()

    @handles(Ask)
    def _on_ask(self, message: Ask, sender: str) -> None:
        self._core.ask(message.run, message.edge, message.limit)
        self._carry_out()

    @handles(BatchFailed)
    def _on_failed(self, message: BatchFailed, sender: str) -> None:
        self._core.failed(sender, message.number, message.error, message.fatal, self._clock())
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

    # -- the pool

    @handles(LeaseGranted)
    def _on_granted(self, message: LeaseGranted, sender: str) -> None:
        self._core.granted(message.worker, self._clock())
        self._carry_out()

    @handles(LeaseAnswer)
    def _on_answer(self, message: LeaseAnswer, sender: str) -> None:
        self._core.answered(message.want, self._clock())
        self._carry_out()

    @handles(LeaseRecalled)
    def _on_recalled(self, message: LeaseRecalled, sender: str) -> None:
        self._core.recalled(message.worker)
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

    # -- carrying out

    def _carry_out(self) -> None:
        if self._core.outbox:
            send_all(self._core.outbox, self.post, self._refused)
        if self._core.earliest < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._core.earliest
            self._timer = self.start_timer(max(0.0, self._timer_at - self._clock()), self._on_timer)

    def _refused(self, to: str, message: Any, error: TransportError) -> None:
        self._core.refused(to, message, error, self._clock())

    def _on_timer(self) -> None:
        self._timer_at, self._timer = math.inf, None
        self._core.expire(self._clock())
        self._carry_out()
