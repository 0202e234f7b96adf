"""What every error of this library is made of."""

from collections.abc import Callable
from typing import TypeVar, dataclass_transform

import attrs

from slither_actors._describe import shorten

# Where users find all of them, and so the home that tracebacks, pickles and policies name.
PUBLIC = "slither_actors.errors"

_E = TypeVar("_E", bound=type[BaseException])


@dataclass_transform(eq_default=False, field_specifiers=(attrs.field,))
def error(text: str = "") -> Callable[[_E], _E]:
    """An exception class with positional fields and a ``str()`` made of them by ``text``.

    attrs hands the fields to ``BaseException``, so pickle can rebuild it. No slots: ``ValueError`` and others clash.
    """

    def decorate(cls: _E) -> _E:
        cls.__module__ = PUBLIC
        made = attrs.define(slots=False, eq=False, repr=False)(cls)
        if text:
            type.__setattr__(made, "__str__", lambda self: text.format_map(vars(self)))
        return made

    return decorate


class SlitherError(Exception):
    """Base of all errors of this library."""

    def __repr__(self) -> str:
        # Not the fields: some hold all the results that were finished.
        return f"<{type(self).__name__}: {shorten(str(self), 400)}>"


SlitherError.__module__ = PUBLIC
