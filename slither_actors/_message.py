"""The one decorator behind every message that crosses a process border."""

from typing import Any, TypeVar, cast, dataclass_transform

from slither_actors._record import Record, remake

_C = TypeVar("_C")

# This library's messages by name: on the wire a message is a plain tuple of its name and its fields, which costs a
# tenth of what pickling an object by its class costs. Filled by the decorator, and never changed afterwards.
_BY_NAME: dict[str, "type[_Message]"] = {}


class _Message(Record):
    """A message's fields, in their order."""

    __slots__ = ()
    _wire_name: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

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
    made = cast(type[_Message], remake(cls, _Message))
    if made.__module__.startswith("slither_actors."):
        if made.__name__ in _BY_NAME:
            other = _BY_NAME[made.__name__].__module__
            raise TypeError(f"message {cls.__qualname__}: there is one of this name in {other}")
        _BY_NAME[made.__name__] = made
        made._wire_name = made.__name__
    return cast(type[_C], made)


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
    name = value[0]
    if not name:
        return value[1]
    cls, fields = _BY_NAME[name], value[1:]
    # as the class itself would, without a call of it
    return tuple.__new__(cls, fields) if len(fields) == len(cls.__match_args__) else cls(*fields)
