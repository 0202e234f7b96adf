"""What a disk that is full, or breaks, means for the files of a run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors.transport import rundir
from tests.helpers import jobs, pipes
from tests.helpers.limits import file_limit

pytestmark = pytest.mark.system


@pytest.mark.failure
def test_a_disk_that_is_full_ends_the_run_with_what_is_finished_and_spoils_no_line(
    system: slither.System, tmp_path: Path
) -> None:
    path = tmp_path / "ends"
    system.dispatch(["raise"], jobs.mishaps, on_error="skip", ends_file=path)
    line = path.stat().st_size

    with file_limit(line * 5 // 2), pytest.raises(slither.DispatchError) as caught:
        system.dispatch([1, *["raise"] * 20], jobs.mishaps, batch_size=1, on_error="skip", ends_file=path)
    assert isinstance(caught.value.reason, slither.EndsFileError)
    assert "cannot be written: File too large" in str(caught.value.reason)
    assert [item.payload for item in caught.value.partial_results] == [1]

    system.dispatch(["raise"], jobs.mishaps, on_error="skip", ends_file=path)
    reader = slither.read_ends(path)
    assert len(list(reader)) == 3, "one before, one of the run, one behind it"
    assert reader.torn == 1


def test_a_pipe_on_a_full_disk_ends_with_what_is_finished(system: slither.System, tmp_path: Path) -> None:
    with file_limit(1), pytest.raises(slither.PipeError) as caught:
        system.run_pipe(pipes.local_pipe("skip"), [1, "drop", 2], ends_file=tmp_path / "ends")
    assert isinstance(caught.value.reason, slither.EndsFileError)


@pytest.mark.failure
def test_a_disk_that_does_not_keep_the_file_is_told_at_the_end(
    system: slither.System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(slither.DispatchError) as caught:
        system.dispatch([1, "raise", 2], jobs.mishaps, batch_size=1, on_error="skip", ends_file=tmp_path / "ends")
    assert isinstance(caught.value.reason, slither.EndsFileError)
    assert "cannot be written: Input/output error" in str(caught.value.reason)
    assert [item.payload for item in caught.value.partial_results] == [1, 2], "it was all done by then"


@pytest.mark.usefixtures("tidy_each")
def test_a_start_without_room_leaves_nothing_and_the_next_one_works_at_once() -> None:
    with file_limit(0), pytest.raises(slither.StartError, match=r"slither-\d+-full: cannot be made: File too large"):
        slither.start(name="full", pools={"default": 1})
    assert list(rundir.base_directory().glob("slither-*-full*")) == []

    with slither.start(name="full", pools={"default": 1}) as system:
        assert [item.payload for item in system.dispatch([1], jobs.same)] == [1]
