"""What the next owner knows of the writes before it: those whose commit came about, and no other ones."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import lmdb
import pytest

from slither_actors import StoreFull, StoreUnavailable
from slither_actors.store import _journal
from slither_actors.store._journal import LEAST_BYTES, NAMES, Journal
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
        return journal.records(last)
    finally:
        journal.close()


def begun(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.records(0)
    return journal


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
    assert [(folder / name).stat().st_size for name in NAMES] == [LEAST_BYTES] * 2


def test_a_move_that_is_broken_off_has_changed_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(folder)
    journal.put(1, b"kept")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "put", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            journal.rewrite(1, b"other")
    assert reopened(folder, 1) == [b"kept"]
    with monkeypatch.context() as patch:
        patch.setattr(_journal, "reserve", Mock(side_effect=OSError(28, "No space left on device")))
        again = Journal.__new__(Journal)
        vars(again).update(vars(journal))
        with pytest.raises(OSError, match="No space"):
            again.rewrite(1, b"x" * LEAST_BYTES)
        again.rewrite(1, b"small")  # takes no new room
    assert reopened(folder, 1) == [b"small"]


def test_with_room_for_nothing_more_callers_are_still_known(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.submit(Once(ONE, 1, USERS.put("a", b"x" * 100_000)))
    with monkeypatch.context() as patch:
        patch.setattr(_journal, "reserve", Mock(side_effect=OSError(28, "No space left on device")))
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
    around = engine.writer._words.around

    def fails(commit: Any, slots: Any) -> None:
        if came_about:
            around(commit, slots)
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    request = Once(ONE, 1, USERS.increment("n", 1))
    with monkeypatch.context() as patch:
        patch.setattr(engine.writer._words, "around", fails)
        with pytest.raises(StoreUnavailable):
            engine.writer.apply([request])
    engine["users"].put("other", 1)
    assert engine.submit(request) == engine["users"]["n"] == 1
    engine.close()
    again = Engine(engine.location.path)
    assert again.submit(request) == again["users"]["n"] == 1
    again.close()


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
