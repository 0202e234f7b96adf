"""What crosses a process border, and how: pickle frames between our own processes, JSON for everybody else."""

import functools
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex

import attrs
import cloudpickle
import orjson

from slither_actors._describe import is_of_a_signal, message_of, said
from slither_actors._message import message
from slither_actors.errors import NotDecodable, NotPicklable

LARGE = 64 * 1024
"""Buffers from this size on travel beside the pickle, uncopied; below it a copy is cheaper than one more part."""

# How pickle writes the string "__main__". It refers to what is defined there by name, but no other process has our
# __main__. Where the string is a payload, cloudpickle gives the same result, only slower.
_NAME_OF_MAIN = pickle.SHORT_BINUNICODE + b"\x08__main__"
_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_BufferCallback = Callable[[pickle.PickleBuffer], Any]


@message
class Frame:
    """An encoded value: a pickle and the large buffers it refers to. Passed on without being decoded.

    A frame may share memory with the value it was made of: do not change an array after it was encoded. What it is
    decoded to may in turn share memory with the frame.
    """

    data: Any
    buffers: tuple[Any, ...]

    @property
    def nbytes(self) -> int:
        """Size of the whole, headers aside."""
        return memoryview(self.data).nbytes + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def decode(self) -> Any:
        """Rebuild the value; what its classes raise meanwhile comes through."""
        return pickle.loads(self.data, buffers=self.buffers)

    def open(self, what: str) -> Any:
        """Rebuild the value, which errors call `what`.

        Raises:
            NotDecodable: That is not possible in this process.
        """
        try:
            return self.decode()
        except (Exception, SystemExit) as error:  # unpickling imports modules, which may raise anything, and may exit
            if is_of_a_signal(error):
                raise
            raise NotDecodable(what, said(error)) from error

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        if protocol.__index__() < 5:  # copy, or a pickle for an old reader: no buffers there
            return Frame, (bytes(self.data), tuple(map(bytes, self.buffers)))
        large = memoryview(self.data).nbytes >= LARGE
        data = pickle.PickleBuffer(self.data) if large else bytes(self.data)
        return Frame, (data, tuple(map(pickle.PickleBuffer, self.buffers)))


def encode(value: Any) -> Frame:
    """Encode a value for another process, by reference where that can be undone there, else by value.

    Raises:
        NotPicklable: Neither pickle nor cloudpickle can encode it.
    """
    buffers: list[pickle.PickleBuffer] = []
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=_keep_large(buffers))
    except Exception as error:  # a foreign __reduce__ may raise anything; by_value says what is wrong
        if is_of_a_signal(error):
            raise
        return _encode_by_value(value)
    if _NAME_OF_MAIN in data:
        return _encode_by_value(value)
    return Frame(data, tuple(buffers))


def refers_to_main(data: bytes) -> bool:
    """Whether a pickle may name something in ``__main__``, which no other process has."""
    return data.find(_NAME_OF_MAIN) >= 0  # which takes half the time of "in"


def encode_parts(value: Any, parts: Iterable[tuple[str, Any]], whole: str) -> Frame:
    """Encode a value that is made of named parts.

    Raises:
        NotPicklable: It cannot be encoded; the error names the first part that cannot, else the whole.
    """
    try:
        return encode(value)
    except NotPicklable as error:
        for name, part in parts:
            try:
                encode(part)
            except NotPicklable as one:
                raise NotPicklable(name, one.why) from error
        raise NotPicklable(whole, error.why) from error


def _encode_by_value(value: Any) -> Frame:
    buffers: list[pickle.PickleBuffer] = []
    data = by_value(value, _keep_large(buffers))
    return Frame(data, tuple(buffers))


def by_value(value: Any, buffer_callback: _BufferCallback | None = None) -> bytes:
    """Pickle with the code of lambdas, closures and everything from ``__main__`` inside.

    Raises:
        NotPicklable: cloudpickle cannot do it either.
    """
    file = io.BytesIO()
    try:
        _ByValue(file, protocol=5, buffer_callback=buffer_callback).dump(value)
    except Exception as error:  # as in encode
        if is_of_a_signal(error):
            raise
        kind = type(value)
        raise NotPicklable(f"an object of type {kind.__module__}.{kind.__qualname__}", said(error)) from error
    return file.getvalue()


class _ByValue(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, which writes a function with a cache as its name alone, however little others can do with that."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, functools._lru_cache_wrapper) and path_of(obj) is None:
            return _with_cache, (obj.__wrapped__, obj.cache_parameters())
        return super().reducer_override(obj)


def _with_cache(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def path_of(obj: Any) -> str | None:
    """The path under which an import finds this very object in any process, if there is one."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):  # "<locals>" and "<lambda>" are parts that are never found
        found = getattr(found, part, None)
    # A class method is a new object at every look, but equal to itself.
    same = found is obj or (isinstance(obj, types.MethodType) and isinstance(found, types.MethodType) and found == obj)
    return f"{module}:{name}" if same and found is not None else None


def _keep_large(buffers: list[pickle.PickleBuffer]) -> _BufferCallback:
    """A callback that takes large buffers out of the pickle; true tells pickle to keep the buffer in band."""

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < LARGE:
            return True
        buffers.append(buffer)
        return False

    return keep


def to_json(value: Any, *, pretty: bool = False) -> bytes:
    """JSON of plain data and attrs classes, for people and other programs; what JSON cannot say becomes ``str(x)``.

    Not a round trip: tuples come back as lists, NaN as null.
    """
    option = _JSON | orjson.OPT_INDENT_2 if pretty else _JSON
    try:
        return orjson.dumps(value, default=_plain, option=option)
    except TypeError:  # integers over 64 bit, broken text and odd keys never reach the default function
        return orjson.dumps(_tame(value), option=option)


def strict_json(value: Any) -> bytes:
    """JSON of what JSON can say; anything else, NaN apart, is a TypeError."""
    return orjson.dumps(value)


def from_json(data: bytes) -> Any:
    """What a text of JSON says, in plain data.

    Raises:
        ValueError: It is none.
    """
    return orjson.loads(data)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseException):  # ours are attrs classes too, but their text says it better
        return f"{type(value).__qualname__}: {message_of(value)}"
    if attrs.has(type(value)):
        return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
    if isinstance(value, set | frozenset | range):
        return list(value)
    return str(value)


def _tame(value: Any) -> Any:
    """The value in words that orjson takes everywhere."""
    if isinstance(value, Mapping):
        return {_text(key): _tame(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_tame(element) for element in value]
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 63):
        return value
    if isinstance(value, str | int):
        return _text(value)
    return _tame(_plain(value))


def _text(value: Any) -> str:
    return str(value).encode(errors="replace").decode()
