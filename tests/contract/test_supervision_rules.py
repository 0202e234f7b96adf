"""Every rule of docs/supervision.md names the tests that prove it, and those tests exist."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "supervision.md"

ROW = re.compile(r"^\| (?P<number>\d+) \| (?P<rule>[^|]+) \| (?P<tests>[^|]*) \|$", re.MULTILINE)
TEST = re.compile(r"(?P<real>⚙ )?`(?P<file>\w+)::(?P<name>\w+)`")
DEFINITION = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
# 49 to 55 are about significant children, which there are not.
RULES = [*range(1, 49), *range(56, 62)]


def rows_of(document: str) -> dict[int, list[tuple[bool, str, str]]]:
    """The tests of each rule: whether they run real processes, their file and their name."""
    return {
        int(row["number"]): [(bool(test["real"]), test["file"], test["name"]) for test in TEST.finditer(row["tests"])]
        for row in ROW.finditer(document)
    }


def names_below(folder: str) -> set[tuple[str, str]]:
    """File and name of every test below a folder of the tests."""
    return {
        (path.stem, name)
        for path in (REPOSITORY / "tests" / folder).rglob("test_*.py")
        for name in DEFINITION.findall(path.read_text("utf-8"))
    }


def test_every_rule_has_its_line_and_every_line_a_test() -> None:
    rows = rows_of(DOCUMENT.read_text("utf-8"))

    assert list(rows) == RULES
    assert [number for number, tests in rows.items() if not tests] == []


def test_every_test_that_a_rule_names_is_there_and_runs_what_its_mark_says() -> None:
    real, pure = names_below("system"), names_below("unit")

    missing = [
        f"{number}: {file}::{name}"
        for number, tests in rows_of(DOCUMENT.read_text("utf-8")).items()
        for is_real, file, name in tests
        if (file, name) not in (real if is_real else pure)
    ]
    assert missing == []


def test_a_line_without_a_test_and_a_mark_are_read_as_such() -> None:
    document = "| 1 | One. | `test_a::test_b` ⚙ `test_c::test_d` |\n| 2 | Two. | |\n| 3 | Three. |  |\n"

    assert rows_of(document) == {1: [(False, "test_a", "test_b"), (True, "test_c", "test_d")], 3: []}
