"""Adapters: objects that live as long as their worker, and the commands that their methods are."""

from __future__ import annotations

import difflib
import inspect
import keyword
import sys
import types
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._hooks import check_hooks
from slither_actors._keywords import known_fields
from slither_actors._signature import accepts, has_parameter, is_async, method_of, required
from slither_actors.errors import InvalidOption, shorten

_CLASS = 'a subclass of slither_actors.Adapter, or its path "module:Class"'
_SHAPE = "a parameter for the list of payloads, or none for call_each, and optionally one named ctx"
_HOOKS = {"setup": "setup(self)", "teardown": "teardown(self)"}
_METHODS = (types.FunctionType, staticmethod, classmethod)


class Adapter:
    """Base of what a pool's workers keep ready, such as a model: `PoolOptions(size, adapter=MyAdapter)`.

    Each worker process makes one object, without arguments, before it takes work. It lives until the process ends,
    and serves all runs. Its public methods are commands: they get the list of payloads and return one result per
    payload, like the function of a dispatch, and `ctx` where a parameter has that name. One that takes no payloads is
    for `call_each`. What a command raises follows the error policy of the run.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_hooks(f"adapter {cls.__name__}", cls, Adapter, _HOOKS)

    def setup(self) -> None:
        """Called once, in the worker process, after the environment of the pool is set. What it raises is a failed
        start of the worker."""

    def teardown(self) -> None:
        """Called when the worker is stopped in order, and has a second. A worker that crashes or is killed does not
        call it; what it raises is logged."""


def _command_name(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        raise InvalidOption("Command", attribute.name, shorten(value), "the name of a public method of an Adapter")


@known_fields
@attrs.frozen
class Command:
    """An executor: the method of this name of the pool's `Adapter`.

    Raises:
        InvalidOption: it is not the name of a public method.
    """

    name: str = attrs.field(validator=_command_name)


class CommandCode(Code):
    """A command on its way to a worker: code that is there already, and only named."""

    __slots__ = ()

    @classmethod
    def named(cls, command: Command) -> CommandCode:
        return cls(None, None, command.name)

    def method_of(self, adapter: Any, once: bool) -> Callable[..., Any]:
        """The method of this worker's adapter; `once` is whether it is to be called without payloads.

        Raises:
            InvalidOption: there is none that can be called so, or no adapter.
        """
        check_command(self, None if adapter is None else type(adapter), "a worker", "worker", once)
        method: Callable[..., Any] = getattr(adapter, self.name)
        return method


def commands_of(adapter: type[Adapter]) -> tuple[str, ...]:
    """The names of its public methods."""
    names = [name for name in dir(adapter) if not name.startswith("_") and not hasattr(Adapter, name)]
    return tuple(name for name in names if isinstance(inspect.getattr_static(adapter, name), _METHODS))


def known_adapter(adapter: type[Adapter] | str | None) -> type[Adapter] | None:
    """The class, where this process has it: one given by its path need not be importable here."""
    if not isinstance(adapter, str):
        return adapter
    module, _, name = adapter.partition(":")
    found = vars(sys.modules.get(module, object)).get(name)
    return found if isinstance(found, type) else None


def check_adapter(adapter: Any, where: str) -> None:
    """Refuse what is no adapter, or one whose methods could not be called.

    Raises:
        InvalidOption: with the method that does not fit.
    """
    if not isinstance(adapter, type) or not issubclass(adapter, Adapter) or adapter is Adapter:
        raise InvalidOption(where, "adapter", shorten(adapter), _CLASS)
    if not accepts(adapter, 0):
        made = f"{adapter.__name__}, made with ({', '.join(required(adapter))})"
        raise InvalidOption(where, "adapter", made, "a class that is made without arguments; setup() prepares it")
    names = commands_of(adapter)
    if not names:
        raise InvalidOption(where, "adapter", f"{adapter.__name__}, which has none", "at least one public method")
    for name in ("setup", "teardown"):
        _check_method(adapter, name, where, accepts(method_of(adapter, name), 0), "no parameters")
    for name in names:
        method = method_of(adapter, name)
        _check_method(adapter, name, where, _fits(method, 1) or _fits(method, 0), _SHAPE)


def check_command(code: Code, adapter: type[Adapter] | str | None, pool: str, where: str, once: bool = False) -> None:
    """Refuse a command that this adapter does not have, as far as this process can see; other code passes.

    Args:
        code: what is to run.
        adapter: of the pool; `None` if it has none.
        pool: how errors call what lacks an adapter.
        where: how errors call the place that got the command.
        once: it is to be called without payloads.

    Raises:
        InvalidOption: with the commands that there are.
    """
    if not isinstance(code, CommandCode):
        return
    got = f"Command({code.name!r})"
    if adapter is None:
        raise InvalidOption(where, "executor", f"{got} for {pool}", "a command only where the pool has an adapter")
    cls = known_adapter(adapter)
    if cls is None:
        return
    names = commands_of(cls)
    if code.name not in names:
        nearest = difflib.get_close_matches(code.name, names, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise InvalidOption(where, "executor", got, f"a command of {cls.__name__}: {', '.join(names)}{hint}")
    method = method_of(cls, code.name)
    if not _fits(method, 0 if once else 1):
        shape = "no parameter, or one named ctx" if once else "one parameter for the list of payloads"
        raise InvalidOption(where, "executor", f"{got} with ({', '.join(required(method))})", shape)


def _fits(method: Callable[..., Any], payloads: int) -> bool:
    with_context = has_parameter(method, "ctx")
    return accepts(method, payloads, *(["ctx"] if with_context else []))


def _check_method(adapter: type[Adapter], name: str, where: str, fits: bool, allowed: str) -> None:
    method = method_of(adapter, name)
    if is_async(method):
        raise InvalidOption(where, f"{adapter.__name__}.{name}", "an async method", "a plain one")
    if not fits:
        raise InvalidOption(where, f"{adapter.__name__}.{name}", f"parameters ({', '.join(required(method))})", allowed)
