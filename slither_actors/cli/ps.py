"""`slither ps`: the running systems of this user, with their processes as a tree."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slither_actors.transport.running import RunningProcess, RunningSystem, processes, service_of, systems

from ._console import Console
from ._parser import Command, Parser, add_json
from ._words import in_megabytes, in_seconds, one_line

_HEADINGS = ("PID", "STATE", "AGE", "CPU", "MEMORY")


def memory_of(process: RunningProcess) -> int:
    """What a process has for itself, as far as that is known: what it shares is not counted for each anew."""
    return process.rss_bytes if process.pss_bytes is None else process.pss_bytes


def json_of(system: RunningSystem, members: Iterable[RunningProcess]) -> dict[str, Any]:
    """A system as plain data."""
    return {
        "name": system.name,
        "directory": str(system.directory),
        "service": service_of(system),
        "host": system.host,
        "processes": [
            {field: getattr(process, field) for field in RunningProcess.__match_args__} for process in members
        ],
    }


def listing(system: RunningSystem, members: Sequence[RunningProcess]) -> Iterator[str]:
    """A system as lines for people."""
    memory = in_megabytes(sum(map(memory_of, members)))
    age = in_seconds(members[0].age_s) if members else "unknown"
    yield f"{system.name}: {len(members)} processes, {memory}, up {age}, started by process {service_of(system)}"
    rows = [_HEADINGS, *(_columns(process) for process in members)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, branch in zip(rows, ("PROCESS", *branches(members)), strict=True):
        yield "  " + "  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)), branch))


def branches(members: Iterable[RunningProcess]) -> Iterator[str]:
    """The names, indented by how far below the first one they stand."""
    depths: dict[int, int] = {}
    names: dict[int, str] = {}
    for process in members:
        depth = depths[process.pid] = depths.get(process.parent, -1) + 1
        names[process.pid] = process.name
        above = names.get(process.parent, "")
        name = process.name.removeprefix(f"{above}/") if process.name else f"({one_line(process.command)})"
        yield "  " * depth + name


def _columns(process: RunningProcess) -> tuple[str, ...]:
    times = in_seconds(process.age_s), in_seconds(process.cpu_s)
    return str(process.pid), process.state, *times, in_megabytes(memory_of(process))


def _configure(parser: Parser) -> None:
    add_json(parser)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    running = [(system, processes(system)) for system in systems()]
    if arguments.json:
        console.write_json({"systems": [json_of(*each) for each in running]})
        return 0
    for number, each in enumerate(running):
        if number:
            console.write()
        for line in listing(*each):
            console.write(line)
    if not running:
        console.write("no system is running")
    return 0


COMMAND = Command("ps", "list the running systems with their processes", _configure, _run)
