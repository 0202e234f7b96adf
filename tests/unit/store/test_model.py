"""Tables of every kind do what plain dicts and lists do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from slither_actors.errors import InvalidOption
from slither_actors.store._match import ANY
from slither_actors.store._schema import TableSpec
from tests.unit.store.engines import Engine, folder_in_memory, remove
from tests.unit.store.test_keys import rank

PLAIN_KEYS = [None, False, 1, 1.0, 2.5, -3, "", "a", "ab", b"a", (), ("a",), ("a", 1), ("a", -2), ("b", 1)]
ALIKE_KEYS = ["b", "b\0", 65536, 65537, (65536,), (65537, 1)]  # the encoding of one begins with that of another one
KEYS = st.sampled_from(PLAIN_KEYS + ALIKE_KEYS)
SCALARS = st.sampled_from([None, True, 0, 7, 7.0, "x", "long " * 30])
JSON = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.sampled_from("pq"), SCALARS, max_size=2))
VALUES = st.one_of(JSON, st.tuples(SCALARS, st.lists(SCALARS, max_size=1)), st.dictionaries(SCALARS, JSON, max_size=2))
LIMITS = st.none() | st.integers(0, 5)
MAYBE_KEY = st.none() | KEYS


class Tables(RuleBasedStateMachine):
    """One table beside a dict of lists, which has the rows of each key."""

    spec: TableSpec
    values: Any

    @initialize()
    def begin(self) -> None:
        self.folder = folder_in_memory()
        self.engine = Engine(self.folder / "store", [TableSpec("other"), self.spec])
        self.table = self.engine["t"]
        self.model: dict[Any, list[Any]] = {}
        self.version = 0

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.close()
            remove(self.folder)

    # -- the model

    def said(self, key: Any) -> Any:
        rows = self.model[key]
        return rows if self.spec.is_bag else rows[-1]

    def add(self, key: Any, value: Any) -> None:
        if not self.spec.is_bag:
            self.model[key] = [value]
        elif value not in self.model.setdefault(key, []):
            self.model[key].append(value)

    def rows(self) -> list[tuple[Any, Any]]:
        return [(key, value) for key in sorted(self.model, key=rank) for value in self.model[key]]

    # -- writes

    @rule(key=KEYS, data=st.data())
    def put(self, key: Any, data: Any) -> None:
        value = data.draw(self.values)
        self.table.put(key, value)
        self.add(key, copy.deepcopy(value))

    @rule(key=KEYS, data=st.data())
    def insert_new(self, key: Any, data: Any) -> None:
        value = data.draw(self.values)
        assert self.table.insert_new(key, value) == (key not in self.model)
        if key not in self.model:
            self.add(key, value)

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        assert self.table.delete(key) == (key in self.model)
        self.model.pop(key, None)

    @rule(key=KEYS)
    def take(self, key: Any) -> None:
        assert self.table.take(key, "none") == (self.said(key) if key in self.model else "none")
        self.model.pop(key, None)

    @rule(key=KEYS, data=st.data())
    def update(self, key: Any, data: Any) -> None:
        value = data.draw(self.values)
        if self.spec.is_bag:
            with pytest.raises(InvalidOption, match="update: kind is 'bag'"):
                self.table.update(key, lambda old: value)
        elif key not in self.model:
            with pytest.raises(KeyError):
                self.table.update(key, lambda old: value)
        else:
            assert self.table.update(key, lambda old: [old, value]) == [self.said(key), value]
            self.add(key, [self.said(key), value])

    @rule(key=KEYS, by=st.sampled_from([1, -2, 0.5]), default=st.sampled_from([None, 10]))
    def increment(self, key: Any, by: float, default: Any) -> None:
        value = self.said(key) if key in self.model else default
        if self.spec.is_bag or isinstance(value, bool) or not isinstance(value, int | float | None):
            with pytest.raises(InvalidOption):
                self.table.increment(key, by, default=default)
        elif value is None and key not in self.model:
            with pytest.raises(KeyError):
                self.table.increment(key, by, default=default)
        elif value is None:
            with pytest.raises(InvalidOption, match="a NoneType"):
                self.table.increment(key, by, default=default)
        else:
            assert self.table.increment(key, by, default=default) == value + by
            self.add(key, value + by)

    @rule(rows=st.lists(st.tuples(KEYS, JSON), max_size=4))
    def bulk_insert(self, rows: list[tuple[Any, Any]]) -> None:
        before = len(self.rows())
        written = self.table.bulk_insert(iter(rows))
        for key, value in rows:
            self.add(key, value)
        assert written == (len(self.rows()) - before if self.spec.is_bag else len(rows))

    @rule()
    def clear(self) -> None:
        assert self.table.clear() == len(self.rows())
        self.model.clear()

    @rule(rows=st.lists(st.tuples(KEYS, JSON), max_size=4), fails=st.booleans())
    def reload(self, rows: list[tuple[Any, Any]], fails: bool) -> None:
        def load(tables: Any) -> None:
            assert len(tables.t) == 0
            tables.t.bulk_insert(rows)
            for key, _ in rows:
                assert key in tables.t
            if fails:
                raise LookupError("no source")

        if fails:
            with pytest.raises(Exception, match="no source"):
                self.engine.writer.rebuild(load)
            return
        self.version += 1
        assert self.engine.writer.rebuild(load) == self.version
        self.model.clear()
        for key, value in rows:
            self.add(key, value)

    @rule()
    def owner_restarts(self) -> None:
        self.engine.close()
        self.engine = Engine(self.folder / "store", [self.spec, TableSpec("other")])
        self.table = self.engine["t"]

    # -- reads

    @rule(keys=st.lists(KEYS, max_size=3))
    def get(self, keys: list[Any]) -> None:
        for key in keys * 3:  # the third time, what is kept
            got = self.table.get(key, "none")
            assert got == (self.said(key) if key in self.model else "none")
            assert (key in self.table) == (key in self.model)
            spoil(got)
        assert self.table.get_many(keys) == {key: self.said(key) for key in keys if key in self.model}

    @rule(key=KEYS)
    def index(self, key: Any) -> None:
        assert self.table.get_all(key) == self.model.get(key, [])
        if key in self.model:
            assert self.table[key] == self.said(key)
        else:
            with pytest.raises(KeyError):
                self.table[key]

    @rule(start=MAYBE_KEY, stop=MAYBE_KEY, after=MAYBE_KEY, limit=LIMITS, reverse=st.booleans(), where=st.booleans())
    def select(self, start: Any, stop: Any, after: Any, limit: Any, reverse: bool, where: bool) -> None:
        rows = [
            (key, value)
            for key, value in self.rows()
            if (start is None or rank(key) >= rank(start))
            and (stop is None or rank(key) < rank(stop))
            and (after is None or (rank(key) < rank(after) if reverse else rank(key) > rank(after)))
            and (not where or value)
        ]
        expected = rows[::-1] if reverse else rows
        test = (lambda key, value: value) if where else None
        found = self.table.select(test, start=start, stop=stop, after=after, limit=limit, reverse=reverse)
        assert list(found) == expected[: limit if limit is not None else len(rows)]

    @rule(limit=st.integers(1, 3), reverse=st.booleans())
    def pages(self, limit: int, reverse: bool) -> None:
        found: list[Any] = []
        cursor = None
        while page := list(selection := self.table.select(limit=limit, after=cursor, reverse=reverse)):
            found += page
            cursor = selection.cursor
        assert found == (self.rows()[::-1] if reverse else self.rows())

    @rule(prefix=st.sampled_from(["", "a", "b\0", b"a", (), ("a",), ("a", 1), (65536,)]))
    def prefix(self, prefix: Any) -> None:
        rows = [row for row in self.rows() if type(row[0]) is type(prefix) and row[0][: len(prefix)] == prefix]
        assert list(self.table.select(prefix=prefix)) == rows

    @rule(key=KEYS)
    def neighbours(self, key: Any) -> None:
        keys = sorted(self.model, key=rank)
        assert self.table.first("none") == (keys[0] if keys else "none")
        assert self.table.last("none") == (keys[-1] if keys else "none")
        assert self.table.next(key, "none") == next((one for one in keys if rank(one) > rank(key)), "none")
        assert self.table.prev(key, "none") == next((one for one in keys[::-1] if rank(one) < rank(key)), "none")

    @rule(pattern=st.sampled_from([ANY, "a", ("a", ANY), (ANY, 1), (ANY,)]))
    def match(self, pattern: Any) -> None:
        def fits(key: Any) -> bool:
            if pattern is ANY or not isinstance(pattern, tuple):
                return pattern is ANY or key == pattern
            same = isinstance(key, tuple) and len(key) == len(pattern)
            return same and all(part is ANY or part == one for part, one in zip(pattern, key, strict=True))

        assert list(self.table.match(pattern)) == [row for row in self.rows() if fits(row[0])]
        assert list(self.table.match(value={"p": ANY})) == [
            row for row in self.rows() if isinstance(row[1], dict) and "p" in row[1]
        ]

    @invariant()
    def same_size(self) -> None:
        if hasattr(self, "table"):
            assert len(self.table) == self.table.size() == len(self.rows())
            assert self.table.fold(lambda count, row: count + 1, 0) == len(self.rows())


def spoil(value: Any) -> None:
    """Change what a reader got, as deep as it goes."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        spoil(part)
    if isinstance(value, dict):
        value["spoilt"] = True
    elif isinstance(value, list):
        value.append("spoilt")


@pytest.mark.parametrize(
    "table",
    [TableSpec("t"), TableSpec("t", "ordered_set", "json"), TableSpec("t", "bag")],
    ids=lambda spec: f"{spec.kind}-{spec.codec}",
)
def test_a_table_does_what_a_dict_of_lists_does(table: TableSpec) -> None:
    class OfKind(Tables):
        spec = table
        values = JSON if table.codec == "json" else VALUES

    run_state_machine_as_test(OfKind, settings=settings(max_examples=10, stateful_step_count=30, deadline=None))
