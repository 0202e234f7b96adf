"""`slither run`: streams the lines of a file through a pipe, into a file of lines per output and per end."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from slither_actors.errors import InvalidOption, UnknownPool

from ._console import Console
from ._flow import Flow, Sinks
from ._imports import current_directory_imported
from ._line_files import FolderRefused, WriteFailed, line_files
from ._lines import Lines, Stop
from ._parser import Command, Parser, add_json
from ._pipes import NoSuchPipe, load_pipe
from ._records import FORMATS, NoHeader, format_of, parser_of
from ._words import one_line

FAILED = 1
WRONG_USAGE = 2
_KINDS = ("skipped", "dropped", "dead")
_DESCRIPTION = """\
Runs each line of a file through a pipe: JSON lines, or rows with the names of their columns in the first one. Nothing
is held but what is under way. With --output-dir there is a file of JSON lines for each output (OUTPUT.jsonl, the
payloads) and for each end (skipped.jsonl, dropped.jsonl and dead.jsonl, each item with its line and the reason);
without it results go to standard output. A line that cannot be read is skipped like an item that fails.
"""
_EPILOG = """\
Ctrl-C and SIGTERM read no more, and let what was read come to its end; the second one cuts it short.

exit codes: 0 done    1 the run failed, or more items than --max-failed were skipped or are dead    2 wrong usage
            3 the system could not start    130 ended by Ctrl-C    143 ended by SIGTERM
"""


def _configure(parser: Parser) -> None:
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    add_json(parser)
    parser.add_argument("pipe", metavar="MODULE:PIPE", help="the pipe; modules of the current directory are found")
    parser.add_argument("--input", required=True, metavar="FILE", help="what is read; - for standard input")
    parser.add_argument("--format", choices=FORMATS, help="default: by the ending of FILE, else jsonl")
    parser.add_argument("--output-dir", metavar="DIR", help="where results and ends go; required by --json")
    parser.add_argument("--force", action="store_true", help="use DIR though there are files in it; replaces results")
    parser.add_argument("--envelope", action="store_true", help="print line, output and ids beside each payload")
    parser.add_argument("--workers", type=_count, metavar="N", help="processes per pool (default: the processors)")
    parser.add_argument("--pool", type=_pool, action="append", default=[], metavar="NAME=N", help="the same of one")
    parser.add_argument(
        "--max-failed", type=_number, default=0, metavar="N", help="so many failed items are all right (default: 0)"
    )
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="default: on a terminal; --no-progress: never"
    )


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _count(text: str) -> int:
    if not _number(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _pool(text: str) -> tuple[str, int]:
    name, equals, size = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=N")
    return name, _count(size)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.json and arguments.output_dir is None:
        console.note("slither run: error: --json needs --output-dir, since results go to standard output without")
        return WRONG_USAGE
    try:
        return _streamed(arguments, console)
    except (NoSuchPipe, _NoInput, FolderRefused, NoHeader, InvalidOption, UnknownPool) as error:
        console.note(f"slither: {one_line(str(error))}")
        return WRONG_USAGE
    except WriteFailed as error:
        console.note(f"slither: {one_line(str(error))}")
        return FAILED


def _streamed(arguments: argparse.Namespace, console: Console) -> int:
    with ExitStack() as stack:
        stack.enter_context(current_directory_imported())
        pipe = load_pipe(arguments.pipe)
        fd = stack.enter_context(_opened(arguments.input))
        stop = Stop()
        stack.callback(stop.close)
        files = None
        if arguments.output_dir is not None:
            # Ends hold pickles, and what reads them again wants files that nobody else could write to.
            names = dict.fromkeys(pipe.definition.outputs, 0o666) | dict.fromkeys(_KINDS, 0o600)
            folder = Path(arguments.output_dir)
            files = line_files(folder, names, force=arguments.force, source=fd)
        sinks = Sinks(console, pipe.definition.name, files, envelope=arguments.envelope)
        lines = Lines(fd, stop, idle=sinks.flush)
        size = _size(fd)
        flow = Flow(pipe, lines, parser_of(format_of(arguments.input, arguments.format)), sinks, size)
        pools = (arguments.workers or os.cpu_count() or 1, dict(arguments.pool))
        try:
            with console.gauge(arguments.progress) as gauge:
                flow.run(pools, stop, gauge)
        except (KeyboardInterrupt, SystemExit):
            flow.cut = True
            _told(flow, arguments, console)
            raise
    return _told(flow, arguments, console)


def _told(flow: Flow, arguments: argparse.Namespace, console: Console) -> int:
    summary = flow.summary(arguments.input, arguments.output_dir)
    if arguments.json:
        console.write_json(summary)
    if flow.failure is not None:
        console.note(f"slither: {one_line(flow.failure)}")
    if not arguments.json:
        if flow.first_failure is not None:
            console.note(f"slither: first failure: {flow.first_failure}; --output-dir DIR keeps all of them")
        console.note(flow.words())
    if flow.signal:
        return 128 + flow.signal
    failed = summary["skipped"] + summary["dead"]
    return FAILED if flow.failure is not None or failed > arguments.max_failed else 0


class _NoInput(Exception):
    """What is to be read cannot be."""


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A file, or standard input."""
    if path == "-":
        if sys.stdin is None:
            raise _NoInput("standard input is closed")
        if sys.stdin.isatty():
            raise _NoInput("standard input is a terminal: pipe something in, or name a file")
        yield sys.stdin.fileno()
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _NoInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise _NoInput(f"{path} is a folder")
        yield fd
    finally:
        os.close(fd)


def _size(fd: int) -> int | None:
    """How many bytes there are to read; `None` of what is no file."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return None
    return max(0, status.st_size - os.lseek(fd, 0, os.SEEK_CUR))


COMMAND = Command("run", "stream the lines of a file through a pipe, into files or standard output", _configure, _run)
