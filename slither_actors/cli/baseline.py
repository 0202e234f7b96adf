"""`slither baseline`: the work of an example without the library, to compare time, result and code."""

from __future__ import annotations

import argparse

from ._console import Console
from ._examples import PACKAGE, Example, find_examples, install_line
from ._parser import Command, Parser, add_json, suggestion
from ._ways import Table, compare

_DESCRIPTION = """\
Does the work of an example in five ways, each in a process of its own: a plain loop, naive threads, careful threads, a
process pool, and this library. The table tells seconds, lines of code that coordinate (counted from the sources,
without the work itself), and whether the result is that of the plain loop. Naive threads read and write what they share
without a lock; what they lose is what really got lost in this run.
"""


def _configure(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.add_argument("example", metavar="NAME", nargs="?", help="an example that has a baseline")
    parser.add_argument("--all", action="store_true", help="all examples that have one")
    parser.add_argument("--size", type=_count, metavar="N", help="how many inputs (default: the example's own)")
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="threads or processes (default: 2 to 4, by processors)"
    )
    parser.add_argument(
        "--python", metavar="PROGRAM", help="a free-threaded Python (default: python3.14t, python3.13t)"
    )
    parser.add_argument("--strict", action="store_true", help="an example that lacks a package is a failure")
    add_json(parser)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    known = {example.name: example for example in find_examples(PACKAGE) if example.has_baseline}
    if arguments.all == (arguments.example is not None):
        console.note(f"slither: baseline takes a name or --all (known: {', '.join(known)})")
        return 2
    if arguments.example is not None and arguments.example not in known:
        near = suggestion(arguments.example, known)
        console.note(f"slither: unknown baseline {arguments.example!r}{near} (known: {', '.join(known)})")
        return 2
    tables: list[Table] = []
    skipped = False
    for example in known.values() if arguments.all else [known[arguments.example]]:
        if missing := example.missing:
            console.note(f"slither: baseline {example.name} is skipped; it needs: {install_line(missing)}")
            skipped = True
            continue
        tables.append(_compare(example, arguments, console))
    if arguments.json:
        console.write_json({"baselines": [table.as_dict() for table in tables]})
    return int(not all(table.sound for table in tables) or (skipped and arguments.strict))


def _compare(example: Example, arguments: argparse.Namespace, console: Console) -> Table:
    table = compare(example, console, size=arguments.size, workers=arguments.workers, python=arguments.python)
    if not arguments.json:
        for line in table.lines():
            console.write(line)
        console.write()
    return table


COMMAND = Command("baseline", "the same work with threads, a process pool and this library", _configure, _run)
