"""Values as bytes, and how a value that was decoded once is handed out again. Pure."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import pickle
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

from slither_actors._codec import by_value, from_json, refers_to_main, strict_json
from slither_actors._describe import is_of_a_signal, said
from slither_actors.errors import InvalidOption, NotDecodable, NotPicklable
from slither_actors.store._keys import encode_key

CODECS = ("pickle", "json")
DIGEST_BYTES = 16

_SCALARS = frozenset({str, int, float, bool, type(None), bytes})
_PLAIN = (
    _SCALARS
    | {complex, range, decimal.Decimal, uuid.UUID}
    | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta}
)


def encoder(codec: str, table: str) -> Callable[[Any], bytes]:
    """What turns values of a table into bytes; it raises NotPicklable."""
    dumps = pickle.dumps

    def pickled(value: Any) -> bytes:
        try:
            data = dumps(value, 5)
            if not refers_to_main(data):
                return data
        except Exception as error:
            if is_of_a_signal(error):
                raise
        try:
            return by_value(value)
        except NotPicklable as error:
            raise NotPicklable(f"a value of table {table}", error.why) from error

    def as_json(value: Any) -> bytes:
        try:
            return strict_json(value)
        except Exception as error:
            if is_of_a_signal(error):
                raise
            raise NotPicklable(f"a value of table {table}", said(error)) from error

    return as_json if codec == "json" else pickled


def reader(codec: str) -> Callable[[bytes], Any]:
    """What turns bytes back into values, and raises whatever it raises."""
    return from_json if codec == "json" else pickle.loads


def decoder(codec: str, table: str) -> Callable[[bytes], Any]:
    """What turns bytes back into values; it raises NotDecodable."""
    read = reader(codec)

    def decode(data: bytes) -> Any:
        try:
            return read(data)
        except Exception as error:  # unpickling imports modules, which may raise anything
            raise_undecodable(table, error)

    return decode


def raise_undecodable(table: str, error: Exception) -> NoReturn:
    """Raise NotDecodable for what reading a value raised, or that itself if a signal handler did."""
    if is_of_a_signal(error):
        raise error
    raise NotDecodable(f"a value of table {table}", said(error)) from error


def digest(data: bytes) -> bytes:
    """A short stand-in for encoded values: equal for equal ones alone."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def identity(value: Any, data: bytes) -> bytes:
    """The digest of a value in a bag: equal for plain values that are equal, else for equal encodings."""
    try:
        return digest(_canonical(value, 8))
    except (InvalidOption, ValueError):
        return digest(data)


def _canonical(value: Any, depth: int) -> bytes:
    """Bytes that equal plain values share, however they were made: neither a dict's order counts nor 1 against 1.0."""
    kind = type(value)
    if kind in _SCALARS:
        if kind in (str, bytes) and len(value) > 64:
            long: bytes = b"S" + value.encode("utf-8", "surrogatepass") if kind is str else b"B" + value
            return long
        return b"k" + encode_key(value, "")
    if not depth:
        raise ValueError("too deep")
    if kind is dict:
        pairs = [_sized(_canonical(key, depth - 1)) + _canonical(part, depth - 1) for key, part in value.items()]
        return b"d" + b"".join(map(_sized, sorted(pairs)))
    if kind in (set, frozenset):
        return b"s" + b"".join(map(_sized, sorted(_canonical(part, depth - 1) for part in value)))
    if kind in (list, tuple):
        return (b"l" if kind is list else b"t") + b"".join(_sized(_canonical(part, depth - 1)) for part in value)
    raise ValueError("not plain")


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(8) + data


def copier(value: Any, again: Callable[[], Any]) -> Callable[[], Any] | None:
    """What gives a value of its own to each reader, as cheaply as this value allows; `None` if it can be shared.

    Args:
        value: What was decoded, and is nobody's yet: it may be kept.
        again: Decodes it once more.
    """
    if _shareable(value):
        return None
    kind = type(value)
    if kind in (list, set) and all(map(_shareable, value)):
        kept: Any = value.copy()
        copy: Callable[[], Any] = kept.copy
        return copy
    if kind is dict and all(map(_shareable, value)):
        return _dict_copier(value, again)
    return again


def _shareable(value: Any) -> bool:
    """Whether nobody can change the value."""
    kind = type(value)
    return kind in _PLAIN or (kind in (tuple, frozenset) and all(map(_shareable, value)))


def _dict_copier(value: dict[Any, Any], again: Callable[[], Any]) -> Callable[[], Any]:
    inner: list[tuple[Any, Any]] = []
    for key, part in value.items():
        if _shareable(part):
            continue
        if type(part) not in (dict, list, set) or not all(map(_shareable, part)):
            return again
        if type(part) is dict and not all(map(_shareable, part.values())):
            return again
        inner.append((key, part.copy()))
    kept = value.copy()
    if not inner:
        return kept.copy

    def copy() -> dict[Any, Any]:
        made = kept.copy()
        for key, part in inner:
            made[key] = part.copy()
        return made

    return copy
