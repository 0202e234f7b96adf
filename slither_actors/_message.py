"""The one decorator behind every message that crosses a process border."""

import operator
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

import attrs

_C = TypeVar("_C")
_Reduced = tuple[type, tuple[Any, ...]]

# This library's messages by name: on the wire a message is a plain tuple of its name and its fields, which costs a
# tenth of what pickling an object by its class costs. Filled by the decorator, and never changed afterwards.
_BY_NAME: dict[str, type] = {}


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(attrs.field,))
def message(cls: type[_C]) -> type[_C]:
    """Make a class a message: frozen, slotted, compared by identity, cheap to print and to pickle.

    The text of a message is the constant ``<ClassName>``: the actor framework formats every message for its debug log
    even while that log is off, so a payload in the text would cost more than sending it.

    Args:
        cls: A class with annotated fields. All fields are positional arguments of the constructor.

    Returns:
        The slotted class that takes its place.

    Raises:
        TypeError: A field is keyword-only or not an argument, so that the message could not be rebuilt by position.
    """
    made = attrs.frozen(eq=False, repr=False)(cls)
    for field in attrs.fields(made):  # type: ignore[arg-type]  # mypy knows attrs classes only by their decorator
        if field.kw_only or not field.init:
            raise TypeError(f"message {cls.__qualname__}: field {field.name} must be a positional argument")
    # Set on the finished class, since attrs makes a new one for the slots.
    text = f"<{cls.__name__}>"
    type.__setattr__(made, "__str__", lambda self: text)
    type.__setattr__(made, "__repr__", lambda self: text)
    type.__setattr__(made, "__reduce__", _reducer(made))
    if made.__module__.startswith("slither_actors."):
        if made.__name__ in _BY_NAME:
            other = _BY_NAME[made.__name__].__module__
            raise TypeError(f"message {cls.__qualname__}: there is one of this name in {other}")
        _BY_NAME[made.__name__] = made
        type.__setattr__(made, "_to_wire", _wire_maker(made))
    return made


def to_wire(value: object) -> object:
    """What is pickled in place of `value`: the wire form of a message of this library, else the value itself."""
    maker = getattr(type(value), "_to_wire", None)
    if maker is not None:
        return maker(value)
    return ("", value) if type(value) is tuple else value  # a plain tuple must not be taken for a wire form


def from_wire(value: Any) -> Any:
    """What `to_wire` was given.

    Raises:
        LookupError: no message has this name: the sender runs another version of the library.
    """
    if type(value) is not tuple:
        return value
    name, *fields = value
    return _BY_NAME[name](*fields) if name else fields[0]


def _wire_maker(made: type) -> Callable[[Any], tuple[Any, ...]]:
    """A function from a message to its wire form; the getter is made once, here."""
    name = made.__name__
    names = [field.name for field in attrs.fields(made)]
    if not names:
        return lambda self: (name,)
    getter = operator.attrgetter(*names)
    if len(names) == 1:
        return lambda self: (name, getter(self))
    return lambda self: (name, *getter(self))


def _reducer(made: type) -> Callable[[Any], _Reduced]:
    """A ``__reduce__`` that lists the fields by position; the getter is made once, here."""
    names = [field.name for field in attrs.fields(made)]
    if not names:
        return lambda self: (made, ())
    getter = operator.attrgetter(*names)
    if len(names) == 1:  # the getter of one name gives the bare value, not a tuple
        return lambda self: (made, (getter(self),))
    return lambda self: (made, getter(self))
