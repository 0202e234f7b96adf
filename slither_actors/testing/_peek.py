"""The one place where a simulation looks into the library's cores: to see that nothing is held, wanted or left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slither_actors.dispatch._desk import SLOTS as SLOTS
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.source import Source
from slither_actors.otp.server import Server
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
    if run in runs:
        for number, edge in runs[run].inputs.items():
            yield number, edge.held, edge.port.window


def give_clock(source: Source, clock: Callable[[], float]) -> None:
    """Let a strategy that waits go by this clock."""
    if source._cutter is not None:
        source._cutter._clock = clock


def hungry(dispatcher: Dispatcher) -> list[str]:
    """Runs with a batch that waits for a worker and for nothing else."""
    core = dispatcher._core
    if core._pool is None:
        return []
    return [run.id for run in core._runs.values() if run.waiting and run.in_work < run.options.max_in_flight]


def free_workers(pool: Pool) -> list[str]:
    """Names of workers that nobody has leased, and could."""
    return [worker.name for worker in pool._book._free]


def idle_seats(dispatcher: Dispatcher) -> list[str]:
    """Names of leased workers that have nothing to do."""
    return [seat.worker.name for seat in dispatcher._core._desk._seats.values() if not seat.tasks and not seat.leaving]


def leftovers(server: Server, knows: Callable[[str], bool]) -> list[str]:
    """What a process has not let go of, where no run is open. `knows` says whether a worker is told of the end of this
    dispatcher."""
    found: list[tuple[str, Any]] = []
    if isinstance(server, Dispatcher):
        core = server._core
        found = [("runs", core._runs), ("leases", core._desk)]
    elif isinstance(server, Pool):
        leaving = [one for one, holder in server._book._leaving.items() if knows(holder)]
        found = [("leases", server._book._held), ("workers to be vacated", leaving)]
    elif isinstance(server, Worker):
        found = [("states of runs", [key for key in server._works if knows(key[0])])]
    elif isinstance(server, Stage):
        found = [("runs", server._runs), ("pauses", server._pauses)]
    return [f"{len(what)} {name}" for name, what in found if len(what)]
