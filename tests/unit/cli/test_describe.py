"""`slither describe`: a pipe by its path, also one of the current directory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from slither_actors.cli import main
from tests.unit.pipe.test_drawing import MERMAID, TEXT, Score

SCORE = "tests.unit.pipe.test_drawing:Score"


@pytest.mark.parametrize(("options", "printed"), [([], TEXT), (["--mermaid"], MERMAID)])
def test_a_pipe_is_printed(options: list[str], printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", SCORE, *options]) == 0
    assert capsys.readouterr().out == f"{printed}\n"


def test_a_pipe_is_plain_data_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", SCORE, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "Score"
    assert [stage["name"] for stage in told["stages"]] == [stage.name for stage in Score.definition.stages]
    assert told["outputs"] == list(Score.definition.outputs)
    assert {way["to"] for way in told["stages"][-1]["ways"]} <= {*told["outputs"]}


def test_modules_of_the_current_directory_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "orders_to_describe.py").write_text(
        "import slither_actors as slither\n\nclass Orders(slither.Pipe):\n    price = slither.worker('m:f')\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert main(["describe", "orders_to_describe:Orders"]) == 0
    assert capsys.readouterr().out.startswith("pipe Orders\n\nprice  worker  m:f\n")
    assert sys.path == before


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module:Orders", "cannot import 'no_such_module:Orders': there is no module 'no_such_module'"),
        ("Orders", "'Orders' names no pipe; the form is module:Pipe"),
        ("builtins:int", "builtins:int is no pipe but <class 'int'>; there is no pipe in builtins"),
        ("slither_actors:Pipe", "slither_actors:Pipe is no pipe but <class 'slither_actors.pipe.pipe.Pipe'>"),
    ],
)
def test_what_is_no_pipe_is_wrong_usage(path: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", path]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1
