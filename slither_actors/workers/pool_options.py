"""What a pool is made of, and how a new worker of it is made ready."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._keywords import known_fields
from slither_actors._signature import accepts, has_parameter, is_async, required
from slither_actors._validators import optional, positive_seconds
from slither_actors.context import Context
from slither_actors.errors import InvalidOption, RemoteError, SlitherError, StartError, shorten
from slither_actors.workers.adapter import Adapter, check_adapter, check_command, known_adapter
from slither_actors.workers.executor import AnyExecutor, code_of
from slither_actors.workers.quarantine import Quarantine, check_quarantine
from slither_actors.workers.recycle import Recycle, check_recycle

MOST_WORKERS = 512
SIZE = f"a number of workers, 1 to {MOST_WORKERS}"

_WHERE = "PoolOptions"
_VARIABLES = 'a mapping of names to text, such as {"OMP_NUM_THREADS": "1"}'
_log = logging.getLogger(__name__)


def is_size(value: Any) -> bool:
    """Whether a pool can have so many workers."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_WORKERS


def _size(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not is_size(value):
        raise InvalidOption(_WHERE, attribute.name, shorten(value), SIZE)


def _adapter(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, str):
        Code.of(value)
    if value is not None and (known := known_adapter(value)) is not None:
        check_adapter(known, _WHERE)


def _warm_up(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, str):
        Code.of(value)
    elif value is not None:
        _check_warm_up(value, shorten(value))


def _check_warm_up(function: Any, name: str) -> list[str]:
    """Refuse what cannot be called without arguments, or with `ctx`; the keywords that it wants."""
    if isinstance(function, type) or not callable(function):
        raise InvalidOption(_WHERE, "warm_up", name, 'a function, or its path "module:function"')
    if is_async(function):
        raise InvalidOption(_WHERE, "warm_up", f"{name}, which is async", "a plain function")
    keywords = ["ctx"] if has_parameter(function, "ctx") else []
    if not accepts(function, 0, *keywords):
        got = f"{name} with parameters ({', '.join(required(function))})"
        raise InvalidOption(_WHERE, "warm_up", got, "no parameter, or one named ctx")
    return keywords


def _environment(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidOption(_WHERE, "environment", shorten(value), _VARIABLES)
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InvalidOption(_WHERE, "environment", shorten(name), "names that are text without =")
        if not isinstance(text, str) or "\0" in text:
            raise InvalidOption(_WHERE, f"environment[{name!r}]", shorten(text), f'text, such as "{text}"')
    return dict(value)


@known_fields
@attrs.frozen
class PoolOptions:
    """A worker pool: `start(pools={"gpu": PoolOptions(2, adapter=Model)})`. A number alone is the size.

    Attributes:
        size: how many worker processes, 1 to 512.
        adapter: a subclass of `Adapter`, or its path "module:Class"; each worker makes one object of it.
        warm_up: a function, or its path "module:function", that each new worker calls once before it takes work. It
            takes nothing, or `ctx`, an empty `Context`.
        environment: variables that are set in each worker before it imports anything of yours.
        start_timeout_s: how many seconds a worker may take to come up, adapter and warm-up included; `None` is no
            limit.
        recycle: when a worker is replaced by a new one; never, by default.
        quarantine: when a worker that keeps dying is kept down for a while; by default such deaths spend the restart
            budget, and with it the system.

    What `setup` of the adapter or the warm-up raises is a `StartError` of `start()`. In a worker that comes later, in
    the place of a dead one, it is a failed restart, and counts against the restart budget or for the quarantine.

    Raises:
        InvalidOption: a field has a value that is not allowed; the error names it.
        NotImportable: a path is malformed.
    """

    size: int = attrs.field(validator=_size)
    adapter: type[Adapter] | str | None = attrs.field(default=None, validator=_adapter)
    warm_up: Callable[..., Any] | str | None = attrs.field(default=None, validator=_warm_up)
    environment: Mapping[str, str] = attrs.field(default=None, converter=_environment, hash=False)
    start_timeout_s: float | None = attrs.field(default=30.0, validator=optional(positive_seconds))
    recycle: Recycle | None = attrs.field(default=None, validator=check_recycle)
    quarantine: Quarantine | None = attrs.field(default=None, validator=check_quarantine)

    def outfit(self) -> Outfit | None:
        """What a new worker does before it takes work; `None` for nothing.

        Raises:
            NotPicklable: the adapter or the warm-up cannot travel.
        """
        adapter = None if self.adapter is None else Code.of(self.adapter)
        warm_up = None if self.warm_up is None else Code.of(self.warm_up)
        plain = adapter is None and warm_up is None and not self.environment
        return None if plain else Outfit(dict(self.environment), adapter, warm_up)


@attrs.frozen
class Outfit:
    """How a worker is made ready. All user code in it is loaded in the worker, when the environment is set."""

    environment: dict[str, str] = attrs.field(hash=False)
    adapter: Code | None
    warm_up: Code | None

    def put_on(self) -> Adapter | None:
        """Make this process ready; the adapter, if there is one.

        Raises:
            StartError: user code raised, `SystemExit` too, or cannot be loaded.
        """
        os.environ.update(self.environment)
        adapter = None
        if self.adapter is not None:
            with _blamed(f"adapter {self.adapter.name}"):
                cls = self.adapter.load()
                check_adapter(cls, _WHERE)
                adapter = cls()
                adapter.setup()
        if self.warm_up is not None:
            try:
                with _blamed(f"warm_up {self.warm_up.name}"):
                    function = self.warm_up.load()
                    context = Context().bind({})
                    function(**dict.fromkeys(_check_warm_up(function, self.warm_up.name), context))
            except StartError:
                take_off(adapter)
                raise
        return adapter


def take_off(adapter: Adapter | None) -> None:
    """The worker ends; what `teardown` raises is logged."""
    if adapter is not None:
        try:
            adapter.teardown()
        except BaseException:
            _log.exception("teardown of %s failed", type(adapter).__name__)


def code_for(executor: AnyExecutor, pool: str, options: PoolOptions, where: str, *, once: bool = False) -> Code:
    """Any form of executor, ready to travel to a worker of this pool.

    Raises:
        InvalidOption: it is none, its parameters do not fit, or it is a command that this pool does not have.
        NotImportable: a malformed path. NotPicklable: it cannot travel.
    """
    code = code_of(executor, where, once=once)
    check_command(code, options.adapter, f"pool {pool!r}", where, once)
    return code


@contextlib.contextmanager
def _blamed(what: str) -> Iterator[None]:
    try:
        yield
    except SlitherError as error:
        raise StartError(what, str(error)) from None
    except BaseException as error:
        raise StartError(what, RemoteError.of(error).traceback) from None
