"""Stores whose owner is in the same process: writes are carried out where they are asked for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slither_actors import telemetry
from slither_actors.errors import SlitherError, StartError
from slither_actors.store._operations import Once, Operation, as_plain, from_plain
from slither_actors.store._owner_calls import OwnerCalls
from slither_actors.store._user_load import UserLoad
from slither_actors.store._writer import Writer
from slither_actors.store.catalogue import StoreEntry
from slither_actors.store.handle import StoreHandle
from slither_actors.store.views import ProcessStores


class InlineOwner:
    """What `StoreOwner` is in a process of its own.

    Raises:
        StoreLoadError: its `load` raised.
    """

    def __init__(self, entry: StoreEntry) -> None:
        self._user_load = UserLoad(entry)
        self._writer = Writer(entry.location)
        self._name, self._numbers = os.urandom(16), itertools.count(1)
        if not self._writer.version:
            with telemetry.span((*telemetry.STORE, "load"), {"store": entry.name}) as span:
                span.metadata["version"] = self._user_load.run(self._writer)

    def write(self, operation: Operation) -> tuple[Any, int]:
        """Carry out one operation, as it would arrive."""
        (outcome,) = self._writer.apply([Once(self._name, next(self._numbers), from_plain(as_plain(operation)))])
        if outcome.error is not None:
            raise outcome.error
        return outcome.result, outcome.written

    def replace(self, file: str) -> int:
        """Load again, or restore a file; the new version."""
        return self._writer.restore(Path(file)) if file else self._user_load.run(self._writer)

    def close(self) -> None:
        self._writer.close()


class _Calls(OwnerCalls):
    """Asks the owner itself."""

    owner: InlineOwner

    def write(self, operation: Operation) -> tuple[Any, int]:
        self._check()
        return self.owner.write(operation)

    def reload(self, file: str = "") -> int:
        self._check()
        return self.owner.replace(file)

    def _check(self) -> None:
        refusal = self.lines.refusal()
        if refusal is not None:
            raise refusal


class _Handle(StoreHandle):
    """A handle that never waits for an owner."""

    def within(self, timeout_s: float) -> StoreHandle:
        handle = super().within(timeout_s)
        handle._calls = self._calls
        return handle


class InlineStores(ProcessStores):
    """The stores of all simulated processes.

    Args:
        directory: as that of a system.
        entries: the stores. refusal: the error of a system that is over.

    Raises:
        StartError: one cannot be loaded.
    """

    def __init__(
        self, directory: Path, entries: Iterable[StoreEntry], refusal: Callable[[], SlitherError | None]
    ) -> None:
        super().__init__(directory, refusal)
        self._owners: dict[str, InlineOwner] = {}
        for entry in entries:
            try:
                self._owners[entry.name] = InlineOwner(entry)
            except SlitherError as error:
                self.close()
                raise StartError(f"store {entry.name}", str(error)) from error

    def _opened(self, entry: StoreEntry) -> StoreHandle:
        handle = self._handles.get(entry.name)
        if handle is None:
            calls = _Calls(entry.name, entry.location.path, self._lines)
            calls.owner = self._owners[entry.name]
            handle = self._handles[entry.name] = _Handle(entry.location, calls)
        return handle

    def close(self) -> None:
        """Let go of all files."""
        super().close()
        for owner in self._owners.values():
            owner.close()
