"""What the next owner knows of the writes before it: those whose commit came about, and no other ones."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import lmdb
import pytest

from slither_actors import StoreFull, StoreUnavailable
from slither_actors.store._journal import LEAST_BYTES, NAMES, Journal
from slither_actors.store._once import Memory
from slither_actors.store._operations import Once, Outcome
from slither_actors.store._requests import Requests
from slither_actors.store._schema import TableSpec
from tests.unit.store.engines import Engine

USERS = Requests(TableSpec("users"))
ONE, OTHER = b"w" * 16, b"v" * 16


class Killed(BaseException):
    """Stands for SIGKILL: nothing that follows is done."""


def reopened(folder: Path, last: int) -> list[bytes]:
    journal = Journal(folder)
    try:
        return journal.records(last, bytes)
    finally:
        journal.close()


def begun(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.records(0, bytes)
    return journal


def sizes(folder: Path) -> list[int]:
    return [(folder / name).stat().st_size for name in NAMES]


def no_room() -> Mock:
    return Mock(side_effect=OSError(28, "No space left on device"))


def fail(engine: Engine, request: Once, came_about: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for it, where the commit says that it failed."""
    around = engine.writer._words.around

    def fails(commit: Any, slots: Any) -> None:
        if came_about:
            around(commit, slots)
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(engine.writer._words, "around", fails)
        with pytest.raises(StoreUnavailable):
            engine.writer.apply([request])


def test_what_was_put_holds_if_its_commit_came_about(folder: Path) -> None:
    journal = begun(folder)
    assert journal.put(1, b"first")
    assert journal.put(2, b"second")
    assert reopened(folder, 2) == [b"first", b"second"]
    assert reopened(folder, 1) == [b"first"]
    assert reopened(folder, 2) == [b"first"]  # gone for good: another commit may get its number


@pytest.mark.parametrize("last", [6, 7])
def test_a_commit_that_failed_is_looked_after(folder: Path, last: int) -> None:
    journal = begun(folder)
    journal.put(7, b"a longer one, of which nothing may be left")
    assert journal.settle(last) == (last == 7)
    journal.put(last + 1, b"next")
    assert reopened(folder, 9)[-1] == b"next"
    assert len(reopened(folder, 9)) == last - 5


def test_a_shorter_record_in_the_place_of_one_that_was_none_is_the_last_one(folder: Path) -> None:
    journal = begun(folder)
    journal.put(5, b"x" * 100)
    journal.settle(4)
    journal.put(5, b"y")
    assert reopened(folder, 9) == [b"y"]


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_without_room_what_holds_is_moved_and_the_next_one_fits(folder: Path, size: int) -> None:
    journal = begun(folder)
    commit, data = 1, b"x" * 1000
    while journal.put(commit, data):
        commit += 1
    assert commit > LEAST_BYTES // 1100
    journal.rewrite(commit - 1, b"all", size)
    assert journal.put(commit, b"z" * size)
    assert reopened(folder, commit) == [b"all", b"z" * size]
    assert reopened(folder, commit - 1) == [b"all"]


def test_what_was_large_is_given_back(folder: Path) -> None:
    journal = begun(folder)
    for commit, size in enumerate((10, 1 << 20, 10), 1):
        journal.rewrite(commit, b"x" * size)
        assert reopened(folder, commit) == [b"x" * size]
    assert sizes(folder) == [LEAST_BYTES] * 2


def test_a_move_that_is_broken_off_has_changed_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(folder)
    journal.put(1, b"kept")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "put", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            journal.rewrite(1, b"other")
    assert reopened(folder, 1) == [b"kept"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room())
        again = Journal.__new__(Journal)
        vars(again).update(vars(journal))
        with pytest.raises(OSError, match="No space"):
            again.rewrite(1, b"x" * LEAST_BYTES)
        again.rewrite(1, b"small")  # takes no new room
    assert reopened(folder, 1) == [b"small"]


def test_with_room_for_nothing_more_callers_are_still_known(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.submit(Once(ONE, 1, USERS.put("a", b"x" * 100_000)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room())
        with pytest.raises(StoreFull):
            engine.submit(Once(ONE, 2, USERS.take("a")))
        for number in range(3000):
            engine.submit(Once(OTHER, number, USERS.increment("n", 1, default=0)))
    assert "a" in engine["users"]
    engine.close()
    again = Engine(engine.location.path)
    assert again.submit(Once(OTHER, 2999, USERS.increment("n", 1))) == 3000
    assert again.writer.recall(ONE) == (1, Outcome(None, 1))
    assert [pickle.loads(row) for row in again.submit(Once(ONE, 3, USERS.take("a")))] == [b"x" * 100_000]
    again.writer.maintain()
    again.close()


def test_with_room_for_nothing_more_many_callers_go_on(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each move finds the room that it needs: both files have what the former one had."""
    writers = [number.to_bytes(16) for number in range(1500)]
    for number in (1, 2):
        engine.writer.apply([Once(writer, number, USERS.put("a", 1)) for writer in writers])
    small, large = sizes(engine.location.path)
    assert small == large > LEAST_BYTES
    rewrite = Mock(wraps=engine.writer._memory._journal.rewrite)
    monkeypatch.setattr(engine.writer._memory._journal, "rewrite", rewrite)
    monkeypatch.setattr(os, "posix_fallocate", no_room())
    while rewrite.call_count < 3:
        number += 1
        engine.writer.apply([Once(writer, number, USERS.put("a", number)) for writer in writers[::10]])
    assert engine.submit(Once(writers[0], number + 1, USERS.delete("a"))) is True
    assert engine.submit(Once(writers[1], number + 1, USERS.clear())) == 0


def test_what_finds_no_room_for_more_uses_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(folder)
    monkeypatch.setattr(os, "posix_fallocate", no_room())
    journal.rewrite(1, b"x" * (LEAST_BYTES - 1000), 900)
    assert journal.put(2, b"y" * 900)
    with pytest.raises(OSError, match="No space"):
        journal.rewrite(2, b"x" * (LEAST_BYTES - 1000), 1000)
    monkeypatch.undo()
    assert reopened(folder, 2) == [b"x" * (LEAST_BYTES - 1000), b"y" * 900]


def test_room_for_one_file_alone_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(folder)
    journal.put(1, b"kept")
    allocate, calls = os.posix_fallocate, Mock(side_effect=[None, OSError(28, "No space left on device")])

    def once(file: int, offset: int, size: int) -> None:
        calls()
        allocate(file, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", once)
    with pytest.raises(OSError, match="No space"):
        journal.rewrite(1, b"x" * LEAST_BYTES)
    assert sizes(folder) == [LEAST_BYTES] * 2
    monkeypatch.undo()
    assert reopened(folder, 1) == [b"kept"]


def test_a_large_result_takes_little_more_than_its_size_in_each_file_until_it_is_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1 << 20
    engine.submit(Once(ONE, 1, USERS.put("a", b"x" * size)))
    engine.submit(Once(ONE, 2, USERS.take("a")))
    assert all(size < taken < size * 3 // 2 for taken in sizes(engine.location.path))
    journal = engine.writer._memory._journal
    rewrite = Mock(wraps=journal.rewrite)
    monkeypatch.setattr(journal, "rewrite", rewrite)
    engine.submit(Once(OTHER, 1, USERS.put("a", 1)))
    engine.writer.maintain()
    assert not rewrite.called, "nothing becomes smaller"
    engine.submit(Once(ONE, 3, USERS.put("a", 1)))
    engine.writer.maintain()
    assert sizes(engine.location.path) == [LEAST_BYTES] * 2


@pytest.mark.parametrize("came_about", [False, True])
def test_a_commit_that_failed_is_looked_after_before_the_journal_is_moved(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, came_about: bool
) -> None:
    engine["users"].put("n", 0)
    engine.submit(Once(OTHER, 1, USERS.put("a", b"x" * 100_000)))
    engine.submit(Once(OTHER, 2, USERS.take("a")))
    engine.submit(Once(OTHER, 3, USERS.put("a", 1)))
    request = Once(ONE, 1, USERS.increment("n", 1))
    fail(engine, request, came_about, monkeypatch)
    engine.writer.maintain()
    assert sizes(engine.location.path) == [LEAST_BYTES] * 2
    engine["users"].put("other", 1)
    assert engine.submit(request) == engine["users"]["n"] == 1


def test_a_commit_that_failed_and_came_about_counts_its_rows(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(engine, Once(ONE, 1, USERS.put("a", 1)), True, monkeypatch)
    engine["users"].put("b", 1)
    assert engine["users"].size() == 2


@pytest.mark.parametrize("came_about", [False, True])
def test_an_owner_that_is_killed_at_its_commit_leaves_the_truth(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, came_about: bool
) -> None:
    """What was committed is not done again, what was not is; and a later commit of the same number changes nothing."""
    engine["users"].put("n", 0)
    around = engine.writer._words.around

    def dies(commit: Any, slots: Any) -> None:
        if came_about:
            around(commit, slots)
        raise Killed

    request = Once(ONE, 1, USERS.increment("n", 1))
    monkeypatch.setattr(engine.writer._words, "around", dies)
    with pytest.raises(Killed):
        engine.writer.apply([request])
    engine.close()

    again = Engine(engine.location.path)
    assert (again.writer.recall(ONE) is not None) == came_about
    again["users"].put("other", 1)
    again.close()
    third = Engine(engine.location.path)
    assert third.submit(request) == third["users"]["n"] == 1
    assert third.submit(request) == 1
    third.close()


@pytest.mark.parametrize("came_about", [False, True])
def test_an_error_of_a_commit_does_not_say_what_became_of_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, came_about: bool
) -> None:
    engine["users"].put("n", 0)
    request = Once(ONE, 1, USERS.increment("n", 1))
    fail(engine, request, came_about, monkeypatch)
    engine["users"].put("other", 1)
    assert engine.submit(request) == engine["users"]["n"] == 1
    engine.close()
    again = Engine(engine.location.path)
    assert again.submit(request) == again["users"]["n"] == 1
    again.close()


def test_the_owner_goes_on_when_somebody_has_removed_the_folder(engine: Engine) -> None:
    """As with the tables themselves; the next one would begin anew."""
    shutil.rmtree(engine.location.path)
    for number in range(3000):
        engine.submit(Once(ONE, number, USERS.increment("n", 1, default=0)))
    engine.submit(Once(ONE, 3000, USERS.put("a", b"x" * 100_000)))
    engine.submit(Once(ONE, 3001, USERS.take("a")))
    engine.writer.maintain()
    assert engine["users"]["n"] == 3000


def test_what_nobody_can_read_ends_what_is_known(engine: Engine) -> None:
    """As where the machine has died: then nobody is left who could ask."""
    engine.submit(Once(ONE, 1, USERS.put("a", 1)))
    engine.submit(Once(OTHER, 1, USERS.put("a", 1)))
    engine.close()
    file = engine.location.path / NAMES[0]
    data = bytearray(file.read_bytes())
    data[data.index(OTHER) - 8 : data.index(OTHER) + 16] = os.urandom(24)
    file.write_bytes(data)
    again = Engine(engine.location.path)
    again.submit(Once(OTHER, 2, USERS.put("a", 2)))
    again.close()
    third = Engine(engine.location.path)
    assert third.writer.recall(ONE) == (1, Outcome(None, 1))
    assert third.writer.recall(OTHER) == (2, Outcome(None, 1))
    third.close()


@pytest.mark.parametrize("record", [None, [1], [(ONE, 1)], [([], 1, None, 1)]])
def test_a_record_of_another_shape_ends_what_is_known(
    folder: Path, record: object, caplog: pytest.LogCaptureFixture
) -> None:
    journal = begun(folder)
    journal.put(1, pickle.dumps([(OTHER, 1, None, 1)]))
    journal.put(2, pickle.dumps(record))
    journal.close()
    memory = Memory(folder)
    memory.load(2)
    assert memory.recall(OTHER) == (1, Outcome(None, 1))
    memory.close()
    [said] = caplog.messages
    assert said.startswith(f"{folder / NAMES[0]} cannot be read from byte ")
    assert len(reopened(folder, 2)) == 1


def test_files_of_another_format_are_begun_anew(folder: Path) -> None:
    journal = begun(folder)
    journal.put(1, b"of another format")
    journal.close()
    for name in NAMES:
        with (folder / name).open("r+b") as file:
            file.write(b"another\1")
            file.truncate(3 * LEAST_BYTES)
    assert reopened(folder, 9) == []
    journal = begun(folder)
    journal.put(1, b"first")
    journal.rewrite(1, b"moved")
    journal.put(2, b"second")
    assert reopened(folder, 2) == [b"moved", b"second"]
    assert sizes(folder) == [LEAST_BYTES] * 2


def test_what_a_former_format_kept_of_callers_is_removed(engine: Engine) -> None:
    engine["users"].put("a", 1)
    with engine.writer._environment.begin(write=True) as txn:
        before = txn.stat()["entries"]
        for number in range(300):
            txn.put(b"\0o" + number.to_bytes(16), b"x")
    engine.close()
    again = Engine(engine.location.path)
    with again.writer._environment.begin() as txn:
        assert txn.stat()["entries"] == before
    assert again["users"]["a"] == 1
    again.close()
