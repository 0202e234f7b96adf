"""What tables promise beyond a dict: own copies, one moment, one commit for many, once."""

from __future__ import annotations

import contextlib
import errno
import gc
import math
import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import lmdb
import pytest

from slither_actors.errors import (
    InvalidOption,
    NotDecodable,
    NotPicklable,
    SnapshotExpired,
    StoreConflict,
    StoreFull,
    StoreLoadError,
    StoreUnavailable,
)
from slither_actors.store import _cached, _environment, _select
from slither_actors.store._keys import LONGER
from slither_actors.store._load import Loading
from slither_actors.store._match import ANY
from slither_actors.store._operations import BulkInsert, Once, Put, Transaction
from slither_actors.store._requests import Requests
from slither_actors.store._schema import Cursor, TableSpec
from slither_actors.store._values import identity
from slither_actors.store._writes import UPDATE_ATTEMPTS, TableHandle
from slither_actors.store.transaction import Transaction as StoreTransaction
from tests.helpers.patience import PATIENCE_S
from tests.unit.store.engines import TABLES, Engine

REQUESTS = {spec.name: Requests(spec) for spec in TABLES}
USERS = REQUESTS["users"]


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


def warm(table: Any, key: Any) -> Any:
    """Read until the value is kept."""
    for _ in range(3):
        value = table.get(key)
    return value


# -- what is kept


def test_what_is_kept_is_not_read_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    users = engine["users"]
    users.put("a", "text")
    users.put("b", [1])
    for key in ("a", "b", "absent"):
        warm(users, key)
    monkeypatch.setattr(engine.reader.tables["users"].environment, "begin", None)

    assert (users.get("a"), users["b"], users.get("absent", 5), "absent" in users) == ("text", [1], 5, False)
    with pytest.raises(TypeError):
        users.get("c")


def test_what_can_be_changed_is_everybodys_own(engine: Engine) -> None:
    users = engine["users"]
    values = [[1], {"a": [1]}, {"a": {"b": 1}}, {1, 2}, {"a": [[1]]}, ([1],), Point(1), bytearray(b"a"), [Point(2)]]
    for number, value in enumerate(values):
        users.put(number, value)
        first, second = warm(users, number), users.get(number)
        assert first == second == value
        assert first is not second
    inner = users.get(1)
    inner["a"].append("mine")
    assert users.get(1) == {"a": [1]}
    nested = users.get(5)
    nested[0].append("mine")
    assert users.get(5) == ([1],)
    for inside in ({"b": [1]}, {"b": {"c": 1}}, [[1]]):
        users.put("deep", {"a": inside})
        for _ in range(4):
            deep = users.get("deep")
            assert deep == {"a": inside}
            for part in deep["a"].values() if isinstance(inside, dict) else deep["a"]:
                part.clear()


def test_a_write_ends_what_was_kept_of_its_table_alone(engine: Engine) -> None:
    users, scores = engine["users"], engine["scores"]
    users.put("a", 1)
    scores.put("a", 1)
    warm(users, "a")
    warm(scores, "a")
    kept = engine.reader.tables["scores"]._kept
    users.put("a", 2)

    assert users.get("a") == 2
    assert scores.get("a") == 1
    assert engine.reader.tables["scores"]._kept is kept


def test_an_open_commit_is_not_hidden_by_what_is_kept(engine: Engine) -> None:
    """As when a writer dies within it: everything is read anew until the next one has opened."""
    users = engine["users"]
    users.put("a", 1)
    warm(users, "a")
    slot = users.layout.slot
    engine.writer._words._words[slot] |= 1
    for value in (2, 3):
        with engine.writer._environment.open().begin(write=True) as txn:
            txn.put(users.layout.row("a"), pickle.dumps(value))
        assert warm(users, "a") == value
    engine.close()
    again = Engine(engine.location.path)
    assert again["users"].get("a") == users.get("a") == 3
    assert again.writer._words._words[slot] % 2 == 0
    again.close()


def test_nothing_is_kept_from_before_a_commit_until_after_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    words, slot, seen = engine.writer._words, engine["users"].layout.slot, []
    around = words.around

    def look() -> None:
        seen.append((words._words[slot] % 2, engine["users"].get("a")))

    monkeypatch.setattr(words, "around", lambda commit, slots: around(lambda: (look(), commit(), look()), slots))
    for write in (lambda: engine["users"].put("a", 1), lambda: engine.writer.rebuild(lambda tables: None)):
        before = words._words[slot]
        write()
        assert words._words[slot] == before + 2
    assert seen == [(1, None), (1, 1), (1, 1), (1, None)]


def test_what_is_kept_has_a_bound(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cached, "MOST_BYTES", 16 * 400)
    users = engine["users"]
    users.bulk_insert((n, n) for n in range(100))
    users.put("large", "x" * 10_000)
    for _ in range(3):
        for n in range(100):
            assert warm(users, n) == n
        assert warm(users, "large") == "x" * 10_000
    kept = engine.reader.tables["users"]._kept
    assert 0 < len(kept.values) < 30
    assert "large" not in kept.values


def test_threads_read_what_is_written(engine: Engine) -> None:
    users = engine["users"]
    users.put("n", 0)
    shown, wrong, end = [0], list[str](), threading.Event()

    def read() -> None:
        while not end.is_set():
            known = shown[0]
            if users["n"] < known or [row for row in users.select() if row[1] < known]:
                wrong.append("stale")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 300):
        users.put("n", number)
        shown[0] = number
    end.set()
    for reader in readers:
        reader.join()
    assert not wrong


# -- keys and values


@pytest.mark.parametrize("key", [math.nan, [], {"a": 1}, object(), (1, [2]), 1j])
def test_what_is_no_key_is_refused_everywhere(engine: Engine, key: Any) -> None:
    users = engine["users"]
    for action in (users.get, users.delete, users.take, lambda key: users.put(key, 1), lambda key: users.next(key)):
        with pytest.raises(InvalidOption, match="table users: key is"):
            action(key)


def test_keys_that_are_hashable_and_none_do_not_disturb(engine: Engine) -> None:
    engine["users"].put(1, "one")
    warm(engine["users"], 1)
    assert engine["users"].get(True) == engine["users"].get(1.0) == "one"
    assert "1" not in engine["users"]


def test_values_that_cannot_travel_are_refused_by_the_tables_name(make: Callable[..., Engine]) -> None:
    engine = make(TableSpec("t"), TableSpec("j", codec="json"))
    with pytest.raises(NotPicklable, match="a value of table t"):
        engine["t"].put(1, threading.Lock())
    for value in ({1}, Point(1), {1: 2}, 2**70):
        with pytest.raises(NotPicklable, match="a value of table j"):
            engine["j"].put(1, value)
    engine["t"].put(1, lambda: 5)
    assert engine["t"][1]() == 5
    engine["t"].bulk_insert([(2, 2), (3, lambda: 6)])
    assert (engine["t"][2], engine["t"][3]()) == (2, 6)
    engine["j"].put(1, (1, 2))
    assert engine["j"][1] == [1, 2]


def test_what_is_of_the_main_module_travels_by_value(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Point):
        __module__, __qualname__ = "__main__", "Mine"

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["__main__"], "Mine", Mine, raising=False)
        engine["users"].put("one", Mine(1))
        engine["users"].bulk_insert([("many", Mine(2))])
    assert (engine["users"]["one"].x, engine["users"]["many"].x) == (1, 2)


def test_a_value_that_cannot_be_read_here_says_so(engine: Engine) -> None:
    engine.writer.apply([Put("users", USERS.delete("a").key, b"cno_such_module\nname\n.")])
    for _ in range(3):
        with pytest.raises(NotDecodable, match=r"a value of table users .*no_such_module"):
            engine["users"].get("a")
    assert engine["users"].delete("a")


# -- rows of one moment


def test_a_loop_sees_one_moment_and_a_cursor_survives_writes(engine: Engine) -> None:
    users = engine["users"]
    users.bulk_insert((n, n) for n in range(1000))
    rows = users.select()
    first = [next(rows) for _ in range(10)]
    cursor = rows.cursor
    users.bulk_insert((n, "new") for n in range(5, 2000))
    users.delete(9)

    assert [*first, *rows] == [(n, n) for n in range(1000)]
    assert [key for key, _ in users.select(after=cursor, limit=2)] == [10, 11]
    assert pickle.loads(pickle.dumps(cursor)) == cursor
    assert rows.cursor is not None
    assert list(users.select(after=rows.cursor, limit=1)) == [(1000, "new")]


def test_a_loop_that_is_left_lets_go_of_its_moment(engine: Engine) -> None:
    users = engine["users"]
    users.bulk_insert((n, n) for n in range(1000))
    for leave in ("close", "drop"):
        rows = users.select()
        next(rows)
        pins = engine.writer._environment.pins
        assert len(pins) == 1
        if leave == "close":
            rows.close()
            assert list(rows) == []
        del rows
        gc.collect()
        assert not len(pins)


def test_a_loop_that_takes_too_long_loses_its_moment(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_select, "ITERATION_S", 0.01)
    users = engine["users"]
    users.bulk_insert((n, n) for n in range(100))
    rows = users.select()
    next(rows)
    end = time.monotonic() + PATIENCE_S
    while any(pin._txn is not None for pin in list(engine.reader._environment.pins)):
        assert time.monotonic() < end, "its time is not limited"
    with pytest.raises(SnapshotExpired, match=r"0\.01 s"):
        list(rows)


def test_pages_of_a_bag_divide_the_values_of_a_key(engine: Engine) -> None:
    tags = engine["tags"]
    for n in range(5):
        tags.put("a", n)
    tags.put("b", "x")
    rows = tags.select(limit=3)
    assert list(rows) == [("a", 0), ("a", 1), ("a", 2)]
    assert list(tags.select(after=rows.cursor)) == [("a", 3), ("a", 4), ("b", "x")]
    assert list(tags.select(after="a")) == [("b", "x")]
    assert list(tags.select(after=rows.cursor, reverse=True)) == [("a", 1), ("a", 0)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("table", ["users", "tags"])
def test_pages_by_the_cursor_pass_the_key_none(engine: Engine, table: str, reverse: bool) -> None:
    engine[table].bulk_insert((key, 1) for key in (None, 1, 2, 3))
    place, found = None, []
    while page := list(rows := engine[table].select(limit=1, after=place, reverse=reverse)):
        found += [key for key, _ in page]
        place = rows.cursor
    assert found == sorted([None, 1, 2, 3], key=lambda key: key or 0, reverse=reverse)


def test_where_takes_key_and_value_or_the_pair(engine: Engine) -> None:
    users = engine["users"]
    users.bulk_insert((n, n * n) for n in range(10))
    assert list(users.select(lambda key, value: value > 40, limit=2)) == [(7, 49), (8, 64)]
    assert list(users.select(lambda row: row[1] > 40, limit=2)) == [(7, 49), (8, 64)]
    rows = users.select(lambda key, value: 1 / (key - 1))
    assert next(rows) == (0, 0)
    with pytest.raises(ZeroDivisionError):
        next(rows)
    assert next(rows) == (2, 4)


@pytest.mark.parametrize("options", [{"limit": -1}, {"limit": True}, {"limit": 1.5}, {"prefix": 5}, {"start": []}])
def test_odd_options_of_a_select_are_refused_at_once(engine: Engine, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="table users"):
        engine["users"].select(**options)
    with pytest.raises(InvalidOption, match="a cursor of this table"):
        engine["users"].select(after=Cursor("tags", b"\1"))


def test_patterns_nest(engine: Engine) -> None:
    users = engine["users"]
    users.put(("eu", 1), {"name": "a", "tags": ["x", "y"], "at": (1, 2)})
    users.put(("us", 1), {"name": "b", "tags": ["x"], "at": (1, 3)})
    assert [key for key, _ in users.match(("eu", ANY))] == [("eu", 1)]
    assert [key for key, _ in users.match(value={"at": (1, ANY)})] == [("eu", 1), ("us", 1)]
    assert [key for key, _ in users.match((ANY, 1), {"tags": [ANY]})] == [("us", 1)]
    assert list(users.match("absent")) == list(users.match(value={"age": ANY})) == []
    assert pickle.loads(pickle.dumps(ANY)) is ANY


def test_a_table_is_not_iterated_over_by_itself(engine: Engine) -> None:
    with pytest.raises(TypeError, match=r"use select\(\)"):
        list(engine["users"])
    assert engine["users"], "an empty table is a table all the same"


@pytest.mark.parametrize(("key", "longer"), [("a", "a\0"), (b"a", b"a\0b"), (65536, 65537), (2.0**40, 2**40 + 1)])
def test_keys_of_a_bag_that_begin_alike_do_not_meet(engine: Engine, key: Any, longer: Any) -> None:
    """One's encoding is the beginning of the other one's."""
    tags = engine["tags"]
    odd = next(n for n in range(40, 10_000) if identity(n, b"").startswith(LONGER))
    rows = [*((key, n) for n in range(40)), *((longer, n) for n in range(20))]
    tags.bulk_insert([*rows[:30], *rows[40:]])
    tags.bulk_insert(rows)

    assert tags[key] == list(range(40))
    assert tags[longer] == list(range(20))
    assert list(tags.select()) == rows
    assert (tags.next(key), tags.prev(longer)) == (longer, key)
    assert list(tags.select(after=key)) == list(tags.select(start=longer)) == rows[40:]
    assert tags.delete(key)
    assert tags[longer] == list(range(20))
    assert len(tags) == 20
    assert tags.bulk_insert(rows) == 40
    for _ in range(2):
        tags.put(key, odd)
        assert tags.take(key)[-1] == odd


def test_a_bag_forgets_the_values_of_a_key_that_is_gone_and_no_others(engine: Engine) -> None:
    tags = engine["tags"]

    def fill() -> None:
        for key in ("a", "b", "c"):
            for value in (1, 2, 1):
                tags.put(key, value)

    fill()
    assert tags.take("a") == [1, 2]
    fill()
    assert list(tags.select()) == [(key, value) for key in ("a", "b", "c") for value in (1, 2)]
    assert tags.clear() == 6
    fill()
    assert (tags["a"], len(tags), engine["users"].clear()) == ([1, 2], 6, 0)


# -- snapshots


def test_a_snapshot_is_one_moment_of_all_tables(engine: Engine) -> None:
    users, tags = engine["users"], engine["tags"]
    users.put("a", 1)
    tags.put("a", 1)
    with engine.reader.snapshot() as snapshot:
        users.put("a", 2)
        tags.put("a", 2)
        engine.writer.rebuild(lambda tables: tables.users.put("a", 3))
        assert (snapshot.users["a"], snapshot.tags["a"], snapshot.version) == (1, [1], 0)
        assert list(snapshot.users.select()) == [("a", 1)]
        assert snapshot.users.size() == 1
        with pytest.raises(AttributeError, match="no attribute 'user'; tables of this one: users, scores, tags"):
            snapshot.user  # noqa: B018
    assert (users["a"], engine.reader.version) == (3, 1)
    for read in (lambda: snapshot.users["a"], lambda: list(snapshot.users.select()), snapshot.users.size):
        with pytest.raises(SnapshotExpired, match="longer than 30 s, or its block has ended"):
            read()


def read_until(end: float, table: Any) -> None:
    while time.monotonic() < end:
        assert table["a"] == 1


def test_a_snapshot_ends_by_itself_when_its_time_is_over(engine: Engine) -> None:
    engine["users"].put("a", 1)
    with engine.reader.snapshot(0.01) as snapshot:
        with pytest.raises(SnapshotExpired, match=r"0\.01 s"):
            read_until(time.monotonic() + PATIENCE_S, snapshot.users)
        assert engine.writer._environment.open().info()["num_readers"] <= 2
    with pytest.raises(InvalidOption, match="limit_s"):
        engine.reader.snapshot(0)
    with engine.reader.snapshot(1e12) as snapshot:
        assert snapshot.users["a"] == 1


# -- many writers, one commit


def test_writers_of_one_commit_fail_alone(engine: Engine) -> None:
    scores = REQUESTS["scores"]
    engine["users"].put("text", "no number")
    outcomes = engine.writer.apply(
        [
            USERS.put("a", 1),
            USERS.increment("text", 1),
            USERS.increment("absent", 1),
            USERS.insert_new("a", 2),
            USERS.replace("a", b"something else", 3),
            BulkInsert("users", b"broken"),
            Transaction((scores.put(1, 1), USERS.put("b", 1), USERS.increment("text", 1))),
            Transaction((scores.put(2, 2), USERS.increment("a", 4))),
        ]
    )
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds[:5] == [type(None), InvalidOption, KeyError, type(None), type(None)]
    assert isinstance(outcomes[5].error, pickle.UnpicklingError)
    assert [outcome.result for outcome in outcomes[:5]] == [None, None, None, False, False]
    assert (kinds[6], outcomes[7].result, outcomes[7].written) == (InvalidOption, [None, 5], 2)
    assert list(engine["scores"].select()) == [(2, 2)]
    assert dict(engine["users"].select()) == {"a": 5, "text": "no number"}
    assert (len(engine["scores"]), len(engine["users"])) == (1, 2)


def test_a_commit_that_breaks_after_others_fails_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed is not said to be undone."""
    commit, errors = engine.writer._commit, [StoreFull("s", "full"), None, StoreUnavailable("s", "broken"), None]

    def commit_or_fail(*arguments: Any) -> None:
        error = errors.pop(0)
        if error is not None:
            raise error
        commit(*arguments)

    monkeypatch.setattr(engine.writer, "_commit", commit_or_fail)
    outcomes = engine.writer.apply([USERS.put(n, n) for n in range(3)])

    assert [type(outcome.error) for outcome in outcomes] == [type(None), StoreUnavailable, type(None)]
    assert dict(engine["users"].select()) == {0: 0, 2: 2}


def test_an_environment_in_panic_is_opened_anew(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    former = engine.writer._environment.open()
    with monkeypatch.context() as patch:
        patch.setattr(engine.writer, "_commit", Mock(side_effect=lmdb.PanicError("MDB_PANIC")))
        with pytest.raises(StoreUnavailable, match="MDB_PANIC"):
            engine["users"].put("a", 1)

    assert engine.writer._environment.open() is not former
    engine["users"].put("b", 2)
    assert dict(engine["users"].select()) == {"b": 2}


def test_a_transaction_says_what_each_write_did(engine: Engine) -> None:
    users, tags = engine["users"], engine["tags"]
    users.put("a", {"x": 1})
    tags.bulk_insert([("a", 1), ("a", 2)])

    def write(operation: Any) -> tuple[Any, int]:
        [outcome] = engine.writer.apply([operation])
        return outcome.result, outcome.written

    with StoreTransaction("s", engine.reader, write) as writes:
        writes.users.take("a", "the default")
        writes.tags.take("a")
        writes.users.take("a", "the default")
        writes.users.bulk_insert((n, "x" * 1000) for n in range(2000))
        writes.users.clear()
        assert len(list(engine.location.path.glob("bulk-*"))) == 1

    assert writes.results == [{"x": 1}, [1, 2], "the default", 2000, 2000]
    assert not list(engine.location.path.glob("bulk-*"))


def test_writes_of_a_transaction_answer_nothing_before_its_end(engine: Engine) -> None:
    with StoreTransaction("s", engine.reader, lambda operation: (engine.submit(operation), 1)) as writes:
        users: Any = writes.users
        answers = [users.put(1, 1), users.insert_new(2, 2), users.increment(2), users.delete(1), users.take(2)]
        answers += [users.bulk_insert([(3, 3)]), users.clear()]
        assert answers == [None] * 7
    assert writes.results == [None, True, 3, True, 3, 1, 1]


def test_a_transaction_writes_in_its_one_block_alone(engine: Engine) -> None:
    transaction = StoreTransaction("s", engine.reader, lambda operation: (engine.submit(operation), 1))
    rows = [(n, "x" * 1000) for n in range(2000)]
    with pytest.raises(InvalidOption, match=r"a write is before its block; allowed: .* with store\.transaction\(\) as"):
        transaction.users.put("k", 1)
    with pytest.raises(InvalidOption, match="before its block"):
        transaction.users.bulk_insert(rows)
    with transaction:
        transaction.users.put("k", 2)
    with pytest.raises(InvalidOption, match="a write is behind its block"):
        transaction.users.bulk_insert(rows)
    with pytest.raises(InvalidOption, match="a block is the second one"), transaction:
        pass
    assert not list(engine.location.path.glob("bulk-*"))
    assert dict(engine["users"].select()) == {"k": 2}


def test_many_writers_share_a_commit(engine: Engine) -> None:
    before = engine.writer._environment.open().info()["last_txnid"]
    engine.writer.apply([USERS.put(n, n) for n in range(50)])
    engine.writer.apply([USERS.delete("absent"), USERS.insert_new(1, 1)])
    assert engine.writer._environment.open().info()["last_txnid"] == before + 1
    assert len(engine["users"]) == 50


def test_a_transaction_with_a_late_replace_undoes_itself(engine: Engine) -> None:
    engine["users"].put("a", 1)
    late = Transaction((USERS.put("b", 1), USERS.replace("a", pickle.dumps(0, 5), 2)))
    gone = Transaction((USERS.put("b", 1), USERS.replace("c", pickle.dumps(0, 5), 2)))
    good = Transaction((USERS.put("d", 1), USERS.replace("a", pickle.dumps(1, 5), 2)))
    errors = [type(outcome.error) for outcome in engine.writer.apply([late, gone, good])]
    assert errors == [StoreConflict, KeyError, type(None)]
    assert dict(engine["users"].select()) == {"a": 2, "d": 1}


def test_what_is_asked_twice_is_done_once_by_whichever_writer(engine: Engine) -> None:
    engine["users"].put("n", 0)
    request = Once(b"w" * 16, 7, USERS.increment("n", 1))
    other = Once(b"v" * 16, 1, USERS.increment("n", 1))
    outcomes = engine.writer.apply([request, request, other])
    assert [outcome.result for outcome in outcomes] == [1, 1, 2]
    assert engine.submit(request) == 1
    engine.close()
    again = Engine(engine.location.path)
    assert again.submit(request) == 1
    assert again.writer.recall(b"w" * 16) == (7, (1, 1, None))
    assert again.writer.recall(b"x" * 16) is None
    assert again.submit(request._replace(number=8)) == 3
    assert again.writer.rebuild(lambda tables: tables.users.put("n", 10), (b"r" * 16, 3)) == 1
    again.close()
    third = Engine(engine.location.path)
    assert third.submit(request._replace(number=8)) == 3
    assert third.writer.recall(b"r" * 16) == (3, (1, 1, None))
    assert third["users"]["n"] == 10
    third.close()


def test_callers_of_long_ago_are_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slither_actors.store._once.MOST_CALLERS", 3)
    for number, n in enumerate((*range(5), 1)):
        engine.submit(Once(b"%d" % n, number, USERS.put(n, n)))
    engine.writer.maintain()
    known = [n for n in range(5) if engine.writer.recall(b"%d" % n)]
    assert known == [1, 3, 4]
    engine.close()
    again = Engine(engine.location.path)
    assert [n for n in range(5) if again.writer.recall(b"%d" % n)] == known
    again.close()


# -- single writes


def test_an_update_that_is_beaten_tries_again_and_a_raising_one_harms_nobody(engine: Engine) -> None:
    users = engine["users"]
    users.put("n", 0)
    seen: list[int] = []

    def slow(value: int) -> int:
        seen.append(value)
        if len(seen) < 3:
            users.increment("n", 10)
        return value + 1

    assert users.update("n", slow) == 21
    assert seen == [0, 10, 20]
    with pytest.raises(ZeroDivisionError):
        users.update("n", lambda value: 1 / 0)
    with pytest.raises(StoreConflict, match=f"'n' was changed by others at each of {UPDATE_ATTEMPTS} attempts"):
        users.update("n", lambda value: users.increment("n"))
    with pytest.raises(KeyError):
        users.update("absent", lambda value: value)


def test_a_counter_stops_or_starts_again_at_its_threshold(engine: Engine) -> None:
    users = engine["users"]
    users.put("n", 5)
    assert users.increment("n", 3, threshold=7) == 7
    assert users.increment("n", 1, threshold=7, reset=0) == 0
    assert users.increment("n", -3, threshold=-2, reset=5) == 5
    assert users.increment("n", 0.5) == 5.5
    assert users.increment("m", default=10, threshold=10, reset=1) == 1
    users.put("huge", 10**400)
    for key, by in (("huge", 0.5), ("n", 1e308)):
        users.put("n", 1.7e308)
        with pytest.raises(InvalidOption, match="a finite number"):
            users.increment(key, by)
    users.put("on", True)
    users.put("point", Point(1))
    for key, what in (("on", "a bool"), ("point", "a tests")):
        with pytest.raises(InvalidOption, match=f"the value is {what}"):
            users.increment(key)
    for odd in ({"by": "1"}, {"by": math.inf}, {"by": True}, {"default": "x"}, {"threshold": math.nan}):
        with pytest.raises(InvalidOption, match=f"increment: {next(iter(odd))} is"):
            users.increment("n", **odd)


def test_a_number_that_json_cannot_say_is_refused(make: Callable[..., Engine]) -> None:
    numbers = make(TableSpec("numbers", codec="json"))["numbers"]
    numbers.put("n", 2**64 - 1)
    with pytest.raises(InvalidOption, match="increment of key 'n': the value is too large for JSON"):
        numbers.increment("n")
    assert numbers["n"] == 2**64 - 1


def test_bulks_are_all_or_nothing_and_are_read_at_the_caller(engine: Engine) -> None:
    users, path = engine["users"], engine.location.path

    def rows(number: int) -> Any:
        for n in range(number):
            if n == number - 1:
                files.append(len(list(path.glob("bulk-*"))))
            yield n, "x" * 10
        raise LookupError("the source broke")

    files: list[int] = []
    for number in (10, 5000):
        with pytest.raises(LookupError, match="the source broke"):
            users.bulk_insert(rows(number))
    assert files == [0, 1]
    with pytest.raises(InvalidOption, match="rows is 5; allowed: pairs of key and value"):
        users.bulk_insert([(1, 1), 5])  # type: ignore[list-item]
    for wrong in ({"ab": 1}, 5):
        with pytest.raises(InvalidOption, match=r"rows is .*; allowed: an iterable of pairs .*, such as the items\(\)"):
            users.bulk_insert(wrong)  # type: ignore[arg-type]
    with pytest.raises(NotPicklable):
        users.bulk_insert([(1, 1), (2, threading.Lock())])
    assert len(users) == 0
    assert users.bulk_insert((n % 3000, n) for n in range(5000)) == 5000
    assert (len(users), users[0], users[2999]) == (3000, 3000, 2999)
    assert engine["tags"].bulk_insert((n % 10, n % 30) for n in range(5000)) == len(engine["tags"]) == 30
    assert users.bulk_insert([]) == 0
    assert not list(path.glob("bulk-*"))


def test_a_bulk_without_an_owner_leaves_no_file(engine: Engine) -> None:
    def nobody(operation: BulkInsert) -> None:
        assert (engine.location.path / operation.file).stat().st_size > 0
        raise StoreUnavailable("s", "no owner")

    users = TableHandle(engine.reader.tables["users"], nobody)
    with pytest.raises(StoreUnavailable, match="no owner"):
        users.bulk_insert((n, "x" * 1000) for n in range(2000))
    assert not list(engine.location.path.glob("bulk-*"))


def test_files_of_dead_callers_are_swept(engine: Engine) -> None:
    path = engine.location.path
    dead, living = path / "bulk-4194304999-1-aa", path / "bulk-1-1-aa"
    dead.touch()
    living.touch()
    engine.writer.maintain()
    assert (dead.exists(), living.exists()) == (False, True)


# -- load, dump, restore


def test_a_load_replaces_everything_or_nothing(engine: Engine) -> None:
    users = engine["users"]
    users.put("old", 1)
    engine["tags"].put("old", 1)

    def load(tables: Any) -> None:
        assert not users.get("new")
        assert (len(tables.users), tables.users.get("old")) == (0, None)
        tables.users.put("new", {"a": 1})
        assert tables.users.update("new", lambda value: {**value, "b": 2}) == {"a": 1, "b": 2}
        assert tables.scores.increment("n", 5, default=0) == 5
        assert tables.scores.take("n") == 5
        tables.tags.put("t", 1)
        tables.tags.put("t", 1)
        assert list(tables.users.select()) == [("new", {"a": 1, "b": 2})]
        with pytest.raises(AttributeError, match="no table 'user'; this store has: users, scores, tags"):
            tables.user  # noqa: B018
        with pytest.raises(InvalidOption, match="rows is 5; allowed: pairs of key and value"):
            tables.users.bulk_insert([5])
        kept.append(tables.users)
        if broken:
            raise LookupError("no source")

    kept: list[Any] = []
    broken = True
    with pytest.raises(StoreLoadError, match="LookupError: no source") as caught:
        engine.writer.rebuild(load)
    assert isinstance(caught.value.__cause__, LookupError)
    assert (users["old"], len(users), len(engine["tags"]), engine.reader.version) == (1, 1, 1, 0)
    broken = False
    assert engine.writer.rebuild(load) == engine.writer.version == engine.reader.version == 1
    assert (users.get("old"), len(users), engine["tags"]["t"], len(engine["tags"])) == (None, 1, [1], 1)
    for late in (lambda: kept[-1].put("late", 1), lambda: kept[-1].get("new"), lambda: list(kept[-1].select())):
        with pytest.raises(StoreUnavailable, match="store s cannot be used: load is over"):
            late()


def test_threads_of_a_load_fill_tables_together(engine: Engine) -> None:
    def load(tables: Any) -> None:
        def fill(thread: int) -> None:
            for n in range(400):
                tables.users.put((thread, n), "x" * n)
                assert tables.users[thread, n // 2] == "x" * (n // 2)
            done.append(tables.tags.bulk_insert(((thread, n % 7), n) for n in range(100)))

        threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    done: list[int] = []
    engine.writer.rebuild(load)
    assert done == [100] * 4
    assert dict(engine["users"].select()) == {(thread, n): "x" * n for thread in range(4) for n in range(400)}
    assert len(list(engine["tags"].select())) == len(engine["tags"]) == 400


def test_threads_of_a_load_are_never_in_its_transaction_at_one_time() -> None:
    loading: Any = Loading(Any, "s")
    together, alone = threading.Barrier(2), []

    def enter() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            loading.use(lambda change: together.wait(0.1))
            return
        alone.append(True)

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone == [True, True]


def test_a_durable_store_has_what_it_had(folder: Path) -> None:
    first = Engine(folder / "d", durable=True)
    first["users"].put("a", 1)
    first.writer.rebuild(lambda tables: tables.users.put("b", 2))
    assert first.writer._environment.open().flags()["sync"]
    first.close()
    second = Engine(folder / "d", (*TABLES, TableSpec("new")), durable=True)
    assert (second["users"]["b"], second.reader.version) == (2, 1)
    second["new"].put(1, 1)
    assert dict(second["users"].select()) == {"b": 2}
    second.close()


@pytest.mark.parametrize(
    ("full", "kind", "says"), [(True, StoreFull, "cannot grow"), (False, StoreUnavailable, ": mdb")]
)
def test_a_write_that_is_cut_short_says_whether_that_is_for_want_of_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, full: bool, kind: type[Exception], says: str
) -> None:
    error = lmdb.Error("mdb_txn_commit: Input/output error")
    error.code = errno.EIO  # type: ignore[attr-defined]
    monkeypatch.setattr(_environment, "_is_nearly_full", lambda directory: full)
    found = _environment.unavailable("s", folder, error)
    assert type(found) is kind
    assert says in str(found)


@pytest.mark.parametrize("lose", [lambda data: data.write_bytes(b""), Path.unlink])
def test_a_store_whose_tables_were_lost_does_not_begin_anew(folder: Path, lose: Callable[[Path], object]) -> None:
    first = Engine(folder / "d", durable=True)
    first["users"].put("a", 1)
    first.close()
    lose(folder / "d" / "data.mdb")
    with pytest.raises(StoreUnavailable, match=r"d/data.mdb, which had its tables, is empty or gone; remove .*/d to"):
        Engine(folder / "d", durable=True)
    (folder / "d" / "owner.lock").unlink()
    again = Engine(folder / "d", durable=True)
    assert len(again["users"]) == 0
    again.close()


def test_a_table_does_not_travel(engine: Engine) -> None:
    with engine.reader.snapshot() as moment:
        for table in (engine["users"], moment.users):
            with pytest.raises(TypeError, match="table users cannot be pickled; the handle of its store can"):
                pickle.dumps(table)


def test_a_store_that_gained_more_tables_than_there_is_room_for_says_so(folder: Path) -> None:
    Engine(folder / "d", [TableSpec(f"former{n}") for n in range(120)]).close()
    full = Engine(folder / "d", [TableSpec(f"new{n}") for n in range(6)])
    full["new5"].put("a", 1)
    assert dict(full["new5"].select()) == {"a": 1}
    full.close()
    for more in (1, 2, 3):
        with pytest.raises(StoreUnavailable, match=rf"had 126 tables in .*, with {more} new ones; 126 are allowed"):
            Engine(folder / "d", [TableSpec(f"late{n}") for n in range(more)])
