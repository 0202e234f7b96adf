"""The same work in several ways: who runs it, what is said of it, and how its lines are counted."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import slither_actors
from slither_actors.cli import main
from slither_actors.cli._coordination import coordination_lines
from slither_actors.cli._examples import PACKAGE, find_examples
from slither_actors.cli._ways import WAYS, Row, Table
from tests.helpers.patience import PATIENCE_S

EXAMPLES = [one.name for one in find_examples(PACKAGE) if one.has_baseline]
FOLDER = Path(slither_actors.__file__).parent / "examples"
made_up = pytest.mark.usefixtures("examples")


@made_up
def test_a_table_tells_seconds_lines_and_result_of_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "counting", "--size", "4", "--workers", "3", "--python", "no-such-python"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("counting: 4 inputs, 3 at a time, Python ")
    assert [line.split("  ")[1] for line in lines[2:7]] == list(WAYS.values())
    assert lines[3].endswith("WRONG: 1 instead of 12")
    assert lines[4].split()[-2:] == ["4", "right"]  # two lines of its own, and two of the loop that it calls
    assert "no-such-python" in lines[7]


@made_up
def test_another_python_runs_what_has_threads(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "python3.99t"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)

    assert main(["baseline", "counting", "--json", "--python", str(program)]) == 0

    [table] = json.loads(capsys.readouterr().out)["baselines"]
    elsewhere = [row["way"] for row in table["rows"] if row["elsewhere"]]
    assert elsewhere == ["plain_loop", "naive_threads", "careful_threads"]
    assert str(program) in table["free_threaded"]


@made_up
def test_a_wrong_result_or_none_of_who_should_be_right_is_a_failure(
    examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (examples / "counting" / "baseline.py").open("a", encoding="utf-8") as file:
        file.write("\ndef careful_threads(inputs, workers):\n    return {'sum': 5}\n")
        file.write("\ndef process_pool(inputs, workers):\n    return 1 / 0\n")

    assert main(["baseline", "counting"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[4].endswith("WRONG: 5 instead of 6")
    assert lines[5].endswith("failed: ZeroDivisionError: division by zero")


@made_up
def test_inputs_that_are_not_there_in_time_are_a_failure_of_all_ways(
    examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (examples / "counting" / "baseline.py").open("a", encoding="utf-8") as file:
        file.write("\nimport os, signal\n")
        file.write("\ndef make(size):\n")
        file.write("    if signal.alarm(0):  # there was a limit, and it is over\n")
        file.write("        os.kill(os.getpid(), signal.SIGALRM)\n")
        file.write("    return list(range(size))\n")

    assert main(["baseline", "counting", "--python", "no-such-python"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("failed: its inputs were not there in time") for line in lines[2:7]] == [True] * 5


@made_up
@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("echo 'Traceback:' >&2; echo 'ImportError: no luck' >&2; exit 1", "failed: ImportError: no luck"),
        ("kill -SEGV $$", "failed: SIGSEGV"),
        ("exit 3", "failed: exit code 3"),
    ],
)
def test_a_python_that_ends_early_is_told_with_its_last_words(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], does: str, told: str
) -> None:
    program = tmp_path / "python3.99t"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)

    assert main(["baseline", "counting", "--json", "--python", str(program)]) == 0

    [table] = json.loads(capsys.readouterr().out)["baselines"]
    assert [row["problem"] for row in table["rows"] if row["elsewhere"]] == [told] * 3


def table(*rows: Row) -> Table:
    return Table("counting", 3, 2, [Row("plain_loop", 1.0, "", 2, "3.11.7", True), *rows], "")


def test_naive_threads_may_be_wrong_and_another_python_may_lack_a_package() -> None:
    naive = Row("naive_threads", 1.0, "WRONG: 1", 3, "3.11.7", True)
    lacking = Row("careful_threads", None, "failed: no numpy", 3, "3.14.0", False, elsewhere=True)
    wrong = Row("careful_threads", 1.0, "WRONG: 1", 3, "3.14.0", False, elsewhere=True)

    assert table(naive, lacking).sound
    assert not table(naive, wrong).sound
    for way in ("plain_loop", "careful_threads", "process_pool", "with_slither"):
        assert not table(Row(way, 1.0, "WRONG: 1", 3, "3.11.7", True)).sound
        assert not table(Row(way, None, "failed", 3, "3.11.7", True)).sound


def test_where_naive_threads_are_right_the_table_says_that_it_was_luck() -> None:
    shown = list(table(Row("naive_threads", 1.0, "", 3, "3.14.0", False, elsewhere=True)).lines())

    assert shown[3].startswith("  naive threads, Python 3.14.0 without GIL")
    assert shown[3].endswith("right this time")


@made_up
@pytest.mark.parametrize("argv", [[], ["counting", "--all"]])
def test_a_baseline_takes_a_name_or_all(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", *argv]) == 2
    assert "takes a name or --all (known: counting)" in capsys.readouterr().err


@made_up
def test_a_wrong_name_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "conting"]) == 2
    assert "unknown baseline 'conting'; did you mean counting?" in capsys.readouterr().err


def test_a_baseline_whose_example_lacks_a_package_is_skipped(
    examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in ("baseline.py", "work.py"):
        (examples / "needy" / file).write_text((examples / "counting" / file).read_text("utf-8"), "utf-8")

    assert main(["baseline", "needy"]) == 0
    assert "it needs: pip install 'no such thing>=1'" in capsys.readouterr().err
    assert main(["baseline", "needy", "--strict"]) == 1


MODULE = '''
"""Not counted."""

import threading
from .other import Helper
from .work import double

LIMIT = (
    1,
    2,
)


def way(inputs):
    """Not counted."""
    # Not counted either.
    from .late import later

    with Helper() as helper:
        return [helper.run(double(one), LIMIT) for one in later(inputs)]


def unused():
    return 1
'''
OTHER = '''
import contextlib


@contextlib.contextmanager
def Helper():
    yield shown(
        "two",
        """lines
    of text""",
    )


def shown(*texts):
    return texts
'''


def test_what_a_way_reaches_in_its_package_is_counted_and_the_work_is_not(tmp_path: Path) -> None:
    (tmp_path / "baseline.py").write_text(MODULE, "utf-8")
    (tmp_path / "other.py").write_text(OTHER, "utf-8")
    (tmp_path / "late.py").write_text("def later(inputs):\n    return inputs\n", "utf-8")
    # No work.py: who opened it would fail.

    own, limit, helper, shown, late = 3, 4, 7, 2, 2
    assert coordination_lines(tmp_path, "baseline", "way", ("work",)) == own + limit + helper + shown + late
    assert coordination_lines(tmp_path, "baseline", "way", ("work", "late")) == own + limit + helper + shown
    assert coordination_lines(tmp_path, "baseline", "unused", ()) == 2


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_not_counted_as_coordination_does_none(name: str) -> None:
    tree = ast.parse((FOLDER / name / "baseline.py").read_text("utf-8"))
    [work] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) == "WORK"
    ]
    for module in work:
        inside = ast.parse((FOLDER / name / f"{module}.py").read_text("utf-8"))
        imported = {alias.name for node in ast.walk(inside) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(inside) if isinstance(node, ast.ImportFrom)}
        assert not {one for one in imported if one.split(".")[0] in ("threading", "concurrent", "queue", "pipe")}
        # Types alone are a matter of reading.
        used = [node for node in inside.body if isinstance(node, ast.Import) and "slither" in ast.unparse(node)]
        assert used == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_way_of_an_example_is_counted(name: str) -> None:
    for way in WAYS:
        assert 3 <= coordination_lines(FOLDER / name, "baseline", way, ("work", "data")) <= 120


@pytest.mark.parametrize("name", ["text_analysis", "batch_stats", "data_etl"])
def test_threads_of_an_example_that_needs_nothing_run_without_any_other_package(name: str) -> None:
    # As a free-threaded Python would run them that has none of the library's dependencies.
    module = f"{PACKAGE}.{name}.baseline"
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-m", f"{PACKAGE}.ways", module, "90", "2", "careful_threads"],
        env={**os.environ, "PYTHONPATH": str(Path(slither_actors.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    figures = json.loads(done.stdout)
    baseline = importlib.import_module(module)

    assert baseline.judge(baseline.plain_loop(baseline.make(90), 1), figures["result"]) == ""
