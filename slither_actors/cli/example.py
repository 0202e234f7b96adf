"""`slither example`: complete programs to try and to read."""

from __future__ import annotations

import argparse
import functools
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import attrs

from ._console import Console
from ._parser import Command, Parser, add_debug, add_json

_PACKAGE = "slither_actors.examples"


@attrs.frozen
class Example:
    """A package of `slither_actors.examples`; `module` is None where it cannot be imported, and `summary` says why."""

    name: str
    summary: str
    module: ModuleType | None


def find_examples() -> Iterator[Example]:
    """Every example there is, by name."""
    folder = importlib.import_module(_PACKAGE)
    for found in pkgutil.iter_modules(folder.__path__):
        if found.ispkg:
            yield _load(found.name)


def _load(name: str) -> Example:
    try:
        module = importlib.import_module(f"{_PACKAGE}.{name}")
    except ImportError as error:
        # The other examples should not suffer from one that lacks something.
        return Example(name, f"(not available: {error})", None)
    return Example(name, str(module.SUMMARY), module)


def _configure(parser: Parser) -> None:
    add_json(parser)
    # Examples are imported only by who asks for them: `slither doctor` has no use for their modules.
    parser.complete_when_used(_add_examples)


def _add_examples(parser: Parser) -> None:
    words = parser.add_subparsers(title="examples", dest="example", metavar="NAME")
    for example in find_examples():
        below = words.add_parser(example.name, help=_escape(example.summary), description=_escape(example.summary))
        add_debug(below)
        add_json(below, default=argparse.SUPPRESS)
        if example.module is None:
            below.set_defaults(run=functools.partial(_refuse, example))
        else:
            example.module.add_options(below)
            below.set_defaults(run=example.module.run)


def _escape(text: str) -> str:
    """Text for argparse, which fills in what stands behind a percent sign."""
    return text.replace("%", "%%")


def _refuse(example: Example, arguments: argparse.Namespace, console: Console) -> int:
    console.note(f"slither: example {example.name} {example.summary}")
    return 1


def _list(arguments: argparse.Namespace, console: Console) -> int:
    examples = list(find_examples())
    if arguments.json:
        console.write_json([{"name": example.name, "summary": example.summary} for example in examples])
        return 0
    width = max((len(example.name) for example in examples), default=0)
    for example in examples:
        console.write(f"{example.name:<{width}}  {example.summary}")
    console.note("run one with: slither example NAME (--help shows its options)")
    return 0


COMMAND = Command("example", "list the examples, or run one by its name", _configure, _list)
