"""Who stands still: for how long, as far as was seen, and how that is told from a process that is slow."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.transport._pulse import Busy, Pulse, busy_at
from slither_actors.transport._standstill import (
    Standstill,
    StandstillBook,
    Watchman,
    actors_in,
    leave_word,
    word_of,
)
from slither_actors.transport.process import kill_distant, rests_of, state_of
from slither_actors.transport.rundir import remove_sockets
from tests.helpers.patience import PATIENCE_S

LIMIT_S = PATIENCE_S
ONE, OTHER = Standstill(1, "stopped", 7), Standstill(1, "stopped", 8)


def until(look: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not look():
        assert time.monotonic() < deadline, why
        time.sleep(0.002)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads its own session."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    until(lambda: state_of(process.pid, process.pid) == b"T", "it is stopped")


class TestBook:
    def test_a_standstill_counts_from_the_first_look_that_saw_it(self) -> None:
        book = StandstillBook(1.0)
        assert [book.look({ONE: 3.0}, now) for now in (10.0, 11.0, 12.0, 13.0)] == [[], [], [], [ONE]]

    def test_another_standstill_of_the_same_process_begins_anew(self) -> None:
        book = StandstillBook(1.0)
        looks = [ONE, ONE, OTHER, OTHER, OTHER, OTHER]
        assert [book.look({one: 3.0}, float(now)) for now, one in enumerate(looks)] == [[], [], [], [], [], [OTHER]]

    def test_who_was_seen_at_work_begins_anew(self) -> None:
        book = StandstillBook(1.0)
        looks = [{ONE: 2.0}, {ONE: 2.0}, {}, {ONE: 2.0}, {ONE: 2.0}]
        assert [book.look(limits, float(now)) for now, limits in enumerate(looks)] == [[]] * 5

    def test_time_in_which_nobody_looked_does_not_count(self) -> None:
        book = StandstillBook(1.0)
        book.look({ONE: 3.0}, 0.0)
        assert book.look({ONE: 3.0}, 1_000_000.0) == []

    def test_each_has_its_own_limit(self) -> None:
        book = StandstillBook(1.0)
        limits = {ONE: 1.0, Standstill(2, "busy", 1): 3.0}
        assert [len(book.look(limits, float(now))) for now in range(4)] == [0, 1, 1, 2]

    @given(st.lists(st.floats(0.0, 100.0), max_size=50), st.floats(0.1, 20.0))
    def test_nobody_is_told_of_before_that_much_time_was_seen(self, gaps: list[float], limit_s: float) -> None:
        book, now, most = StandstillBook(1.0), 0.0, 0.0
        book.look({ONE: limit_s}, now)
        for gap in gaps:
            now, most = now + gap, most + min(gap, 1.0)
            assert not book.look({ONE: limit_s}, now) or most > limit_s - 0.6


class TestWatchman:
    def found(self, watchman: Watchman, pid: int, directory: Path | None = None) -> tuple[int, str]:
        found: list[tuple[int, str]] = []
        until(lambda: found.extend(watchman.found([pid], directory)) or found, "it is found")
        return found[0]

    def test_who_is_stopped_is_found_and_why(self, sleeper: subprocess.Popen[bytes]) -> None:
        stop(sleeper)
        said = "SIGSTOP: a signal had stopped it for 0.05 s"
        assert self.found(Watchman(sleeper.pid, 0.05), sleeper.pid) == (sleeper.pid, said)

    def test_who_hangs_is_found_and_why(self, tmp_path: Path) -> None:
        Pulse(str(tmp_path), 0.05).around(
            lambda: self.check(self.found(Watchman(os.getsid(0), 0.05), os.getpid(), tmp_path))
        )()

    def check(self, found: tuple[int, str]) -> None:
        assert found == (os.getpid(), "it hung: one message kept it busy for 0.05 s")

    def test_it_does_not_look_more_often_than_it_must(self, sleeper: subprocess.Popen[bytes]) -> None:
        stop(sleeper)
        watchman = Watchman(sleeper.pid, None)
        assert watchman.every_s == 1.0
        assert not list(watchman.found([sleeper.pid]))
        looked: list[int] = []
        assert not list(watchman.found(iter(lambda: looked.append(1) or 0, 1)))
        assert not looked

    def test_nobody_is_found_where_there_is_no_limit(self, sleeper: subprocess.Popen[bytes]) -> None:
        watchman = Watchman(sleeper.pid, None)
        stop(sleeper)
        watchman._next_look = 0.0
        list(watchman.found([sleeper.pid]))
        watchman._next_look = 0.0
        assert not list(watchman.found([sleeper.pid]))


def test_who_is_continued_in_between_does_not_stand_still(sleeper: subprocess.Popen[bytes]) -> None:
    seen = set()
    for _ in range(5):
        stop(sleeper)
        seen.add(rests_of(sleeper.pid))
        sleeper.send_signal(signal.SIGCONT)
        until(lambda: state_of(sleeper.pid, sleeper.pid) == b"S", "it goes on")
    assert len(seen) == 5, "each standstill is another one"
    stop(sleeper)
    assert rests_of(sleeper.pid) == rests_of(sleeper.pid)


def test_whom_a_debugger_holds_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slither_actors.transport._standstill.state_of", lambda pid, session: b"t")
    watchman = Watchman(os.getsid(0), 0.0001)

    def look() -> None:
        for _ in range(20):
            watchman._next_look = 0.0
            assert not list(watchman.found([os.getpid()], tmp_path))

    Pulse(str(tmp_path), 0.0001).around(look)()


def test_the_dead_and_those_of_other_sessions_have_no_state(sleeper: subprocess.Popen[bytes]) -> None:
    assert state_of(sleeper.pid, sleeper.pid)
    assert state_of(sleeper.pid, os.getsid(0)) == b""
    sleeper.kill()
    until(lambda: state_of(sleeper.pid, sleeper.pid) == b"", "it is dead")


def test_only_who_is_of_the_session_is_killed_and_word_of_it_is_left_before(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    kill_distant(sleeper.pid, os.getsid(0), lambda: leave_word(tmp_path, sleeper.pid, "wrong"))
    assert word_of(str(tmp_path), sleeper.pid) == ""
    kill_distant(sleeper.pid, sleeper.pid, lambda: leave_word(tmp_path, sleeper.pid, "why"))
    assert word_of(str(tmp_path), sleeper.pid) == "why"
    assert sleeper.wait(LIMIT_S) == -signal.SIGKILL
    kill_distant(sleeper.pid, sleeper.pid, lambda: leave_word(tmp_path, sleeper.pid, "again"))
    assert word_of(str(tmp_path), sleeper.pid) == "why"
    remove_sockets(tmp_path, sleeper.pid)
    assert not list(tmp_path.iterdir())


def test_word_that_finds_no_room_is_not_left(tmp_path: Path) -> None:
    leave_word(tmp_path / "missing", 1, "why")
    assert word_of(str(tmp_path / "missing"), 1) == ""


def test_actors_are_known_by_their_sockets(tmp_path: Path) -> None:
    for name in ("12.0.aa", "12.1.bb", "7.running", "admin", "cookie", "lock"):
        (tmp_path / name).touch()
    assert actors_in(tmp_path) == {7, 12}
    assert actors_in(tmp_path / "missing") == set()


class TestPulse:
    def test_it_beats_while_an_action_runs_also_if_that_raises(self, tmp_path: Path) -> None:
        pulse, seen = Pulse(str(tmp_path), 2.5), []

        def action(fails: bool) -> str:
            seen.append(busy_at(tmp_path, os.getpid()))
            if fails:
                raise ValueError("boom")
            return "done"

        watched = pulse.around(action)
        assert busy_at(tmp_path, os.getpid()) is None
        assert watched(False) == "done"
        with pytest.raises(ValueError, match="boom"):
            watched(True)
        assert busy_at(tmp_path, os.getpid()) is None
        assert seen == [Busy(1, 2.5), Busy(3, 2.5)]

    def test_who_has_none_is_never_busy(self, tmp_path: Path) -> None:
        assert busy_at(tmp_path, os.getpid()) is None
        (tmp_path / f"{os.getpid()}.pulse").write_bytes(b"torn")
        assert busy_at(tmp_path, os.getpid()) is None
