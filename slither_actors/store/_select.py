"""Rows in the order of keys: what a `select` asks for, and the iterator that reads it piece by piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Self

import attrs

from slither_actors.errors import InvalidOption, shorten
from slither_actors.store._environment import Txn
from slither_actors.store._keys import LONGER, decode_key, span_of_prefix
from slither_actors.store._layout import Layout
from slither_actors.store._schema import Cursor
from slither_actors.store._source import Moment, Source

ITERATION_S = 300.0

_FIRST_ROWS, _MORE_ROWS = 64, 512
_MOST_BYTES = 1 << 20

Raw = tuple[bytes, bytes]


@attrs.frozen
class Span:
    """Rows from `low`, without `high`, in a direction."""

    low: bytes
    high: bytes
    reverse: bool

    def behind(self, row: bytes) -> Span:
        """What follows a row."""
        if self.reverse:
            return attrs.evolve(self, high=min(self.high, row))
        return attrs.evolve(self, low=max(self.low, row + b"\0"))

    def behind_key(self, layout: Layout, key: Any) -> Span:
        """What follows all rows of a key.

        Raises:
            InvalidOption, KeyTooLong: It is no key.
        """
        row = layout.row(key)
        return self.behind(row + LONGER if layout.spec.is_bag and not self.reverse else row)

    def piece(self, txn: Txn, most: int) -> tuple[list[Raw], bool]:
        """The next rows of it, and whether that is all."""
        cursor = txn.cursor()
        if self.reverse:
            found = cursor.set_range(self.high)
            rows = cursor.iterprev() if (cursor.prev() if found else cursor.last()) else iter(())
        else:
            rows = cursor.iternext() if cursor.set_range(self.low) else iter(())
        taken: list[Raw] = []
        size = 0
        for row in rows:
            if row[0] < self.low or row[0] >= self.high:
                return taken, True
            taken.append(row)
            size += len(row[1])
            if len(taken) == most or size > _MOST_BYTES:
                return taken, False
        return taken, True


def span_of(layout: Layout, prefix: Any, start: Any, stop: Any, after: Any, reverse: bool) -> Span:
    """What the parameters of a `select` mean.

    Raises:
        InvalidOption, KeyTooLong: A key is none.
    """
    low, high = layout.lead, layout.end
    if prefix is not None:
        low, high = (layout.lead + bound for bound in span_of_prefix(prefix, layout.spec.name))
    if start is not None:
        low = max(low, layout.row(start))
    if stop is not None:
        high = min(high, layout.row(stop))
    span = Span(low, high, reverse)
    if after is None:
        return span
    if not isinstance(after, Cursor):
        return span.behind_key(layout, after)
    if after.table != layout.spec.name:
        raise InvalidOption(f"table {layout.spec.name}", "after", shorten(after), "a key, or a cursor of this table")
    return span.behind(after.row)


class Selection:
    """Rows `(key, value)`, all of one moment: that of the first one.

    It reads a piece at a time. A moment that is still needed after the first piece is kept until the last row, until
    `close`, or for five minutes; then the next piece raises SnapshotExpired. `cursor` goes on from here later.
    """

    def __init__(
        self,
        source: Source,
        layout: Layout,
        span: Span,
        decode: Callable[[bytes], Any],
        *,
        limit: int | None,
        where: Any,
    ) -> None:
        self._source, self._layout, self._span, self._decode = source, layout, span, decode
        self._where = where
        self._left = limit
        self._moment: Moment | None = None
        self._rows: deque[Raw] = deque()
        self._all = limit == 0
        self._last: bytes | None = None

    @property
    def cursor(self) -> Cursor | None:
        """The place of the last row that was given out, for ``after`` of another `select`; `None` before the first."""
        return None if self._last is None else Cursor(self._layout.spec.name, self._last)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Any, Any]:
        while True:
            if not self._rows:
                if self._all:
                    raise StopIteration
                self._read()
                continue
            row, data = self._rows.popleft()
            key, value = decode_key(self._layout.key_of(row)), self._decode(data)
            if self._where is not None and not self._where(key, value):
                continue
            self._last = row
            if self._left is not None:
                self._left -= 1
                if not self._left:
                    self.close()
            return key, value

    def close(self) -> None:
        """End it; there are no rows any more."""
        self._all = True
        self._rows.clear()
        if self._moment is not None:
            self._moment.end()
            self._moment = None

    def __del__(self) -> None:
        moment = getattr(self, "_moment", None)
        if moment is not None:
            moment.end()

    def _read(self) -> None:
        first = self._moment is None
        if self._moment is None:
            self._moment = self._source.moment(ITERATION_S)
        most = _FIRST_ROWS if first else _MORE_ROWS
        if self._where is None and self._left is not None:
            most = min(most, self._left)
        rows, self._all = self._moment.read(lambda txn: self._span.piece(txn, most))
        if rows:
            self._span = self._span.behind(rows[-1][0])
            self._rows.extend(rows)
            self._all = self._all or (self._where is None and self._left is not None and len(rows) >= self._left)
        if self._all:
            self._moment.end()
            self._moment = None
        elif first:
            self._moment.limit()
