"""The second table of failures in docs/dispatch.md: each row names a test, and each test with the mark is named.

The tests that docs/failures.md names are there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.tables import table_below

TESTS = Path(__file__).parents[1]
ROWS = table_below(
    "### What ends a run, or somebody in the tree", (TESTS.parent / "docs" / "dispatch.md").read_text("utf-8")
)


def marked_tests(source: str) -> Iterator[str]:
    """Names of the tests of a module that carry the mark, if pytest collects them."""
    for node in ast.parse(source).body:
        marks = [ast.unparse(one) for one in getattr(node, "decorator_list", ())]
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and "pytest.mark.failure" in marks:
            yield node.name


def test_rows_and_tests_of_failures_belong_together() -> None:
    marked = [f"{path.stem}::{name}" for path in TESTS.rglob("test_*.py") for name in marked_tests(path.read_text())]
    named = [row[-1].strip("`") for row in ROWS]

    assert len(set(named)) == len(named), "a row stands there twice"
    assert sorted(named) == sorted(marked)


def test_every_test_that_the_failures_name_is_there() -> None:
    document = (TESTS.parent / "docs" / "failures.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+::test_\w+)`", document))
    defined = {
        f"{path.stem}::{name}"
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 20
    assert named - defined == set()


def test_every_cell_of_a_row_says_something() -> None:
    assert len(ROWS) > 20
    assert [row for row in ROWS if len(row) != 4 or not all(row)] == []


def test_only_what_pytest_collects_counts() -> None:
    source = "@pytest.mark.failure\ndef test_a(): pass\n@pytest.mark.failure\ndef a(): pass\ndef test_b(): pass\n"
    assert list(marked_tests(source)) == ["test_a"]
