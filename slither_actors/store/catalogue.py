"""What stores a system has: a file for each in its run directory, which every process reads when it first wants one."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterable
from pathlib import Path

import attrs

from slither_actors._code import Code
from slither_actors.errors import DuplicateView, UnknownStore, UnknownView
from slither_actors.store._schema import StoreLocation
from slither_actors.store.definition import ViewSpec
from slither_actors.store.folder import FOLDER
from slither_actors.store.store import NamedStore


@attrs.frozen
class StoreEntry:
    """One store of a system, in a form that any process can read.

    Attributes:
        location: where its tables are, and what they are called.
        code: its class; loaded where views or `load` run.
        kind: the class's path, for whoever names the store by its class.
        views: with the scope that holds for each.
        directory: the system's run directory.
    """

    location: StoreLocation
    code: Code
    kind: str
    views: tuple[ViewSpec, ...]
    directory: Path

    @classmethod
    def of(cls, named: NamedStore, path: Path, directory: Path, default_scope: str) -> StoreEntry:
        """The entry of a store that is about to start with its tables at `path`.

        Raises:
            NotPicklable: its class can neither be imported nor travel.
        """
        definition = named.store.definition
        views = tuple(
            ViewSpec(view.name, view.mode, view.scope or default_scope, view.timeout_s)  # type: ignore[arg-type]
            for view in definition.views
        )
        names = tuple(view.name for view in views)
        location = StoreLocation(named.name, path, definition.tables, named.path is not None, names)
        return cls(location, Code.of(named.store), kind_of(named.store), views, directory)

    @property
    def name(self) -> str:
        return self.location.name

    def write(self) -> None:
        """Enter it into the catalogue of its system."""
        folder = self.directory / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / self.name).write_bytes(pickle.dumps(self))


def kind_of(store: type) -> str:
    """What a class is known by, also where it was rebuilt from its pickle."""
    return f"{store.__module__}:{store.__qualname__}"


class Catalogue:
    """The stores of one system, as this process knows them. They do not change while it runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._entries: dict[str, StoreEntry] | None = None

    @property
    def entries(self) -> dict[str, StoreEntry]:
        if self._entries is None:
            folder = self.directory / FOLDER
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            self._entries = {name: pickle.loads((folder / name).read_bytes()) for name in names}
        return self._entries

    def find(self, store: str | NamedStore | type) -> StoreEntry:
        """The entry that is meant by a name, or by a class; of several of one class, the one that has its name.

        Raises:
            UnknownStore: there is none, or it is not clear which.
        """
        entries = self.entries
        if isinstance(store, type):
            of_kind = [entry for entry in entries.values() if entry.kind == kind_of(store)]
            own = own_of(of_kind)
            if own is None:
                raise UnknownStore(store.__name__, tuple(entry.name for entry in of_kind) or tuple(entries))
            return own
        name = store.name if isinstance(store, NamedStore) else store
        if name not in entries:
            raise UnknownStore(name, tuple(entries))
        return entries[name]


def own_of(entries: list[StoreEntry]) -> StoreEntry | None:
    """Of stores of one class the only one, or the one that has the class's name; `None` where neither is there."""
    if len(entries) == 1:
        return entries[0]
    own = [entry for entry in entries if re.split("[:.]", entry.kind)[-1] == entry.name]
    return own[0] if len(own) == 1 and len({entry.kind for entry in entries}) == 1 else None


Visible = dict[str, list[tuple[StoreEntry, ViewSpec]]]
"""Views by name, each with all the stores that have it."""


def visible_views(entries: Iterable[StoreEntry], named: tuple[str, ...] | None) -> Visible:
    """The global views, and the session views of the stores that are `named`; of all for `None`."""
    found: Visible = {}
    for entry in entries:
        for view in entry.views:
            if view.scope == "global" or named is None or entry.name in named:
                found.setdefault(view.name, []).append((entry, view))
    return found


def find_view(visible: Visible, name: str) -> tuple[StoreEntry, ViewSpec]:
    """The view that is meant by its name, or by those of its store and itself, joined by a dot.

    Raises:
        UnknownView: there is none. DuplicateView: it is not clear which.
    """
    store, dot, view = str(name).rpartition(".")
    found = [(entry, one) for entry, one in visible.get(view, []) if not dot or entry.name == store]
    if not found:
        raise UnknownView(str(name), tuple(sorted(visible)))
    own = own_of([entry for entry, _ in found])
    if own is None:
        raise DuplicateView(view, tuple(entry.name for entry, _ in found))
    return next((entry, one) for entry, one in found if entry is own)


def stores_with(entries: Iterable[StoreEntry], name: str) -> tuple[str, ...]:
    """Names of the stores that have a view of this name, whoever sees it."""
    store, dot, view = str(name).rpartition(".")
    found = visible_views(entries, None).get(view, [])
    return tuple(entry.name for entry, _ in found if not dot or entry.name == store)


def check_views(entries: Iterable[StoreEntry], named: tuple[str, ...] = ()) -> None:
    """Refuse views of one name in different classes: a call would not say which is meant.

    Raises:
        DuplicateView: there are two.
    """
    for name, found in visible_views(entries, named).items():
        if len({entry.kind for entry, _ in found}) > 1:
            raise DuplicateView(name, tuple(entry.name for entry, _ in found))
