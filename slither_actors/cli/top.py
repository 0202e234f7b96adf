"""`slither top`: what a running system does, again every second."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from slither_actors.errors import SystemNotFound
from slither_actors.transport.running import RunningSystem, find

from ._console import Console
from ._glances import Glance, glance, report
from ._parser import Command, Parser, add_json
from ._words import in_megabytes, in_seconds, one_line

GONE = 1

_HEADINGS = ("", "STATE", "ITEMS", "BATCHES/S", "SESSIONS", "CPU", "MEMORY", "RESTARTS")
_DESCRIPTION = """\
Shows pools with their workers, pipes with their stages, stores and your own actors, with what each does: how many items
the batch has that a worker is at, batches begun per second, processor and memory. Looks from outside, without asking
anybody, so a system that is stuck is shown as well. Ctrl-C ends it.
"""
_EPILOG = """\
exit codes: 0 ended by Ctrl-C, or --once is done    1 the system is not there, or has ended    2 wrong usage
"""


def _configure(parser: Parser) -> None:
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    add_json(parser, text="print one JSON object each time, on a line of its own in a file")
    parser.add_argument("name", metavar="NAME", help="the name of the system, or its run directory")
    parser.add_argument("--once", action="store_true", help="look once, for one interval")
    parser.add_argument("--interval", type=_seconds, default=1.0, metavar="S", help="seconds (default: 1)")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 3600")
    return seconds


def table(told: dict[str, Any]) -> Iterator[str]:
    """The report as lines for people."""
    yield (
        f"{told['name']}: up {in_seconds(told['age_s'])}, {told['processes']} processes, "
        f"{in_megabytes(told['memory_bytes'])}, {told['cpu']:.0%} of a processor, "
        f"{told['restarts']:,} restarts, {told['incidents']:,} incidents"
    )
    rows = [_HEADINGS, *_rows(told)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, state, *figures in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(figures, widths[2:], strict=True))
        yield "  ".join((f"{name:<{widths[0]}}", f"{state:<{widths[1]}}", *cells)).rstrip()


def _rows(told: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for pool in told["pools"]:
        yield _cells("pool ", pool, f"{pool['busy']} of {pool['up']} busy")
        yield from (_cells("  ", worker) for worker in pool["workers"])
    for pipe in told["pipes"]:
        yield _cells("pipe ", pipe, "")
        yield from (_cells("  ", stage) for stage in pipe["stages"])
    yield from (_cells("store ", store) for store in told["stores"])
    yield from (_cells("", child) for child in told["children"])


def _cells(what: str, row: dict[str, Any], state: str | None = None) -> tuple[str, ...]:
    works = "batches_per_s" in row
    return (
        f"{what}{one_line(row['name'])}",
        row["state"] if state is None else state,
        f"{row['items']:,}" if works else "",
        f"{row['batches_per_s']:,.1f}" if works else "",
        f"{row['sessions']:,}" if works else "",
        f"{row['cpu']:.0%}",
        in_megabytes(row["memory_bytes"]),
        f"{row['restarts']:,}",
    )


def _run(arguments: argparse.Namespace, console: Console) -> int:
    system = find(arguments.name)
    try:
        with console.screen(live=not arguments.once and not arguments.json) as show:
            for told in _reports(system, arguments.interval):
                if told is None:
                    break
                if arguments.json:
                    console.write_json(told)
                    console.flush()
                else:
                    show(table(told))
                if arguments.once:
                    return 0
    except KeyboardInterrupt:
        return 0
    console.note(f"slither: system {system.name} has ended")
    return GONE


def _reports(system: RunningSystem, interval_s: float) -> Iterator[dict[str, Any] | None]:
    """One for each interval; `None` when the system has ended."""
    before: Glance = glance(system)
    while True:
        time.sleep(interval_s)
        now = glance(system)
        if not _lives(system):
            yield None
        yield report(system, before, now)
        before = now


def _lives(system: RunningSystem) -> bool:
    try:
        return find(str(system.directory)).host == system.host
    except SystemNotFound:
        return False


COMMAND = Command("top", "show what a running system does, again every second", _configure, _run)
