"""Killing what a dead system left, and nothing else."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slither_actors.transport.process import MARK, held_still, kill_all_of
from slither_actors.transport.rundir import RunDirectory, remove_if_stale
from tests.helpers.patience import PATIENCE_S
from tests.unit.transport.hubs import exit_code, fork

# of this process alone: tests beside this one end what carries theirs, wherever it is
MARKED, OTHER = uuid.uuid4().hex, uuid.uuid4().hex
LIMIT_S = PATIENCE_S

Sleeper = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Starts programs that sleep, with such a mark; all are ended afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(mark: str | None = None, *, session: bool = False) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], **({} if mark is None else {MARK: mark})}
        started.append(subprocess.Popen(["sleep", "60"], env=env, start_new_session=session))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_carries_the_mark_is_killed_and_what_looks_like_it_is_not(sleeper: Sleeper) -> None:
    ours = [sleeper(MARKED), sleeper(MARKED, session=True)]
    others = [sleeper(MARKED + "d"), sleeper(MARKED[:-1]), sleeper(""), sleeper(), sleeper("x\n" + MARKED)]

    kill_all_of(MARKED)

    assert [process.wait(LIMIT_S) for process in ours] == [-signal.SIGKILL] * 2
    assert [process.poll() for process in others] == [None] * 5


def test_what_belongs_to_the_session_is_killed_without_a_mark(sleeper: Sleeper) -> None:
    ours, other = sleeper(session=True), sleeper(session=True)

    kill_all_of(MARKED, session=ours.pid)

    assert ours.wait(LIMIT_S) == -signal.SIGKILL
    assert other.poll() is None


@pytest.mark.parametrize("mark", [MARKED, ""], ids=["marked", "unmarked"])
def test_who_removes_the_directory_of_a_dead_system_kills_what_carries_its_mark(
    base: Path, sleeper: Sleeper, mark: str
) -> None:
    ours, other, unmarked = sleeper(MARKED), sleeper(OTHER), sleeper("")
    pid = os.fork()
    if not pid:
        claimed = RunDirectory.create("one", mark)
        os._exit(0 if claimed.path.exists() else 1)
    assert os.waitpid(pid, 0)[1] == 0

    assert remove_if_stale(base / f"slither-{os.getuid()}-one")

    assert (ours.poll() if not mark else ours.wait(LIMIT_S)) == (-signal.SIGKILL if mark else None)
    assert [other.poll(), unmarked.poll()] == [None, None]


def test_a_process_that_is_held_still_does_nothing_and_then_goes_on() -> None:
    counter = mmap.mmap(-1, 8)

    def count() -> bool:
        while True:
            struct.pack_into("<Q", counter, 0, counted() + 1)

    def counted() -> int:
        return int(struct.unpack_from("<Q", counter)[0])

    def goes_on() -> bool:
        before, deadline = counted(), time.monotonic() + LIMIT_S
        while counted() == before:  # not less than: a number that is just being written may be read too large
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    pid = fork(count)
    try:
        assert goes_on()
        with held_still(pid):
            before = counted()
            time.sleep(0.02)  # thousands of counts
            assert counted() == before
        assert goes_on()
        with held_still(pid):
            os.kill(pid, signal.SIGKILL)
    finally:
        os.kill(pid, signal.SIGKILL)
        assert exit_code(pid) == -signal.SIGKILL
