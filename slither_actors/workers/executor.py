"""What a worker runs on a batch: a function, or an `Executor`."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import attrs

from slither_actors._code import Code
from slither_actors._describe import is_plain
from slither_actors._hooks import check_hooks
from slither_actors._keywords import known_fields
from slither_actors._signature import accepts, has_parameter, is_async, method_of, required
from slither_actors.context import Context
from slither_actors.errors import (
    InvalidOption,
    InvalidOutcome,
    ItemError,
    RemoteError,
    ResultCountMismatch,
    SlitherError,
    shorten,
)
from slither_actors.item import Item, build_items, columns
from slither_actors.outcome import Outcome
from slither_actors.policy import Policy
from slither_actors.workers._identity import in_its_place, in_order_of
from slither_actors.workers.adapter import Command, CommandCode
from slither_actors.workers.parcel import Columns

# What is allowed instead of an async function.
NO_ASYNC = "a plain function, which may call asyncio.run() itself"
_ANSWERS = Item | Outcome | Policy
_FUNCTION_SHAPE = "one parameter for the list of payloads, and optionally one named ctx"
_ONCE_SHAPE = "no parameter, or one named ctx"
_EXECUTOR_SHAPE = "a class with execute_batch(self, items, ctx), made without arguments"


class Executor:
    """Base of executors that want items instead of payloads. Made once per run in each worker, without arguments.

    `execute_batch` runs in the worker process; what it raises follows the error policy of the run.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_hooks(f"executor {cls.__name__}", cls, Executor, {"execute_batch": "execute_batch(self, items, ctx)"})

    def execute_batch(self, items: list[Item], ctx: Context) -> Sequence[Item]:
        """Work on a batch.

        Args:
            items: the batch, never empty.
            ctx: the run; `ctx.state` is a dict of this worker that lives as long as the session or the run.

        Returns:
            One item per item, in the same order.
        """
        raise NotImplementedError


@known_fields
@attrs.frozen
class Call:
    """Names the function of an executor: `Call("module:function")`, or a function itself."""

    target: Any


AnyExecutor = str | Callable[..., Any] | Call | Command | type[Executor]
"""What users may give as an executor."""


def code_of(executor: Any, where: str = "dispatch", *, once: bool = False) -> Code:
    """Any form of executor that users may give, ready to travel; checked as far as this process can.

    Args:
        executor: what the user gave.
        where: how errors call the place that got it.
        once: it is a function to be called once per worker, not on batches.

    Raises:
        InvalidOption: it is none of the allowed forms, or its parameters do not fit.
        NotImportable: a malformed path. NotPicklable: it cannot travel.
    """
    if isinstance(executor, Call):
        executor = executor.target
    if isinstance(executor, Command):
        return CommandCode.named(executor)
    if isinstance(executor, Code):
        return executor
    code = Code.of(executor) if isinstance(executor, str) else None
    known = _loaded(executor) if isinstance(executor, str) else executor
    refuse_async(where, "executor", getattr(known, "execute_batch", known), code.name if code else shorten(known))
    if isinstance(known, type):
        _check_class(known, where, once)
    elif callable(known):
        (_check_once if once else _wants_context)(known, code.name if code else shorten(known))
    elif code is None:
        allowed = '"module:function", a function, Call(...), Command(...), or a subclass of Executor'
        raise InvalidOption(where, "executor", shorten(executor), allowed)
    return code or Code.of(executor)


def refuse_async(where: str, option: str, function: Any, name: str) -> None:
    """Refuse what gives a coroutine or an asynchronous generator, which errors call `name`.

    Raises:
        InvalidOption: it does.
    """
    if is_async(function):
        raise InvalidOption(where, option, f"{name}, which is async", NO_ASYNC)


def _loaded(path: str) -> Any:
    """The function or executor class behind a path, if this process has imported its module anyway."""
    module, _, name = path.partition(":")
    found = vars(sys.modules.get(module, object)).get(name)
    return found if isinstance(found, types.FunctionType) or _is_executor(found) else None


def batch_runner(code: Code, adapter: Any = None, keeps_ids: bool = False) -> Callable[[Columns, Context], Columns]:
    """Load an executor in the worker, whose adapter has the commands; the returned function maps columns to columns.
    Where it `keeps_ids`, what an executor makes of an item has the id of that.

    Raises:
        NotImportable: it cannot be loaded. InvalidOption: its parameters do not fit, or there is no such command.
    """
    target = _load(code, adapter, once=False)
    if _is_executor(target):
        return _item_runner(target(), code.name, keeps_ids)
    if not callable(target):
        raise InvalidOption("worker", code.name, shorten(target), "a function or a subclass of Executor")
    with_context = _wants_context(target, code.name)

    def run(rows: Columns, ctx: Context) -> Columns:
        ids, payloads, metas, routes, births = rows
        results = target(payloads, ctx=ctx) if with_context else target(payloads)
        return ids, _payloads(_checked(results, len(ids), code.name), code.name), metas, routes, births

    return run


def once_runner(code: Code, adapter: Any = None) -> Callable[[Context], Any]:
    """Load a function that is called once per worker, without items.

    Raises:
        NotImportable: it cannot be loaded. InvalidOption: its parameters do not fit, or there is no such command.
    """
    target = _load(code, adapter, once=True)
    with_context = _check_once(target, code.name)
    return (lambda ctx: target(ctx=ctx)) if with_context else (lambda ctx: target())


def _load(code: Code, adapter: Any, *, once: bool) -> Any:
    return code.method_of(adapter, once) if isinstance(code, CommandCode) else code.load()


def descendant(made: Item, origin: Item) -> Item:
    """The item that user code made of `origin`; one with an identity of its own names the original as its parent."""
    if made.id == origin.id or made.parent_id is not None:
        return made
    return attrs.evolve(made, parent_id=origin.id, index=0)


def item_error(error: BaseException) -> ItemError:
    """What befell an item, in a form that any process can read."""
    known = sendable(error)
    return known if isinstance(known, ItemError) else RemoteError.of(error)


def sendable(error: BaseException) -> SlitherError:
    """An error in a form that any process can read: a class of the user's own may exist only here."""
    is_ours = isinstance(error, SlitherError) and type(error).__module__ == SlitherError.__module__
    return error if is_ours and is_plain(error) else RemoteError.of(error)  # type: ignore[return-value]


def _check_class(cls: type, where: str, once: bool) -> None:
    if once:
        raise InvalidOption(where, "executor", shorten(cls), f"a function with {_ONCE_SHAPE}")
    if not _is_executor(cls):
        raise InvalidOption(where, "executor", shorten(cls), "a class only if it subclasses Executor")
    if cls.execute_batch is Executor.execute_batch:
        raise InvalidOption(where, cls.__name__, "without execute_batch", _EXECUTOR_SHAPE)
    if not accepts(method_of(cls, "execute_batch"), 2):
        names = ", ".join(required(cls.execute_batch))
        raise InvalidOption(where, cls.__name__, f"with execute_batch({names})", _EXECUTOR_SHAPE)
    if not accepts(cls, 0):
        raise InvalidOption(where, cls.__name__, f"made with ({', '.join(required(cls))})", _EXECUTOR_SHAPE)


def _check_once(target: Any, name: str) -> bool:
    """Whether a function for `call_each` takes `ctx`; refuses one whose other parameters do not fit."""
    with_context = has_parameter(target, "ctx")
    if not accepts(target, 0, *(["ctx"] if with_context else [])):
        raise InvalidOption("call_each", name, f"parameters ({', '.join(required(target))})", _ONCE_SHAPE)
    return with_context


def _item_runner(executor: Executor, name: str, keeps_ids: bool) -> Callable[[Columns, Context], Columns]:
    def run(rows: Columns, ctx: Context) -> Columns:
        items = build_items(*rows)
        results = _checked(executor.execute_batch(list(items), ctx), len(items), name)
        for result in results:
            if not isinstance(result, Item):
                raise InvalidOutcome(name, f"execute_batch returned a {type(result).__name__} among its items")
        results, made_of = (in_order_of(items, results), in_its_place) if keeps_ids else (results, descendant)
        return columns([made_of(result, item) for result, item in zip(results, items, strict=True)])

    return run


def _checked(results: Any, expected: int, name: str) -> list[Any]:
    """The results as a list, one per item."""
    if not isinstance(results, list):
        if isinstance(results, str | bytes | dict) or not hasattr(results, "__iter__"):
            raise InvalidOutcome(name, f"a batch function returns a list of results, not a {type(results).__name__}")
        results = list(results)
    checked: list[Any] = results
    if len(checked) != expected:
        raise ResultCountMismatch(name, expected, len(checked))
    return checked


def _payloads(results: list[Any], name: str) -> list[Any]:
    """The results, if they are payloads: an answer of another kind would go on as a payload, unheard."""
    if any(issubclass(kind, _ANSWERS) for kind in set(map(type, results))):
        number, odd = next((n, one) for n, one in enumerate(results) if isinstance(one, _ANSWERS))
        problem = f"result {number} is of the kind {type(odd).__name__}, and a batch function returns payloads"
        raise InvalidOutcome(
            name, f"{problem}; an Executor returns Items, and a stage behind it can drop or route them"
        )
    return results


def _is_executor(target: Any) -> TypeGuard[type[Executor]]:
    return isinstance(target, type) and issubclass(target, Executor)


def _wants_context(target: Any, name: str) -> bool:
    """Whether a batch function takes `ctx`; refuses one whose other parameters do not fit."""
    with_context = has_parameter(target, "ctx")
    if not accepts(target, 1, *(["ctx"] if with_context else [])):
        raise InvalidOption("worker", name, f"parameters ({', '.join(required(target))})", _FUNCTION_SHAPE)
    return with_context
