"""What may be typed: an argument parser that names the nearest valid word when one is wrong."""

from __future__ import annotations

import argparse
import difflib
import platform
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import attrs

import slither_actors

from ._console import Console

_DESCRIPTION = """\
Supervised pipelines over worker processes, inside your service. A Dispatch hands batches to a pool of workers; a Pipe
is a declared row of local, worker and router stages that all run at the same time.
"""

_JSON = "print the result as one JSON object"
_EPILOG = """\
examples:
  slither doctor                                    is this machine ready?
  slither example text_analysis --documents 5000    a pipe of three stages at work
  slither run shop:Orders --input orders.jsonl --output-dir out
  slither baseline batch_stats                      the same with threads and a process pool
  slither ps                                        which systems run, with their processes?
  slither top NAME                                  what does that system do?
  slither incidents NAME                            why did processes of that system die?
  slither dead list ends.jsonl                      what left a run with ends_file="ends.jsonl"?
  slither chaos NAME --duration 10                  does the system of that name survive this?

exit codes:
  0 done    1 a check failed, or some items did    2 wrong usage    3 the system could not start    130 Ctrl-C

Results go to standard output, progress to standard error; --json makes the result one JSON object.
'slither COMMAND --help' explains a command.
"""


class Parser(argparse.ArgumentParser):
    """An `argparse` parser that suggests, never abbreviates, and may get its arguments only when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)
        self._complete: Callable[[Parser], None] | None = None
        self._typed: list[str] = []

    def complete_when_used(self, function: Callable[[Parser], None]) -> None:
        """Call `function` with this parser before it first parses: for arguments that are costly to know."""
        self._complete = function

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As in `argparse`, but what is not known ends the program here, where the valid options are known."""
        if self._complete is not None:
            complete, self._complete = self._complete, None
            complete(self)
        self._typed = sys.argv[1:] if args is None else list(args)
        known, unknown = super().parse_known_args(self._typed, namespace)
        if unknown:
            self.error(self._unknown(unknown[0]))
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """As in `argparse`, but an option that is missing since it is misspelt is told as such."""
        if "are required" in message:
            options = (word for word in self._typed if word.startswith("--") and word != "--")
            wrong = next((word for word in options if word.partition("=")[0] not in self._option_string_actions), None)
            message = message if wrong is None else self._unknown(wrong)
        super().error(message)

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"unexpected argument {word!r}"
        options = [option for action in self._actions for option in action.option_strings]
        return f"unknown option {word}{suggestion(word.partition('=')[0], options)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # Not a public method, but argparse has no other place where a wrong choice is known as such.
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            known = f" (known: {', '.join(choices)})"
            raise argparse.ArgumentError(None, f"unknown {action.dest} {value!r}{suggestion(value, choices)}{known}")


@attrs.frozen
class Command:
    """One word behind `slither`.

    Attributes:
        name: the word.
        summary: one line for the list of commands.
        configure: adds arguments to the command's parser; may set another `run` for a word of its own.
        run: does the work and returns the exit code.
    """

    name: str
    summary: str
    configure: Callable[[Parser], None]
    run: Callable[[argparse.Namespace, Console], int]


def suggestion(word: str, valid: Iterable[str]) -> str:
    """`"; did you mean ...?"` with the valid word nearest to `word`, or nothing where none is near."""
    known = list(valid)
    near = difflib.get_close_matches(word, known, n=1) or [one for one in known if word and one.startswith(word)]
    return f"; did you mean {near[0]}?" if near else ""


def build_parser(commands: Iterable[Command]) -> Parser:
    """The parser of the whole program."""
    parser = Parser(prog="slither", description=_DESCRIPTION, epilog=_EPILOG)
    version = f"slither {slither_actors.__version__} (Python {platform.python_version()} on {sys.platform})"
    parser.add_argument("--version", action="version", version=version)
    add_debug(parser, default=False)
    words = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", prog="slither")
    for command in commands:
        below = words.add_parser(command.name, help=command.summary, description=_sentence(command.summary))
        add_debug(below)
        below.set_defaults(run=command.run)
        command.configure(below)
    return parser


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def add_debug(parser: argparse.ArgumentParser, *, default: bool | str = argparse.SUPPRESS) -> None:
    """`--debug` may stand behind every word; only the first parser has a default, or the last would undo the others."""
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")


def add_json(parser: argparse._ActionsContainer, *, default: bool | str = False, text: str = _JSON) -> None:
    """`--json`, the same for every command; below a parser that has it too, `default` is `argparse.SUPPRESS`."""
    parser.add_argument("--json", action="store_true", default=default, help=text)
