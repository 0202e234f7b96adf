"""slither_actors: a store in memory, read in the service and written by its owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slither_actors as slither
from tests.benchmarks.peers.base import Table


class Users(slither.Store):
    """A table of dicts."""

    rows = slither.Table()

    def load(self, tables: Any) -> None:
        """Nothing: the measurement fills it."""


class StoreTable(Table):
    """`system.store(Users).rows`."""

    def open(self) -> None:
        self.system = slither.start(stores=[Users], pools={})
        self.rows = self.system.store(Users).rows

    def close(self) -> None:
        self.system.stop()

    def reader(self) -> Callable[[str], Any]:
        read: Callable[[str], Any] = self.rows.get
        return read

    def writer(self) -> Callable[[str, Any], Any]:
        write: Callable[[str, Any], Any] = self.rows.put
        return write

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        self.rows.bulk_insert(rows)
