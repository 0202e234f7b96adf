"""What stands in the body of a pipe class: `local`, `worker`, `router` and `stage`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Unpack, overload

import attrs

from slither_actors._code import Code
from slither_actors._keywords import known_keywords
from slither_actors._signature import accepts, is_async, method_of, parameters_of, required, shape_of
from slither_actors._validators import check_bool, check_known, is_number
from slither_actors.dispatch.options import WorkerOptions
from slither_actors.errors import DefinitionError, InvalidOption, shorten
from slither_actors.item import Item
from slither_actors.pipe._flow_options import checked_flow
from slither_actors.pipe.stage import Stage, names_of_options
from slither_actors.policy import AnyPolicy
from slither_actors.rate import AnyRate, Rate
from slither_actors.workers.executor import NO_ASYNC, AnyExecutor, Call, code_of, refuse_async

# What every stage may be told.
FLOW_OPTIONS = ("then", "on_error", "rate")
# What stages may be told that have processes of their own.
_LIMITS = ("handle_timeout_s", "replicas", "ordered")
_OF_EVERY_STAGE = (*FLOW_OPTIONS, *_LIMITS, "start_timeout_s")
HANDLE_TIMEOUT_S = 30.0
_HOOKS = {"setup": ("ctx",), "handle_item": ("item", "ctx"), "handle_batch": ("items", "ctx"), "teardown": ()}


@attrs.frozen(kw_only=True)
class StageDeclaration:
    """A stage before it has a name: its kind, what it runs, and its options, unchecked as far as they need a pipe."""

    kind: str
    then: str | None = None
    on_error: Any = None
    start_timeout_s: float = 30.0
    handle_timeout_s: float | None = HANDLE_TIMEOUT_S
    replicas: int = 1
    ordered: bool = True
    rate: Rate | None = None

    @property
    def has_balancer(self) -> bool:
        """Whether what comes to the stage passes a balancer, which divides it or holds it back."""
        return self.replicas > 1 or (self.rate is not None and self.kind != "worker")


@attrs.frozen(kw_only=True)
class LocalDeclaration(StageDeclaration):
    function: Callable[..., Any]
    many: bool = False

    def __call__(self, *args: Any) -> Any:
        """The function itself stays callable, in tests for example."""
        return self.function(*args)


@attrs.frozen(kw_only=True)
class WorkerDeclaration(StageDeclaration):
    executor: Code
    options: dict[str, Any]


@attrs.frozen(kw_only=True)
class RouterDeclaration(StageDeclaration):
    routes: tuple[tuple[Callable[[Any], Any], str], ...]


@attrs.frozen(kw_only=True)
class CustomDeclaration(StageDeclaration):
    stage: type[Stage]
    options: dict[str, Any]


@overload
def local(function: Callable[..., Any], /) -> LocalDeclaration: ...
@overload
def local(
    *,
    many: bool = False,
    then: str | None = None,
    on_error: AnyPolicy | None = None,
    handle_timeout_s: float | None = HANDLE_TIMEOUT_S,
    replicas: int = 1,
    ordered: bool = True,
    rate: AnyRate | None = None,
) -> Callable[[Callable[..., Any]], LocalDeclaration]: ...
def local(function: Any = None, /, **options: Any) -> Any:
    """Declare a stage that runs a function for each item, in a process of its own beside the workers.

    The function is called as `f(item, ctx)`, or `f(item)` where it takes one parameter. It returns a payload, an
    `Item`, `Emit`, `RouteTo`, `Drop` or `Fail`. What it raises follows the error policy.

    Args:
        many: the function returns an iterable of results (as if by `Emit`).
        then: a later stage or an output to go on to, instead of the next stage.
        on_error: error policy of this stage.
        handle_timeout_s: how many seconds one call may take before its process counts as hung and is killed, to within
            a second or two, and runs through it end with `StageDown`; `None` for ever.
        replicas: how many processes of the stage work at the same time, at most 32. Items go to whichever has the
            fewest. Each has its own `ctx.state`.
        ordered: whether what replicas make goes on in the order of the input, as if there was one. Without that it
            goes on as it is made, so a slow item holds up no other one.
        rate: how many items per second the stage is given, all runs and replicas together: a number, or a `Rate`.

    Raises:
        InvalidOption: an unknown option, or a value that is not allowed. DefinitionError: it has a `self`.
    """
    check_known("local", options, ("many", *FLOW_OPTIONS, *_LIMITS))

    def declare(function: Any) -> LocalDeclaration:
        return _local(function, **options)

    return declare if function is None else declare(function)


def _local(function: Any, many: Any = False, **flow: Any) -> LocalDeclaration:
    if not callable(function) or not (accepts(function, 1) or accepts(function, 2)):
        raise InvalidOption("local", "function", _shown(function), "a function of (item, ctx) or (item)")
    _check_no_method("local", function, "item", "item, ctx")
    check_bool("local", "many", many)
    flow = checked_flow("local", flow)
    refuse_async("local", "function", function, shorten(function))
    if inspect.isgeneratorfunction(function) and not many:
        allowed = "a function that returns its answer; with many=True one that yields several"
        raise InvalidOption("local", "function", f"{shorten(function)}, which yields", allowed)
    return LocalDeclaration(kind="local", function=function, many=many, **flow)


def _check_no_method(where: str, function: Any, *gets: str) -> None:
    """A function that is written like a method would take what it works on for its object, and the context for that."""
    first = next(iter(parameters_of(function) or ()), None) if inspect.isfunction(function) else None
    if first is not None and first.name in ("self", "cls"):
        problem = f"{function.__name__} has the parameters {shape_of(function)}, and no object to give as {first.name}"
        raise DefinitionError(where, problem, " or ".join(f"({one})" for one in gets))


def _shown(function: Any) -> str:
    return f"{shorten(function)} with {shape_of(function)}" if callable(function) else shorten(function)


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether the second argument is for the context: a parameter without a default, or one that is called `ctx`."""
    parameters = parameters_of(function) or []
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return any(p.default is p.empty or p.name == "ctx" for p in positional[1:2])


def worker(
    executor: AnyExecutor,
    /,
    *,
    then: str | None = None,
    on_error: AnyPolicy | None = None,
    rate: AnyRate | None = None,
    **options: Unpack[WorkerOptions],
) -> WorkerDeclaration:
    """Declare a stage that runs batches on a worker pool.

    Args:
        executor: `"module:function"`, a function, `Call(...)`, `Command(...)` or an `Executor` subclass.
        then: a later stage or an output to go on to, instead of the next stage.
        on_error: error policy of this stage.
        rate: how many items per second go to workers, of all runs together: a number, or a `Rate`. A batch that has
            another attempt counts again. Runs of sessions share one limit, and others share one.
        options: those of `DispatchOptions`: pool, batch_size, max_in_flight, max_in_flight_weight, ordering,
            timeout_s, queue_timeout_s, strategy. The strategy runs in the process of the stage before, or in the
            service before the first stage; behind another worker stage only `FixedBatch` is possible. Batches
            have the size of the stage that gets them, whatever is before it.

    Raises:
        InvalidOption: the executor is none, or its parameters do not fit; the rate is none. DefinitionError: the
            function has a `self`.
    """
    function = executor.target if isinstance(executor, Call) else executor
    _check_no_method("worker", function, "payloads", "payloads, ctx")
    code = code_of(executor, "worker")
    flow = checked_flow("worker", {"then": then, "on_error": on_error, "rate": rate})
    return WorkerDeclaration(kind="worker", executor=code, options={**options}, **flow)


@known_keywords
def router(
    *routes: tuple[Callable[[Item], object], str],
    then: str | None = None,
    on_error: AnyPolicy | None = None,
    handle_timeout_s: float | None = HANDLE_TIMEOUT_S,
    replicas: int = 1,
    ordered: bool = True,
    rate: AnyRate | None = None,
) -> RouterDeclaration:
    """Declare a stage that sends each item to the destination of the first predicate that is true of it.

    An item that no predicate takes goes on to the next stage, or to the output "default" behind the last one.

    Args:
        routes: pairs `(predicate, destination)`; a predicate gets the `Item`, a destination is an output or a later
            stage.
        then: where to go on to when no predicate holds, instead of the next stage.
        on_error: error policy of this stage.
        handle_timeout_s: how many seconds the predicates may take for one item; as for `local`.
        replicas, ordered, rate: as for `local`.

    Raises:
        InvalidOption: something is not such a pair, or a value is not allowed. DefinitionError: a predicate has a
            `self`.
    """
    route: Any  # not every caller asks a type checker
    for number, route in enumerate(routes, 1):
        is_pair = isinstance(route, tuple) and len(route) == 2
        if not is_pair or not callable(route[0]) or not isinstance(route[1], str) or not accepts(route[0], 1):
            allowed = "(predicate, destination), a function of the item and a name"
            shown = f"({_shown(route[0])}, {shorten(route[1])})" if is_pair else shorten(route)
            raise InvalidOption("router", f"route {number}", shown, allowed)
        _check_no_method(f"router, route {number}", route[0], "item")
        refuse_async("router", f"route {number}", route[0], shorten(route[0]))
    if not routes:
        raise InvalidOption("router", "routes", "nothing", "at least one (predicate, destination)")
    given = {"handle_timeout_s": handle_timeout_s, "replicas": replicas, "ordered": ordered, "rate": rate}
    flow = checked_flow("router", given)
    return RouterDeclaration(kind="router", routes=routes, then=then, on_error=on_error, **flow)


def stage(
    cls: type[Stage],
    /,
    *,
    then: str | None = None,
    on_error: AnyPolicy | None = None,
    start_timeout_s: float = 30.0,
    handle_timeout_s: float | None = HANDLE_TIMEOUT_S,
    replicas: int = 1,
    ordered: bool = True,
    rate: AnyRate | None = None,
    **options: Any,
) -> CustomDeclaration:
    """Declare a stage of your own class.

    Args:
        cls: a subclass of `Stage`.
        then: a later stage or an output to go on to, instead of the next stage.
        on_error: error policy of this stage.
        start_timeout_s: how many seconds its `setup` may take.
        handle_timeout_s: how many seconds one call of `handle_item` or `handle_batch` may take; as for `local`.
        replicas, ordered, rate: as for `local`. Each replica has a `self` of its own.
        options: those of the class's `Options`, checked now.

    Raises:
        InvalidOption: it is no stage class. DefinitionError: its options do not fit.
    """
    given: Any = cls  # not every caller asks a type checker
    if not (isinstance(given, type) and issubclass(given, Stage)):
        raise InvalidOption("stage", "class", shorten(given), "a subclass of Stage")
    # Not when the class is made: a class that travels by value is made empty, and filled afterwards.
    if cls.handle_item is Stage.handle_item and cls.handle_batch is Stage.handle_batch:
        raise DefinitionError(f"stage {cls.__name__}", "it handles nothing", "handle_item or handle_batch")
    if not is_number(start_timeout_s) or start_timeout_s <= 0:
        raise InvalidOption("stage", "start_timeout_s", shorten(start_timeout_s), "a finite number of seconds above 0")
    limits = {"handle_timeout_s": handle_timeout_s, "replicas": replicas, "ordered": ordered, "rate": rate}
    flow = checked_flow("stage", limits | {"start_timeout_s": start_timeout_s, "then": then, "on_error": on_error})
    _check_hooks(cls)
    _check_own_names(cls)
    check_known(f"stage {cls.__name__}", options, (*names_of_options(cls), *_OF_EVERY_STAGE))
    try:
        cls.make_options(options)
    except InvalidOption:
        raise
    except Exception as error:
        problem = f"its options are refused (given: {', '.join(options) or 'none'}): {error}"
        raise DefinitionError(f"stage {cls.__name__}", problem) from error
    return CustomDeclaration(kind="stage", stage=cls, options=options, **flow)


def _check_own_names(cls: type[Stage]) -> None:
    for name in names_of_options(cls):
        if name in _OF_EVERY_STAGE:
            problem = f"its option {name!r} could never be given: slither.stage has one of this name"
            raise DefinitionError(f"stage {cls.__name__}", problem, "another name in Options")


def _check_hooks(cls: type[Stage]) -> None:
    for hook, arguments in _HOOKS.items():
        if not accepts(method_of(cls, hook), len(arguments)):
            problem = f"{hook} has the parameters ({', '.join(required(getattr(cls, hook)))})"
            raise DefinitionError(f"stage {cls.__name__}", problem, f"{hook}({', '.join(('self', *arguments))})")
        if is_async(getattr(cls, hook)):
            raise DefinitionError(f"stage {cls.__name__}", f"{hook} is async", NO_ASYNC)
    if inspect.isgeneratorfunction(cls.handle_item):
        allowed = "it returns its answer, Emit(...) for several"
        raise DefinitionError(f"stage {cls.__name__}", "handle_item yields", allowed)
