"""What each operation does within a write transaction. One that is refused has written nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from slither_actors.errors import InvalidOption, StoreConflict, shorten
from slither_actors.store._environment import Txn
from slither_actors.store._keys import LONGER, decode_key
from slither_actors.store._layout import NUMBER_BYTES, Layout, as_number, number_in, rows_of_bag
from slither_actors.store._numbers import NotANumber, read_number, stepped, write_number
from slither_actors.store._operations import (
    BulkInsert,
    Clear,
    Delete,
    Increment,
    InsertNew,
    Operation,
    Outcome,
    Put,
    Replace,
    Take,
    Transaction,
)
from slither_actors.store._requests import Columns
from slither_actors.store._values import digest


@attrs.define
class Change:
    """A write transaction that is under way, and what it has done to the number of rows."""

    txn: Txn
    layouts: dict[str, Layout]
    directory: Path
    nested: Callable[[Txn], Txn]
    added: dict[str, int] = attrs.field(factory=dict)
    touched: set[str] = attrs.field(factory=set)

    def carry_out(self, operation: Operation) -> Outcome:
        """Do it; an operation that is refused has done nothing.

        What is raised instead, by LMDB or by an operation that is none, is the end of the whole transaction.
        """
        try:
            return _DO[type(operation)](self, operation)
        except _Refused as refused:
            return Outcome(None, 0, refused.error)

    def count(self, table: str, rows: int, written: int = 1) -> None:
        """Note that a table has so many rows more, and that it was written to."""
        if rows:
            self.added[table] = self.added.get(table, 0) + rows
        if written:
            self.touched.add(table)

    def put_rows(self, layout: Layout, columns: Columns) -> int:
        """Put rows as they come from `Requests.columns`; the number that was written."""
        if layout.spec.is_bag:
            return sum(_add_to_bag(self, layout, *row) for row in zip(*columns, strict=True))
        if not columns:
            return 0
        keys, values = columns
        lead, txn = layout.lead, self.txn
        before = txn.stat()["entries"]
        txn.cursor().putmulti(zip([lead + key for key in keys], values, strict=True))
        self.count(layout.spec.name, txn.stat()["entries"] - before, len(keys))
        return len(keys)


_DONE = Outcome(None, 1)


class _Refused(Exception):
    """The operation cannot be done; nothing was written."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _put(change: Change, operation: Put | InsertNew) -> Outcome:
    layout = change.layouts[operation.table]
    row = layout.lead + operation.key
    if layout.spec.is_bag:
        return Outcome(None, _add_to_bag(change, layout, operation.key, operation.value, operation.identity))
    new = change.txn.put(row, operation.value, overwrite=False)
    if not new:
        change.txn.put(row, operation.value)
    change.count(operation.table, int(new))
    return _DONE


def _insert_new(change: Change, operation: InsertNew) -> Outcome:
    layout = change.layouts[operation.table]
    if layout.spec.is_bag:
        if rows_of_bag(change.txn, layout.lead + operation.key):
            return Outcome(False)
    elif change.txn.get(layout.lead + operation.key) is not None:
        return Outcome(False)
    return Outcome(True, _put(change, operation).written)


def _add_to_bag(change: Change, layout: Layout, key: bytes, value: bytes, identity: bytes) -> int:
    entry = layout.entry(key, identity)
    if change.txn.get(entry) is not None:
        return 0
    row = layout.lead + key
    cursor = change.txn.cursor()
    found = cursor.prev() if cursor.set_range(row + LONGER) else cursor.last()
    last = cursor.key() if found else b""
    number = as_number(number_in(last[-NUMBER_BYTES:]) + 1 if last.startswith(row) else 0)
    change.txn.put(row + number, value)
    change.txn.put(entry, number)
    change.count(layout.spec.name, 1)
    return 1


def _replace(change: Change, operation: Replace) -> Outcome:
    row = change.layouts[operation.table].lead + operation.key
    data = change.txn.get(row)
    if data is None:
        return Outcome(None)
    if digest(data) != operation.expected:
        return Outcome(False)
    change.txn.put(row, operation.value)
    change.count(operation.table, 0)
    return Outcome(True, 1)


def _delete(change: Change, operation: Delete) -> Outcome:
    rows = _taken(change, operation.table, operation.key)
    return Outcome(bool(rows), len(rows))


def _take(change: Change, operation: Take) -> Outcome:
    rows = _taken(change, operation.table, operation.key)
    return Outcome(rows, len(rows))


def _taken(change: Change, table: str, key: bytes) -> list[bytes]:
    layout = change.layouts[table]
    row = layout.lead + key
    if layout.spec.is_bag:
        rows = rows_of_bag(change.txn, row) or []
        if rows:
            for beginning in (row, layout.end + key):  # of the rows, and of their entries in the index
                _remove(change.txn, beginning, beginning + LONGER)
    else:
        data = change.txn.pop(row)
        rows = [] if data is None else [data]
    change.count(table, -len(rows), len(rows))
    return rows


def _remove(txn: Txn, low: bytes, high: bytes) -> int:
    """Remove what stands between; how many rows that was."""
    cursor = txn.cursor()
    removed = 0
    more = cursor.set_range(low)
    while more and cursor.key() < high:
        more = cursor.delete()  # stands at the next row then, if there is one
        removed += 1
        more = more and cursor.key() != b""
    return removed


def _increment(change: Change, operation: Increment) -> Outcome:
    layout = change.layouts[operation.table]
    row = layout.lead + operation.key
    data = change.txn.get(row)
    codec = layout.spec.codec
    try:
        if data is not None:
            value = read_number(data, codec)
        elif operation.default is None:
            raise _Refused(KeyError(decode_key(operation.key)))
        else:
            value = operation.default
        new = stepped(value, operation.by, operation.threshold, operation.reset)
        encoded = write_number(new, codec)
    except NotANumber as error:
        raise _Refused(_no_number(operation, str(error))) from None
    change.txn.put(row, encoded)
    change.count(operation.table, int(data is None))
    return Outcome(new, 1)


def _no_number(operation: Increment, what: str) -> InvalidOption:
    where = f"table {operation.table}: increment of key {shorten(decode_key(operation.key))}"
    return InvalidOption(where, "the value", what, "a finite number")


def _clear(change: Change, operation: Clear) -> Outcome:
    layout = change.layouts[operation.table]
    removed = _remove(change.txn, layout.lead, layout.end)
    if layout.spec.is_bag:
        _remove(change.txn, layout.end, bytes([layout.slot + 2]))
    change.count(operation.table, -removed, removed)
    return Outcome(removed, removed)


def _bulk_insert(change: Change, operation: BulkInsert) -> Outcome:
    layout = change.layouts[operation.table]
    written = sum(change.put_rows(layout, rows) for rows in _pieces(change, operation))
    return Outcome(written, written)


def _pieces(change: Change, operation: BulkInsert) -> Iterator[Columns]:
    if not operation.file:
        yield pickle.loads(operation.rows)
        return
    with (change.directory / operation.file).open("rb") as file:
        while True:
            try:
                yield pickle.load(file)  # not one Unpickler for all: it would mix up what the pieces refer to
            except EOFError:
                return


def _transaction(change: Change, operation: Transaction) -> Outcome:
    """All of it, in a transaction within the transaction, or nothing."""
    inner = attrs.evolve(change, txn=change.nested(change.txn), added={}, touched=set())
    done: list[Outcome] = []
    try:
        for one in operation.operations:
            done.append(inner.carry_out(one))
            error = done[-1].error or _lost(one, done[-1])
            if error is not None:
                inner.txn.abort()
                return Outcome(None, 0, error)
        inner.txn.commit()
    except BaseException:
        inner.txn.abort()
        raise
    for table in inner.touched:
        change.count(table, inner.added.get(table, 0))
    return Outcome([outcome.result for outcome in done], sum(outcome.written for outcome in done))


def _lost(operation: Operation, outcome: Outcome) -> Exception | None:
    """Why a `Replace` ends the transaction that it belongs to."""
    if not isinstance(operation, Replace) or outcome.result is True:
        return None
    key = decode_key(operation.key)
    return KeyError(key) if outcome.result is None else StoreConflict(operation.table, shorten(key), 1)


_DO: dict[type, Callable[[Change, Any], Outcome]] = {
    Put: _put,
    InsertNew: _insert_new,
    Replace: _replace,
    Delete: _delete,
    Take: _take,
    Increment: _increment,
    Clear: _clear,
    BulkInsert: _bulk_insert,
    Transaction: _transaction,
}
