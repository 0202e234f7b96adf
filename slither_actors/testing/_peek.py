"""The one place where a simulation looks into the library's cores: to see that nothing is held, wanted or left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slither_actors.dispatch._desk import SLOTS as SLOTS
from slither_actors.dispatch._session_core import SessionCore
from slither_actors.dispatch._session_table import Session
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.sessions import SessionDispatcher
from slither_actors.otp.server import Server
from slither_actors.pipe.balancer import Balancer
from slither_actors.pipe.stage import Stage
from slither_actors.workers.pool import Pool
from slither_actors.workers.process import Worker


def held(server: Server, run: str) -> Iterator[tuple[int, int, int]]:
    """For each edge into a dispatcher or a stage: its number, the batches that it holds, and how many it may hold."""
    runs: dict[str, Any] = {}
    if isinstance(server, Dispatcher):
        runs = server._core._runs
    elif isinstance(server, Stage):
        runs = server._runs
    elif isinstance(server, Balancer):
        runs = server._core.runs
    if run in runs:
        for number, edge in runs[run].inputs.items():
            yield number, edge.held, edge.port.window


def hungry(dispatcher: Dispatcher) -> list[str]:
    """Runs with a batch that waits for a worker and for nothing else."""
    core = dispatcher._core
    if core._pool is None or isinstance(core, SessionCore):  # which serves one batch of a session after the other
        return []
    return [run.id for run in core._runs.values() if run.may_send]


def free_workers(pool: Pool) -> list[str]:
    """Names of workers that nobody has leased, and could."""
    return [worker.name for worker in pool._book._free]


def idle_seats(dispatcher: Dispatcher) -> list[str]:
    """Names of leased workers that have nothing to do."""
    return [seat.worker.name for seat in dispatcher._core._desk._seats.values() if not seat.tasks and not seat.leaving]


def forgotten_lanes(dispatcher: SessionDispatcher) -> list[str]:
    """Ids of sessions with a batch that waits for nothing: their worker is idle, or nobody has asked for it."""
    core = dispatcher._core
    lanes = [one for one in core._table._sessions.values() if not one.out and not one.ending]
    return [one.id for one in lanes if core._next_run(one) is not None and _is_forgotten(core, one)]


def _is_forgotten(core: SessionCore, session: Session) -> bool:
    if session.pin is None:
        return bool(core._table.workers)
    if session.pin.address in core._desk:
        return core._desk.load(session.pin.address) == 0
    return core._pool is not None and session.pin not in core._lines._requested


def leftovers(server: Server, lives: Callable[[str], bool]) -> list[str]:
    """What a process has not let go of, where no run is open. `lives` says whether there is somebody at an address."""
    found: list[tuple[str, Any]] = []
    if isinstance(server, Dispatcher):
        core = server._core
        found = [("runs", core._runs), ("leases", core._desk)]
        if isinstance(core, SessionCore):
            found += [("sessions", core._table), ("batches of sessions", core._open), ("lines", core._lines._lines)]
    elif isinstance(server, Pool):
        book = server._book
        found = [("leases", book._held), ("workers to be vacated", book._leaving), ("claims", book._claimed)]
    elif isinstance(server, Worker):
        dead = [one for one in server._dispatchers if not lives(one)]
        found = [("states of runs", server._works), ("dispatchers that are dead", dead), ("sessions", server._sessions)]
    elif isinstance(server, Balancer):
        loads = [one for one in server._core._replicas.values() if one.load]
        found = [("runs", server._core.runs), ("runs to be given up", server._core._surrenders), ("loads", loads)]
    elif isinstance(server, Stage):
        found = [("runs", server._runs), ("pauses", server._pauses), ("timers of strategies", server._late)]
    return [f"{len(what)} {name}" for name, what in found if len(what)]
