"""What calls and their answers carry: plain data as it is, everything else in a frame that only its reader opens.

A frame is a pickle within a message, which is pickled again. What consists of numbers and short texts needs none: to
read it imports nothing and can hardly fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from slither_actors._codec import LARGE, Frame, encode_parts
from slither_actors._message import from_wire, to_wire

Letter: TypeAlias = Frame | tuple[Any, ...]

NUMBERS = frozenset({type(None), bool, int, float})
_TEXTS = frozenset({str, bytes})

# What is wider or deeper is left to pickle, which looks at it in C.
_WIDEST, _DEEPEST = 16, 4


def sealed(value: Any, what: Callable[[], str]) -> Letter:
    """A value on its way; what is defined in `__main__` travels by value.

    Args:
        value: any object that can be pickled; a message of this library travels by its name.
        what: says how errors call it.

    Raises:
        NotPicklable: it cannot travel.
    """
    wire = to_wire(value)
    if type(wire) is tuple and is_plain(wire):
        return wire
    return encode_parts(value, (), what())


def opened(letter: Letter, what: Callable[[], str]) -> Any:
    """The value again; `what` says how errors call it.

    Raises:
        NotDecodable: it cannot be read in this process.
    """
    return letter.open(what()) if isinstance(letter, Frame) else from_wire(letter)


def is_plain(values: tuple[Any, ...], depth: int = _DEEPEST) -> bool:
    """Whether these are numbers, short texts and tuples of such, which travel as they are."""
    if len(values) > _WIDEST:
        return False
    for value in values:
        kind = type(value)
        if kind in _TEXTS:
            if len(value) >= LARGE:  # this one is better not copied again and again
                return False
        elif kind is tuple:
            if not depth or not is_plain(value, depth - 1):
                return False
        elif kind not in NUMBERS:
            return False
    return True
