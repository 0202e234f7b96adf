"""A pipe by its path. Who mistypes it is told what there is."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable
from typing import Final

from slither_actors._code import Code
from slither_actors._describe import shorten
from slither_actors.errors import NotImportable
from slither_actors.pipe.pipe import Pipe, PipeType

from ._parser import suggestion

_MOST: Final = 10


class NoSuchPipe(Exception):
    """A path leads to no pipe. Says what there is instead."""


def load_pipe(path: str) -> PipeType:
    """The pipe at "module:Class"; modules of the current directory must be importable already.

    Raises:
        NoSuchPipe: there is none.
    """
    module, colon, name = path.partition(":")
    if not colon or not name:
        module = module.removesuffix(".py").replace(os.sep, ".") if module.endswith(".py") else module
        raise NoSuchPipe(f"{path!r} names no pipe; the form is module:Pipe{_pipes_for(module, '')}")
    try:
        found = Code.of(path).load()
    except NotImportable as error:
        raise NoSuchPipe(f"{error}{_instead(module, name)}") from error
    if not isinstance(found, PipeType) or found is Pipe:
        raise NoSuchPipe(f"{path} is no pipe but {shorten(found)}{_pipes_for(module, name)}")
    return found


def _instead(module: str, name: str) -> str:
    """What there is in the place of something that cannot be imported."""
    if module in sys.modules:
        return _pipes_for(module, name)
    package, _, last = module.rpartition(".")
    here = os.getcwd()
    places: Iterable[str] = [here] if here in sys.path or "" in sys.path else []
    if package:
        with contextlib.suppress(Exception):
            places = importlib.import_module(package).__path__
    there = sorted(found.name for found in pkgutil.iter_modules(places))
    if last in there:  # it is there, and something that it imports is not
        return ""
    known = f" (here: {_listed(there)})" if there else ""
    return f"{suggestion(last, there)}{known}"


def _pipes_for(module: str, name: str) -> str:
    """The pipes in a module, which is imported if that does any good."""
    try:
        content = vars(importlib.import_module(module))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return ""
    pipes = sorted(key for key, value in content.items() if isinstance(value, PipeType) and value is not Pipe)
    if not pipes:
        return f"; there is no pipe in {module}"
    return f"{suggestion(name, pipes)} (pipes in {module}: {_listed(pipes)})"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST]) + (", ..." if len(names) > _MOST else "")
