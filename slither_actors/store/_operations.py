"""What the owner of a store is asked to do, with keys and values already encoded. Named tuples: cheap to pickle.

The owner never decodes a value of the user's, `increment` of plain numbers apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Put(NamedTuple):
    """Set the key's value; in a bag, add the value unless the key has it already. The result is `None`."""

    table: str
    key: bytes
    value: bytes
    identity: bytes = b""  # of a bag's value: equal values have equal ones


class InsertNew(NamedTuple):
    """Put, unless the key is there. The result says whether it was put."""

    table: str
    key: bytes
    value: bytes
    identity: bytes = b""


class Replace(NamedTuple):
    """Put, if the key's value still has this `digest`. The result is whether it had; `None`: the key is not there."""

    table: str
    key: bytes
    expected: bytes
    value: bytes


class Delete(NamedTuple):
    """Remove the key with all its values. The result says whether it was there."""

    table: str
    key: bytes


class Take(NamedTuple):
    """Remove the key. The result is the list of the encoded values that it had."""

    table: str
    key: bytes


class Increment(NamedTuple):
    """Add to a number. The result is the new number."""

    table: str
    key: bytes
    by: float
    default: float | None = None
    threshold: float | None = None
    reset: float | None = None


class Clear(NamedTuple):
    """Remove everything from a table. The result is the number of rows that it had."""

    table: str


class BulkInsert(NamedTuple):
    """Put many rows, all or nothing. The result is the number of rows that were written.

    The rows are pickled columns (`Requests.columns`) one after another, here or, where they are many, in a file beside
    the tables.
    """

    table: str
    rows: bytes
    file: str = ""


class Transaction(NamedTuple):
    """Several operations, all or nothing. The result is the list of their results.

    One that is refused, or a `Replace` that comes too late, undoes those before it.
    """

    operations: tuple[Any, ...]


class Once(NamedTuple):
    """An operation that is carried out once, however often it is asked for: `number` grows with each write of `writer`,
    which has one under way at a time. The outcome is that of the operation."""

    writer: bytes
    number: int
    operation: Any


Operation = Put | InsertNew | Replace | Delete | Take | Increment | Clear | BulkInsert | Transaction | Once


_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Put, InsertNew, Replace, Delete, Take, Increment, Clear, BulkInsert, Transaction)
}


def as_plain(operation: Operation) -> tuple[Any, ...]:
    """The operation by its name and its fields, which costs a third of what pickling it by its class costs."""
    return (type(operation).__name__, *operation)


def from_plain(plain: tuple[Any, ...]) -> Operation:
    """What `as_plain` was given."""
    operation: Operation = tuple.__new__(_KINDS[plain[0]], plain[1:])  # all fields are there, so at once
    return operation


class Outcome(NamedTuple):
    """What became of an operation: its result and the number of rows that it wrote or removed, or an error."""

    result: Any
    written: int = 0
    error: Exception | None = None
