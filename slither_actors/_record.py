"""The decorator behind plain values that never leave the library: plans, ports, actions."""

import operator
from collections import namedtuple
from typing import Any, Self, TypeVar, cast, dataclass_transform

_C = TypeVar("_C")

# What reads a field by its place, in half the time of a property. It belongs to no class: any tuple may have it.
_Places = namedtuple("_Places", [f"place_{number}" for number in range(24)])  # type: ignore[misc]  # no literal
_AT_PLACE: list[Any] = [vars(_Places)[f"place_{number}"] for number in range(24)]


class Record(tuple[Any, ...]):
    """A value's fields, in their order.

    A tuple and no attrs class: cheaper to make and to take apart, and nothing has to be compiled for the class, which
    for a hundred attrs classes takes a third of the package's import, in the service and again in the host.
    """

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()
    _defaults: dict[str, Any]

    def __new__(cls, *fields: Any, **named: Any) -> Self:
        if named or len(fields) != len(cls.__match_args__):
            fields = _complete(cls, fields, named)
        return tuple.__new__(cls, fields)

    def __repr__(self) -> str:
        fields = zip(self.__match_args__, self, strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), tuple(self)

    def __bool__(self) -> bool:
        return True  # also without a field

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self), *self))


@dataclass_transform(frozen_default=True)
def record(cls: type[_C]) -> type[_C]:
    """Make a class a record: frozen, equal to its like with equal fields.

    For values that need no validator, converter or factory; those are attrs classes.

    Args:
        cls: A class with annotated fields and no base class. What is assigned to a field is its default.

    Returns:
        The class that takes its place.

    Raises:
        TypeError: It has a base class.
    """
    return cast(type[_C], remake(cls, Record))


def replaced(value: _C, **fields: Any) -> _C:
    """A record with some of its fields replaced."""
    old = cast(Record, value)
    return type(value)(**dict(zip(old.__match_args__, old, strict=True)) | fields)


def remake(cls: type[Any], base: type[Record]) -> type[Any]:
    """The class again, with `base` below it and its annotations as fields."""
    if cls.__bases__ != (object,):
        raise TypeError(f"{cls.__qualname__}: a {base.__name__.strip('_').lower()} has no base class")
    names = tuple(cls.__annotations__)
    body = {key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__")}
    defaults = {name: body[name] for name in names if name in body}
    readers = _AT_PLACE + [property(operator.itemgetter(place)) for place in range(len(_AT_PLACE), len(names))]
    body |= dict(zip(names, readers, strict=False))
    body |= {"__slots__": (), "__match_args__": names, "_defaults": defaults}
    return type(cls.__name__, (base,), body)


def _complete(cls: type[Record], fields: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """All fields, with those that were given by name, and with defaults."""
    names = cls.__match_args__
    twice = named.keys() & names[: len(fields)]
    given = dict(zip(names, fields, strict=False)) | named
    missing = [name for name in names if name not in given and name not in cls._defaults]
    if len(fields) > len(names) or twice or missing or given.keys() - set(names):
        raise TypeError(f"{cls.__name__} takes ({', '.join(names)}), got {len(fields)} fields and {sorted(named)}")
    return tuple([given[name] if name in given else cls._defaults[name] for name in names])
