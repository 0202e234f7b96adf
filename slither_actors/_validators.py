"""Checks of options, in one wording. The checks are attrs validators; every refusal is an InvalidOption."""

import difflib
import re
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from slither_actors.errors import InvalidOption, shorten

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def _check(instance: Any, attribute: "attrs.Attribute[Any]", value: Any, holds: bool, allowed: str) -> None:
    if not holds:
        raise InvalidOption(type(instance).__name__, attribute.name, shorten(value), allowed)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite number; ``True`` is none here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def positive_int(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """1, 2, 3 ...; ``True`` is no number here."""
    _check(instance, attribute, value, _is_int(value) and value >= 1, "a whole number of at least 1")
    _check(instance, attribute, value, value <= sys.maxsize, f"a whole number of at most {sys.maxsize}")


def non_negative_int(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """0, 1, 2 ...; ``False`` is no number here."""
    _check(instance, attribute, value, _is_int(value) and value >= 0, "a whole number of at least 0")


def positive_number(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """A finite number above nothing."""
    _check(instance, attribute, value, is_number(value) and value > 0, "a finite number above 0")


def positive_seconds(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """A finite time span longer than nothing."""
    _check(instance, attribute, value, is_number(value) and value > 0, "a finite number of seconds above 0")


def non_negative_seconds(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """A finite time span, or none."""
    _check(instance, attribute, value, is_number(value) and value >= 0, "a finite number of seconds, at least 0")


def boolean(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """``True`` or ``False`` and nothing that counts as one."""
    check_bool(type(instance).__name__, attribute.name, value)


def number_in(least: float, most: float) -> Validator:
    """A validator that takes the numbers from `least` to `most`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        holds = is_number(value) and least <= value <= most
        _check(instance, attribute, value, holds, f"a number from {least:g} to {most:g}")

    return check


def name(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """A name fit for an attribute, a file and a log line."""
    holds = isinstance(value, str) and _NAME.fullmatch(value) is not None
    _check(instance, attribute, value, holds, "letters, digits, _ and -, beginning with a letter or _, at most 64")


def one_of(*values: Any) -> Validator:
    """A validator that takes exactly these values."""
    allowed = ", ".join(map(repr, values))

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        # Type and value: True is not 1, and an unhashable or odd value is compared without harm.
        holds = any(type(value) is type(known) and value == known for known in values)
        _check(instance, attribute, value, holds, allowed)

    return check


def optional(validator: Validator) -> Validator:
    """The same check, with ``None`` allowed too."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is None:
            return
        try:
            validator(instance, attribute, value)
        except InvalidOption as error:
            raise InvalidOption(error.where, error.option, error.got, f"None, or {error.allowed}") from None

    return check


def check_bool(where: str, option: str, value: Any) -> None:
    """Refuse what is neither ``True`` nor ``False``: a text such as "no" would count as true."""
    if not isinstance(value, bool):
        raise InvalidOption(where, option, shorten(value), "True or False")


def checked_seconds(where: str, timeout_s: Any, option: str = "timeout_s") -> float:
    """A time that may be nothing at all, but not less."""
    if not is_number(timeout_s) or not 0 <= timeout_s <= threading.TIMEOUT_MAX:
        raise InvalidOption(where, option, shorten(timeout_s), "a number of seconds, 0 or more")
    return float(timeout_s)


def check_known(where: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse the first name that nobody will read.

    Args:
        where: Class or function whose options they are.
        given: The names as they came.
        allowed: The names that mean something.

    Raises:
        InvalidOption: With the nearest name that means something, and all others.
    """
    known = sorted(allowed)
    for key in given:
        if key in known:
            continue
        nearest = difflib.get_close_matches(str(key), known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise InvalidOption(where, str(key), "not an option", (", ".join(known) or "none") + hint)
