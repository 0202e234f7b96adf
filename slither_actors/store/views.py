"""What user code may use of stores: its context asks here, in the process where it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from slither_actors import telemetry
from slither_actors.context import SealedContext
from slither_actors.errors import (
    InvalidOption,
    InvalidOutcome,
    ResultCountMismatch,
    SlitherError,
    UnknownView,
    ViewTimeout,
    shorten,
)
from slither_actors.otp.events import EventRelay
from slither_actors.store._lines import WriteLines
from slither_actors.store._owner_calls import OwnerCalls
from slither_actors.store._time_limit import interrupted_after
from slither_actors.store.catalogue import Catalogue, StoreEntry, Visible, find_view, stores_with, visible_views
from slither_actors.store.declarations import SCOPES
from slither_actors.store.definition import ViewSpec
from slither_actors.store.handle import StoreHandle
from slither_actors.store.store import NamedStore, Store, StoreType


class ProcessStores:
    """All stores of a system, as this process uses them. What it opens stays open.

    Args:
        directory: the system's run directory.
        refusal: the error of a system that is over.
        interrupts: whether a view that takes too long may be interrupted by a timer signal, which is for processes that
            belong to this library.
        relay: what carries events to the service, from other processes than that.
    """

    def __init__(
        self,
        directory: Path,
        refusal: Callable[[], SlitherError | None] = lambda: None,
        interrupts: bool = False,
        relay: EventRelay | None = None,
    ) -> None:
        self.catalogue = Catalogue(directory)
        self.interrupts = interrupts
        self._relay = relay
        self._lines = WriteLines(directory, refusal)
        self._handles: dict[str, StoreHandle] = {}
        self._instances: dict[str, Store] = {}  # of global views

    def handle(self, store: Any) -> StoreHandle:
        """The handle of a store.

        Args:
            store: its name, its class, or `Store.named(...)`.

        Raises:
            UnknownStore: the system has no such store. InvalidOption: it is none of these.
        """
        if not isinstance(store, str | NamedStore | StoreType):
            raise InvalidOption("store", "store", shorten(store), "the name of a store, or its class")
        return self._opened(self.catalogue.find(store))

    def _opened(self, entry: StoreEntry) -> StoreHandle:
        handle = self._handles.get(entry.name)
        if handle is None:
            calls = OwnerCalls(entry.name, entry.location.path, self._lines)
            handle = self._handles.setdefault(entry.name, StoreHandle(entry.location, calls))
        return handle

    def instance(self, entry: StoreEntry, kept: dict[str, Store]) -> Store:
        """The object whose methods the views are, made when it is first wanted.

        Raises:
            NotImportable: its class cannot be loaded here.
        """
        found = kept.get(entry.name)
        if found is None:
            cls: type[Store] = entry.code.load()
            found = kept.setdefault(entry.name, cls._bound(self._opened(entry)))
        return found

    def run(self, named: tuple[str, ...] | None, kept: dict[str, Store]) -> RunStores:
        """What one run sees.

        Args:
            named: the stores whose session views it sees; `None` for all.
            kept: the objects of its session, or its own.
        """
        return RunStores(self, named, kept, self._instances)

    def run_of(self, sealed: SealedContext, kept: dict[str, Store]) -> RunStores:
        """What the run with this context sees; what it reports is heard by who listened when it began."""
        if self._relay is not None:
            self._relay.heed(sealed.interest)
        return self.run(sealed.stores, kept)

    def report(self) -> None:
        """Send the events that wait: what they are a part of is nearly over."""
        if self._relay is not None:
            self._relay.flush()

    def close(self) -> None:
        """Let go of all files and sockets; handles that somebody still has raise `refusal`."""
        self._lines.close()
        for handle in self._handles.values():
            handle.close()


class RunStores:
    """Stores and views for the user code of one run."""

    def __init__(
        self, stores: ProcessStores, named: tuple[str, ...] | None, of_session: dict[str, Store], of_process: Any
    ) -> None:
        self._stores = stores
        self._named = named
        self._kept = {"session": of_session, "global": of_process}
        self._views: Visible | None = None

    def store(self, store: Any) -> StoreHandle:
        return self._stores.handle(store)

    def views(self, scope: str | None = None) -> tuple[str, ...]:
        """Names of the views that can be called, of one scope or of both."""
        if scope not in (None, *SCOPES):
            raise InvalidOption("views", "scope", shorten(scope), ", ".join(map(repr, (None, *SCOPES))))
        visible = self._visible().items()
        return tuple(sorted(name for name, found in visible if scope in (None, *[view.scope for _, view in found])))

    def view(self, ctx: Any, name: str, params: Mapping[str, Any]) -> Any:
        entry, view = self._find(name)
        if view.mode == "batch":
            (result,) = self._call_batch(ctx, entry, view, [dict(params)])
            return result
        return self._call(ctx, entry, view, dict(params))

    def view_batch(self, ctx: Any, name: str, params: Iterable[Mapping[str, Any]]) -> list[Any]:
        entry, view = self._find(name)
        rows = [_checked(name, one) for one in params]
        if view.mode == "batch":
            return self._call_batch(ctx, entry, view, rows) if rows else []
        return [self._call(ctx, entry, view, one) for one in rows]

    def _find(self, name: str) -> tuple[StoreEntry, ViewSpec]:
        """The view of that name.

        Raises:
            UnknownView: there is none that this run sees. DuplicateView: it is not clear which.
        """
        try:
            return find_view(self._visible(), name)
        except UnknownView as error:
            error.unseen = stores_with(self._stores.catalogue.entries.values(), error.view)
            raise

    def _visible(self) -> Visible:
        if self._views is None:
            self._views = visible_views(self._stores.catalogue.entries.values(), self._named)
        return self._views

    def _call_batch(self, ctx: Any, entry: StoreEntry, view: ViewSpec, rows: list[dict[str, Any]]) -> list[Any]:
        results = self._call(ctx, entry, view, rows, len(rows))
        if not isinstance(results, list | tuple):
            raise InvalidOutcome(f"view {view.name}", f"a batch view returns a list, not a {type(results).__name__}")
        if len(results) != len(rows):
            raise ResultCountMismatch(f"view {view.name}", len(rows), len(results))
        return list(results)

    def _call(self, ctx: Any, entry: StoreEntry, view: ViewSpec, params: Any, items: int = 1) -> Any:
        metadata = {"store": entry.name, "view": view.name, "scope": view.scope, "mode": view.mode}
        with telemetry.span(telemetry.VIEW, metadata) as span:
            span.measurements["items_in"] = items
            handler = getattr(self._stores.instance(entry, self._kept[str(view.scope)]), view.name)
            began = time.monotonic()
            if self._stores.interrupts:
                result, rang = interrupted_after(view.timeout_s, handler, params, ctx)
            else:
                result, rang = handler(params, ctx), False
            if rang or time.monotonic() - began > view.timeout_s:
                raise ViewTimeout(entry.name, view.name, view.timeout_s)
            span.measurements["items_out"] = items
            return result


def _checked(name: str, params: Any) -> dict[str, Any]:
    if not isinstance(params, Mapping):
        raise InvalidOption(f"view {name}", "params", shorten(params), "a list of mappings, one for each call")
    return dict(params)
