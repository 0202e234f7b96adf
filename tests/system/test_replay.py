"""Items of an ends file, run again by the command line in a process of its own."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

import slither_actors as slither
from tests.system.command import Slither
from tests.system.command import slither as command
from tests.system.running import a_system

pytestmark = [pytest.mark.system, pytest.mark.thorough]


def test_a_replay_through_the_command_line(base: Path, tmp_path: Path) -> None:
    path, failed, output = tmp_path / "ends", tmp_path / "failed", tmp_path / "out"
    with a_system() as system:
        system.dispatch(["raise", 5, 6], lambda values: 1 / 0, batch_size=3, on_error="skip", ends_file=path)
    before = path.read_bytes()
    ids = [record.id for record in slither.read_ends(path)]
    assert len(ids) == 3

    executor = "tests.helpers.jobs:mishaps"
    code, out, _ = command(base, "dead", "replay", str(path), executor, "--workers", "2", "--failed", str(failed))
    assert code == 1
    # the batch is cut down to its culprit
    assert [json.loads(line) for line in out.splitlines()] == [
        {"id": ids[1], "parent_id": None, "index": None, "payload": 5},
        {"id": ids[2], "parent_id": None, "index": None, "payload": 6},
    ]
    (again,) = slither.read_ends(failed)
    assert (again.id, again.item().payload, again.reason) == (ids[0], "raise", "boom")

    code, out, _ = command(
        base, "dead", "replay", str(failed), "tests.helpers.jobs:same", "--output", str(output), "--json"
    )
    assert (code, json.loads(out)) == (0, {"replayed": 1, "succeeded": 1, "failed": 0, "unreadable": 0})
    assert json.loads(output.read_text())["payload"] == "raise"
    assert path.read_bytes() == before


def test_a_file_for_failures_that_cannot_be_one_is_wrong_usage(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "ends"
    with a_system() as system:
        system.dispatch([1], lambda values: 1 / 0, on_error="skip", ends_file=path)
    code, out, err = command(base, "dead", "replay", str(path), "tests.helpers.jobs:same", "--failed", str(tmp_path))
    assert (code, out) == (2, "")
    assert str(tmp_path) in err


@pytest.mark.failure
def test_a_replay_whose_output_does_not_fit_says_so_and_keeps_the_lines_before(base: Path, tmp_path: Path) -> None:
    path, output = tmp_path / "ends", tmp_path / "out"
    with a_system() as system:
        given = ["x" * 45_000, "x" * 45_000, *["y" * 7_000] * 3]
        system.dispatch(given, lambda values: 1 / 0, on_error="skip", ends_file=path)

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    argv = ("dead", "replay", str(path), "tests.helpers.jobs:same", "--output", str(output))
    with Slither(base, *argv, preexec_fn=little_room) as replay:
        code, out, err = replay.end()
    assert (code, out) == (1, "")
    assert f"{output} cannot be written: File too large" in err
    assert "Traceback" not in err
    lines = output.read_text("utf-8").splitlines()
    assert [len(json.loads(line)["payload"]) for line in lines[:2]] == [45_000] * 2
