"""The writing half of a table: encodes in the caller's process, and has operations carried out by `submit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slither_actors.errors import StoreConflict, shorten
from slither_actors.store._bulk import bulk_of, remove_bulk_file
from slither_actors.store._cached import CachedTable
from slither_actors.store._operations import BulkInsert, Operation
from slither_actors.store._requests import Requests
from slither_actors.store._table import TableReader

Submit = Callable[[Operation], Any]
"""Has one operation carried out, and returns its result or raises its error."""

UPDATE_ATTEMPTS = 100


class WritableTable(TableReader):
    """A table that can be written to as well. A write is seen by every read that begins after it has returned.

    Every write raises StoreFull where there is no room and StoreUnavailable where there is no owner; nothing of it
    happened then.
    """

    _submit: Submit
    _requests: Requests
    _store: str
    _directory: Path

    def put(self, key: Any, value: Any) -> None:
        """Set the key's value; a bag gets one value more, unless the key has an equal one."""
        self._submit(self._requests.put(key, value))

    def insert_new(self, key: Any, value: Any) -> bool:
        """Put, unless the key is there; whether it was put."""
        return bool(self._submit(self._requests.insert_new(key, value)))

    def delete(self, key: Any) -> bool:
        """Remove the key with all its values; whether it was there."""
        return bool(self._submit(self._requests.delete(key)))

    def take(self, key: Any, default: Any = None) -> Any:
        """Remove the key, and return what `get` would have."""
        return self._taken(self._submit(self._requests.take(key)), default)

    def update(self, key: Any, function: Callable[[Any], Any]) -> Any:
        """Replace the value by what `function` makes of it; the new value.

        `function` runs here, and again with the newer value when somebody else was quicker. What it raises comes
        through, and nothing is changed.

        Raises:
            KeyError: The key is not there. StoreConflict: Others were quicker a hundred times.
            InvalidOption: This is a bag.
        """
        self._requests.refuse_bag("update")
        for _ in range(UPDATE_ATTEMPTS):
            data = self._raw(key)
            if data is None:
                raise KeyError(key)
            value = function(self._decode(data))
            done = self._submit(self._requests.replace(key, data, value))
            if done:
                return value
        raise StoreConflict(self.spec.name, shorten(key), UPDATE_ATTEMPTS)

    def increment(
        self,
        key: Any,
        by: float = 1,
        *,
        default: float | None = None,
        threshold: float | None = None,
        reset: float | None = None,
    ) -> Any:
        """Add to a number, at the owner; the new number.

        Args:
            key: The number's key.
            by: What to add; a negative number counts down.
            default: What to begin with where the key is not there.
            threshold: The number that may not be passed, upwards or downwards as `by` goes.
            reset: What follows when it would be; without one the number stays at the threshold.

        Raises:
            KeyError: The key is not there, and there is no default.
            InvalidOption: The value is no number, or this is a bag.
        """
        options = {"default": default, "threshold": threshold, "reset": reset}
        return self._submit(self._requests.increment(key, by, **options))

    def bulk_insert(self, rows: Iterable[tuple[Any, Any]]) -> int:
        """Put many rows, all or nothing; the number that was written.

        `rows` is read here, to its end, before the owner hears of it; what it raises comes through.
        """
        bulk = self._bulk(rows)
        try:
            return int(self._submit(bulk))
        finally:
            remove_bulk_file(self._directory, bulk.file)

    def clear(self) -> int:
        """Remove everything; the number of rows that were there."""
        return int(self._submit(self._requests.clear()))

    def _taken(self, rows: list[bytes], default: Any) -> Any:
        """What the owner took, as `get` would have returned it."""
        if not rows:
            return default
        return self._built(rows if self.spec.is_bag else rows[0])

    def _bulk(self, rows: Iterable[tuple[Any, Any]]) -> BulkInsert:
        """The operation; its file, if it has one, is the caller's to remove."""
        return bulk_of(self.spec.name, self._store, self._directory, self._requests.rows(rows), self._requests.columns)


class TableHandle(WritableTable):
    """A table of a store, as its handles in any process give it out. Reads share what `table` keeps."""

    def __init__(self, table: CachedTable, submit: Submit) -> None:
        super().__init__(table.source, table.layout)
        self._submit, self._requests = submit, Requests(table.spec)
        self._store, self._directory = table.environment.name, table.environment.directory
        self.get = table.get  # type: ignore[method-assign]  # at once, without a call in between
