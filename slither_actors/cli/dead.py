"""`slither dead`: looks into the ends files of runs, and runs what stands there again."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from slither_actors.dispatch.ends_file import KINDS, EndRecord, EndsReader
from slither_actors.errors import EndsFileError

from ._console import Console
from ._parser import Command, Parser, add_debug, add_json, suggestion
from ._words import one_line, printable
from .replay import Replay

WRONG_USAGE = 2
_REPLAYED = ("skipped", "dead")
_COLUMNS = ("id", "end", "stage", "attempts", "time", "error")
_REPLAY = """\
Runs the items again, with the executor that is named: "module:function", looked for in the current directory too.
This unpickles them, which can run any code that stands in FILE: use it on files you trust alone. FILE stays as it is.
Batches that fail are cut down to the items that fail alone. Results are JSON lines, on standard output or at the end
of --output; items that fail again go to the end of --failed, which is an ends file like FILE.
"""
_EXIT_CODES = "exit codes: 0 all succeeded    1 some failed again    2 wrong usage, or FILE cannot be used"

Run = Callable[[argparse.Namespace, Console], int]


def _configure(parser: Parser) -> None:
    words = parser.add_subparsers(title="words", dest="word", metavar="WORD", required=True)
    listing = words.add_parser("list", help="one line per item", description="Print one line per item.")
    showing = words.add_parser("show", help="all about one item", description="Print all that is known of an item.")
    running = words.add_parser("replay", help="run items again", description=_REPLAY, epilog=_EXIT_CODES)
    for below, run in ((listing, _list), (showing, _show), (running, _replay)):
        add_debug(below)
        add_json(below)
        below.add_argument("file", metavar="FILE", help="what a run had as its ends_file")
        below.set_defaults(run=functools.partial(_refusing, run))
    showing.add_argument("id", metavar="ID", type=int, help="id of the item, as `list` prints it")
    listing.add_argument("--end", type=_ends, default=KINDS, metavar="ENDS", help="only these, such as skipped,dead")
    running.add_argument("executor", metavar="EXECUTOR", help='"module:function"')
    running.add_argument("--workers", type=_count, default=1, metavar="N", help="worker processes (default: 1)")
    running.add_argument("--end", type=_ends, default=_REPLAYED, metavar="ENDS", help="default: skipped,dead")
    running.add_argument("--output", metavar="FILE", help="append the results to this file; required by --json")
    running.add_argument("--failed", metavar="FILE", help="append items that fail again to this ends file")


def _ends(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    for word in words:
        if word not in KINDS:
            known = f" (known: {', '.join(KINDS)})"
            raise argparse.ArgumentTypeError(f"unknown end {word!r}{suggestion(word, KINDS)}{known}")
    return words


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _refusing(run: Run, arguments: argparse.Namespace, console: Console) -> int:
    """Run a command; a file that cannot be used is wrong usage."""
    try:
        return run(arguments, console)
    except EndsFileError as error:
        console.note(f"slither: {one_line(str(error))}")
        return WRONG_USAGE


@contextmanager
def _reading(path: str, console: Console) -> Iterator[EndsReader]:
    reader = EndsReader(path)
    try:
        yield reader
    finally:
        reader.close()
    if reader.torn:
        console.note(f"slither: {reader.torn:,} lines of {path} cannot be read, and are left out")


def _list(arguments: argparse.Namespace, console: Console) -> int:
    with _reading(arguments.file, console) as reader:
        records = (record for record in reader if record.end in arguments.end)
        if arguments.json:
            console.write_json([record.plain() for record in records])
        else:
            _table(records, console)
    return 0


def _table(records: Iterable[EndRecord], console: Console) -> None:
    row = "{:<20} {:<8} {:<16} {:>8}  {:<29}  {}"
    empty = True
    for record in records:
        if empty:
            console.write(row.format(*_COLUMNS).upper())
            empty = False
        place = record.stage or record.pool or "-"
        error = ": ".join(part for part in (record.error_type, record.reason) if part)
        words = (record.id, record.end, place, record.attempts, record.time or "-", error[:200])
        console.write(row.format(*(one_line(str(word)) for word in words)))
    if empty:
        console.note("no such item stands there")


def _show(arguments: argparse.Namespace, console: Console) -> int:
    with _reading(arguments.file, console) as reader:
        found = [record for record in reader if record.id == arguments.id]
    if not found:
        console.note(f"slither: no item {arguments.id} stands in {arguments.file}")
        return 1
    if arguments.json:
        console.write_json(found[-1].plain() | {"has_item": found[-1].pickled is not None})
        return 0
    if len(found) > 1:
        console.note(f"slither: item {arguments.id} stands there {len(found)} times; this is the last")
    for name, value in found[-1].plain().items():
        if name != "traceback" and value not in (None, {}):
            console.write(f"{name:<11} {one_line(str(value))}")
    console.write(f"{'item':<11} {'can be replayed' if found[-1].pickled else 'is not in the file'}")
    if found[-1].traceback:
        console.write()
        console.write(printable(found[-1].traceback))
    return 0


def _replay(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.json and arguments.output is None:
        console.note("slither dead replay: error: --json needs --output, since results go to standard output without")
        return WRONG_USAGE
    return Replay(arguments, console).run()


COMMAND = Command("dead", "look at items that left runs, or run them again", _configure, lambda arguments, console: 2)
