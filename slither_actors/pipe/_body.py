"""What stands in the body of a pipe class beside its stages: refused where it would mean nothing."""

from __future__ import annotations

import difflib
import functools
import re
import types
from collections.abc import Mapping
from typing import Any

from slither_actors.dispatch.options import WorkerOptions
from slither_actors.errors import DefinitionError
from slither_actors.pipe.declarations import StageDeclaration
from slither_actors.pipe.stage import Stage
from slither_actors.workers.adapter import Command
from slither_actors.workers.executor import Call, Executor

OPTIONS = ("outputs", "on_error", "stores")
_OF_STAGES = frozenset({*WorkerOptions.__annotations__, "then", "many", "replicas", "ordered", "rate"})

# Two names are taken for one with a slip of the pen from here on: `output` is, `out` is not.
_NEAR = 0.8
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)
_OWN = "; a name of your own begins with _ or is in CAPITALS"


def check_body(pipe: str, body: Mapping[str, Any]) -> None:
    """Refuse what looks like an option or a stage and is none.

    Constants, nested classes, properties, static and class methods are the user's own, and so is every name that begins
    with an underscore or is in capitals.

    Raises:
        DefinitionError: it says what was probably meant.
    """
    for name, value in body.items():
        if name.startswith("_") or name.isupper() or name in OPTIONS or value is None:
            continue
        if isinstance(value, StageDeclaration):
            continue
        where = f"pipe {pipe}, {name}"
        if name == "definition":
            raise DefinitionError(where, "the checked definition stands under this name", "another name")
        if name in _OF_STAGES:
            allowed = f"an option of a stage, such as slither.worker(..., {name}=...){_OWN}"
            raise DefinitionError(where, "it means nothing in a pipe", allowed)
        if name == "pools":
            raise DefinitionError(where, "it means nothing in a pipe", f"pools of slither.start(pools=...){_OWN}")
        near = difflib.get_close_matches(name, OPTIONS, 1, _NEAR)
        if near:
            problem = f"a pipe has no such option (did you mean {near[0]!r}?)"
            raise DefinitionError(where, problem, ", ".join(OPTIONS) + _OWN)
        declaration = _declaration_of(value, f"{body.get('__qualname__', pipe)}.{name}")
        if declaration is not None:
            raise DefinitionError(where, "it is not declared, so it would not run", declaration + _OWN)


def _declaration_of(value: Any, nested: str) -> str | None:
    """How to declare what could run as a stage; `nested` is the name of a class that is only written in this place."""
    if isinstance(value, type):
        if value.__qualname__ == nested or not issubclass(value, Stage | Executor):
            return None
        return f"slither.{'stage' if issubclass(value, Stage) else 'worker'}({value.__name__})"
    if isinstance(value, Stage):
        return f"slither.stage({type(value).__name__}, ...)"
    if isinstance(value, _FUNCTIONS):
        return "@slither.local for each item, slither.worker(function) for batches, or a staticmethod"
    if isinstance(value, Call | Command) or (isinstance(value, str) and _PATH.fullmatch(value)):
        return f"slither.worker({value!r})"
    if _is_route(value) or (isinstance(value, tuple | list) and value and all(map(_is_route, value))):
        return "slither.router((predicate, destination), ...)"
    return None


def _is_route(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and callable(value[0]) and isinstance(value[1], str)
