"""`slither incidents`: the deaths in a running system, with all that is known of them."""

from __future__ import annotations

import argparse

from slither_actors.incident import as_data
from slither_actors.transport.incident_file import KEPT, Incidents, read
from slither_actors.transport.running import find

from ._console import Console
from ._parser import Command, Parser, add_json
from ._words import printable


def _configure(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument("name", metavar="NAME", help="the name of the system, or its run directory")


def _run(arguments: argparse.Namespace, console: Console) -> int:
    system = find(arguments.name)
    known = read(system.directory)
    if arguments.json:
        newest = [as_data(incident) for incident in known.newest]
        console.write_json(
            {"system": system.name, "total": known.total, "unwritten": known.unwritten, "incidents": newest}
        )
        return 0
    for incident in known.newest:
        console.write(printable(str(incident)))
    if not known.total:
        console.write(f"no process of system {system.name} has died")
    elif known.total > len(known.newest):
        console.note(f"the newest {len(known.newest)} of {known.total:,}{_unwritten(known)}")
    return 0


def _unwritten(known: Incidents) -> str:
    return f"; there was no room to write {known.unwritten:,} down" if known.unwritten else ""


COMMAND = Command(
    "incidents", f"list the deaths in a running system, the newest {KEPT} of them, oldest first", _configure, _run
)
