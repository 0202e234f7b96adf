"""When a session goes to another worker, though its own is alive."""

from __future__ import annotations

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._dispatch_run import DispatchRun
from slither_actors.dispatch._session_lines import SessionLines
from slither_actors.dispatch._session_table import Session, SessionTable
from slither_actors.errors import WorkerBusy
from slither_actors.otp.ref import Ref
from slither_actors.workers.messages import EndRun, EndSession


class SessionMoves(DispatchCore):
    """The part of the core of sessions that moves them."""

    _table: SessionTable
    _lines: SessionLines

    def worker_retires(self, worker: Ref, now: float) -> None:
        """The worker ends when what lives in it is over. Sessions that have nothing there go elsewhere."""
        for session in self._table.retire(worker):
            self._lines.step_out(session, worker)
            self._lines.join(session)
        self._assign(now)

    def _elsewhere(self, session: Session, run: DispatchRun, worker: Ref, now: float) -> bool:
        """What becomes of one that does not wait for its busy worker; false if it waits all the same."""
        if session.is_patient:
            return False
        if session.is_disposable:
            idle = [ref for ref in self._table.workers if not self._lines.is_busy(ref)]
            begun = session.begun
            if self._table.move(session, idle, self._lines.load) is None:
                return False
            self._clear_out(session, worker, begun)
        self._lines.leave(worker)
        if not session.is_disposable:
            self._number += 1
            self._task_failed(run.take_next(self._number, worker), WorkerBusy(session.id, worker.name), now)
        self._lines.join(session)
        return True

    def _clear_out(self, session: Session, worker: Ref, begun: bool) -> None:
        """Nothing of a session that has moved stays at its former worker."""
        for key in session.runs:
            if worker.address in self._runs[key].workers:
                self._runs[key].workers.discard(worker.address)
                self.outbox.append((worker.address, EndRun(key)))
        if begun:
            self.outbox.append((worker.address, EndSession(0, session.ticket.key)))
