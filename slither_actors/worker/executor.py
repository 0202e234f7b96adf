"""What a worker runs on a batch: a function, or an `Executor`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._describe import is_plain
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
from slither_actors.outcome import Drop, Emit, Fail, RouteTo
from slither_actors.worker.parcel import Columns

_ANSWERS = (Item, Emit, RouteTo, Drop, Fail)
_FUNCTION_SHAPE = "one parameter for the list of payloads, and optionally one named ctx"
_ONCE_SHAPE = "no parameter, or one named ctx"


class Executor:
    """Base of executors that want items instead of payloads. Made once per run in each worker, without arguments.

    `execute_batch` runs in the worker process; what it raises follows the error policy of the run.
    """

    def execute_batch(self, items: list[Item], ctx: Context) -> Sequence[Item]:
        """Work on a batch.

        Args:
            items: the batch, never empty.
            ctx: the run; `ctx.state` is a dict of this worker that lives as long as the run.

        Returns:
            One item per item, in the same order.
        """
        raise NotImplementedError


@attrs.frozen
class Call:
    """Names the function of an executor: `Call("module:function")`, or a function itself."""

    target: Any


def code_of(executor: Any, *, once: bool = False) -> Code:
    """Any form of executor that users may give, ready to travel; checked as far as this process can.

    Args:
        executor: what the user gave.
        once: it is a function to be called once per worker, not on batches.

    Raises:
        InvalidOption: it is none of the allowed forms, or its parameters do not fit.
        NotImportable: a malformed path. NotPicklable: it cannot travel.
    """
    if isinstance(executor, Call):
        executor = executor.target
    if isinstance(executor, Code):
        return executor
    if not isinstance(executor, str):
        if not callable(executor):
            allowed = '"module:function", a function, Call(...), or a subclass of Executor'
            raise InvalidOption("dispatch", "executor", shorten(executor), allowed)
        if isinstance(executor, type) and not _is_executor(executor):
            raise InvalidOption("dispatch", "executor", shorten(executor), "a class only if it subclasses Executor")
        if once:
            _check_once(executor, shorten(executor))
        elif not isinstance(executor, type):
            _wants_context(executor, shorten(executor))
    return Code.of(executor)


def batch_runner(code: Code) -> Callable[[Columns, Context], Columns]:
    """Load an executor in the worker; the returned function maps columns to columns.

    Raises:
        NotImportable: it cannot be loaded. InvalidOption: its parameters do not fit.
    """
    target = code.load()
    if _is_executor(target):
        return _item_runner(target(), code.name)
    if not callable(target):
        raise InvalidOption("worker", code.name, shorten(target), "a function or a subclass of Executor")
    with_context = _wants_context(target, code.name)

    def run(rows: Columns, ctx: Context) -> Columns:
        ids, payloads, metas, routes, parents = rows
        results = target(payloads, ctx=ctx) if with_context else target(payloads)
        return ids, _payloads(_checked(results, len(ids), code.name), code.name), metas, routes, parents

    return run


def once_runner(code: Code) -> Callable[[Context], Any]:
    """Load a function that is called once per worker, without items.

    Raises:
        NotImportable: it cannot be loaded. InvalidOption: its parameters do not fit.
    """
    target = code.load()
    _check_once(target, code.name)
    return (lambda ctx: target(ctx=ctx)) if _has_context(target) else (lambda ctx: target())


def descendant(made: Item, origin: Item) -> Item:
    """The item that user code made of `origin`; one with an identity of its own names the original as its parent."""
    if made.id == origin.id or made.parent_id is not None:
        return made
    return attrs.evolve(made, parent_id=origin.id)


def item_error(error: BaseException) -> ItemError:
    """What befell an item, in a form that any process can read."""
    known = sendable(error)
    return known if isinstance(known, ItemError) else RemoteError.of(error)


def sendable(error: BaseException) -> SlitherError:
    """An error in a form that any process can read: a class of the user's own may exist only here."""
    is_ours = isinstance(error, SlitherError) and type(error).__module__ == SlitherError.__module__
    return error if is_ours and is_plain(error) else RemoteError.of(error)  # type: ignore[return-value]


def _check_once(target: Any, name: str) -> None:
    names = _required(target)
    if names not in ([], ["ctx"]):
        raise InvalidOption("call_each", name, f"parameters ({', '.join(names)})", _ONCE_SHAPE)


def _item_runner(executor: Executor, name: str) -> Callable[[Columns, Context], Columns]:
    def run(rows: Columns, ctx: Context) -> Columns:
        items = build_items(*rows)
        results = _checked(executor.execute_batch(list(items), ctx), len(items), name)
        for result in results:
            if not isinstance(result, Item):
                raise InvalidOutcome(name, f"execute_batch returned a {type(result).__name__} among its items")
        return columns([descendant(result, item) for result, item in zip(results, items, strict=True)])

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


def _is_executor(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, Executor)


def _wants_context(target: Any, name: str) -> bool:
    """Whether a batch function takes `ctx`; refuses one whose other parameters do not fit."""
    names = [parameter for parameter in _required(target) if parameter != "ctx"]
    if len(names) > 1 or not _takes_one(target):
        raise InvalidOption("worker", name, f"parameters ({', '.join(_required(target))})", _FUNCTION_SHAPE)
    return _has_context(target)


def _parameters(target: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # builtins do not always tell
        return None


def _required(target: Any) -> list[str]:
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = _parameters(target) or []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in skipped]


def _takes_one(target: Any) -> bool:
    """Whether a positional argument is accepted, and is not the one for `ctx`."""
    parameters = _parameters(target)
    if parameters is None:
        return True
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    return next((p.name != "ctx" for p in parameters if p.kind in positional), False)


def _has_context(target: Any) -> bool:
    return any(p.name == "ctx" for p in _parameters(target) or ())
