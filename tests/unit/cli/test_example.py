"""Finding, listing and starting examples."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slither_actors.cli import example, main

GOOD = """
SUMMARY = "counts to 100%"

def add_options(parser):
    parser.add_argument("--up-to", type=int, default=2)

def run(args, console):
    with console.progress("counting", args.up_to) as meter:
        meter.advance(args.up_to)
    if args.json:
        console.write_json({"counted": args.up_to})
    else:
        console.write(f"counted to {args.up_to}")
    return args.up_to
"""


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of examples: one that works, one that lacks something, and a module that is no example."""
    package = tmp_path / "made_up_examples"
    for file, source in {
        "__init__.py": "",
        "contract.py": "",
        "counting/__init__.py": GOOD,
        "lacking/__init__.py": "import no_such_module_anywhere",
    }.items():
        path = package / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(example, "_PACKAGE", package.name)
    yield
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


@pytest.mark.usefixtures("examples")
def test_every_example_is_listed_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example"]) == 0

    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "counting  counts to 100%",
        "lacking   (not available: No module named 'no_such_module_anywhere')",
    ]
    assert "slither example NAME" in shown.err


@pytest.mark.usefixtures("examples")
def test_the_list_may_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)[0] == {"name": "counting", "summary": "counts to 100%"}


@pytest.mark.usefixtures("examples")
def test_an_example_gets_its_options_and_gives_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--up-to", "4"]) == 4

    shown = capsys.readouterr()
    assert shown.out == "counted to 4\n"
    assert shown.err.splitlines()[-1] == "counting: 4 of 4 (100 %)"


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("argv", [["--json", "counting"], ["counting", "--json"]])
def test_json_may_stand_on_either_side_of_the_name(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", *argv]) == 2

    assert json.loads(capsys.readouterr().out) == {"counted": 2}


@pytest.mark.usefixtures("examples")
def test_the_help_of_an_example_shows_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--help"]) == 0

    shown = capsys.readouterr().out
    assert "--up-to" in shown
    assert "counts to 100%" in shown


@pytest.mark.usefixtures("examples")
def test_a_wrong_option_of_an_example_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--upto", "4"]) == 2
    assert "did you mean --up-to?" in capsys.readouterr().err


@pytest.mark.usefixtures("examples")
def test_a_wrong_example_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "conting"]) == 2
    assert "unknown example 'conting'; did you mean counting?" in capsys.readouterr().err


@pytest.mark.usefixtures("examples")
def test_an_example_that_lacks_something_says_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "lacking"]) == 1
    assert "No module named 'no_such_module_anywhere'" in capsys.readouterr().err


def test_text_analysis_is_an_example() -> None:
    found = {one.name: one for one in example.find_examples()}

    assert found["text_analysis"].module is not None
    assert "documents" in found["text_analysis"].summary


def test_a_number_of_documents_below_one_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "text_analysis", "--documents", "0"]) == 2
    assert "expected a whole number of at least 1, got '0'" in capsys.readouterr().err
