"""The table of commands in docs/cli.md, and what the program says of itself."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from slither_actors.cli._main import COMMANDS
from slither_actors.cli._parser import build_parser
from tests.helpers.tables import table_below

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
ROWS = table_below("## Commands", DOCUMENT)
GENERAL = {0, 2, 130, 143}


def parsers() -> dict[str, Any]:
    (words,) = (action for action in build_parser(COMMANDS)._actions if isinstance(action, argparse._SubParsersAction))
    return dict(words.choices)


def offers_json(parser: Any) -> bool:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if below and "--json" not in parser._option_string_actions:
        return all(offers_json(one) for action in below for one in action.choices.values())
    return "--json" in parser._option_string_actions


def codes_in(text: str) -> set[int]:
    return {int(code) for code in re.findall(r"(?:^|[;\s])(\d{1,3})(?=[:;\s]|$)", text)}


def test_the_table_has_all_commands_with_their_words() -> None:
    assert [row[:2] for row in ROWS] == [(f"`slither {command.name}`", command.summary) for command in COMMANDS]


def test_every_command_that_prints_data_prints_json() -> None:
    assert {row[0]: row[2] for row in ROWS} == {
        f"`slither {name}`": "yes" if offers_json(parser) else "" for name, parser in parsers().items()
    }


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_exit_codes_of_the_table_are_those_of_the_help(command: str) -> None:
    _, _, told = (parsers()[command].epilog or "").partition("exit codes:")
    row = next(row for row in ROWS if row[0] == f"`slither {command}`")

    assert not told or codes_in(told) - GENERAL == codes_in(row[3]) - GENERAL
