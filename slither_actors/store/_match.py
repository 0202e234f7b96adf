"""Patterns for rows. Pure."""

from __future__ import annotations

from typing import Any, Final


class _Any:
    """What fits everything. There is one, also after pickling."""

    def __repr__(self) -> str:
        return "ANY"

    def __reduce__(self) -> str:
        return "ANY"


ANY: Final = _Any()


def fits(pattern: Any, value: Any) -> bool:
    """Whether a value fits a pattern: an equal value, `ANY`, a tuple or list of patterns of the same length, or a dict
    of patterns for some of the value's keys."""
    if pattern is ANY:
        return True
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and fits(part, value[key]) for key, part in pattern.items())
    if isinstance(pattern, tuple | list):
        same = isinstance(value, tuple if isinstance(pattern, tuple) else list) and len(value) == len(pattern)
        return same and all(map(fits, pattern, value))
    return bool(pattern == value)


def has_any(pattern: Any) -> bool:
    """Whether more than one value can fit."""
    if isinstance(pattern, tuple | list):
        return any(map(has_any, pattern))
    return pattern is ANY or isinstance(pattern, dict)


def beginning_of(pattern: Any) -> tuple[Any, ...] | None:
    """What all tuples that fit begin with, if that is anything."""
    if not isinstance(pattern, tuple):
        return None
    fixed = []
    for part in pattern:
        if has_any(part):
            break
        fixed.append(part)
    return tuple(fixed) or None
