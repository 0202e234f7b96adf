"""Keys as bytes that sort as the keys do: None < numbers < str < bytes < tuples. Pure.

Each encoding ends by itself, so elements of a tuple just follow each other. Where one is the beginning of another one,
as that of "a" is of that of "a\\0" and that of 65536 of that of 65537, the other one goes on with `LONGER`.
Equal numbers have one encoding: 1, 1.0 and True are one key, which is read back as 1.
"""

from __future__ import annotations

import contextlib
import math
import operator
from typing import Any

from slither_actors.errors import InvalidOption, KeyTooLong, shorten

MOST_BYTES = 480

Key = None | bool | int | float | str | bytes | tuple["Key", ...]

_END, _NONE, _NEGATIVE, _ZERO, _POSITIVE, _STR, _BYTES, _TUPLE = range(8)
TEXT = bytes([_STR])
"""What the encoding of a text begins with; its bytes and a zero follow, if it has no zero itself."""
LONGER = b"\xff"
"""What comes behind a whole encoding where that is but the beginning of another one."""

_ALLOWED = "None, a bool, a number that is not NaN, a str, bytes, or a tuple of these"
_BIAS = 1 << 15
_INFINITE = 0xFFFF
_INVERT = bytes(255 - byte for byte in range(256))
DEEPEST = 32


def encode_key(key: Any, table: str) -> bytes:
    """The key's encoding.

    Raises:
        InvalidOption: it is of another type. KeyTooLong: it does not fit.
    """
    if type(key) is str and key.isascii() and "\0" not in key:
        data = TEXT + key.encode() + b"\0"
    else:
        data = _encode(key, key, table, 0)
    if len(data) > MOST_BYTES:
        raise KeyTooLong(table, shorten(key), len(data), MOST_BYTES)
    return data


def span_of_prefix(prefix: Any, table: str) -> tuple[bytes, bytes]:
    """Between which bytes, without the second ones, the encodings of all keys are that begin with `prefix`.

    Raises:
        InvalidOption: it is neither a str, bytes nor a tuple of keys.
    """
    if not isinstance(prefix, str | bytes | tuple):
        raise InvalidOption(f"table {table}", "prefix", shorten(prefix), "a str, bytes or a tuple")
    low = _encode(prefix, prefix, table, 0)[:-1]
    return low, low + LONGER if isinstance(prefix, tuple) else _after_all(low)


def _after_all(prefix: bytes) -> bytes:
    """The first bytes behind everything that begins with `prefix`, which has a byte below 255."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])


def decode_key(data: bytes) -> Any:
    """The key that was encoded."""
    return _decode(data, 0)[0]


def _encode(key: Any, whole: Any, table: str, depth: int) -> bytes:
    if key is None:
        return bytes([_NONE])
    if isinstance(key, str):
        return bytes([_STR]) + _escaped(key.encode("utf-8", "surrogatepass"))
    if isinstance(key, bytes):
        return bytes([_BYTES]) + _escaped(key)
    if isinstance(key, int | float) and not (isinstance(key, float) and math.isnan(key)):
        return _number(key)
    if hasattr(type(key), "__index__") and type(key).__hash__ is not None:  # the whole numbers of numpy and others
        with contextlib.suppress(TypeError):  # not of arrays
            return _number(operator.index(key))
    if isinstance(key, tuple):
        if depth == DEEPEST:
            got = f"a tuple with more than {DEEPEST} of them in each other"
            raise InvalidOption(f"table {table}", "key", got, f"{_ALLOWED}, {DEEPEST} of them in each other")
        return bytes([_TUPLE]) + b"".join([_encode(part, whole, table, depth + 1) for part in key]) + b"\0"
    raise InvalidOption(f"table {table}", "key", shorten(whole), _ALLOWED)


def _escaped(data: bytes) -> bytes:
    return data.replace(b"\0", b"\0\xff") + b"\0"


def _number(value: float) -> bytes:
    """Sign, exponent of two, mantissa without the zeros at its end: exact for integers and floats alike."""
    if value == 0:
        return bytes([_ZERO])
    if value in (math.inf, -math.inf):
        body = _INFINITE.to_bytes(2) + b"\0"
    else:
        numerator, denominator = abs(value).as_integer_ratio()
        bits = numerator.bit_length()
        exponent = bits - denominator.bit_length() + _BIAS
        if exponent >= _INFINITE:  # some 8 KiB, which is too long in any case
            body = (_INFINITE - 1).to_bytes(2) + b"\1" * (MOST_BYTES + 1)
        else:
            size = -(-bits // 8)
            mantissa = (numerator << (size * 8 - bits)).to_bytes(size)
            body = exponent.to_bytes(2) + _escaped(mantissa.rstrip(b"\0"))
    if value > 0:
        return bytes([_POSITIVE]) + body
    # a second zero: inverted, the first one and the end of a tuple behind it would look like an escaped zero
    return bytes([_NEGATIVE]) + (body + b"\0").translate(_INVERT)


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag == _NONE:
        return None, at
    if tag == _ZERO:
        return 0, at
    if tag == _TUPLE:
        parts = []
        while data[at] != _END:
            part, at = _decode(data, at)
            parts.append(part)
        return tuple(parts), at + 1
    if tag == _POSITIVE:
        return _decode_number(data, at)
    if tag == _NEGATIVE:
        value, end = _decode_number(data[at:].translate(_INVERT), 0)
        return -value, at + end + 1
    text, at = _unescaped(data, at)
    return (text.decode("utf-8", "surrogatepass") if tag == _STR else text), at


def _decode_number(data: bytes, at: int) -> tuple[float, int]:
    exponent = int.from_bytes(data[at : at + 2])
    mantissa, end = _unescaped(data, at + 2)
    if exponent == _INFINITE:
        return math.inf, end
    number = int.from_bytes(mantissa)
    shift = exponent - _BIAS - (number.bit_length() - 1)
    if shift >= 0:
        return number << shift, end
    whole, rest = divmod(number, 1 << -shift)
    return (whole if not rest else math.ldexp(number, shift)), end


def _unescaped(data: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while True:
        end = data.index(b"\0", end)
        if data[end + 1 : end + 2] != b"\xff":
            return data[at:end].replace(b"\0\xff", b"\0"), end + 1
        end += 2
