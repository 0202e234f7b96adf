"""The stores of a system: checked, entered into its catalogue, started, found."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.errors import DuplicateView, InvalidOption, NotImportable, RunDirectoryError, UnknownStore, shorten
from slither_actors.otp.child import ChildSpec, SupervisorOptions
from slither_actors.otp.supervisor import Supervisor
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.system.names import STORES
from slither_actors.transport.memory import memory_folder
from slither_actors.transport.rundir import check_private

if TYPE_CHECKING:
    from slither_actors.store.catalogue import Catalogue, StoreEntry
    from slither_actors.store.store import NamedStore


def check_stores(stores: Iterable[Any], config: Config) -> tuple[NamedStore, ...]:
    """What `start` is to start, by the names that hold.

    One that both the argument and the configuration name is started once.

    Raises:
        InvalidOption: one is no store, or cannot be where it is to be; or two have one name or one path.
        DuplicateView: two have a global view of one name.
    """
    configured, given = tuple(_imported(store, config) for store in config.stores), tuple(stores)
    if not configured and not given:
        return ()
    from slither_actors.store.store import as_named  # with LMDB, which others do not need

    names: dict[str, NamedStore] = {}
    for store in configured:
        _enter(as_named(store, "start", "stores"), names)
    first = dict(names)
    for named in (as_named(store, "start", "stores") for store in given):
        if named == first.get(named.name):
            del first[named.name]  # so that an argument which names it twice is refused, as any other list
        else:
            source = config.sources["stores"]
            source = "config" if source == "argument" else source
            _enter(named, names, f", in the argument and in {source}" if named.name in first else "")
    paths: dict[Path, str] = {}
    for named in names.values():
        if named.path is not None:
            other = paths.setdefault(_prepared(named.path), named.name)
            if other != named.name:
                raise InvalidOption("start", "stores", f"{other!r} and {named.name!r} at {named.path}", "one path each")
    _check_global_views(names.values(), config.bridge.default_scope)
    return tuple(names.values())


def _enter(named: NamedStore, names: dict[str, NamedStore], where: str = "") -> None:
    if named.name in names:
        allowed = "one store per name; Store.named(...) gives another one"
        raise InvalidOption("start", "stores", f"two called {named.name!r}{where}", allowed)
    names[named.name] = named


def _imported(store: Any, config: Config) -> Any:
    """A store that a file or a variable names by its path; what is no text is left as it is."""
    if not isinstance(store, str):
        return store
    try:
        return Code.of(store).load()
    except NotImportable as error:
        allowed = 'paths of store classes that can be imported here, each "module:Class"'
        raise InvalidOption(config.sources["stores"], "stores", f"{store!r} ({error.why})", allowed) from error


def _check_global_views(stores: Iterable[NamedStore], default_scope: str) -> None:
    owners: dict[str, NamedStore] = {}
    for store in stores:
        for view in store.store.definition.views:
            if (view.scope or default_scope) == "global":
                other = owners.setdefault(view.name, store)
                if other.store is not store.store:
                    raise DuplicateView(view.name, (other.name, store.name))


def _prepared(path: Path) -> Path:
    """The directory of a durable store, made if need be: what is in it is unpickled, so it must be ours alone."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(path.resolve())
    except OSError as error:
        why = "it is no directory" if isinstance(error, FileExistsError) else error.strerror
        raise InvalidOption("start", "stores", f"one with path {path}: {why}", "a directory") from None
    except RecursionError:
        raise InvalidOption(
            "start", "stores", f"one with path {shorten(path)}: it is too deep", "a directory"
        ) from None
    except RunDirectoryError as error:
        allowed = "a directory of your own that nobody else may enter (mode 700)"
        raise InvalidOption("start", "stores", f"one with path {path}, which {error.problem}", allowed) from None
    return path.resolve()


def enter_stores(stores: tuple[NamedStore, ...], directory: Path, config: Config) -> list[StoreEntry]:
    """Write down what stores a system has, in its run directory, and make room for those in memory.

    Raises:
        NotPicklable: a class cannot travel.
    """
    if not stores:
        return []
    from slither_actors.store.catalogue import StoreEntry

    memory = memory_folder(directory) if any(store.path is None for store in stores) else directory
    scope = config.bridge.default_scope
    entries = [
        StoreEntry.of(store, store.path or memory / f"{store.name}.tables", directory, scope) for store in stores
    ]
    for entry in entries:
        os.makedirs(entry.location.path, mode=0o700, exist_ok=True)
        entry.write()
    return entries


def stores_spec(entries: Iterable[StoreEntry]) -> ChildSpec:
    """The child spec of all owners, which start side by side; a load has no limit of time."""
    from slither_actors.store.owner import StoreOwner

    owner = Code.of(StoreOwner)
    specs = tuple(ChildSpec(entry.name, owner, (entry,), start_timeout_s=None) for entry in entries)
    return ChildSpec(STORES, Code.of(Supervisor), (SupervisorOptions(parallel_start=True), specs), type="supervisor")


def check_named(definition: PipeDefinition, stores: Iterable[str]) -> None:
    """Refuse a pipe that names a store which is not there.

    Raises:
        UnknownStore: it is not there.
    """
    for name in definition.stores:
        if name not in stores:
            error = UnknownStore(name, tuple(stores))
            error.add_note(f"pipe {definition.name} names it")
            raise error


def check_stores_of(definition: PipeDefinition, catalogue: Catalogue) -> None:
    """Refuse a pipe that names a store which is not there, or stores whose views cannot be told apart.

    Raises:
        UnknownStore: it is not there. DuplicateView: two views that its runs would see have one name.
    """
    from slither_actors.store.catalogue import check_views

    check_named(definition, catalogue.entries)
    check_views(catalogue.entries.values(), definition.stores)
