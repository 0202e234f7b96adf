"""Looking at running systems from another process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slither_actors.errors import SystemNotFound
from slither_actors.transport import rundir, running
from slither_actors.transport.labels import Label, put_label, read_labels

# Whoever holds the lock is the host of the system.
_HOST = """
import sys
from slither_actors.transport.rundir import RunDirectory
directory = RunDirectory.create(sys.argv[1])
print(flush=True)
sys.stdin.read()
directory.remove()
"""


@pytest.fixture
def places(base: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where run directories may be: two folders of this test alone, in the place of those of the machine."""
    runtime, temporary = base / "r", base / "t"
    for place in (runtime, temporary):
        place.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(temporary))
    return runtime, temporary


@contextmanager
def host_of(name: str, place: Path) -> Iterator[int]:
    """A process that claims the run directory of a system in one of the two places; its id."""
    command = [sys.executable, "-c", _HOST, name]
    pipe = subprocess.PIPE
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(place)}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"\n", "the host could not make the directory"
        yield host.pid
        host.communicate()


def test_a_system_is_found_by_its_name_and_by_its_directory_with_its_host(places: tuple[Path, Path]) -> None:
    with host_of("orders", places[0]) as host:
        found = running.find("orders")

        assert (found.name, found.host) == ("orders", host)
        assert found.directory == rundir.path_of("orders")
        assert running.find(str(found.directory)) == found
        assert running.service_of(found) == os.getpid()
        assert [process.name for process in running.processes(found)] == ["host"]


def test_looking_does_not_take_a_living_system_for_a_dead_one_nor_the_other_way_round(
    places: tuple[Path, Path],
) -> None:
    dead = rundir.path_of("dead")
    dead.mkdir(mode=0o700)
    (dead / "lock").touch(0o600)
    with host_of("alive", places[0]):
        assert [system.name for system in running.systems()] == ["alive"]
        assert rundir.stale_directories() == [dead]


def test_one_that_does_not_run_is_told_with_those_that_do(places: tuple[Path, Path]) -> None:
    with host_of("orders", places[0]), pytest.raises(SystemNotFound) as caught:
        running.find("order")

    assert str(caught.value) == "no system called 'order' is running; running now: orders"


def test_two_of_one_name_in_two_places_are_told_apart_by_their_directories(places: tuple[Path, Path]) -> None:
    with host_of("orders", places[0]), host_of("orders", places[1]):
        with pytest.raises(SystemNotFound) as caught:
            running.find("orders")
        assert caught.value.several
        assert [Path(path).parent for path in caught.value.running] == list(places)
        assert running.find(caught.value.running[1]).directory.parent == places[1]


def test_a_directory_of_this_user_that_is_no_run_directory_is_no_system(places: tuple[Path, Path]) -> None:
    rundir.path_of("nothing").mkdir()
    rundir.path_of("file").touch()

    assert running.systems() == []


def test_a_system_that_has_just_ended_has_no_processes(places: tuple[Path, Path]) -> None:
    with host_of("orders", places[0]):
        found = running.find("orders")

    assert running.processes(found) == ()


def test_a_process_is_labelled_for_those_outside(tmp_path: Path) -> None:
    put_label(str(tmp_path), "pools/default/workers/worker-1", 7)
    (tmp_path / "12.running").touch()
    (tmp_path / "cookie").touch()
    os.symlink("rubbish", tmp_path / "13.name")

    assert read_labels(tmp_path) == {os.getpid(): Label("pools/default/workers/worker-1", 7)}


def test_a_label_goes_with_the_sockets_of_its_process(tmp_path: Path) -> None:
    put_label(str(tmp_path), "root", 1)
    rundir.remove_sockets(tmp_path, os.getpid())

    assert read_labels(tmp_path) == {}


def test_a_label_where_there_is_no_directory_any_more_harms_nobody(tmp_path: Path) -> None:
    put_label(str(tmp_path / "gone"), "root", 1)


def test_what_the_kernel_says_is_read_whatever_the_command_is_called() -> None:
    rest = "S 12 1 1 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 1 0 86400 9999 5 0"
    stat = running.parse_stat(f"77 (a) b ((c)) {rest}".encode())

    ticks = os.sysconf("SC_CLK_TCK")
    assert (stat.command, stat.state, stat.parent) == ("a) b ((c)", "S", 12)
    assert (stat.cpu_s, stat.started_s) == (400 / ticks, 86400 / ticks)
    assert stat.rss_bytes == 5 * os.sysconf("SC_PAGE_SIZE")


def test_a_process_that_is_gone_has_no_figures() -> None:
    with subprocess.Popen(["true"]) as gone:
        pass

    assert running.read_stat(gone.pid) is None


def test_a_process_has_figures() -> None:
    stat = running.read_stat(os.getpid())

    assert stat is not None
    assert stat.parent == os.getppid()
    assert stat.state == "R"
    assert stat.rss_bytes > 1_000_000


def test_a_tree_is_walked_parents_first_each_followed_by_all_below_it() -> None:
    parents = {1: 0, 2: 1, 3: 1, 4: 2, 5: 4, 6: 3, 7: 99, 8: 2}

    assert list(running.below(1, parents)) == [1, 2, 4, 5, 8, 3, 6]
    assert list(running.below(2, parents)) == [2, 4, 5, 8]
    assert list(running.below(42, parents)) == []


def test_of_any_tree_each_process_comes_once_and_behind_its_parent() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        parents = {pid: draw.randrange(pid) for pid in range(1, draw.randrange(2, 40))}
        walked = list(running.below(1, parents))

        place = {pid: number for number, pid in enumerate(walked)}
        assert len(place) == len(walked)
        for pid in walked[1:]:
            assert place[parents[pid]] < place[pid], seed
        for pid, parent in parents.items():
            assert (pid in place) == (pid == 1 or parent in place), seed
