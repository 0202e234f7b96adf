"""The dispatcher of sessions: the actor around `SessionCore`, one per pool that has sessions."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from slither_actors import telemetry
from slither_actors._message import message
from slither_actors.dispatch._session_core import SessionCore
from slither_actors.dispatch._session_table import Session
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, OpenRun, RunOpened, RunRefused
from slither_actors.errors import SessionLimit, SessionLost
from slither_actors.otp.messages import Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.reports import tell
from slither_actors.otp.server import LATER, Caller, handles
from slither_actors.workers.messages import WorkerRetires, WorkerTaken
from slither_actors.workers.pool import WORKERS
from slither_actors.workers.sessions import SessionTicket


@message
class BeginSession:
    """Call to a dispatcher of sessions: open a handle. The reply is its token."""

    ticket: SessionTicket


@message
class CloseSession:
    """Call to a dispatcher of sessions: close a handle. Answered when the stop hook has run, if this was the last: how
    often the session has lost its state, and whether it was lost for good."""

    ticket: SessionTicket


class SessionDispatcher(Dispatcher):
    """Sends the batches of sessions to the workers that they are pinned to. No user code runs here.

    Args:
        pool: name of the pool.
        limit: how many sessions it may have.
    """

    _core: SessionCore

    def __init__(self, pool: str, limit: int) -> None:
        super().__init__(pool)
        self._core = SessionCore(pool, limit, self._new_run, self._tell)
        self._pool = pool

    def _tell(self, session: Session, worker: Ref) -> None:
        end = "rebuild" if session.lost is None else "lost"
        about = {"pool": self._pool, "session": session.id, "worker": worker.name}
        tell(self, (*telemetry.SESSION, end), {"losses": session.epoch - 1}, **about)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, BeginSession):
            token = self._core.begin_session(request.ticket, self._clock())
            self._carry_out()
            return token
        if isinstance(request, CloseSession):
            session = self._core.session_of(request.ticket)
            done = functools.partial(self._answer_close, caller, session)
            self._core.end_session(request.ticket, self._clock(), done)
            self._carry_out()
            return LATER
        return super().handle_call(request, caller)

    def _answer_close(self, caller: Caller, session: Session | None) -> None:
        if self._reports is not None:  # those of its calls belong to it
            self._reports.flush()
        self.reply(caller, (0, True) if session is None else (session.epoch - 1, session.lost is not None))

    def _on_open(self, message: OpenRun, sender: str) -> None:
        try:
            self._core.enter_run(message.run, message.plan, self._clock())
        except (SessionLost, SessionLimit) as error:
            self.post(sender, RunRefused(message.run, error))
        else:
            self.post(sender, RunOpened(message.run))
            self._carry_out()

    def _on_close(self, message: CloseRun, sender: str) -> None:
        self._core.leave_run(message.run, self._clock())
        self._carry_out()
        self.rest()

    def _keys_of(self, run: str) -> Iterable[str]:
        return self._core.keys.all_of(run)

    def _on_batch(self, message: Batch, sender: str) -> None:
        key = self._core.keys.consumer(message.run, message.edge)
        self._core.batch(key, message, self._clock())
        self._carry_out()

    def _on_ask(self, message: Ask, sender: str) -> None:
        self._core.ask(self._core.keys.producer(message.run, message.edge), message.edge, message.limit)
        self._carry_out()

    def _on_complete(self, message: Complete, sender: str) -> None:
        self._core.complete(self._core.keys.consumer(message.run, message.edge), message.edge, message.last_seq)
        self._carry_out()

    @handles(WorkerTaken)
    def _on_taken(self, message: WorkerTaken, sender: str) -> None:
        self._core.taken(message.worker, self._clock())
        self._carry_out()

    @handles(WorkerRetires)
    def _on_retires(self, message: WorkerRetires, sender: str) -> None:
        self._core.worker_retires(message.worker, self._clock())
        self._carry_out()

    def _on_up(self, message: Up, sender: str) -> None:
        super()._on_up(message, sender)
        if message.ref.name.startswith(self._prefix + WORKERS + "/"):
            self._core.worker_up(message.ref, self._clock())
            self._carry_out()

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, Batch | Ask | Complete):
            self._core.leave_run(message.run, self._clock())
            self._carry_out()
        else:
            super().handle_undelivered(message, to)
