"""What a function can be called with, as far as it tells."""

import inspect
from collections.abc import Callable
from typing import Any


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Its parameters; `None` for a builtin that does not tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def accepts(function: Callable[..., Any], positional: int, *keywords: str) -> bool:
    """Whether it can be called with so many positional arguments and these keywords; a builtin may not tell."""
    parameters = parameters_of(function)
    if parameters is None:
        return True
    try:
        inspect.Signature(parameters).bind(*range(positional), **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def required(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that have no default."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters_of(function) or () if p.default is p.empty and p.kind not in variable]


def has_parameter(function: Callable[..., Any], name: str) -> bool:
    """Whether one of its parameters has this name."""
    return any(p.name == name for p in parameters_of(function) or ())


def method_of(cls: type, name: str) -> Callable[..., Any]:
    """A method as an instance sees it, without making one."""
    found: Any = inspect.getattr_static(cls, name)
    method: Callable[..., Any] = found.__get__(object(), cls) if hasattr(found, "__get__") else found
    return method


def shape_of(function: Callable[..., Any]) -> str:
    """Its parameters as they are written; "..." for a builtin that does not tell."""
    parameters = parameters_of(function)
    return "(...)" if parameters is None else f"({', '.join(map(str, parameters))})"


def is_async(function: Any) -> bool:
    """Whether a call gives a coroutine or an asynchronous generator, which nobody here awaits."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
