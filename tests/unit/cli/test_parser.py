"""What may be typed, and what is said when it is typed wrong."""

from __future__ import annotations

import argparse

import pytest

import slither_actors
from slither_actors.cli._console import Console
from slither_actors.cli._parser import Command, Parser, add_json, build_parser, suggestion


def configure(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument("--documents", type=int, default=1)


def run(arguments: argparse.Namespace, console: Console) -> int:
    return 0


def other(arguments: argparse.Namespace, console: Console) -> int:
    return 7


COMMANDS = (
    Command("example", "run an example", configure, run),
    Command("doctor", "check 100% of it".replace("%", "%%"), add_json, run),
)


def complain(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The last line on standard error after wrong usage."""
    with pytest.raises(SystemExit) as stop:
        build_parser(COMMANDS).parse_args(argv)
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_command_brings_its_own_function_and_options() -> None:
    arguments = build_parser(COMMANDS).parse_args(["example", "--documents", "3", "--json"])

    assert (arguments.run, arguments.documents, arguments.json) == (run, 3, True)


def test_an_option_that_must_be_given_and_is_misspelt_is_told_as_misspelt(capsys: pytest.CaptureFixture[str]) -> None:
    def ask(parser: Parser) -> None:
        parser.add_argument("--input", required=True)

    def complaint(*argv: str) -> str:
        with pytest.raises(SystemExit):
            build_parser([Command("run", "run it", ask, run)]).parse_args(["run", *argv])
        return capsys.readouterr().err.splitlines()[-1]

    assert complaint("--imput=x") == "slither run: error: unknown option --imput=x; did you mean --input?"
    assert complaint() == "slither run: error: the following arguments are required: --input"
    assert complaint("--debug", "--") == "slither run: error: the following arguments are required: --input"


def test_the_beginning_of_a_word_is_near_enough() -> None:
    assert suggestion("01", ["01_hello_pipe", "02_shared_store"]) == "; did you mean 01_hello_pipe?"
    assert suggestion("", ["text_analysis"]) == ""


def test_nothing_typed_is_no_error() -> None:
    assert not hasattr(build_parser(COMMANDS).parse_args([]), "run")


def test_a_wrong_command_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    expected = "slither: error: unknown command 'exmaple'; did you mean example? (known: example, doctor)"

    assert complain(capsys, "exmaple") == expected


def test_a_command_like_no_other_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(capsys, "zzz") == "slither: error: unknown command 'zzz' (known: example, doctor)"


@pytest.mark.parametrize("typed", ["--documets", "--documets=5"])
def test_a_wrong_option_names_the_nearest_one_of_its_command(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    expected = f"slither example: error: unknown option {typed}; did you mean --documents?"

    assert complain(capsys, "example", typed) == expected


def test_an_option_of_another_command_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(capsys, "doctor", "--documents=5") == "slither doctor: error: unknown option --documents=5"


def test_a_shortened_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(capsys, "example", "--docu=5").endswith("unknown option --docu=5; did you mean --documents?")


def test_a_word_too_many_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(capsys, "doctor", "now") == "slither doctor: error: unexpected argument 'now'"


@pytest.mark.parametrize(
    ("argv", "debug"),
    [(["doctor"], False), (["--debug", "doctor"], True), (["doctor", "--debug"], True)],
)
def test_debug_may_stand_before_and_behind_the_command(argv: list[str], debug: bool) -> None:
    assert build_parser(COMMANDS).parse_args(argv).debug is debug


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser(COMMANDS).parse_args(["--version"])

    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"slither {slither_actors.__version__} (Python 3.")


def test_the_help_names_commands_exit_codes_and_the_three_primitives() -> None:
    text = build_parser(COMMANDS).format_help()

    for part in ("example", "run an example", "100%", "Dispatch", "Pipe", "130 Ctrl-C", "slither doctor"):
        assert part in text


def test_a_parser_is_completed_once_and_only_when_it_is_used() -> None:
    calls: list[str] = []

    def complete(parser: Parser) -> None:
        calls.append("completed")
        words = parser.add_subparsers(dest="example")
        words.add_parser("one").set_defaults(run=other)

    def late(parser: Parser) -> None:
        parser.complete_when_used(complete)

    parser = build_parser([Command("example", "run", late, run), Command("doctor", "check", add_json, run)])
    assert parser.parse_args(["doctor"]).run is run
    assert calls == []

    assert parser.parse_args(["example", "one"]).run is other
    assert parser.parse_args(["example"]).run is run
    assert calls == ["completed"]


def test_a_suggestion_is_made_only_where_something_is_near() -> None:
    assert suggestion("reep", ["reap", "doctor"]) == "; did you mean reap?"
    assert suggestion("reep", []) == ""
    assert suggestion("zzz", ["reap", "doctor"]) == ""
