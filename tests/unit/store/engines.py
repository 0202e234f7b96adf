"""A store's engine in one process: its writer, and tables whose writes go straight to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slither_actors.store._operations import Operation
from slither_actors.store._reader import StoreReader, open_store
from slither_actors.store._schema import StoreLocation, TableSpec
from slither_actors.store._writer import Writer
from slither_actors.store._writes import TableHandle

TABLES = (TableSpec("users"), TableSpec("scores", "ordered_set"), TableSpec("tags", "bag"))


class Engine:
    """A writer and a reader of the same store."""

    def __init__(self, path: Path, tables: Sequence[TableSpec] = TABLES, *, durable: bool = False) -> None:
        self.location = StoreLocation("s", path, tuple(tables), durable)
        self.writer = Writer(self.location)
        self.commits = 0
        self.open()

    def open(self) -> None:
        self.reader: StoreReader = open_store(self.location)
        self.tables = {name: TableHandle(table, self.submit) for name, table in self.reader.tables.items()}

    def __getitem__(self, name: str) -> TableHandle:
        return self.tables[name]

    def submit(self, operation: Operation) -> Any:
        [outcome] = self.writer.apply([operation])
        if outcome.error is not None:
            raise outcome.error
        return outcome.result

    def close(self) -> None:
        self.writer.close()


def folder_in_memory() -> Path:
    """A folder for many small stores, where that is quick."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="sl-", dir=memory if memory.is_dir() else None))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
