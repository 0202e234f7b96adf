"""`slither example`: complete programs to try and to read."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import attrs

from ._console import Console
from ._examples import PACKAGE, Example, find_examples, install_line
from ._meters import Meter
from ._parser import Command, Parser, add_debug, add_json
from ._ways import compare

_FLAGS = {
    "--no-baseline": "leave out the same work with threads and a process pool (`slither baseline`)",
    "--install": "print the command that installs what the example needs, and run nothing",
    "--strict": "an example that lacks a package is a failure; it is skipped otherwise",
}


def _examples() -> list[Example]:
    return list(find_examples(PACKAGE))


def _configure(parser: Parser) -> None:
    parser.add_argument("--all", action="store_true", help="run every example with its defaults, one after another")
    _add_flags(parser, default=False)
    # Examples are imported only by who asks for them: `slither doctor` has no use for their modules.
    parser.complete_when_used(_add_examples)


def _add_flags(parser: Parser, default: bool | str) -> None:
    for flag, meaning in _FLAGS.items():
        parser.add_argument(flag, action="store_true", default=default, help=meaning)
    add_json(parser, default=default)


def _add_examples(parser: Parser) -> None:
    words = parser.add_subparsers(title="examples", dest="example", metavar="NAME")
    for example in _examples():
        below = words.add_parser(example.name, help=_escape(example.summary), description=_escape(example.summary))
        add_debug(below)
        _add_flags(below, default=argparse.SUPPRESS)
        if example.module is not None:
            example.module.add_options(below)
        below.set_defaults(run=_run_chosen, chosen=example)


def _escape(text: str) -> str:
    """Text for argparse, which fills in what stands behind a percent sign."""
    return text.replace("%", "%%")


def _list(arguments: argparse.Namespace, console: Console) -> int:
    examples = _examples()
    if arguments.install:
        return _print_installs(examples, console)
    if arguments.all:
        return _run_all(examples, arguments, console)
    if arguments.json:
        console.write_json([_described(example) for example in examples])
        return 0
    width = max((len(example.name) for example in examples), default=0)
    for example in examples:
        needs = f" (needs {', '.join(example.needs.values())})" if example.needs else ""
        console.write(f"{example.name:<{width}}  {example.summary}{needs}")
    console.note("run one with: slither example NAME (--help shows its options), all with: slither example --all")
    return 0


def _described(example: Example) -> dict[str, Any]:
    needs, missing = list(example.needs.values()), example.missing
    return {"name": example.name, "summary": example.summary, "needs": needs, "missing": missing}


def _run_chosen(arguments: argparse.Namespace, console: Console) -> int:
    example: Example = arguments.chosen
    if arguments.all:
        console.note("slither: --all takes no name of an example")
        return 2
    if arguments.install:
        return _print_installs([example], console)
    outcome = _run_one(example, arguments, console)
    if arguments.json and outcome.result is not None:
        console.write_json(outcome.result)
    return outcome.code_if(arguments.strict)


def _print_installs(examples: Iterable[Example], console: Console) -> int:
    needs = sorted({need for example in examples for need in example.needs.values()})
    if needs:
        console.write(install_line(needs))
    else:
        console.note("nothing but the library is needed")
    return 0


@attrs.frozen
class Outcome:
    """How an example ended: its exit code, or None where it was skipped, and what it gave for `--json`."""

    code: int | None
    result: Any = None

    @property
    def word(self) -> str:
        """In one word."""
        return "skipped" if self.code is None else "failed" if self.code else "passed"

    def code_if(self, strict: bool) -> int:
        """The exit code."""
        return int(strict) if self.code is None else self.code


def _run_all(examples: list[Example], arguments: argparse.Namespace, console: Console) -> int:
    outcomes: dict[str, Outcome] = {}
    for example in examples:
        if not arguments.json:
            console.write(f"=== {example.name}: {example.summary}")
        options = Parser(prog=f"slither example {example.name}")
        if example.module is not None:
            example.module.add_options(options)
        own = argparse.Namespace(**{**vars(options.parse_args([])), **vars(arguments)})
        outcomes[example.name] = _run_one(example, own, console)
        if not arguments.json:
            console.write()
    if arguments.json:
        parts = {name: {"outcome": one.word, "result": one.result} for name, one in outcomes.items()}
        console.write_json({"examples": parts})
    else:
        for name, one in outcomes.items():
            console.write(f"{one.word:<8} {name}")
    return max((min(one.code_if(arguments.strict), 1) for one in outcomes.values()), default=0)


def _run_one(example: Example, arguments: argparse.Namespace, console: Console) -> Outcome:
    if example.fault:
        console.note(f"slither: example {example.name} {example.summary}")
        return Outcome(1)
    if missing := example.missing:
        console.note(f"slither: example {example.name} is skipped; it needs: {install_line(missing)}")
        return Outcome(None)
    if example.module is None:
        return _run_program(example, arguments, console)
    kept = _Kept(console)
    code = example.module.run(arguments, kept)
    if arguments.no_baseline or not example.has_baseline or code:
        return Outcome(code, kept.result)
    console.write() if not arguments.json else None
    rows = compare(example, console)
    if arguments.json:
        return Outcome(int(not rows.sound), {**(kept.result or {}), "baseline": rows.as_dict()})
    for line in rows.lines():
        console.write(line)
    return Outcome(int(not rows.sound))


def _run_program(example: Example, arguments: argparse.Namespace, console: Console) -> Outcome:
    """A program is run as its reader would: by Python, in a process of its own."""
    command = [sys.executable, str(example.program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if not arguments.json:
                console.write(lines[-1])
    return Outcome(process.returncode, {"output": lines})


class _Kept:
    """The console, but for the JSON object, which is kept: a baseline may belong to it."""

    def __init__(self, console: Console) -> None:
        self.result: Any = None
        self._console = console

    def write(self, text: str = "") -> None:
        self._console.write(text)

    def write_json(self, value: object) -> None:
        self.result = value

    def note(self, text: str) -> None:
        self._console.note(text)

    def progress(self, label: str, total: int) -> AbstractContextManager[Meter]:
        return self._console.progress(label, total)


COMMAND = Command("example", "list the examples, or run one by its name", _configure, _list)
