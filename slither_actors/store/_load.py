"""What `load` gets: the tables of a store within the one transaction that replaces them all."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from slither_actors.errors import StoreUnavailable
from slither_actors.store._apply import Change
from slither_actors.store._environment import Txn
from slither_actors.store._layout import Layout
from slither_actors.store._operations import Operation
from slither_actors.store._requests import Requests
from slither_actors.store._source import Borrowed, Moment
from slither_actors.store._writes import WritableTable

T = TypeVar("T")

_PIECE = 4096


class Loading:
    """The write that is under way, until `load` is over; what it has written is seen. Threads use it in turn."""

    def __init__(self, change: Change, store: str) -> None:
        self._change: Change | None = change
        self._store = store
        self._lock = threading.Lock()

    def use(self, function: Callable[[Change], T]) -> T:
        """What `function` makes of the write.

        Raises:
            StoreUnavailable: `load` is over.
        """
        with self._lock:
            if self._change is None:
                raise StoreUnavailable(self._store, "load is over; use the store's own tables")
            return function(self._change)

    def read(self, function: Callable[[Txn], T]) -> T:
        """What `function` makes of the transaction."""
        return self.use(lambda change: function(change.txn))

    def moment(self, limit_s: float) -> Moment:
        """The write itself: rows that come while it is read may be seen or not."""
        return Borrowed(self)

    def end(self) -> None:
        """Refuse whatever comes later."""
        with self._lock:
            self._change = None


class LoadTable(WritableTable):
    """A table that is being loaded: what is written here is seen here, and by others once everything is loaded."""

    def __init__(self, loading: Loading, layout: Layout) -> None:
        super().__init__(loading, layout)
        self._loading = loading
        self._requests = Requests(layout.spec)
        self._submit = self._carry_out

    def bulk_insert(self, rows: Iterable[tuple[Any, Any]]) -> int:
        """Put many rows; the number that was written."""
        source, written = self._requests.rows(rows), 0
        while piece := list(itertools.islice(source, _PIECE)):
            columns = self._requests.columns(piece)
            written += self._loading.use(lambda change: change.put_rows(self.layout, columns))  # noqa: B023 - at once
        return written

    def _carry_out(self, operation: Operation) -> Any:
        outcome = self._loading.use(lambda change: change.carry_out(operation))
        if outcome.error is not None:
            raise outcome.error
        return outcome.result


class LoadTables:
    """The tables that `load` gets, as attributes; all of them in `tables` by name."""

    def __init__(self, loading: Loading, layouts: dict[str, Layout]) -> None:
        self.tables = {name: LoadTable(loading, layout) for name, layout in layouts.items()}

    def __getattr__(self, name: str) -> LoadTable:
        tables: dict[str, LoadTable] = self.__dict__.get("tables", {})
        if name not in tables:
            raise AttributeError(f"there is no table {name!r}; this store has: {', '.join(tables) or 'none'}")
        return tables[name]
