"""The run directory: private, claimed by one host, cleaned up after the dead."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slither_actors.errors import RunDirectoryError
from slither_actors.transport import rundir
from slither_actors.transport.rundir import RunDirectory, path_of, remove_if_stale, remove_stale, stale_directories
from tests.helpers.descriptors import open_descriptors
from tests.helpers.limits import file_limit

CLAIM = """
import sys
from slither_actors.transport.rundir import RunDirectory
RunDirectory.create(sys.argv[1])
print("claimed", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_claims(name: str) -> Iterator[subprocess.Popen[str]]:
    """A living system of that name; record locks are per process, so it must be a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", CLAIM, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        try:
            yield process
        finally:
            process.kill()


def leave_behind(name: str) -> Path:
    """What a system leaves that was killed."""
    with another_process_claims(name):
        pass
    return path_of(name)


def backdate(path: Path) -> None:
    os.utime(path, (1, 1))


def test_only_its_owner_may_enter_whatever_the_umask_says(base: Path) -> None:
    before = os.umask(0)
    try:
        claimed = RunDirectory.create("one")
    finally:
        os.umask(before)

    assert stat.S_IMODE(claimed.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in claimed.path.iterdir()} == {0o600}
    claimed.remove()


def test_a_runtime_directory_is_used_where_there_is_one(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_of("one").parent == base

    (base / "relative").mkdir()
    monkeypatch.chdir(base)
    for unusable in (str(base / "missing"), "relative", ""):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert path_of("one").parent != Path(unusable)
        assert path_of("one").is_absolute()


def test_the_place_is_known_without_writing_there(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    with file_limit(0):
        assert rundir.base_directory() == Path("/tmp")
        for variable in ("TMP", "TEMP", "TMPDIR"):
            (base / variable).mkdir()
            monkeypatch.setenv(variable, str(base / variable))
            assert rundir.base_directory() == base / variable


def test_the_cookie_is_secret_and_another_one_each_time(base: Path) -> None:
    cookies = set()
    for _ in range(3):
        claimed = RunDirectory.create("one")
        cookies.add(rundir.read_cookie(claimed.path))
        claimed.remove()

    assert len(cookies) == 3
    assert {len(cookie) for cookie in cookies} == {16}


def test_removing_leaves_neither_directory_nor_descriptor(base: Path) -> None:
    before = len(open_descriptors())
    claimed = RunDirectory.create("one")
    (claimed.path / "1.0.ab").touch()

    claimed.remove()

    assert not claimed.path.exists()
    assert len(open_descriptors()) == before


def test_the_name_of_a_living_system_is_refused(base: Path) -> None:
    with another_process_claims("one"):
        with pytest.raises(RunDirectoryError, match="a system of this name is running"):
            RunDirectory.create("one")

        assert not remove_if_stale(path_of("one"))
        assert stale_directories() == []
        assert rundir.read_cookie(path_of("one"))


def test_what_a_dead_system_left_is_replaced(base: Path) -> None:
    left = leave_behind("one")
    (left / "1.0.ab").touch()
    old = rundir.read_cookie(left)

    claimed = RunDirectory.create("one")

    assert not (left / "1.0.ab").exists()
    assert rundir.read_cookie(left) != old
    claimed.remove()


def test_what_dead_systems_left_is_listed_and_removed(base: Path) -> None:
    left = [leave_behind("one"), leave_behind("two")]
    (base / "somebody-elses").mkdir()
    with another_process_claims("living"):
        assert stale_directories() == left

        assert remove_stale() == left

        assert {path.name for path in base.iterdir()} == {path_of("living").name, "somebody-elses"}


def test_a_directory_has_its_name_when_it_is_whole_and_claimed(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    lockf = fcntl.lockf

    def note(fd: int, operation: int) -> None:
        seen.extend(path.name for path in base.iterdir())
        assert stale_directories() == [], "it is just being made"
        lockf(fd, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "lockf", note)
        claimed = RunDirectory.create("one", "mark")

    assert seen == [f"{path_of('one').name}.mark"]
    assert list(base.iterdir()) == [claimed.path]
    claimed.remove()


def test_who_is_beaten_to_a_name_is_refused_and_leaves_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def beaten(old: Path, new: Path) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    before = open_descriptors()
    monkeypatch.setattr(os, "rename", beaten)
    with pytest.raises(RunDirectoryError, match="a system of this name is running"):
        RunDirectory.create("one")

    assert list(base.iterdir()) == []
    assert open_descriptors() == before


def test_what_was_never_finished_is_removed_when_it_is_old_or_its_maker_is_known_to_be_dead(base: Path) -> None:
    old, new = (path_of("one").with_name(f"{path_of('one').name}.{mark}") for mark in ("old", "new"))
    for path in (old, new):
        path.mkdir(mode=0o700)
        (path / "cookie").touch()
    backdate(old)

    assert remove_stale() == [old]
    rundir.remove_unfinished("one", "new")
    assert list(base.iterdir()) == []


def test_a_directory_without_a_lock_holds_up_nobody(base: Path) -> None:
    path = path_of("one")
    path.mkdir(mode=0o700)
    (path / "cookie").touch()
    assert stale_directories() == [path]

    RunDirectory.create("one").remove()


@pytest.mark.parametrize("room", [0, 15, 16, 17])
def test_a_directory_without_room_is_refused_and_leaves_nothing(base: Path, room: int) -> None:
    before = open_descriptors()
    with file_limit(room), pytest.raises(RunDirectoryError) as caught:
        RunDirectory.create("one", "m" * 32)

    assert caught.value.path == str(path_of("one"))
    assert caught.value.problem in ("cannot be made: File too large", "cannot be made: No space left on device")
    assert list(base.iterdir()) == []
    assert open_descriptors() == before


def test_a_directory_that_others_may_enter_is_refused(base: Path) -> None:
    path = path_of("one")
    path.mkdir(mode=0o700)
    path.chmod(0o750)

    with pytest.raises(RunDirectoryError, match=r"open to others \(mode 750, wanted 700\)"):
        RunDirectory.create("one")
    with pytest.raises(RunDirectoryError, match="open to others"):
        rundir.read_cookie(path)


def test_a_link_is_refused_and_what_it_leads_to_is_left_alone(base: Path) -> None:
    elsewhere = base / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "precious").touch()
    backdate(elsewhere)
    path_of("one").symlink_to(elsewhere)

    assert not remove_if_stale(path_of("one"))
    with pytest.raises(RunDirectoryError, match="is not a directory"):
        RunDirectory.create("one")
    with pytest.raises(RunDirectoryError, match="is not a directory"):
        rundir.read_cookie(path_of("one"))

    assert (elsewhere / "precious").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(base: Path) -> None:
    path = path_of("one")
    path.mkdir(mode=0o700)
    backdate(path)
    os.chown(path, 12345, 12345)

    assert not remove_if_stale(path)
    with pytest.raises(RunDirectoryError, match="belongs to user 12345"):
        RunDirectory.create("one")


@pytest.mark.parametrize("left", ["incidents", "incidents.old", "7.name", "7.running", "7.pulse", "7.killed"])
def test_what_is_left_of_a_directory_that_has_lost_its_lock_is_removed(base: Path, left: str) -> None:
    path = path_of("one")
    path.mkdir(mode=0o700)
    (path / left).touch()
    backdate(path)

    assert remove_if_stale(path)


def test_a_path_that_is_too_long_for_a_socket_is_refused_in_words(base: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"a socket path may have 107 bytes .* set XDG_RUNTIME_DIR or TMPDIR"):
        RunDirectory.create("x" * 90)

    assert list(base.iterdir()) == []


def test_the_longest_name_that_is_accepted_takes_a_socket(base: Path) -> None:
    import socket

    for length in range(90, 10, -1):
        try:
            claimed = RunDirectory.create("x" * length)
        except RunDirectoryError:
            continue
        break
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(claimed.path / "4194304.999999.ffffffff"))
    claimed.remove()


def test_a_cookie_that_is_not_written_yet_is_no_system(base: Path) -> None:
    path = path_of("one")
    path.mkdir(mode=0o700)
    (path / "cookie").touch()

    with pytest.raises(RunDirectoryError, match="holds no system"):
        rundir.read_cookie(path)
    with pytest.raises(RunDirectoryError, match="cannot be used"):
        rundir.read_cookie(path_of("two"))


def test_the_sockets_of_one_process_are_removed_and_no_others(base: Path) -> None:
    claimed = RunDirectory.create("one")
    for name in ("12.0.ab", "12.1.cd", "123.0.ef"):
        (claimed.path / name).touch()

    rundir.remove_sockets(claimed.path, 12)

    assert {path.name for path in claimed.path.iterdir()} == {
        "cookie",
        "incidents",
        "incidents.unwritten",
        "lock",
        "123.0.ef",
    }
    claimed.remove()


def test_a_directory_with_somebodys_data_is_never_taken_for_a_dead_systems(base: Path) -> None:
    path = path_of("data")
    path.mkdir(mode=0o700)
    (path / "thesis.txt").write_text("years of work")
    os.utime(path, (0, 0))

    assert path not in stale_directories()
    assert remove_stale() == []
    assert (path / "thesis.txt").exists()
