"""Removing what dead systems left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from slither_actors.cli import doctor, main
from slither_actors.transport import memory, rundir


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "shm").mkdir()
    monkeypatch.setattr(memory, "_SHARED_MEMORY", tmp_path / "shm")
    return tmp_path


def leave_behind(name: str) -> Path:
    """A run directory whose lock nobody holds."""
    path = rundir.path_of(name)
    path.mkdir(mode=0o700)
    (path / "lock").touch(0o600)
    return path


@pytest.mark.usefixtures("base")
def test_what_dead_systems_left_is_removed_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    left = [leave_behind("a"), leave_behind("b")]

    assert main(["reap"]) == 0

    assert capsys.readouterr().out.splitlines() == [f"removed {path}" for path in left]
    assert not any(path.exists() for path in left)


def test_stores_in_memory_whose_run_directory_is_gone_are_removed_too(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "_LEAST_FREE_BYTES", 0)
    monkeypatch.setattr(memory, "_BEING_MADE_S", 0)
    (base / "run").mkdir()
    folder = memory.memory_folder(base / "run")
    shutil.rmtree(base / "run")
    assert [check.detail for check in doctor.examine() if check.name == "leftovers"] == [
        "1 directories of dead systems"
    ]

    assert main(["reap"]) == 0

    assert capsys.readouterr().out.splitlines() == [f"removed {folder}"]
    assert not folder.exists()


@pytest.mark.usefixtures("base")
def test_where_nothing_is_left_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reap"]) == 0
    assert capsys.readouterr().out.startswith("nothing to remove")


@pytest.mark.usefixtures("base")
def test_as_json_the_removed_paths_are_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    left = leave_behind("a")

    assert main(["reap", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": [str(left)], "left": [], "ok": True}


@pytest.mark.usefixtures("base")
def test_what_cannot_be_removed_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = leave_behind("a")
    monkeypatch.setattr(rundir, "remove_stale", list)

    assert main(["reap"]) == 1

    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"slither: cannot remove {stuck}\n")


def test_what_is_not_ours_stays(base: Path) -> None:
    other = base / "somebody-elses"
    other.mkdir()

    assert main(["reap"]) == 0
    assert other.is_dir()
