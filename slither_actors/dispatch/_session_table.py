"""Which session lives in which worker. Pure: no message, no clock.

A pin is written before anything of the session leaves, and it changes only where the session's state is gone or was
declared disposable. `epoch` counts the losses of a session, `token` tells its handles apart: one whose session was lost
does not meet the session that others began anew under its id.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable

import attrs

from slither_actors.errors import SessionLimit, SessionLost
from slither_actors.otp.ref import Ref
from slither_actors.workers.sessions import SessionTicket

_UNKNOWN = "it was ended, or nobody used it for longer than its ttl_s"


@attrs.define(eq=False)
class Session:
    """One session of a pool.

    Attributes:
        ticket: the options that it began with, and the token of its handles.
        used: when something of it last came in or was done.
        epoch: counts from 1.
        pin: its worker.
        begun: whether that worker has run something of it, so that there is a state to lose.
        handles: how many blocks hold it open.
        runs: keys of its open runs, the next one first.
        out: number of the batch that is with the worker, 0 for none.
        lost: why it cannot go on. told: whether anybody was told.
        ending: whether its end waits for the worker to run the stop hook. on_end: told when that is done.
    """

    ticket: SessionTicket
    used: float
    epoch: int = 1
    pin: Ref | None = None
    begun: bool = False
    handles: int = 0
    runs: dict[str, None] = attrs.field(factory=dict)
    out: int = 0
    lost: SessionLost | None = None
    told: bool = False
    ending: bool = False
    on_end: list[Callable[[], None]] = attrs.field(factory=list)

    @property
    def id(self) -> str:
        return self.ticket.id

    @property
    def is_patient(self) -> bool:
        return self.ticket.mode == "wait"

    @property
    def is_disposable(self) -> bool:
        return self.ticket.mode == "hint"

    @property
    def expires_at(self) -> float:
        return self.used + self.ticket.ttl_s


class SessionTable:
    """The sessions of one pool, and its workers.

    Args:
        pool: how errors call it.
        limit: how many sessions there may be.
    """

    def __init__(self, pool: str, limit: int) -> None:
        self._pool = pool
        self._limit = limit
        self._sessions: dict[str, Session] = {}
        self._pinned: dict[Ref, set[Session]] = {}  # by worker that is up
        self._retiring: set[Ref] = set()
        # Those of another dispatcher, which died, do not fit here.
        self._tokens = itertools.count(int.from_bytes(os.urandom(4)) << 32 | 1)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def workers(self) -> tuple[Ref, ...]:
        """Those that a session can be pinned to."""
        return tuple(worker for worker in self._pinned if worker not in self._retiring)

    # -- sessions

    def begin(self, ticket: SessionTicket, now: float) -> Session:
        """A handle of the session is opened; one that was lost begins anew.

        Raises:
            SessionLimit: there are as many as there may be.
        """
        session = self._living(ticket.id)
        if session is None or session.lost is not None:
            session = self._anew(ticket, session, now)
        session.handles += 1
        session.used = now
        return session

    def enter(self, ticket: SessionTicket, now: float) -> Session:
        """Work for the session comes in. Who knows only its id begins it where there is none, and is told once if it
        was lost while nobody used it.

        Raises:
            SessionLost: it is not the session that the ticket is for any more.
            SessionLimit: there are as many as there may be.
        """
        session = self._living(ticket.id)
        if ticket.token and (session is None or session.ticket.token != ticket.token):
            raise SessionLost(ticket.id, "", session.epoch if session else 1, _UNKNOWN)
        if session is not None and session.lost is not None and (ticket.token or not session.told):
            session.told = True
            raise session.lost
        if session is None or session.lost is not None:
            session = self._anew(ticket, session, now)
        session.used = now
        return session

    def _anew(self, ticket: SessionTicket, before: Session | None, now: float) -> Session:
        if before is None and len(self._sessions) >= self._limit:
            raise SessionLimit(self._pool, self._limit)
        session = Session(ticket.with_token(next(self._tokens)), now)
        if before is not None:
            session.epoch = before.epoch
        self._sessions[ticket.id] = session
        return session

    def _living(self, session_id: str) -> Session | None:
        session = self._sessions.get(session_id)
        return None if session is None or session.ending else session

    def find(self, ticket: SessionTicket) -> Session | None:
        """The session of a handle, `None` if it is over for that one."""
        session = self._living(ticket.id)
        return session if session is not None and session.ticket.token == ticket.token else None

    def forget(self, session: Session) -> None:
        """The session is over."""
        self.unpin(session)
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]

    def expired(self, now: float, is_idle: Callable[[Session], bool]) -> list[Session]:
        """Sessions that nobody has used for as long as they may idle."""
        found = [one for one in self._sessions.values() if one.expires_at <= now and not one.ending]
        return [session for session in found if is_idle(session)]

    @property
    def next_expiry(self) -> float:
        return min((one.expires_at for one in self._sessions.values() if not one.ending), default=math.inf)

    # -- workers

    def worker_up(self, worker: Ref) -> None:
        self._pinned.setdefault(worker, set())

    def retire(self, worker: Ref) -> list[Session]:
        """Nothing new is pinned to this worker; the sessions that had nothing there yet, without a pin now."""
        if worker not in self._pinned:
            return []
        self._retiring.add(worker)
        pinned = sorted(self._pinned[worker], key=lambda session: session.ticket.token)
        movable = [session for session in pinned if not (session.begun or session.out or session.ending)]
        for session in movable:
            self.unpin(session)
        return movable

    def worker_down(self, worker: Ref) -> list[Session]:
        """The sessions that were pinned to a worker that is dead; none of them has a pin any more."""
        self._retiring.discard(worker)
        left = sorted(self._pinned.pop(worker, ()), key=lambda session: session.ticket.token)
        for session in left:
            session.pin = None
        return left

    def pin(self, session: Session, load: Callable[[Ref], int]) -> Ref | None:
        """Choose a worker for a session that has none: fewest sessions, then least load. `None` while none is up."""
        return self._pin(session, list(self.workers), load)

    def move(self, session: Session, among: list[Ref], load: Callable[[Ref], int]) -> Ref | None:
        """Pin a session whose state is disposable to another worker; `None` if there is none among these."""
        others = [worker for worker in among if worker != session.pin]
        if not others:
            return None
        self.unpin(session)
        return self._pin(session, others, load)

    def _pin(self, session: Session, among: list[Ref], load: Callable[[Ref], int]) -> Ref | None:
        worker = min(among, key=lambda ref: (len(self._pinned[ref]), load(ref)), default=None)
        if worker is not None:
            session.pin = worker
            self._pinned[worker].add(session)
        return worker

    def unpin(self, session: Session) -> None:
        if session.pin is not None:
            self._pinned[session.pin].discard(session)
        session.pin = None
        session.begun = False

    def lose(self, session: Session, worker: str, why: str) -> SessionLost:
        """The session's state died with its worker. Its epoch is over; whether the session is, its ticket says."""
        error = SessionLost(session.id, worker, session.epoch, why)
        session.epoch += 1
        session.begun = False
        if not session.ticket.rebuild and not session.is_disposable:
            session.lost = error
            session.told = bool(session.runs)
        return error
