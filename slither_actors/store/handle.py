"""`StoreHandle`: a store as any process uses it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from slither_actors import telemetry
from slither_actors._describe import said
from slither_actors._keywords import known_keywords
from slither_actors._validators import is_number
from slither_actors.errors import InvalidOption, StoreUnavailable, shorten
from slither_actors.store._lines import WriteLines
from slither_actors.store._operations import Operation
from slither_actors.store._owner_calls import OwnerCalls
from slither_actors.store._paths import path_of
from slither_actors.store._reader import SNAPSHOT_S, Snapshot, StoreReader, open_store
from slither_actors.store._schema import StoreLocation
from slither_actors.store._writes import TableHandle
from slither_actors.store.transaction import Transaction


class StoreHandle:
    """A store, as `system.store()` and `ctx.store()` return it: its tables are its attributes.

    Reads happen here, in this process, and ask nobody. Writes are calls to the store's owner, and return when they are
    committed: from then on every read in any process sees them. Safe to use from any thread. It can be pickled, and
    then opened by every process of this machine and user while the system runs.
    """

    _is_guest = False  # whether it came in from elsewhere, and so has lines of its own

    def __init__(self, location: StoreLocation, calls: OwnerCalls, reader: StoreReader | None = None) -> None:
        self._location = location
        self._calls = calls
        self._reader = reader or open_store(location)
        self._tables = {name: TableHandle(table, self._submit) for name, table in self._reader.tables.items()}
        vars(self).update(self._tables)  # found without a search, since a read takes about as long as that

    @property
    def name(self) -> str:
        """What the system calls it."""
        return self._location.name

    @property
    def path(self) -> Path:
        """Where its tables are."""
        return self._location.path

    @property
    def version(self) -> int:
        """How often it was loaded."""
        return self._reader.version

    def __repr__(self) -> str:
        return f"<StoreHandle {self.name}>"

    def __getattr__(self, name: str) -> TableHandle:
        tables = ", ".join(vars(self).get("_tables", {}))
        location: StoreLocation | None = vars(self).get("_location")
        if location is not None and name in location.views:
            call = f"worker and stage code calls it by ctx.view({name!r}, ...)"
            raise AttributeError(f"{name!r} is a view, and a handle has tables: {tables}; {call}")
        raise AttributeError(f"a handle of a store has no attribute {name!r}; tables of this one: {tables}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self).get("_tables", ()):
            raise AttributeError(f"{name} is a table; write to it with {name}.put(key, value)")
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        calls = self._calls
        return attach, (self._location, calls.lines.directory, calls.timeout_s, calls.reload_s)

    def table(self, name: str) -> TableHandle:
        """The table of that name.

        Raises:
            InvalidOption: there is none.
        """
        found = self._tables.get(name)
        if found is None:
            raise InvalidOption(f"store {self.name}", "table", shorten(name), ", ".join(self._tables))
        return found

    @known_keywords
    def within(self, timeout_s: float) -> StoreHandle:
        """The same store, whose writes wait for `timeout_s` at most: for the owner, where that is being restarted or
        busy, and for its answer. So do `reload` and `restore`, which else wait for their end however long it takes.

        Raises:
            InvalidOption: it is no time.
        """
        if not is_number(timeout_s) or timeout_s <= 0:
            raise InvalidOption(f"store {self.name}", "timeout_s", shorten(timeout_s), "a number of seconds above 0")
        calls = OwnerCalls(self.name, self.path, self._calls.lines, timeout_s, timeout_s)
        handle = StoreHandle(self._location, calls, self._reader)
        handle._is_guest = self._is_guest
        return handle

    @known_keywords
    def snapshot(self, limit_s: float = SNAPSHOT_S) -> Snapshot:
        """All tables at one moment: a context manager whose attributes are the tables, to read.

        Args:
            limit_s: seconds it may be open.

        Raises, at a read that comes later:
            SnapshotExpired: the limit has passed, or the block has ended.
        """
        return self._reader.snapshot(limit_s)

    def transaction(self) -> Transaction:
        """Several writes in one commit, all or nothing: a context manager whose attributes are the tables, to write."""
        return Transaction(self.name, self._reader, self._write)

    def reload(self) -> int:
        """Run `load` again, at the owner, and put what it makes in the place of everything, in one commit: readers see
        what was or what is. Writes wait for it. The new version.

        Raises:
            StoreLoadError: it raised, or died of it; nothing was changed.
            StoreUnavailable: the owner was not there in time; nothing was changed.
            WriteInDoubt: it was not done in the time of `within`, and may still be; or nobody knows what became of it.
        """
        return self._replace("reload", "")

    @known_keywords
    def restore(self, file: str | os.PathLike[str]) -> int:
        """Put what a dump holds in the place of everything, in one commit. The new version.

        Raises:
            StoreLoadError: the file is no dump of such a store, or not as it was written; nothing was changed.
            StoreUnavailable: the owner was not there in time; nothing was changed.
            WriteInDoubt: it was not done in the time of `within`, and may still be; or nobody knows what became of it.
        """
        return self._replace("restore", path_of(file, "restore", "file", "the path of a file"))

    @known_keywords
    def dump(self, file: str | os.PathLike[str]) -> None:
        """Write all tables at one moment to a file, which is there whole or not at all. Done in this process.

        Raises:
            InvalidOption: what is there is no file, or there is no folder for it.
            StoreUnavailable, StoreFull: it cannot be written.
        """
        self._reader.dump(Path(path_of(file, "dump", "file", "the path of a file")))

    def statistics(self) -> dict[str, Any]:
        """Its version and how many rows its tables have, as plain data."""
        return {"version": self.version, "tables": {name: table.size() for name, table in self._tables.items()}}

    def close(self) -> None:
        """Let go of its files in this process: whoever reads or writes through it then, or through what `within` made
        of it, gets a `StoreUnavailable`. For handles that came in from elsewhere; the end of the system closes the
        others, which then raise `SystemDown`."""
        lines = self._calls.lines
        if self._is_guest:
            lines.refusal = lambda: StoreUnavailable(self.name, "this handle was closed")
            lines.close()
        self._reader.close(lines.refusal)

    # -- writes

    def _submit(self, operation: Operation) -> Any:
        if telemetry.listening(telemetry.STORE_WRITE):
            return self._write(operation)[0]
        return self._calls.write(operation)[0]

    def _write(self, operation: Operation) -> tuple[Any, int]:
        if not telemetry.listening(telemetry.STORE_WRITE):
            return self._calls.write(operation)
        began = time.perf_counter()
        metadata = {"store": self.name, "table": getattr(operation, "table", None), "outcome": "ok"}
        metadata["operation"] = type(operation).__name__
        rows = 0
        try:
            result, rows = self._calls.write(operation)
        except BaseException as error:
            metadata |= {"outcome": "error", "error": said(error)}
            raise
        finally:
            measurements = {"duration_s": time.perf_counter() - began, "rows": rows}
            telemetry.emit(telemetry.STORE_WRITE, measurements, metadata)
        return result, rows

    def _replace(self, event: str, file: str) -> int:
        with telemetry.span((*telemetry.STORE, event), {"store": self.name}) as span:
            version = self._calls.reload(file)
            span.metadata["version"] = version
            return version


def attach(location: StoreLocation, directory: Path, timeout_s: float, reload_s: float) -> StoreHandle:
    """A handle in another process than the one that it was made in.

    Raises:
        StoreUnavailable: its system is over.
    """
    if not directory.exists():
        raise StoreUnavailable(location.name, "its system is over")
    handle = StoreHandle(location, OwnerCalls(location.name, location.path, WriteLines(directory), timeout_s, reload_s))
    handle._is_guest = True
    return handle
