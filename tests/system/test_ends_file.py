"""Ends of runs in files: what a run writes, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors.dispatch.ends_file import EndsReader
from tests.helpers import jobs, pipes
from tests.system.waiting import eventually

pytestmark = pytest.mark.system

_ENDLESS = """
import itertools, sys
import slither_actors as slither
from tests.helpers import jobs
with slither.start(pools={"default": 2}) as system:
    next(system.stream(itertools.repeat("raise"), jobs.mishaps, batch_size=5, on_error="skip", ends_file=sys.argv[1]))
"""


def test_every_end_of_a_dispatch_is_in_the_file(system: slither.System, tmp_path: Path) -> None:
    path = tmp_path / "ends"

    results = system.dispatch([1, "raise", 2], jobs.mishaps, batch_size=1, on_error="skip", ends_file=path)
    with system.stream([1, "raise"], jobs.mishaps, batch_size=1, on_error="skip", ends_file=str(path)) as stream:
        assert len(list(stream)) == 1

    first, second = slither.read_ends(path)
    (skipped,) = results.skipped
    assert (first.id, first.end, first.pool, first.attempts) == (skipped.id, "skipped", "default", 1)
    assert (first.error_type, first.reason) == ("ValueError", "boom")
    assert "boom" in (first.traceback or "")
    assert (first.item().payload, first.item().meta) == ("raise", {})
    assert second.run != first.run


def test_every_end_of_a_pipe_is_in_the_file(system: slither.System, tmp_path: Path) -> None:
    path = tmp_path / "ends"
    pipe = pipes.local_pipe("skip")

    system.run_pipe(pipe, ["drop", "fail", 1], ends_file=path)
    with system.stream_pipe(pipe, ["drop"], ends_file=path) as stream:
        assert list(stream) == []

    records = list(slither.read_ends(path))
    assert sorted(record.end for record in records) == ["dropped", "dropped", "skipped"]
    assert {record.pipe for record in records} == {pipe.definition.name}
    assert {record.pool for record in records} == {None}
    assert all(record.stage for record in records)


def test_a_write_that_fails_ends_the_run_with_what_is_finished(system: slither.System, tmp_path: Path) -> None:
    path = tmp_path / "ends"

    def spoiling() -> Iterator[object]:
        yield from [1, 2]
        path.chmod(0o644)
        yield from ["raise", 3]

    with pytest.raises(slither.DispatchError) as caught:
        system.dispatch(spoiling(), jobs.mishaps, batch_size=1, on_error="skip", ends_file=path)

    assert isinstance(caught.value.reason, slither.EndsFileError)
    assert "is open to others" in str(caught.value)
    assert [item.payload for item in caught.value.partial_results][:2] == [1, 2]


def test_a_refused_file_is_told_before_anything_is_pulled(system: slither.System, tmp_path: Path) -> None:
    pulled = iter([1, 2])
    with pytest.raises(slither.InvalidOption, match=r"dispatch: ends_file is .*; this one cannot be opened"):
        system.dispatch(pulled, jobs.same, ends_file=tmp_path / "none" / "ends")
    assert list(pulled) == [1, 2]


@pytest.mark.failure
def test_a_killed_service_leaves_whole_lines(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "ends"
    service = subprocess.Popen([sys.executable, "-P", "-c", _ENDLESS, str(path)], env={**os.environ})
    try:
        eventually(lambda: path.exists() and path.stat().st_size > 100_000, "the file grows")
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()

    reader = EndsReader(path)
    assert {record.item().payload for record in reader} == {"raise"}
    assert reader.torn == 0
    assert path.read_bytes().endswith(b"\n")
