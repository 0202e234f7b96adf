"""`Store`: the class whose body declares tables, how they are filled, and views of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from slither_actors import _validators as check
from slither_actors._hooks import check_hooks
from slither_actors.errors import DefinitionError, InvalidOption, StoreUnavailable, shorten
from slither_actors.store._paths import path_of
from slither_actors.store._writes import TableHandle
from slither_actors.store.declarations import VIEW_MARK, Table, options_of
from slither_actors.store.definition import StoreDefinition, check_body, define
from slither_actors.store.handle import StoreHandle


class _Body(dict[str, Any]):
    """The namespace of a class body; a table or view that is declared twice is noticed where the second one arrives."""

    def __init__(self, store: str) -> None:
        super().__init__()
        self._store = store

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self and (_is_part(value) or _is_part(self[key]) or key == "load"):
            raise DefinitionError(f"store {self._store}, {key}", "this name is used twice", "each name once")
        super().__setitem__(key, value)


def _is_part(value: Any) -> bool:
    return isinstance(value, Table) or options_of(value) is not None


class StoreType(type):
    """Checks a store when its class is defined."""

    definition: StoreDefinition

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> _Body:
        return _Body(name)

    def __new__(metacls, name: str, bases: tuple[type, ...], body: Mapping[str, Any], /, **kwargs: Any) -> StoreType:
        cls = super().__new__(metacls, name, bases, dict(body), **kwargs)
        # A class that travels by value is made empty, and filled afterwards with what was checked where it was defined.
        if bases and not body.keys() <= {"__module__", "__dict__"}:
            check_body(name, body, _RESERVED)
            check_hooks(f"store {name}", cls, Store, {"load": "load(self, tables)"}, mark=VIEW_MARK)
            cls.definition = define(cls, _RESERVED)
        return cls


class Store(metaclass=StoreType):
    """Base of stores: tables that every process of a system reads in place, and that one owner writes.

    Class attributes:
        definition: what is declared, as checked; plain data.
    """

    _handle: StoreHandle | None = None

    def load(self, tables: Any) -> None:
        """Fill the tables: `tables.NAME` is each of them, empty. Nothing else happens to them until this returns.

        Called in the owner's process, before the first read, and at every `reload()`; what it puts takes the place of
        everything at once. What `self.NAME` reads there is what was before. What it raises is a failed load: the start
        of the system fails, or a reload changes nothing.
        """

    @classmethod
    def named(cls, name: str, path: str | os.PathLike[str] | None = None) -> NamedStore:
        """This store under a name of its own, and durable if it has a path.

        Args:
            name: what the system calls it, instead of by the name of the class.
            path: a directory, made if need be, where the tables outlive the system. In memory by default.

        Raises:
            InvalidOption: an argument is not allowed.
        """
        return NamedStore(cls, name, path)

    def _table(self, name: str) -> TableHandle:
        if self._handle is None:
            problem = f"this {type(self).__name__} was made by hand; system.store() and ctx.store() give its tables"
            raise StoreUnavailable(type(self).__name__, problem)
        return self._handle.table(name)

    @classmethod
    def _bound(cls, handle: StoreHandle) -> Self:
        """An instance that reads and writes through this handle."""
        made = object.__new__(cls)
        made._handle = handle
        return made


_RESERVED = frozenset(
    name for name in (*dir(StoreHandle), *vars(Store), "definition") if not name.startswith("__") or name == "__slots__"
)


def _path(value: Any) -> Path | None:
    if value is None:
        return None
    return Path(path_of(value, "named", "path", "None, or the path of a directory"))


def _is_store(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not is_store(value):
        raise InvalidOption("named", "store", shorten(value), "a subclass of slither_actors.Store")


@attrs.frozen
class NamedStore:
    """A store class under a name, as `Store.named` returns it."""

    store: StoreType = attrs.field(validator=_is_store)
    name: str = attrs.field(validator=check.name)
    path: Path | None = attrs.field(default=None, converter=_path)


def is_store(value: Any) -> bool:
    """Whether it is a class of a store with tables."""
    return isinstance(value, StoreType) and hasattr(value, "definition")


def as_named(value: Any, where: str, option: str) -> NamedStore:
    """What a user gives as a store: the class itself goes by its own name.

    Raises:
        InvalidOption: it is none.
    """
    if isinstance(value, NamedStore):
        return value
    if not is_store(value):
        raise InvalidOption(where, option, shorten(value), "subclasses of slither_actors.Store, or Store.named(...)")
    return NamedStore(value, value.__name__)


__all__ = ["NamedStore", "Store", "StoreType", "as_named", "is_store"]
