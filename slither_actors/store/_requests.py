"""Operations as they are made of a caller's keys and values. Pure."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slither_actors._codec import refers_to_main
from slither_actors._describe import is_of_a_signal
from slither_actors._validators import is_number
from slither_actors.errors import InvalidOption, shorten
from slither_actors.store._keys import encode_key
from slither_actors.store._operations import Clear, Delete, Increment, InsertNew, Put, Replace, Take
from slither_actors.store._schema import TableSpec
from slither_actors.store._values import digest, encoder, identity

Columns = tuple[list[bytes], ...]
"""Rows by their parts: all keys, all values, and in a bag all identities. Lists of bytes are quick to travel, and the
garbage collector passes them by."""

_made: Any = tuple.__new__  # a named tuple without a call of its own


class Requests:
    """Makes the operations on one table. A key that is none raises InvalidOption or KeyTooLong, a value that cannot be
    encoded NotPicklable."""

    def __init__(self, spec: TableSpec) -> None:
        self._name, self._is_bag, self._codec = spec.name, spec.is_bag, spec.codec
        self._encode = encoder(spec.codec, spec.name)

    def put(self, key: Any, value: Any) -> Put:
        """Set or add a value."""
        if self._is_bag:
            return Put(self._name, *self.row(key, value))
        data = self._encode(value)
        put: Put = _made(Put, (self._name, encode_key(key, self._name), data, b""))
        return put

    def insert_new(self, key: Any, value: Any) -> InsertNew:
        """Put where the key is not there."""
        return InsertNew(self._name, *self.row(key, value))

    def row(self, key: Any, value: Any) -> tuple[bytes, ...]:
        """A row as the owner takes it: key and value, in a bag the value's identity too."""
        encode = self._encode
        data = encode(value)
        if self._is_bag:
            return encode_key(key, self._name), data, identity(value, data)
        return encode_key(key, self._name), data

    def rows(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Many rows, one after another.

        Raises:
            InvalidOption: They are none, or a mapping, whose keys would be taken for rows.
        """
        if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
            allowed = "an iterable of pairs of key and value, such as the items() of a dict"
            raise InvalidOption(f"table {self._name}", "rows", shorten(rows), allowed)
        return iter(rows)

    def columns(self, pairs: list[Any]) -> Columns:
        """Rows as the owner takes many of them, of pairs of key and value.

        Raises:
            InvalidOption: One is no pair.
        """
        if not self._is_bag and self._codec == "pickle":
            name, dumps = self._name, pickle.dumps
            try:
                columns = [encode_key(key, name) for key, _ in pairs], [dumps(value, 5) for _, value in pairs]
            except Exception as error:
                if is_of_a_signal(error):
                    raise
            else:
                if not refers_to_main(b"".join(columns[1])):
                    return columns
        # One of them has to be encoded by value, or cannot be encoded: each for itself.
        return tuple(map(list, zip(*[self.row(*self._pair(row)) for row in pairs], strict=True)))

    def _pair(self, row: Any) -> tuple[Any, Any]:
        try:
            key, value = row
        except (TypeError, ValueError):
            raise InvalidOption(f"table {self._name}", "rows", shorten(row), "pairs of key and value") from None
        return key, value

    def replace(self, key: Any, former: bytes, value: Any) -> Replace:
        """Put where the encoded value is still `former`."""
        return Replace(self._name, encode_key(key, self._name), digest(former), self._encode(value))

    def delete(self, key: Any) -> Delete:
        """Remove a key."""
        return Delete(self._name, encode_key(key, self._name))

    def take(self, key: Any) -> Take:
        """Remove a key, for its values."""
        return Take(self._name, encode_key(key, self._name))

    def clear(self) -> Clear:
        """Remove everything."""
        return Clear(self._name)

    def increment(self, key: Any, by: float, **options: float | None) -> Increment:
        """Add to a number.

        Raises:
            InvalidOption: One of the numbers is none, or this is a bag.
        """
        self.refuse_bag("increment")
        for option, number in {"by": by, **options}.items():
            if not is_number(number) and (number is not None or option == "by"):
                raise InvalidOption(f"table {self._name}: increment", option, shorten(number), "a finite number")
        return Increment(self._name, encode_key(key, self._name), by, **options)

    def refuse_bag(self, what: str) -> None:
        """Raise InvalidOption where a key may have several values."""
        if self._is_bag:
            raise InvalidOption(f"table {self._name}: {what}", "kind", "'bag'", "'set', 'ordered_set'")
