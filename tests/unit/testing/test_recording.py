"""Doubles that remember, and the fixtures for pytest."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors.testing import InlineSystem, RecordingExecutor

TESTS = """
import sys

HEAVY = [name for name in ("thespian", "lmdb", "slither_actors.system.system") if name in sys.modules]

import pytest
from slither_actors.testing import InlineSystem

def test_nothing_heavy_was_there_before():
    assert HEAVY == []

def test_a_system(slither_system):
    assert isinstance(slither_system, InlineSystem)
    assert [item.payload for item in slither_system.dispatch([1, 2], "builtins:list")] == [1, 2]

@pytest.mark.slither(pools={"gpu": 1}, name="mine")
def test_with_options(slither_system, slither_events):
    slither_system.dispatch([1, 2], "builtins:list", pool="gpu")
    assert slither_system.name == "mine"
    assert slither_events.one("slither.dispatch.run.stop").metadata["outcome"] == "ok"
"""


def test_an_executor_remembers_its_batches() -> None:
    record = RecordingExecutor(lambda values: [value + 1 for value in values])
    with InlineSystem() as system:
        results = system.dispatch(range(5), record, batch_size=2)

    assert [item.payload for item in results] == [1, 2, 3, 4, 5]
    assert [batch.payloads for batch in record.batches] == [(0, 1), (2, 3), (4,)]
    assert record.payloads == list(range(5))
    assert {batch.pid for batch in record.batches} == {os.getpid()}
    assert repr(record) == "<RecordingExecutor 3 batches>"


def test_an_executor_fails_as_it_is_told() -> None:
    record = RecordingExecutor(fails=lambda values: ValueError("two") if 2 in values else None)
    with InlineSystem() as system:
        results = system.dispatch(range(4), record, batch_size=1, on_error="skip")

    assert [item.payload for item in results.skipped] == [2]
    assert record.payloads == [0, 1, 2, 3]
    with pytest.raises(slither.InvalidOption, match="RecordingExecutor: fails"):
        RecordingExecutor(fails="always")  # type: ignore[arg-type]


def test_what_it_wrote_goes_with_it() -> None:
    record = RecordingExecutor()
    path = Path(record._path)
    assert path.exists()

    del record
    gc.collect()

    assert not path.exists()


def test_pytest_has_the_fixtures_and_imports_little_for_them(tmp_path: Path) -> None:
    (tmp_path / "test_with_fixtures.py").write_text(TESTS)
    installed = any(entry.value == "slither_actors.testing.plugin" for entry in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "slither_actors.testing.plugin"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *plugin, tmp_path],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
