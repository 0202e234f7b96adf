"""Finding, listing and starting examples."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from slither_actors.cli import main
from slither_actors.cli._examples import PACKAGE, find_examples

REPOSITORY = Path(__file__).parents[3]
made_up = pytest.mark.usefixtures("examples")


@made_up
def test_every_example_is_listed_with_its_summary_programs_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example"]) == 0

    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "01_first   First: says hello",
        "02_second  Second: needs something (needs no such thing>=1)",
        "counting   counts to 100%",
        "lacking    (not available: No module named 'no_such_module_anywhere')",
        "needy      counts to 100% (needs no such thing>=1)",
    ]
    assert "slither example NAME" in shown.err


@made_up
def test_the_list_may_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "--json"]) == 0

    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["counting"] == {"name": "counting", "summary": "counts to 100%", "needs": [], "missing": []}
    assert listed["needy"]["missing"] == ["no such thing>=1"]


@made_up
def test_an_example_gets_its_options_and_gives_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--up-to", "4"]) == 4

    shown = capsys.readouterr()
    assert shown.out == "counted to 4\n"  # no baseline behind a failure
    assert shown.err.splitlines()[-1] == "counting: 4 of 4 (100 %)"


@made_up
def test_behind_an_example_comes_its_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "counted to 0"
    assert lines[2].startswith("counting: 3 inputs, ")


@made_up
@pytest.mark.parametrize("argv", [["--no-baseline", "counting"], ["counting", "--no-baseline"]])
def test_the_baseline_can_be_left_out(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", *argv]) == 0

    assert capsys.readouterr().out == "counted to 0\n"


@made_up
@pytest.mark.parametrize("argv", [["--json", "counting"], ["counting", "--json"]])
def test_json_may_stand_on_either_side_of_the_name(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", *argv, "--up-to", "2"]) == 2

    assert json.loads(capsys.readouterr().out) == {"counted": 2}


@made_up
def test_the_baseline_is_part_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert (shown["counted"], shown["baseline"]["size"], shown["baseline"]["sound"]) == (0, 3, True)


@made_up
def test_the_help_of_an_example_shows_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--help"]) == 0

    shown = capsys.readouterr().out
    assert "--up-to" in shown
    assert "counts to 100%" in shown


@made_up
def test_a_wrong_option_of_an_example_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "counting", "--upto", "4"]) == 2
    assert "did you mean --up-to?" in capsys.readouterr().err


@made_up
def test_a_wrong_example_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "conting"]) == 2
    assert "unknown example 'conting'; did you mean counting?" in capsys.readouterr().err


@made_up
def test_an_example_that_cannot_be_imported_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "lacking"]) == 1
    assert "No module named 'no_such_module_anywhere'" in capsys.readouterr().err


@made_up
@pytest.mark.parametrize("name", ["needy", "02_second"])
@pytest.mark.parametrize(("flags", "code"), [([], 0), (["--strict"], 1)])
def test_an_example_that_lacks_a_package_is_skipped_with_the_line_that_installs_it(
    name: str, flags: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["example", name, *flags]) == code

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [f"slither: example {name} is skipped; it needs: pip install 'no such thing>=1'"]


@made_up
@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["needy", "--install"], ("pip install 'no such thing>=1'\n", "")),
        (["--install"], ("pip install 'no such thing>=1'\n", "")),
        (["counting", "--install"], ("", "nothing but the library is needed\n")),
    ],
)
def test_what_an_example_needs_is_told_and_nothing_is_run(
    argv: list[str], shown: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["example", *argv]) == 0
    assert tuple(capsys.readouterr()) == shown


@made_up
def test_a_program_is_run_with_its_output_and_its_exit_code(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "01_first"]) == 0
    assert capsys.readouterr().out == "hello\n"

    (examples / "01_first.py").write_text('"""First."""\nprint("so far")\nraise SystemExit(5)\n', "utf-8")
    assert main(["example", "01_first", "--json"]) == 5
    assert json.loads(capsys.readouterr().out) == {"output": ["so far"]}


@made_up
def test_all_examples_are_run_and_one_that_fails_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "--all", "--no-baseline"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[-5:] == [
        "passed   01_first",
        "skipped  02_second",
        "passed   counting",
        "failed   lacking",
        "skipped  needy",
    ]
    assert {"hello", "counted to 0"} <= set(lines)


@made_up
def test_skipped_examples_are_a_failure_only_where_one_is_strict(
    examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (examples / "lacking" / "__init__.py").unlink()

    assert main(["example", "--all", "--no-baseline"]) == 0
    capsys.readouterr()
    assert main(["example", "--all", "--no-baseline", "--strict", "--json"]) == 1
    outcomes = {name: one["outcome"] for name, one in json.loads(capsys.readouterr().out)["examples"].items()}
    assert outcomes == {"01_first": "passed", "02_second": "skipped", "counting": "passed", "needy": "skipped"}


@made_up
def test_all_and_a_name_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "--all", "counting"]) == 2
    assert "--all takes no name" in capsys.readouterr().err


def test_the_examples_that_there_should_be_are_there() -> None:
    found = {one.name: one for one in find_examples(PACKAGE)}

    assert [name for name in found if name[0].isdigit()] == [
        "01_hello_pipe",
        "02_shared_store",
        "03_sticky_sessions",
        "04_custom_stage",
        "05_supervision",
        "06_endless_source",
        "07_fastapi_service",
    ]
    packages = {name for name, one in found.items() if one.module is not None}
    assert packages == {"text_analysis", "batch_stats", "data_etl", "ml_scoring", "image_pipeline"}
    assert all(found[name].has_baseline for name in packages)
    assert all(one.summary and not one.fault for one in found.values())


def test_what_examples_need_is_what_their_extra_installs() -> None:
    settings = configparser.ConfigParser()
    settings.read(REPOSITORY / "setup.cfg", "utf-8")
    extra = settings["options.extras_require"]["examples"].split()

    assert {need for one in find_examples(PACKAGE) for need in one.needs.values()} == set(extra)


def test_a_number_of_documents_below_one_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "text_analysis", "--documents", "0"]) == 2
    assert "expected a whole number of at least 1, got '0'" in capsys.readouterr().err
