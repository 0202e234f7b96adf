"""`Transaction`: several writes that happen together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NoReturn, Self

from slither_actors.errors import InvalidOption, shorten
from slither_actors.store import _operations
from slither_actors.store._bulk import remove_bulk_file
from slither_actors.store._cached import CachedTable
from slither_actors.store._operations import Operation
from slither_actors.store._reader import StoreReader
from slither_actors.store._writes import TableHandle


class TransactionTable(TableHandle):
    """A table in a transaction. Its writes return `None`, since they happen at the end of the block; what is read is
    what was committed before."""

    def __init__(self, table: CachedTable, collect: Callable[..., None]) -> None:
        super().__init__(table, collect)
        self._collect = collect

    def insert_new(self, key: Any, value: Any) -> None:  # type: ignore[override]  # what came of it is in `results`
        """Put, unless the key is there; whether it was put stands among the results."""
        self._collect(self._requests.insert_new(key, value))

    def delete(self, key: Any) -> None:  # type: ignore[override]
        """Remove the key with all its values; whether it was there stands among the results."""
        self._collect(self._requests.delete(key))

    def take(self, key: Any, default: Any = None) -> None:
        """Remove the key; what `get` would have returned stands among the results."""
        self._collect(self._requests.take(key), lambda rows: self._taken(rows, default))

    def bulk_insert(self, rows: Iterable[tuple[Any, Any]]) -> None:  # type: ignore[override]
        """Put many rows; `rows` is read here, to its end. The number that was written stands among the results."""
        self._collect(self._bulk(rows))

    def clear(self) -> None:  # type: ignore[override]
        """Remove everything; the number of rows that were there stands among the results."""
        self._collect(self._requests.clear())

    def update(self, key: Any, function: Callable[[Any], Any]) -> NoReturn:
        """Not here: what it makes depends on what others write before the end of the block.

        Raises:
            InvalidOption: always.
        """
        allowed = "writes that depend on nothing; update is for outside of it"
        raise InvalidOption(f"transaction, table {self.spec.name}", "update", "called", allowed)


class Transaction:
    """Collects writes in its ``with`` block, in this process: its attributes are the tables. Leaving the block has the
    writes carried out in one commit; a block that is left by an error writes nothing. It has one block.

    Attributes:
        results: After the block, what the owner says of each write, in order: the new number of an `increment`, whether
            `insert_new` put, whether `delete` found, what `take` took.
    """

    def __init__(self, store: str, reader: StoreReader, write: Callable[[Operation], tuple[Any, int]]) -> None:
        self.results: list[Any] = []
        self._store = store
        self._directory = reader.location.path
        self._write = write
        self._operations: list[Operation] = []
        self._opening: list[Callable[[Any], Any]] = []
        self._tables = {name: TransactionTable(table, self._collect) for name, table in reader.tables.items()}
        self._is_open: bool | None = None  # before its block

    def __getattr__(self, name: str) -> TransactionTable:
        tables: dict[str, TransactionTable] = vars(self).get("_tables", {})
        if name not in tables:
            raise AttributeError(f"a transaction has no attribute {name!r}; tables: {', '.join(tables)}")
        return tables[name]

    def table(self, name: str) -> TransactionTable:
        """The table of that name.

        Raises:
            InvalidOption: there is none.
        """
        if name not in self._tables:
            raise InvalidOption(f"store {self._store}", "table", shorten(name), ", ".join(self._tables))
        return self._tables[name]

    def _collect(self, operation: Operation, opened: Callable[[Any], Any] = lambda result: result) -> None:
        if not self._is_open:
            self._drop(operation)
            got = "before its block" if self._is_open is None else "behind its block"
            raise self._misused("a write", got, "writes in it: with store.transaction() as writes: ...")
        self._operations.append(operation)
        self._opening.append(opened)

    def _misused(self, what: str, got: str, allowed: str) -> InvalidOption:
        return InvalidOption(f"transaction of store {self._store}", what, got, allowed)

    def _drop(self, operation: Operation) -> None:
        """Remove the file of rows that wait for the end of the block."""
        if isinstance(operation, _operations.BulkInsert):
            remove_bulk_file(self._directory, operation.file)

    def __enter__(self) -> Self:
        if self._is_open is not None:
            raise self._misused("a block", "the second one", "one block; store.transaction() gives another one")
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        try:
            if error is None and self._operations:
                results, _ = self._write(_operations.Transaction(tuple(self._operations)))
                self.results = [opened(result) for opened, result in zip(self._opening, results, strict=True)]
        finally:
            for operation in self._operations:
                self._drop(operation)


__all__ = ["Transaction", "TransactionTable"]
