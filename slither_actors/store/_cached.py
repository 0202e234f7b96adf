"""A table that keeps what was read lately: hot keys cost little more than in a dict, and are never stale.

What is kept belongs to the number that the table's word had before it was read (see `_words`). A key is kept when it is
missed twice within a while, so that reads all over a large table do not pay for keeping. What can be changed is copied
for each reader, or decoded again where that is the only way.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from slither_actors.store._environment import Environment, Failure
from slither_actors.store._layout import SURELY_SHORT, Layout
from slither_actors.store._source import Newest
from slither_actors.store._table import TableReader
from slither_actors.store._values import copier, raise_undecodable, reader
from slither_actors.store._words import MOST

MOST_BYTES = 4 << 20
"""What a table keeps in a process, in encoded bytes."""

_OVERHEAD = 256  # about what a small value takes beside its own bytes
_PLACES = 1024  # a power of two
_NEVER = memoryview(array("Q", [1] * MOST))  # odd, so nothing is kept
_UNKNOWN: Any = object()
_ABSENT: Any = object()


class _Made:
    """A value that each reader gets an own one of."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


class _Kept:
    """What was read since a word had its number."""

    __slots__ = ("room", "values", "word")

    def __init__(self, word: int) -> None:
        self.word = word
        self.values: dict[Any, Any] = {}
        self.room = MOST_BYTES


class CachedTable(TableReader):
    """A table of the newest state."""

    def __init__(self, environment: Environment, layout: Layout, words: memoryview) -> None:
        self.source: Newest
        super().__init__(Newest(environment), layout)
        self.environment = environment
        self._words, self._slot = words, layout.slot
        self._kept = _Kept(-1)
        self._lately = [_UNKNOWN] * _PLACES  # the last key that was missed, by a part of its hash
        self._plain, self._read, self._text = not layout.spec.is_bag, reader(layout.spec.codec), layout.text

    def get(self, key: Any, default: Any = None) -> Any:
        """The key's value, in a bag the list of its values; `default` if the key is not there."""
        kept, word = self._kept, self._words[self._slot]
        if word == kept.word:
            try:
                value = kept.values.get(key, _UNKNOWN)
            except TypeError:  # not hashable, so no key
                value = _UNKNOWN
            if type(value) is _Made:
                return value.make()
            if value is not _UNKNOWN:
                return default if value is _ABSENT else value
        # Written out where a call would cost as much as what it does: this is the way of all reads of large tables.
        short = type(key) is str and key.isascii() and len(key) < SURELY_SHORT and "\0" not in key
        row = self._text + key.encode() + b"\0" if short else self.layout.row(key)
        begin = self.environment.begin
        try:
            data: Any = begin().get(row) if self._plain else self._fetch(begin(), row)
        except Failure:
            data = self.environment.read(lambda txn: self._fetch(txn, row))
        place = hash(key) & (_PLACES - 1)
        if self._lately[place] == key:
            return self._keep(word, key, data, default)
        self._lately[place] = key
        if data is None:
            return default
        read = self._read
        try:
            return read(data) if self._plain else [read(one) for one in data]
        except Exception as error:
            raise_undecodable(self.spec.name, error)

    def end(self, environment: Environment) -> None:
        """Keep nothing any more, and read from `environment`, which refuses."""
        self.environment = self.source.environment = environment
        self._words, self._kept = _NEVER, _Kept(-1)

    def _keep(self, word: int, key: Any, data: Any, default: Any) -> Any:
        """What was read after the word had this number, which is kept if that is even, and the caller's part of it."""
        value = _ABSENT if data is None else self._built(data)
        if not word & 1:
            make = copier(value, lambda: self._built(data)) if data is not None else None
            size = 0 if data is None else len(data) if self._plain else sum(map(len, data))
            self._put(word, key, value if make is None else _Made(make), _OVERHEAD + size)
        return default if value is _ABSENT else value

    def _put(self, word: int, key: Any, value: Any, size: int) -> None:
        if size > MOST_BYTES // 16:
            return
        kept = self._kept
        if kept.word != word:
            self._kept = kept = _Kept(word)
        if size > kept.room:
            kept.values.clear()
            kept.room = MOST_BYTES
        kept.room -= size
        kept.values[key] = value
