"""The user's `load`, run where the writer of the store is."""

from __future__ import annotations

from typing import Any

from slither_actors._describe import traceback_of
from slither_actors.errors import NotImportable, RemoteError, StoreLoadError
from slither_actors.store._lines import WriteLines
from slither_actors.store._owner_calls import OwnersOwn
from slither_actors.store._writer import Remembrance, Writer
from slither_actors.store.catalogue import StoreEntry
from slither_actors.store.handle import StoreHandle
from slither_actors.store.store import Store


class UserLoad:
    """`load` of one store, as often as it is wanted."""

    def __init__(self, entry: StoreEntry) -> None:
        self._entry = entry
        self._handle: StoreHandle | None = None  # what `load` reads the former state through

    def run(self, writer: Writer, once: Remembrance = None) -> int:
        """Replace everything by what `load` puts into the tables, as `Writer.rebuild`; the new version.

        Raises:
            StoreLoadError: there is no such class, or `load` raised, or returned something; nothing was changed.
            StoreFull: there is no room; nothing was changed.
        """
        entry = self._entry
        try:
            cls: type[Store] = entry.code.load()
        except NotImportable as error:
            raise StoreLoadError(entry.name, str(error)) from error
        if self._handle is None:
            calls = OwnersOwn(entry.name, entry.location.path, WriteLines(entry.directory))
            self._handle = StoreHandle(entry.location, calls)
        store = cls._bound(self._handle)
        try:
            return writer.rebuild(lambda tables: _fill(store, tables), once)
        except StoreLoadError as error:
            if error.__cause__ is not None:
                error.add_note(traceback_of(error.__cause__))  # which travels, as the cause does not
            raise


class _Returned(Exception):
    """`load` returned something, which nobody would read."""


def _fill(store: Store, tables: Any) -> None:
    """Have `load` put what it has into the tables; what it raises is fit for an answer."""
    try:
        returned: object = store.load(tables)  # type: ignore[func-returns-value]  # not everybody asks a type checker
    except Exception:
        raise
    except BaseException as error:  # such as SystemExit and KeyboardInterrupt, which would end the owner
        raise RemoteError.of(error) from error
    if returned is not None:
        kind = type(returned).__name__
        raise _Returned(f"load returned a {kind}; it fills the tables and returns nothing, or raises")
