"""Keywords that nobody reads are refused with the nearest one that means something, instead of a bare TypeError."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
_Class = TypeVar("_Class", bound=type[Any])


def known_keywords(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """A function or method that refuses a misspelt keyword before it does anything; for type checkers it is the same.

    Raises:
        InvalidOption: when called, with the nearest keyword that means something, and all others.
    """
    return _checked(function, function.__name__)


def known_fields(cls: _Class) -> _Class:
    """The same for the fields of an attrs class; to be written above its attrs decorator."""
    cls.__init__ = _checked(cls.__init__, cls.__name__)
    return cls


def _checked(function: Callable[_Given, _Made], where: str) -> Callable[_Given, _Made]:
    code = function.__code__
    allowed = tuple(name for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if name != "self")
    known = frozenset(allowed)

    @functools.wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
        if not known.issuperset(kwargs):
            from slither_actors._validators import check_known  # only now: `start` must be quick to import

            check_known(where, kwargs, allowed)
        return function(*args, **kwargs)

    return call
