"""The decisions of a dispatcher whose runs belong to sessions, without an actor, a socket or a clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from slither_actors.dispatch._desk import SLOTS, Task
from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun
from slither_actors.dispatch._edge_keys import EdgeKeys
from slither_actors.dispatch._edges import InEdge
from slither_actors.dispatch._patience import CANCEL_GRACE_S, IDLE_S, LOOK_S, STOP_LIMIT_S
from slither_actors.dispatch._session_lines import SessionLines
from slither_actors.dispatch._session_moves import SessionMoves
from slither_actors.dispatch._session_table import Session, SessionTable
from slither_actors.dispatch.messages import Ask, Batch, InPort
from slither_actors.errors import SessionLost, SlitherError, WorkerCrashed
from slither_actors.otp.ref import Ref
from slither_actors.workers.messages import EndSession, LeaseRequest, LeaseReturned, RunBatch, WorkerRequest
from slither_actors.workers.sessions import SessionTicket

Tell = Callable[[Session, Ref], None]

_ENDED = "it was ended"
_NOBODY = InEdge(InPort(0, "", 1))


def _tell_nobody(session: Session, worker: Ref) -> None:
    """Where nobody wants to know."""


class SessionCore(SessionMoves):
    """Runs of sessions. Each session is a lane: one batch at a time, in order, always with the worker of its pin.

    Workers are leased by name, and kept while there is work for them and nobody else wants them. At a worker lanes take
    turns.

    Args:
        pool: the pool's name.
        limit: how many sessions there may be.
        new_run: makes runs.
        tell: told of each session that has just lost its state, and with which worker.
    """

    def __init__(
        self, pool: str, limit: int, new_run: Callable[..., DispatchRun] = DispatchRun, tell: Tell = _tell_nobody
    ) -> None:
        super().__init__(None, new_run)
        self._tell = tell
        self._table = SessionTable(pool, limit)
        self._session_of: dict[str, Session] = {}  # by key of the run
        self.keys = EdgeKeys()
        self._open: dict[int, Session] = {}  # by number of the batch that is with a worker
        self._lines = SessionLines(self._desk)
        self._look_at = math.inf

    # -- sessions

    def begin_session(self, ticket: SessionTicket, now: float) -> int:
        """Open a handle; its token. Raises `SessionLimit` where there are as many sessions as there may be."""
        session = self._table.begin(ticket, now)
        self._look_for(session.expires_at)
        return session.ticket.token

    def session_of(self, ticket: SessionTicket) -> Session | None:
        """The session of a handle, `None` if it is over for that one."""
        return self._table.find(ticket)

    def end_session(self, ticket: SessionTicket, now: float, done: Callable[[], None]) -> None:
        """Close a handle; the last one ends the session. `done` is called when its stop hook has run."""
        session = self._table.find(ticket)
        if session is not None:
            session.handles -= 1
        if session is None or session.handles > 0:
            done()
            return
        session.on_end.append(done)
        self._end(session, _ENDED, now)
        self._assign(now)

    def _end(self, session: Session, why: str, now: float) -> None:
        """The session is over: what is open of it is halted, then its state goes."""
        session.ending = True
        where = session.pin.name if session.pin else ""
        self._halt_runs(session, SessionLost(session.id, where, session.epoch, why), now)
        if session.pin is None or not (session.begun or session.out):
            self._ended(session)
        elif session.ticket.stop is None:
            self.outbox.append((session.pin.address, EndSession(0, session.ticket.key)))
            self._ended(session)
        else:
            self._lines.join(session)

    def _ended(self, session: Session) -> None:
        session.ending = False
        self._table.forget(session)
        for done in session.on_end:
            done()

    def _halt_runs(self, session: Session, error: SlitherError, now: float) -> None:
        for run in [self._runs[key] for key in session.runs]:
            self._halt(run, error, 0, now, run.stage)

    def enter_run(self, run: str, plan: DispatchPlan, now: float) -> None:
        """Open a run of a session.

        Raises:
            SessionLost: the session is not there any more. SessionLimit: there are as many as there may be.
        """
        assert plan.session is not None
        session = self._table.enter(plan.session.ticket, now)
        plan = plan.for_ticket(session.ticket)
        key = self.keys.open(run, plan)
        self._runs[key] = self._new_run(run, plan, plan.session.stage if plan.session else None, key)
        self._session_of[key] = session
        session.runs[key] = None
        self.earliest = min(self.earliest, plan.deadline.at)
        self._look_for(session.expires_at)

    def leave_run(self, run: str, now: float) -> None:
        """The run is over for whoever asked, with all its stages."""
        for key in self.keys.all_of(run):
            self.close_run(key, now)

    def close_run(self, run_id: str, now: float, grace_s: float = CANCEL_GRACE_S) -> None:
        session = self._session_of.pop(run_id, None)
        if session is None:
            return
        session.runs.pop(run_id, None)
        session.used = now
        self.keys.close(self._runs[run_id].id, run_id)
        super().close_run(run_id, now, grace_s)

    def _run_of(self, message: Any) -> DispatchRun | None:
        if isinstance(message, RunBatch):
            return self._runs.get(message.run)
        sender = self.keys.consumer if isinstance(message, Ask) else self.keys.producer
        return self._runs.get(sender(message.run, message.edge))

    def batch(self, run_id: str, batch: Batch, now: float) -> None:
        session = self._session_of.get(run_id)
        if session is not None:
            session.used = now
            self._lines.join(session)
            super().batch(run_id, batch, now)

    # -- workers

    def worker_up(self, worker: Ref, now: float) -> None:
        self._table.worker_up(worker)
        self._assign(now)

    def pool_up(self, address: str) -> None:
        self._lines.reset()
        super().pool_up(address)
        for worker in self._lines.workers:
            self._ask_for(worker)
        self._ask_for_any()

    def granted(self, worker: Ref, now: float) -> None:
        self._lines.granted(worker)
        super().granted(worker, now)

    def taken(self, worker: Ref, now: float) -> None:
        """The pool has to ask another holder for this worker."""
        self._lines.taken(worker)
        self._assign(now)

    def worker_down(self, worker: Ref, running: int | None, exit_text: str, now: float) -> None:
        """A worker died, and the state of each session that it had run something of."""
        tasks = {task.number: task for task in self._desk.remove(worker.address) or ()}
        running = next(iter(tasks), 0) if running is None else running
        self._lines.down(worker)
        for number in tasks:
            self._open.pop(number, None)
        for session in self._table.worker_down(worker):
            task, session.out = tasks.get(session.out), 0
            for key in session.runs:
                self._runs[key].workers.discard(worker.address)
            self._bereave(session, task, worker, running, exit_text, now)
            if session.runs and session.lost is None:
                self._lines.join(session)
        self._assign(now)

    def _bereave(
        self, session: Session, task: Task | None, worker: Ref, running: int, exit_text: str, now: float
    ) -> None:
        """What the death of its worker means for a session, and for the batch that it had there."""
        if session.ending:
            self._ended(session)
            return
        was_running = task is not None and task.number == running
        if not session.begun and not was_running:
            if task is not None:
                self._send_again(task, now)
            return
        late = task is not None and was_running and task.kill_again
        why = f"{'a batch of it was over its time, so ' if late else ''}its worker {worker.name} died with {exit_text}"
        error: SlitherError = self._table.lose(session, worker.name, why)
        self._tell(session, worker)
        if session.lost is not None:
            self._halt_runs(session, error, now)
        elif task is not None and was_running:
            if session.is_disposable:
                error = WorkerCrashed(worker.name, worker.pid, exit_text)
            self._task_failed(task, error, now)
        elif task is not None:
            self._send_again(task, now)

    def undelivered(self, worker: str, number: int, now: float) -> None:
        self._not_sent(number)
        super().undelivered(worker, number, now)

    def refused(self, to: str, message: Any, error: Any, now: float) -> None:
        self._not_sent(getattr(message, "number", 0))
        super().refused(to, message, error, now)

    def _not_sent(self, number: int) -> None:
        session = self._open.pop(number, None)
        if session is not None:
            session.out = 0
            self._lines.join(session)

    def _finish(self, worker: str, number: int, now: float, seconds: float | None) -> Task | None:
        task = super()._finish(worker, number, now, seconds)
        session = self._open.pop(number, None) if task is not None else None
        if session is not None:
            session.out = 0
            session.begun = True
            session.used = now
            if task is not None and not task.run:
                self._ended(session)
            else:
                self._lines.join(session)
        return task

    # -- time

    def expire(self, now: float) -> None:
        for key, session in self._session_of.items():
            if self._runs[key].chances.due <= now or self._runs[key].pace:
                self._lines.join(session)
        if self._look_at <= now:
            for session in self._table.expired(now, self._is_idle):
                self._end(session, f"nobody used it for ttl_s={session.ticket.ttl_s:g}", now)
            self._look_at = max(self._table.next_expiry, now + LOOK_S)
        super().expire(now)

    def _next_deadline(self, now: float) -> float:
        return min(super()._next_deadline(now), self._look_at if len(self._table) else math.inf)

    def _look_for(self, at: float) -> None:
        self._look_at = min(self._look_at, at)
        self.earliest = min(self.earliest, self._look_at)

    def _is_idle(self, session: Session) -> bool:
        """Whether nothing of it is open but what waits for calls."""
        if session.out:
            return False
        runs = [self._runs[key] for key in session.runs]
        return all(run.plan.session and run.plan.session.calls and not run.waiting and not run.chances for run in runs)

    # -- who is next

    def _assign(self, now: float) -> None:
        while self._lines.homeless and self._table.workers:
            session = self._lines.leave(None)
            if self._next_run(session) is not None:
                self._table.pin(session, self._lines.load)
                self._lines.join(session)
        if self._lines.homeless or self._lines.asked_for_any:
            self._ask_for_any()
        moved = True
        while moved:
            moved = sum(self._serve(worker, now) for worker in self._lines.workers) > 0
        if self._desk.someone_leaves:
            self._return_leases(recalled_only=True)
        self._watch_idleness(now)

    def _next_run(self, session: Session) -> DispatchRun | None:
        """The run whose batch is next; none of a run goes past one that pauses before another attempt, or comes too
        early for the rate limit of its stage."""
        runs = (self._runs[key] for key in session.runs)
        return next((run for run in runs if run.waiting and not run.chances and not run.held_back), None)

    def _serve(self, worker: Ref, now: float) -> bool:
        """Give a worker what waits for it, in turn; whether a session went elsewhere, or a batch was given up, so that
        there may be more to do."""
        again = False
        while line := self._lines.at(worker):
            session, run, load = line[0], self._next_run(line[0]), self._desk.load(worker.address)
            if run is None and not session.ending:
                self._lines.leave(worker)
            elif run is not None and self._lines.is_busy(worker) and self._elsewhere(session, run, worker, now):
                again = True
            elif load is None or load >= SLOTS:
                break
            else:
                self._hand_over(self._lines.leave(worker), run, worker, now)
        self._ask_for(worker)
        return again

    def _hand_over(self, session: Session, run: DispatchRun | None, worker: Ref, now: float) -> None:
        if run is None:
            task = Task("", 0, (), _NOBODY, STOP_LIMIT_S)
            task.number = self._number = self._number + 1
            self._desk.assign(worker, task, now)
            self.earliest = min(self.earliest, task.deadline)
            self.outbox.append((worker.address, EndSession(task.number, session.ticket.key)))
        else:
            task = self._send(run, worker, now)
            session.runs[run.key] = session.runs.pop(run.key)  # to the end of the line
        session.out = task.number
        self._open[task.number] = session

    # -- leases

    def _ask_for(self, worker: Ref) -> None:
        if self._pool is not None and self._lines.ask_for(worker):
            self.outbox.append((self._pool, WorkerRequest(worker)))

    def _ask_for_any(self) -> None:
        """While no worker is up, and a session waits for one, the pool is asked for any: it says if none will come."""
        wanted = any(self._next_run(session) is not None for session in self._lines.homeless)
        if self._pool is not None and wanted != self._lines.asked_for_any:
            self._lines.asked_for_any = wanted
            self.outbox.append((self._pool, LeaseRequest(int(wanted))))

    def _request(self, lost: Ref | None = None) -> None:
        """Workers are asked for by name, where somebody stands in line."""

    def _return_leases(self, *, recalled_only: bool) -> None:
        for worker, instead in self._desk.give_up(recalled_only=recalled_only):
            if self._pool is not None:
                self.outbox.append((self._pool, LeaseReturned(worker, instead=instead)))
            self._ask_for(worker)

    def _watch_idleness(self, now: float) -> None:
        timed = (run for run in self._runs.values() if run.filling or run.pace)
        self.earliest = min(self.earliest, *(run.due(now) for run in timed), math.inf)
        if self._lines or self._desk.running():
            self._idle_since = None
        elif self._idle_since is None and len(self._desk):
            self._idle_since = now
            self.earliest = min(self.earliest, now + IDLE_S)
