"""`slither config`: what holds in this folder and this environment, and who says so."""

from __future__ import annotations

import argparse
import os

import slither_actors as slither
from slither_actors._codec import to_json
from slither_actors._config_file import choose_file
from slither_actors._config_layers import keys_of

from ._console import Console
from ._parser import Command, Parser, add_json
from ._words import one_line


def _configure(parser: Parser) -> None:
    parser.add_argument("--file", metavar="PATH", help="read this file, not the one that a program here would read")
    add_json(parser)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    config = slither.Config.load(file=arguments.file)
    file = choose_file(arguments.file, os.environ)
    values = {name: (key.value_in(config), config.sources[name]) for name, key in keys_of(slither.Config).items()}
    if arguments.json:
        listed = {name: {"value": value, "source": source} for name, (value, source) in values.items()}
        console.write_json({"file": None if file is None else str(file.path), "values": listed})
        return 0
    # What is printed is a configuration file itself.
    lines = {f"{name} = {to_json(value).decode()}": one_line(source) for name, (value, source) in values.items()}
    width = max(map(len, lines))
    for line, source in lines.items():
        console.write(f"{line:<{width}}  # {source}")
    console.note("no configuration file" if file is None else f"configuration file: {one_line(str(file.path))}")
    return 0


COMMAND = Command(
    "config", "print the configuration that holds here, and where each value comes from", _configure, _run
)
