"""The examples that are single files print what their docstrings say."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.examples.running import EXAMPLES, PROGRAMS, REPOSITORY, run

TEXTS = {name: (REPOSITORY / "examples" / f"{name}.py").read_text("utf-8") for name in PROGRAMS}


def promised(text: str) -> list[str]:
    """The lines that a reader should see: the last indented block of the docstring."""
    docstring = ast.get_docstring(ast.parse(text)) or ""
    return textwrap.dedent(docstring.partition("You should see")[2].partition("\n\n")[2]).splitlines()


@pytest.mark.system
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_prints_what_it_says(name: str, tmp_path: Path) -> None:
    if missing := EXAMPLES[name].missing:
        pytest.skip(f"needs {', '.join(missing)}")

    assert promised(TEXTS[name])
    assert run(name, tmp_path).report == promised(TEXTS[name])


def test_a_program_that_lacks_a_package_says_how_to_install_it_and_is_no_failure(tmp_path: Path) -> None:
    [program] = (REPOSITORY / "examples").glob("*_fastapi_*.py")
    # Without its site packages, and none of the library's are imported before it looks for them.
    done = subprocess.run(
        [sys.executable, "-S", str(program)],
        capture_output=True,
        text=True,
        timeout=45.0,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "skipped; it needs: pip install 'fastapi>=0.115' 'httpx>=0.27'\n"


def test_there_are_such_examples_and_each_fits_on_a_few_screens() -> None:
    assert PROGRAMS
    assert [name for name, text in TEXTS.items() if len(text.splitlines()) >= 100] == []
