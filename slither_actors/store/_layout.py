"""How tables lie in the one tree of a store: the first byte of a row's key is its table's.

One tree, not one for each table: LMDB looks up a named tree in every transaction anew, which costs as much as the read.
A bag's row has a number behind its key, in the order in which rows came; a second table of it, the index, finds the
row of a value by the value's identity, since LMDB's own duplicates may have 511 bytes at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.errors import StoreUnavailable
from slither_actors.store._environment import Txn
from slither_actors.store._keys import LONGER, MOST_BYTES, TEXT, encode_key
from slither_actors.store._schema import StoreLocation, TableSpec

VERSION = b"\0v"
NUMBER_BYTES = 8
MOST_SLOT = 252
SURELY_SHORT = MOST_BYTES - 2
_SPEC = b"\0s"
_COUNT = b"\0n"
_FORMER = b"\0o"  # what was remembered of callers, before there was a journal for it


@attrs.frozen
class Layout:
    """Where a table lies: the rows at its slot, a bag's index at the next one, which is where its rows end."""

    spec: TableSpec
    slot: int
    lead: bytes = attrs.field(init=False, default=attrs.Factory(lambda self: bytes([self.slot]), takes_self=True))
    text: bytes = attrs.field(init=False, default=attrs.Factory(lambda self: self.lead + TEXT, takes_self=True))
    end: bytes = attrs.field(init=False, default=attrs.Factory(lambda self: bytes([self.slot + 1]), takes_self=True))
    count: bytes = attrs.field(
        init=False, default=attrs.Factory(lambda self: _COUNT + bytes([self.slot]), takes_self=True)
    )

    def entry(self, key: bytes, identity: bytes) -> bytes:
        """Where a bag's index has a value of the encoded key."""
        return self.end + key + b"\0" + identity  # no identity looks like the end of a longer key

    def row(self, key: Any) -> bytes:
        """Where the key's row is, or in a bag what its rows begin with.

        Raises:
            InvalidOption, KeyTooLong: As `encode_key`.
        """
        return self.lead + encode_key(key, self.spec.name)

    def key_of(self, row: bytes) -> bytes:
        """The encoded key of a row."""
        return row[1:-NUMBER_BYTES] if self.spec.is_bag else row[1:]

    def fetch(self) -> Callable[[Txn, bytes], Any]:
        """What reads the encoded value at a row, or in a bag the list of them; `None` if there is none."""
        return rows_of_bag if self.spec.is_bag else _fetch_one

    def size(self, txn: Txn) -> int:
        """The number of rows."""
        return number_in(txn.get(self.count))


def _fetch_one(txn: Txn, row: bytes) -> bytes | None:
    return txn.get(row)


def rows_of_bag(txn: Txn, row: bytes) -> list[bytes] | None:
    """The encoded values of a bag's key, in the order in which they came."""
    cursor = txn.cursor()
    found: list[bytes] = []
    more = cursor.set_range(row)
    while more:
        key, data = cursor.item()
        if not key.startswith(row) or key.startswith(LONGER, len(row)):
            break
        found.append(data)
        more = cursor.next()
    return found or None


def number_in(data: bytes | None) -> int:
    """A number as it stands in the tree; none is 0."""
    return int.from_bytes(data) if data else 0


def version_in(txn: Txn) -> int:
    """How often the store was loaded."""
    return number_in(txn.get(VERSION))


def as_number(number: int) -> bytes:
    """A number for the tree; such numbers sort as they should."""
    return number.to_bytes(NUMBER_BYTES)


def describe(spec: TableSpec, slot: int) -> tuple[bytes, bytes]:
    """The row that says what lies at a slot."""
    return _SPEC + spec.name.encode(), bytes([slot]) + f"{spec.kind} {spec.codec}".encode()


def layouts_of(txn: Txn, location: StoreLocation) -> dict[str, Layout]:
    """Where the tables of a store lie, by name; those that it has not yet are missing.

    Raises:
        StoreUnavailable: A table is of another kind there, or has another codec.
    """
    found = {}
    for spec in location.tables:
        data = txn.get(_SPEC + spec.name.encode())
        if data is None:
            continue
        if data[1:] != describe(spec, 0)[1][1:]:
            said = f"table {spec.name!r} is {data[1:].decode()!r} in {location.path}, not '{spec.kind} {spec.codec}'"
            raise StoreUnavailable(location.name, said)
        found[spec.name] = Layout(spec, data[0])
    return found


def free_slots(txn: Txn, count: int, location: StoreLocation) -> range:
    """Slots for so many new tables.

    Raises:
        StoreUnavailable: There are not so many.
    """
    cursor = txn.cursor()
    last, more = -1, cursor.set_range(_SPEC)
    while more and cursor.key().startswith(_SPEC):
        last = max(last, cursor.value()[0])
        more = cursor.next()
    slots = range(last + 2, last + 2 + 2 * count, 2)
    if slots and slots[-1] > MOST_SLOT:
        had = (last + 1) // 2
        said = f"it has or had {had} tables in {location.path}, with {count} new ones; {MOST_SLOT // 2} are allowed"
        raise StoreUnavailable(location.name, said)
    return slots


def remove_former_rows(txn: Txn) -> bool:
    """Remove what a former format kept in the tree and nobody reads any more; whether there was any."""
    cursor = txn.cursor()
    found = more = cursor.set_range(_FORMER) and cursor.key().startswith(_FORMER)
    while more:
        cursor.delete()
        more = cursor.key().startswith(_FORMER)
    return found
