"""Who mistypes the path of a pipe is told what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from slither_actors.cli._pipes import NoSuchPipe, load_pipe
from tests.helpers.streamed import Orders


def refusal(path: str) -> str:
    with pytest.raises(NoSuchPipe) as refused:
        load_pipe(path)
    return str(refused.value)


def test_a_pipe_is_found() -> None:
    assert load_pipe("tests.helpers.streamed:Orders") is Orders


def test_a_wrong_name_gets_the_nearest_pipe_and_all_others() -> None:
    said = refusal("tests.helpers.streamed:Ordrs")

    assert "did you mean Orders?" in said
    assert "(pipes in tests.helpers.streamed: Commanded, Looking, Orders, Rows, Strict, Stuck)" in said


def test_what_is_no_pipe_is_called_so() -> None:
    assert "is no pipe but <function same" in refusal("tests.helpers.streamed:same")
    assert "is no pipe but <class 'slither_actors.pipe.pipe.Pipe'>" in refusal("slither_actors:Pipe")
    assert refusal("json:loads").endswith("; there is no pipe in json")


def test_a_module_alone_is_asked_for_its_pipes() -> None:
    said = refusal("tests.helpers.streamed")

    assert "the form is module:Pipe (pipes in tests.helpers.streamed: Commanded," in said
    assert refusal("no_such_module") == "'no_such_module' names no pipe; the form is module:Pipe"


def test_a_wrong_module_gets_the_nearest_one_of_its_package() -> None:
    said = refusal("tests.helpers.streamd:Orders")

    assert "there is no module 'tests.helpers.streamd'; did you mean streamed?" in said


def test_a_wrong_module_of_the_current_directory_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders_to_run.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "did you mean orders_to_run? (here: orders_to_run)" in refusal("order_to_run:Orders")


def test_a_module_that_fails_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails_to_import.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "importing fails_to_import raises ZeroDivisionError" in refusal("fails_to_import:Orders")
