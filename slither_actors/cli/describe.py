"""`slither describe`: the topology of a pipe, for people or for a document."""

from __future__ import annotations

import argparse

from slither_actors.pipe._drawing import drawn, plain

from ._console import Console
from ._imports import current_directory_imported
from ._parser import Command, Parser, add_json
from ._pipes import NoSuchPipe, load_pipe
from ._words import one_line, printable

WRONG_USAGE = 2


def _configure(parser: Parser) -> None:
    parser.add_argument("pipe", metavar="MODULE:CLASS", help="a pipe; modules of the current directory are found")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--mermaid", action="store_true", help="print a Mermaid flowchart")
    add_json(forms)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    try:
        with current_directory_imported():
            definition = load_pipe(arguments.pipe).definition
    except NoSuchPipe as error:
        console.note(f"slither: {one_line(str(error))}")
        return WRONG_USAGE
    if arguments.json:
        console.write_json(plain(definition))
        return 0
    console.write(printable(drawn(definition, "mermaid" if arguments.mermaid else "text")))
    return 0


COMMAND = Command("describe", "print what a pipe is made of, and where items go in it", _configure, _run)
