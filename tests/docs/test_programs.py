"""Runs the examples that are single files, and compares what they print with what their docstrings say."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from slither_actors.cli._examples import PACKAGE, find_examples

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = sorted((REPOSITORY / "examples").glob("[0-9]*.py"))
EXAMPLES = {example.name: example for example in find_examples(PACKAGE)}
# Below pytest's own timeout, so that the failure names the program.
TIMEOUT_S = 45.0


def promised(program: Path) -> list[str]:
    """The lines that a reader should see: the last indented block of the docstring."""
    docstring = ast.get_docstring(ast.parse(program.read_text("utf-8"))) or ""
    block = docstring.partition("You should see")[2].partition("\n\n")[2]
    return textwrap.dedent(block).splitlines()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_an_example_prints_what_it_says(program: Path, tmp_path: Path) -> None:
    if missing := EXAMPLES[program.stem].missing:
        pytest.skip(f"needs {', '.join(missing)}")
    run = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=tmp_path,
    )

    assert run.returncode == 0, run.stderr
    assert promised(program)
    assert run.stdout.splitlines() == promised(program)


def test_a_program_that_lacks_a_package_says_how_to_install_it_and_is_no_failure(tmp_path: Path) -> None:
    [program] = [program for program in PROGRAMS if "fastapi" in program.name]
    # Without its site packages, and none of the library's are imported before it looks for them.
    run = subprocess.run(
        [sys.executable, "-S", str(program)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )

    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr == "skipped; it needs: pip install 'fastapi>=0.115' 'httpx>=0.27'\n"


def test_there_are_such_examples_and_each_fits_on_a_few_screens() -> None:
    assert PROGRAMS
    assert [program.name for program in PROGRAMS if len(program.read_text("utf-8").splitlines()) > 100] == []
