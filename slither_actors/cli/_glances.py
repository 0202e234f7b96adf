"""What a running system does, by looking at it twice: rates are what changed in between. Pure, but for the looking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from slither_actors.system.names import CHILDREN, PIPES, POOLS, STORES
from slither_actors.transport.incident_file import RESTARTED, Incidents, read
from slither_actors.transport.running import RunningProcess, RunningSystem, processes
from slither_actors.workers import _page

from .ps import memory_of


@attrs.frozen
class Work:
    """What a worker's page says: batches it has begun in its life, sessions it keeps, items of the batch it is at."""

    batches: int = 0
    sessions: int = 0
    items: int = 0
    busy: bool = False


@attrs.frozen
class Glance:
    """A system at one moment.

    Attributes:
        at: when, on the monotonic clock.
        members: its processes. incidents: what is known of its deaths.
        work: of its workers, by process.
    """

    at: float
    members: tuple[RunningProcess, ...]
    incidents: Incidents
    work: Mapping[int, Work]


def glance(system: RunningSystem) -> Glance:
    """Look at a system; nobody in it is asked."""
    members = processes(system)
    work = {each.pid: _work(str(system.directory), each.pid) for each in members if _pool_of(each)}
    return Glance(time.monotonic(), members, read(system.directory), work)


def _work(directory: str, pid: int) -> Work:
    figures = _page.read(directory, pid)
    items = _page.work_of(directory, pid).count if figures.number else 0
    return Work(figures.batches, figures.sessions, items, figures.number != 0)


def _pool_of(process: RunningProcess) -> str | None:
    """The pool of a worker, which stands below the supervisor of its workers; `None` for all others."""
    top, *rest = process.name.split("/")
    return rest[0] if top == POOLS and len(rest) == 3 else None


def report(system: RunningSystem, before: Glance, now: Glance) -> dict[str, Any]:
    """What there is to say, as plain data."""
    rows = [_row(each, before, now) for each in now.members]
    named = list(zip(now.members, rows, strict=True))
    workers: dict[str, list[dict[str, Any]]] = {}
    for process, row in named:
        if process.name.startswith(f"{POOLS}/") and process.name.count("/") == 1:
            workers.setdefault(process.name.partition("/")[2], [])
        elif (pool := _pool_of(process)) is not None:
            workers.setdefault(pool, []).append(row | _figures(process.pid, before, now))
    return {
        "name": system.name,
        "directory": str(system.directory),
        "age_s": now.members[0].age_s if now.members else 0.0,
        "interval_s": round(now.at - before.at, 3),
        **_sum(rows),
        "processes": len(rows),
        "restarts": now.incidents.restarts,
        "incidents": now.incidents.total,
        "pools": [_pool(name, members) for name, members in workers.items()],
        "pipes": [_pipe(process, named) for process, _ in named if _is_below(process.name, PIPES)],
        "stores": [row for process, row in named if _is_below(process.name, STORES)],
        "children": [row for process, row in named if _is_below(process.name, CHILDREN)],
    }


def _row(process: RunningProcess, before: Glance, now: Glance) -> dict[str, Any]:
    return {
        "name": process.name.rpartition("/")[2],
        "pid": process.pid,
        "state": process.state,
        "cpu": _cpu(process, before, now),
        "memory_bytes": memory_of(process),
        "restarts": sum(each.name == process.name for each in now.incidents.newest if each.outcome in RESTARTED),
    }


def _cpu(process: RunningProcess, before: Glance, now: Glance) -> float:
    """Which part of one processor it has used in between."""
    used_s = next((each.cpu_s for each in before.members if each.pid == process.pid), 0.0)
    took_s = now.at - before.at
    return round(max(0.0, process.cpu_s - used_s) / took_s, 3) if took_s > 0 else 0.0


def _figures(pid: int, before: Glance, now: Glance) -> dict[str, Any]:
    work, took_s = now.work.get(pid, Work()), now.at - before.at
    begun = work.batches - before.work.get(pid, Work()).batches
    return {
        "busy": work.busy,
        "items": work.items,
        "batches": work.batches,
        "batches_per_s": round(max(0, begun) / took_s, 1) if took_s > 0 else 0.0,
        "sessions": work.sessions,
    }


def _pool(name: str, workers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "up": len(workers),
        "busy": sum(worker["busy"] for worker in workers),
        "items": sum(worker["items"] for worker in workers),
        "batches_per_s": round(sum(worker["batches_per_s"] for worker in workers), 1),
        "sessions": sum(worker["sessions"] for worker in workers),
        "restarts": sum(worker["restarts"] for worker in workers),
        **_sum(workers),
        "workers": workers,
    }


def _pipe(process: RunningProcess, named: Iterable[tuple[RunningProcess, dict[str, Any]]]) -> dict[str, Any]:
    stages = [row for other, row in named if _is_below(other.name, process.name)]
    restarts = sum(stage["restarts"] for stage in stages)
    return {"name": process.name.rpartition("/")[2], "restarts": restarts, **_sum(stages), "stages": stages}


def _sum(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    rows = list(rows)
    return {
        "cpu": round(sum(row["cpu"] for row in rows), 3),
        "memory_bytes": sum(row["memory_bytes"] for row in rows),
    }


def _is_below(name: str, parent: str) -> bool:
    return name.rpartition("/")[0] == parent
