"""Numbers that a table counts with: the one kind of value that the owner reads. Pure."""

from __future__ import annotations

import io
import math
import pickle
from typing import Any

from slither_actors._codec import from_json, strict_json


class NotANumber(Exception):
    """The value is no number; the text says what it is."""


class _Plain(pickle.Unpickler):
    """No object that is not built in: reading a number runs nobody's code."""

    def find_class(self, module: str, name: str) -> Any:
        raise NotANumber(f"a {module}.{name}")


def read_number(data: bytes, codec: str) -> int | float:
    """The number that is encoded.

    Raises:
        NotANumber: It is none.
    """
    value = from_json(data) if codec == "json" else _Plain(io.BytesIO(data)).load()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotANumber(f"a {type(value).__name__}")
    return value


def write_number(value: float, codec: str) -> bytes:
    """The number, encoded.

    Raises:
        NotANumber: JSON cannot say it.
    """
    if codec != "json":
        return pickle.dumps(value, protocol=5)
    try:
        return strict_json(value)
    except (TypeError, ValueError) as error:
        raise NotANumber("too large for JSON") from error


def stepped(value: float, by: float, threshold: float | None, reset: float | None) -> float:
    """The number after one step; one that would pass `threshold` is `reset`, or stays at `threshold` without one.

    Raises:
        NotANumber: The result is beyond what floats can say.
    """
    try:
        new = value + by
    except OverflowError as error:
        raise NotANumber("too large for a float") from error
    if not isinstance(new, int) and not math.isfinite(new):
        raise NotANumber("not finite")
    if threshold is not None and (new > threshold if by >= 0 else new < threshold):
        return threshold if reset is None else reset
    return new
