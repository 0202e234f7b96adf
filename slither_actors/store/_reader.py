"""A store as a process reads it: its tables, its version, and snapshots of all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from slither_actors._validators import is_number
from slither_actors.errors import InvalidOption, SnapshotExpired, StoreUnavailable, shorten
from slither_actors.store._cached import CachedTable
from slither_actors.store._dump import dump
from slither_actors.store._environment import EndedEnvironment, Environment, environment_of
from slither_actors.store._layout import Layout, layouts_of, version_in
from slither_actors.store._schema import StoreLocation
from slither_actors.store._source import Pinned
from slither_actors.store._table import TableReader
from slither_actors.store._words import words_to_read

SNAPSHOT_S = 30.0


class StoreReader:
    """All tables of a store, as this process reads them. Safe to use from several threads, and after a fork.

    Attributes:
        location: Where it is.
        tables: The tables by name.
    """

    def __init__(self, location: StoreLocation) -> None:
        """Open it; the environment itself is opened once for a process, and again after a fork.

        Raises:
            StoreUnavailable: There is no such store, it lacks a table, or a table is of another kind.
        """
        self.location = location
        self._environment = environment = environment_of(location.path, location.name)
        self._layouts: dict[str, Layout] = environment.read(lambda txn: layouts_of(txn, location))
        for spec in location.tables:
            if spec.name not in self._layouts:
                raise StoreUnavailable(location.name, f"there is no table {spec.name!r} in {location.path}")
        try:
            words = words_to_read(location.path)
        except OSError as error:
            raise StoreUnavailable(location.name, str(error)) from error
        self.tables = {name: CachedTable(environment, layout, words) for name, layout in self._layouts.items()}

    @property
    def version(self) -> int:
        """How often the store was loaded."""
        return self._environment.read(version_in)

    def snapshot(self, limit_s: float = SNAPSHOT_S) -> Snapshot:
        """All tables at one moment: that at which the ``with`` block of it begins.

        Args:
            limit_s: How long it may last. So long no page of that moment can be used again, and the store may grow.

        Raises:
            InvalidOption: `limit_s` is no time.
        """
        if not is_number(limit_s) or limit_s <= 0:
            raise InvalidOption("snapshot", "limit_s", shorten(limit_s), "a finite number of seconds above 0")
        return Snapshot(self._environment, self._layouts, limit_s)

    def close(self, why: Callable[[], Exception | None] = lambda: None) -> None:
        """Let go of the files. A snapshot is over, and every read from now on raises what `why` makes, or
        StoreUnavailable where it makes nothing."""
        former = self._environment
        self._environment = ended = EndedEnvironment(former, why)
        for table in self.tables.values():
            table.end(ended)
        former.close()

    def dump(self, file: Path) -> None:
        """Write a compact copy of this moment to a file, which is there whole or not at all. Writes go on meanwhile.

        Raises:
            InvalidOption: There is something else than a file, or no folder for it.
            StoreUnavailable, StoreFull: It cannot be written.
        """
        dump(self._environment, file)


class Snapshot:
    """All tables of a store at one moment, as its attributes, within its ``with`` block.

    Reads of them raise SnapshotExpired when the time is over or the block has ended.

    Attributes:
        tables: The tables by name.
        version: How often the store had been loaded.
    """

    def __init__(self, environment: Environment, layouts: dict[str, Layout], limit_s: float) -> None:
        self._environment, self._layouts, self._limit_s = environment, layouts, limit_s
        self._moment: Pinned | None = None
        self.tables: dict[str, TableReader] = {}
        self.version = 0

    def __enter__(self) -> Self:
        if self._moment is not None:
            raise SnapshotExpired(self._environment.name, self._limit_s)
        self._moment = moment = Pinned(self._environment, self._limit_s)
        moment.limit()
        self.version = moment.read(version_in)
        self.tables = {name: TableReader(moment, layout) for name, layout in self._layouts.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moment is not None:
            self._moment.end()

    def __getattr__(self, name: str) -> TableReader:
        tables: dict[str, TableReader] = self.__dict__.get("tables", {})
        if name in tables:
            return tables[name]
        known = ", ".join(tables) or "none outside of its block"
        raise AttributeError(f"a snapshot has no attribute {name!r}; tables of this one: {known}")


def open_store(location: StoreLocation) -> StoreReader:
    """The reader of a store in this process.

    Raises:
        StoreUnavailable: As `StoreReader`.
    """
    return StoreReader(location)


__all__ = ["SNAPSHOT_S", "Snapshot", "StoreReader", "TableReader", "open_store"]
