"""A store class as plain data: its tables and views. All checked when the class is defined."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors._record import record
from slither_actors._signature import accepts, is_async, method_of
from slither_actors.errors import DefinitionError, shorten
from slither_actors.store._schema import MOST_TABLES, TableSpec
from slither_actors.store.declarations import Mode, Scope, Table, options_of

_LOAD_SHAPE = "load(self, tables), a plain method"
_VIEW_SHAPE = "a plain method (self, params, ctx)"


@record
class ViewSpec:
    """One view. `scope` is `None` where the configuration decides."""

    name: str
    mode: Mode
    scope: Scope | None
    timeout_s: float


@attrs.frozen
class StoreDefinition:
    """What a store class declares.

    Attributes:
        name: the class's name.
        tables: in the order in which they stand.
        views: likewise.
    """

    name: str
    tables: tuple[TableSpec, ...]
    views: tuple[ViewSpec, ...]


def define(cls: type, reserved: frozenset[str]) -> StoreDefinition:
    """Check a store class and put it into its final form.

    Args:
        cls: the class.
        reserved: names that mean something else in stores or in their handles.

    Raises:
        DefinitionError: something does not fit; the error names store, table or view, what was got and what is allowed.
    """
    name = cls.__name__
    tables: dict[str, Table] = {}
    views: dict[str, ViewSpec] = {}
    for base in reversed(cls.__mro__):
        for key, value in vars(base).items():
            tables.pop(key, None)  # what a subclass puts in its place counts
            views.pop(key, None)
            options = options_of(value)
            if isinstance(value, Table):
                tables[key] = value
            elif options is not None:
                views[key] = ViewSpec(key, options.mode, options.scope, options.timeout_s)
    for table in tables:
        _check_name(f"store {name}, table {table}", table, reserved)
    for view in views:
        _check_name(f"store {name}, view {view}", view, reserved)
        _check_shape(f"store {name}, view {view}", cls, view, 2, _VIEW_SHAPE)
    _check_shape(f"store {name}, load", cls, "load", 1, _LOAD_SHAPE)
    _check_owned(name, tables)
    if not tables:
        raise DefinitionError(f"store {name}", "it has no table", "features = slither.Table()")
    if len(tables) > MOST_TABLES:
        raise DefinitionError(f"store {name}", f"it has {len(tables)} tables", f"{MOST_TABLES} tables")
    specs = tuple(TableSpec(table, declared.kind, declared.codec) for table, declared in tables.items())
    return StoreDefinition(name, specs, tuple(views.values()))


def check_body(store: str, body: Mapping[str, Any], reserved: frozenset[str]) -> None:
    """Refuse what looks like part of a store and is none.

    Raises:
        DefinitionError: it says what was probably meant.
    """
    for name, value in body.items():
        where = f"store {store}, {name}"
        if name == "__init__":
            allowed = "load(self, tables) fills the tables; what a view keeps, it can make when it needs it"
            raise DefinitionError(f"store {store}", "it overrides __init__, which belongs to the library", allowed)
        if value is Table:
            raise DefinitionError(where, "it is the class Table itself", "slither.Table()")
        if name in reserved and name not in ("load", "__doc__"):
            raise DefinitionError(where, "this name means something else in a store, or in its handle", "another name")


def _check_name(where: str, name: str, reserved: frozenset[str]) -> None:
    if name.startswith("_") or keyword.iskeyword(name) or len(name) > 64 or not name.isascii():
        raise DefinitionError(where, f"{shorten(name)} is no name here", "identifiers that begin with a letter")
    if name in reserved:
        raise DefinitionError(where, "this name means something else in a store, or in its handle", "another name")


def _check_shape(where: str, cls: type, name: str, parameters: int, shape: str) -> None:
    method = method_of(cls, name)
    if is_async(method):
        raise DefinitionError(where, "it is async", shape)
    if inspect.isgeneratorfunction(method):
        raise DefinitionError(where, "it is a generator, whose body nobody would run", shape)
    if not accepts(method, parameters):
        raise DefinitionError(where, f"its parameters are {inspect.signature(method)}", shape)


def _check_owned(store: str, tables: Mapping[str, Table]) -> None:
    names: dict[int, str] = {}
    for name, table in tables.items():
        other = names.setdefault(id(table), name)
        if other != name:
            problem = f"it is the same Table() as {other}"
            raise DefinitionError(f"store {store}, table {name}", problem, "a Table() of its own")


__all__ = ["StoreDefinition", "ViewSpec", "check_body", "define"]
