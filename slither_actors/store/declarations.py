"""What stands in the body of a store class: `Table` and `view`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypeVar, overload

import attrs

from slither_actors import _validators as check
from slither_actors._keywords import known_fields, known_keywords
from slither_actors.errors import InvalidOption, shorten
from slither_actors.store._schema import KINDS
from slither_actors.store._values import CODECS
from slither_actors.store._writes import TableHandle

Mode = Literal["scalar", "batch"]
Scope = Literal["session", "global"]

SCOPES = ("session", "global")
MODES = ("scalar", "batch")
VIEW_TIMEOUT_S = 5.0
# What a method is known by that is a view.
VIEW_MARK = "_slither_view"

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@known_fields
@attrs.frozen(eq=False)
class Table:
    """Declares a table of a store. In an instance of the store the attribute is the table itself, to read and write.

    Attributes:
        kind: "set" and "ordered_set" hold one value for each key, "bag" several different ones.
        codec: "pickle" takes every picklable value, "json" what JSON can say.

    Raises:
        InvalidOption: An option has a value that is not allowed.
    """

    kind: Literal["set", "ordered_set", "bag"] = attrs.field(default="set", validator=check.one_of(*KINDS))
    codec: Literal["pickle", "json"] = attrs.field(default="pickle", validator=check.one_of(*CODECS))
    _name: str = attrs.field(default="", init=False)

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "_name", name)

    @overload
    def __get__(self, instance: None, owner: type) -> Table: ...

    @overload
    def __get__(self, instance: object, owner: type) -> TableHandle: ...

    def __get__(self, instance: Any, owner: type) -> Table | TableHandle:
        if instance is None:
            return self
        table: TableHandle = instance._table(self._name)
        return table

    def __set__(self, instance: Any, value: Any) -> NoReturn:
        raise AttributeError(f"{self._name} is a table; write to it with {self._name}.put(key, value)")


@attrs.frozen
class ViewOptions:
    """What `view` says about a handler; `scope` is `None` where the configuration decides."""

    mode: Mode
    scope: Scope | None
    timeout_s: float


@overload
def view(handler: _Handler, /) -> _Handler: ...


@overload
def view(
    *, mode: Mode = "scalar", scope: Scope | None = None, timeout_s: float = VIEW_TIMEOUT_S
) -> Callable[[_Handler], _Handler]: ...


@known_keywords
def view(
    handler: Any = None, /, *, mode: Mode = "scalar", scope: Scope | None = None, timeout_s: float = VIEW_TIMEOUT_S
) -> Any:
    """Make a method of a store a view, which worker and stage code calls by its name: `ctx.view("name", key=1)`.

    It runs in the process that calls it, on the same tables; what it raises, the caller gets.

    Args:
        mode: "scalar", and the method is called as `(self, params, ctx)` with a dict; "batch", and it gets a list of
            dicts, for which it returns a list of as many results.
        scope: "session", and only runs of pipes that name the store, and runs without a pipe, see it; what it keeps on
            `self` lives as long as the session, or the run. "global", and everybody sees it, and `self` lives as long
            as the process. `None` is what `bridge.default_scope` says, "session" unless configured otherwise.
        timeout_s: seconds one call may take.

    Raises:
        InvalidOption: an option has a value that is not allowed.
    """
    for option, value, allowed in (("mode", mode, MODES), ("scope", scope, (*SCOPES, None))):
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise InvalidOption("view", option, shorten(value), ", ".join(map(repr, allowed)))
    if not check.is_number(timeout_s) or timeout_s <= 0:
        raise InvalidOption("view", "timeout_s", shorten(timeout_s), "a finite number of seconds above 0")
    options = ViewOptions(mode, scope, timeout_s)

    def mark(function: Any) -> Any:
        if not callable(function) or isinstance(function, type):
            raise InvalidOption("view", "handler", shorten(function), "a method (self, params, ctx)")
        setattr(function, VIEW_MARK, options)
        return function

    return mark if handler is None else mark(handler)


def options_of(member: Any) -> ViewOptions | None:
    """What `view` said about this member of a class; `None` if it is no view."""
    found = getattr(member, VIEW_MARK, None)
    return found if isinstance(found, ViewOptions) else None
