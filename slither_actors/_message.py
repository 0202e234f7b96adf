"""The one decorator behind every message that crosses a process border."""

import operator
from typing import Any, Self, TypeVar, cast, dataclass_transform

_C = TypeVar("_C")

# This library's messages by name: on the wire a message is a plain tuple of its name and its fields, which costs a
# tenth of what pickling an object by its class costs. Filled by the decorator, and never changed afterwards.
_BY_NAME: dict[str, "type[_Message]"] = {}


class _Message(tuple[Any, ...]):
    """A message's fields, in their order.

    A tuple and no attrs class: cheaper to make and to take apart, and nothing has to be compiled for the class, which
    for some sixty attrs classes takes a good part of the package's import, in the service and again in the host.
    """

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()
    _defaults: dict[str, Any]
    _wire_name: str | None = None

    def __new__(cls, *fields: Any, **named: Any) -> Self:
        if named or len(fields) != len(cls.__match_args__):
            fields = _complete(cls, fields, named)
        return tuple.__new__(cls, fields)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), tuple(self)

    def __bool__(self) -> bool:
        return True  # also without a field

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__


@dataclass_transform(frozen_default=True, eq_default=False)
def message(cls: type[_C]) -> type[_C]:
    """Make a class a message: frozen, compared by identity, cheap to make, to print and to pickle.

    The text of a message is the constant ``<ClassName>``: the actor framework formats every message for its debug log
    even while that log is off, so a payload in the text would cost more than sending it.

    Args:
        cls: A class with annotated fields and no base class. What is assigned to a field is its default.

    Returns:
        The class that takes its place.

    Raises:
        TypeError: It has a base class, or this library has another message of its name.
    """
    if cls.__bases__ != (object,):
        raise TypeError(f"message {cls.__qualname__}: a message has no base class")
    names = tuple(cls.__annotations__)
    body = {key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__")}
    defaults = {name: body[name] for name in names if name in body}
    body |= {name: property(operator.itemgetter(place)) for place, name in enumerate(names)}
    body |= {"__slots__": (), "__match_args__": names, "_defaults": defaults}
    made = cast(type[_Message], type(cls.__name__, (_Message,), body))
    if made.__module__.startswith("slither_actors."):
        if made.__name__ in _BY_NAME:
            other = _BY_NAME[made.__name__].__module__
            raise TypeError(f"message {cls.__qualname__}: there is one of this name in {other}")
        _BY_NAME[made.__name__] = made
        made._wire_name = made.__name__
    return cast(type[_C], made)


def _complete(cls: type[_Message], fields: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """All fields, with those that were given by name, and with defaults."""
    names = cls.__match_args__
    twice = named.keys() & names[: len(fields)]
    given = dict(zip(names, fields, strict=False)) | named
    missing = [name for name in names if name not in given and name not in cls._defaults]
    if len(fields) > len(names) or twice or missing or given.keys() - set(names):
        raise TypeError(f"{cls.__name__} takes ({', '.join(names)}), got {len(fields)} fields and {sorted(named)}")
    return tuple([given[name] if name in given else cls._defaults[name] for name in names])


def to_wire(value: object) -> object:
    """What is pickled in place of `value`: the wire form of a message of this library, else the value itself."""
    if isinstance(value, _Message):
        return value if value._wire_name is None else (value._wire_name, *value)
    return ("", value) if type(value) is tuple else value  # a plain tuple must not be taken for a wire form


def from_wire(value: Any) -> Any:
    """What `to_wire` was given.

    Raises:
        LookupError: no message has this name: the sender runs another version of the library.
        TypeError: one has, with other fields.
    """
    if type(value) is not tuple:
        return value
    name, *fields = value
    return _BY_NAME[name](*fields) if name else fields[0]
