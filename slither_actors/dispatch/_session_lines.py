"""Who stands in line at which worker, and which workers were asked for. Pure."""

from __future__ import annotations

from collections import deque

from slither_actors.dispatch._desk import Desk
from slither_actors.dispatch._session_table import Session
from slither_actors.otp.ref import Ref


class SessionLines:
    """A line of sessions per worker, each session in one place at most; those without a worker stand apart.

    Args:
        desk: the workers that are leased.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lines: dict[Ref, deque[Session]] = {}
        self._standing: set[Session] = set()
        self._requested: set[Ref] = set()
        self._taken: set[Ref] = set()
        self.homeless: dict[Session, None] = {}
        self.asked_for_any = False  # whether the pool was asked for a worker for those

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def workers(self) -> list[Ref]:
        """Those that somebody stands in line at."""
        return list(self._lines)

    def at(self, worker: Ref) -> deque[Session]:
        """The line at a worker, the next one first."""
        return self._lines.get(worker) or deque()

    def join(self, session: Session) -> None:
        """At the worker of its pin. Who does not wait for a busy one stands in front, so that it hears of it first."""
        if session in self._standing or session.out:
            return
        self._standing.add(session)
        if session.pin is None:
            self.homeless[session] = None
            return
        line = self._lines.setdefault(session.pin, deque())
        if session.is_patient:
            line.append(session)
        else:
            line.appendleft(session)

    def leave(self, worker: Ref | None) -> Session:
        """The next one steps out of its line, or out of those without a worker."""
        if worker is None:
            session = next(iter(self.homeless))
            del self.homeless[session]
        else:
            session = self._lines[worker].popleft()
            if not self._lines[worker]:
                del self._lines[worker]
        self._standing.discard(session)
        return session

    def step_out(self, session: Session, worker: Ref) -> None:
        """It does not stand at this worker any more, if it did."""
        line = self._lines.get(worker, ())
        if session in line:
            self._standing.discard(session)
            self._lines[worker] = deque(other for other in line if other is not session)
            if not self._lines[worker]:
                del self._lines[worker]

    # -- leases by name

    def ask_for(self, worker: Ref) -> bool:
        """Whether to ask the pool for a worker: somebody stands there, it is not leased, and was not asked for."""
        if worker in self._requested or worker not in self._lines or worker.address in self._desk:
            return False
        self._requested.add(worker)
        return True

    def granted(self, worker: Ref) -> None:
        self._requested.discard(worker)
        self._taken.discard(worker)

    def taken(self, worker: Ref) -> None:
        """The pool has to ask its holder for it."""
        if worker in self._requested:
            self._taken.add(worker)

    def is_busy(self, worker: Ref) -> bool:
        """Whether others are known to use it; a lease that is under way is no news."""
        load = self._desk.load(worker.address)
        return bool(load) or worker in self._taken or (load is None and worker.address in self._desk)

    def load(self, worker: Ref) -> int:
        """How many batches are with it."""
        return self._desk.load(worker.address) or 0

    def down(self, worker: Ref) -> None:
        """The worker is dead; whoever stands there steps out."""
        self.granted(worker)
        self._standing.difference_update(self._lines.pop(worker, ()))

    def reset(self) -> None:
        """There is a new pool, which has not been asked for anything."""
        self._requested.clear()
        self._taken.clear()
        self.asked_for_any = False
