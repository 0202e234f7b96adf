"""`slither reap`: removes what dead systems left behind, and kills programs of theirs that still run."""

from __future__ import annotations

import argparse

from slither_actors.transport import memory, rundir

from ._console import Console
from ._parser import Command, Parser, add_json


def _configure(parser: Parser) -> None:
    add_json(parser)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    removed = [str(path) for path in (*rundir.remove_stale(), *memory.remove_ownerless())]
    left = [str(path) for path in (*rundir.stale_directories(), *memory.ownerless_folders())]
    if arguments.json:
        console.write_json({"removed": removed, "left": left, "ok": not left})
    else:
        for path in removed:
            console.write(f"removed {path}")
        if not removed and not left:
            console.write("nothing to remove: no dead system left anything behind")
    for path in left:
        console.note(f"slither: cannot remove {path}")
    return 1 if left else 0


COMMAND = Command("reap", "remove the run directories and stores of dead systems", _configure, _run)
