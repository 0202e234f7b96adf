"""Reading a table, in any process: no message, no lock."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from slither_actors.errors import InvalidOption, shorten
from slither_actors.store._environment import Txn
from slither_actors.store._keys import decode_key
from slither_actors.store._layout import Layout
from slither_actors.store._match import ANY, beginning_of, fits, has_any
from slither_actors.store._schema import TableSpec
from slither_actors.store._select import Selection, span_of
from slither_actors.store._source import Source
from slither_actors.store._values import decoder

_MISSING: Any = object()
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class TableReader:
    """One table. What it gives out is the caller's own: changing it changes nothing for anybody else.

    Safe to use from several threads. Every read raises InvalidOption for what is no key, KeyTooLong for what is too
    long for one, NotDecodable for a value whose class is missing in this process, and StoreUnavailable where the
    store cannot be read any more.
    """

    def __init__(self, source: Source, layout: Layout) -> None:
        self.spec: TableSpec = layout.spec
        self.source, self.layout = source, layout
        self._decode = decoder(layout.spec.codec, layout.spec.name)
        self._fetch = layout.fetch()

    def get(self, key: Any, default: Any = None) -> Any:
        """The key's value, in a bag the list of its values; `default` if the key is not there."""
        row = self.layout.row(key)
        data = self.source.read(lambda txn: self._fetch(txn, row))
        return default if data is None else self._built(data)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        return self.get(key, _MISSING) is not _MISSING

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """The values of those keys that are there, all of one moment, in the order of `keys`."""
        rows = [(key, self.layout.row(key)) for key in keys]
        found = self.source.read(lambda txn: [self._fetch(txn, row) for _, row in rows])
        pairs = zip(rows, found, strict=True)
        return {key: self._built(data) for (key, _), data in pairs if data is not None}

    def get_all(self, key: Any) -> list[Any]:
        """All values of the key, in the order in which they came; none if it is not there."""
        value = self.get(key, _MISSING)
        if value is _MISSING:
            return []
        return value if self.spec.is_bag else [value]

    def size(self) -> int:
        """The number of rows."""
        return self.source.read(self.layout.size)

    __len__ = size

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"table {self.spec.name} cannot be pickled; the handle of its store can: system.store(...)")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"table {self.spec.name} is not iterated over by itself: use select(), whose rows are pairs")

    def select(
        self,
        where: Callable[..., object] | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        limit: int | None = None,
        after: Any = None,
        reverse: bool = False,
    ) -> Selection:
        """Rows `(key, value)` in the order of keys, all of one moment: that of the first one.

        `None` is no limit in any of these, so a `cursor` is what goes on behind the key `None`.

        Args:
            where: Called with key and value, here, for each row; a function of one parameter gets the pair.
            prefix: A text or bytes that keys begin with, or a tuple whose parts keys begin with.
            start: The first key; it need not be there.
            stop: The key before which to end; it need not be there.
            limit: So many rows at most, those that `where` takes.
            after: The key behind which to begin, or the `cursor` of another `select`; before it if `reverse`.
            reverse: From the last to the first.

        Raises:
            InvalidOption: One of these is not what it should be. SnapshotExpired: At a row, after five minutes.
        """
        if limit is not None and (type(limit) is not int or limit < 0):
            raise InvalidOption(f"table {self.spec.name}", "limit", shorten(limit), "None, or a whole number from 0 on")
        span = span_of(self.layout, prefix, start, stop, after, reverse)
        return Selection(self.source, self.layout, span, self._decode, limit=limit, where=_of_two(where))

    def match(self, key: Any = ANY, value: Any = ANY) -> Iterator[tuple[Any, Any]]:
        """Rows whose key and value fit patterns, in the order of keys.

        `ANY` fits everything; a tuple or list fits one of its length, part by part; a dict fits one that has its keys.
        """
        if not has_any(key):
            return iter([(key, one) for one in self.get_all(key) if fits(value, one)])
        prefix = beginning_of(key)
        return self.select(lambda found, one: fits(key, found) and fits(value, one), prefix=prefix)

    def fold(self, function: Callable[[Any, tuple[Any, Any]], Any], initial: Any) -> Any:
        """`function(accumulated, (key, value))` over all rows of one moment, in the order of keys."""
        for row in self.select():
            initial = function(initial, row)
        return initial

    def first(self, default: Any = None) -> Any:
        """The first key; `default` in an empty table."""
        return self._key_at(None, False, default)

    def last(self, default: Any = None) -> Any:
        """The last key; `default` in an empty table."""
        return self._key_at(None, True, default)

    def next(self, key: Any, default: Any = None) -> Any:
        """The first key above `key`, which need not be there; `default` where there is none."""
        return self._key_at((key,), False, default)

    def prev(self, key: Any, default: Any = None) -> Any:
        """The last key below `key`, which need not be there; `default` where there is none."""
        return self._key_at((key,), True, default)

    def _key_at(self, behind: tuple[Any] | None, reverse: bool, default: Any) -> Any:
        span = span_of(self.layout, None, None, None, None, reverse)
        if behind is not None:
            span = span.behind_key(self.layout, behind[0])
        rows, _ = self.source.read(lambda txn: span.piece(txn, 1))
        return decode_key(self.layout.key_of(rows[0][0])) if rows else default

    def _built(self, data: Any) -> Any:
        return list(map(self._decode, data)) if self.spec.is_bag else self._decode(data)

    def _raw(self, key: Any) -> bytes | None:
        row = self.layout.row(key)
        read: Callable[[Txn], bytes | None] = lambda txn: txn.get(row)  # noqa: E731
        return self.source.read(read)


def _of_two(where: Callable[..., object] | None) -> Callable[[Any, Any], object] | None:
    """The predicate as a function of key and value."""
    if where is None:
        return None
    try:
        parameters = list(inspect.signature(where).parameters.values())
    except (TypeError, ValueError):
        return where
    if len(parameters) == 1 and parameters[0].kind in _POSITIONAL:
        return lambda key, value: where((key, value))
    return where
