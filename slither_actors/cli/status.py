"""`slither status`: one running system at a glance."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slither_actors.system.names import PIPES, POOLS, STORES
from slither_actors.transport.incident_file import Incidents, read
from slither_actors.transport.running import RunningProcess, RunningSystem, find, processes, service_of

from ._console import Console
from ._parser import Command, Parser, add_json
from ._words import in_megabytes, in_seconds, one_line
from .ps import memory_of


def summary(
    system: RunningSystem, service: int, members: Sequence[RunningProcess], incidents: Incidents
) -> dict[str, Any]:
    """What there is to say of a system, as plain data."""
    names = [process.name for process in members]
    last = incidents.newest[-1] if incidents.newest else None
    return {
        "name": system.name,
        "directory": str(system.directory),
        "service": service,
        "host": system.host,
        "age_s": members[0].age_s if members else 0.0,
        "processes": len(members),
        "states": dict(Counter(process.state for process in members)),
        "memory_bytes": sum(map(memory_of, members)),
        "cpu_s": sum(process.cpu_s for process in members),
        "pools": {pool: len(_workers(names, pool)) for pool in _below(names, POOLS)},
        "pipes": _below(names, PIPES),
        "stores": _below(names, STORES),
        "restarts": incidents.restarts,
        "incidents": incidents.total,
        "last_incident": None if last is None else {"name": last.name, "at": last.at, "summary": last.summary},
    }


def report(status: dict[str, Any], now: float) -> Iterator[str]:
    """The same as lines for people."""
    rows = [
        ("system", f"{status['name']}, up {in_seconds(status['age_s'])}, started by process {status['service']}"),
        ("run directory", status["directory"]),
        ("processes", f"{status['processes']} ({_counted(status['states'])})"),
        ("memory", in_megabytes(status["memory_bytes"])),
        ("processor", in_seconds(status["cpu_s"])),
        *((f"pool {pool}", f"{workers} workers up") for pool, workers in status["pools"].items()),
        *((f"pipe {pipe}", "up") for pipe in status["pipes"]),
        *((f"store {store}", "up") for store in status["stores"]),
        ("restarts", f"{status['restarts']:,}"),
        ("incidents", f"{status['incidents']:,}{_last(status['last_incident'], now)}"),
    ]
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        yield f"{label:<{width}}  {text}"


def _below(names: Iterable[str], parent: str) -> list[str]:
    """The last parts of those names that stand right below another one."""
    parts = (name.rpartition("/") for name in names)
    return [last for above, _, last in parts if above == parent]


def _workers(names: Iterable[str], pool: str) -> list[str]:
    """Those of a pool, which stand below the supervisor of its workers; nothing else in it has children."""
    return [name for name in names if name.startswith(f"{POOLS}/{pool}/") and name.count("/") == 3]


def _counted(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items())


def _last(incident: dict[str, Any] | None, now: float) -> str:
    if incident is None:
        return ""
    return f"; the last one {in_seconds(now - incident['at'])} ago: {incident['name']}: {one_line(incident['summary'])}"


def _configure(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument("name", metavar="NAME", help="the name of the system, or its run directory")


def _run(arguments: argparse.Namespace, console: Console) -> int:
    system = find(arguments.name)
    status = summary(system, service_of(system), processes(system), read(system.directory))
    if arguments.json:
        console.write_json(status)
        return 0
    for line in report(status, time.time()):
        console.write(line)
    return 0


COMMAND = Command("status", "show one running system: pools, processes, memory, restarts", _configure, _run)
