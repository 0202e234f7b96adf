"""Item: the immutable envelope around one payload on its way through dispatchers and pipes."""

import itertools
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self, final

import attrs

DEFAULT_ROUTE = "default"

Columns = tuple[
    Sequence[int],
    Sequence[Any],
    Sequence[dict[str, Any]] | None,
    Sequence[str] | None,
    Sequence["Birth | None"] | None,
]
"""Items by column: ids, payloads, metas, routes, births. None stands for a column of defaults."""

Birth = tuple[int, int | None]
"""The ``parent_id`` and the ``index`` of an item."""


class IdSource:
    """Gives out item ids: positive, rising within a process, unique over all processes.

    A count in the high bits makes them rise, a random tag of this process in the low 32 bits makes them unique. A
    forked child keeps the count, so that its ids sort after those it inherited, and takes a new tag.
    """

    STEP: ClassVar[int] = 1 << 32

    def __init__(self) -> None:
        self._next = self.STEP
        self.renew()

    def renew(self) -> None:
        """Take a new process tag; and a new lock, since another thread may have held the old one during the fork."""
        self._lock = threading.Lock()
        self._next = self._next // self.STEP * self.STEP + int.from_bytes(os.urandom(4))

    def take(self, count: int) -> range:
        """The next ``count`` ids, as a range: it pickles in a few bytes however long it is."""
        with self._lock:
            first = self._next
            stop = self._next = first + count * self.STEP
        return range(first, stop, self.STEP)


# The one piece of module state: ids are unique only if everything in a process draws from the same source.
_IDS = IdSource()
os.register_at_fork(after_in_child=_IDS.renew)
take_ids = _IDS.take


@final
@attrs.frozen(weakref_slot=False)  # a slot for weak references would forbid the change of class in build_items
class Item:
    """One payload with its identity and its way.

    Attributes:
        id: Unique; ids sort in the order of wrapping within a process.
        payload: The user's value.
        meta: Notes that travel along. Change them through ``with_meta``, not in place.
        route: Name of the output the item is bound for.
        parent_id: Id of the item this one was made from, if a stage made several out of one.
        index: Which of those it was, counted from 0 in the order in which the stage gave them. It belongs to the
            ``parent_id``: without one it may be lost on the way to another process.
    """

    id: int
    payload: Any = attrs.field(hash=False)
    meta: dict[str, Any] = attrs.field(factory=dict, hash=False)
    route: str = DEFAULT_ROUTE
    parent_id: int | None = None
    index: int | None = None

    @classmethod
    def wrap(cls, value: Any) -> Self:
        """The value as an item with a new id; an item stays as it is."""
        return value if isinstance(value, cls) else cls(take_ids(1)[0], value)

    @classmethod
    def wrap_many(cls, values: Iterable[Any]) -> list[Self]:
        """Wrap all values, in order; much cheaper than one by one. The input is read to its end."""
        values = list(values)
        if cls not in set(map(type, values)):
            return build_items(take_ids(len(values)), values)
        return [cls.wrap(value) for value in values]

    def with_payload(self, payload: Any) -> Self:
        """The same item around another payload."""
        return type(self)(self.id, payload, self.meta, self.route, self.parent_id, self.index)

    def with_meta(self, **more: Any) -> Self:
        """The same item with these notes added; a note of the same name is replaced."""
        meta = {**self.meta, **more}
        return type(self)(self.id, self.payload, meta, self.route, self.parent_id, self.index)

    def with_route(self, route: str) -> Self:
        """The same item bound for another output."""
        return type(self)(self.id, self.payload, self.meta, route, self.parent_id, self.index)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        if self.meta or self.route != DEFAULT_ROUTE or self.parent_id is not None:
            return type(self), (self.id, self.payload, self.meta, self.route, self.parent_id, self.index)
        return type(self), (self.id, self.payload)


@attrs.define(weakref_slot=False, eq=False, repr=False)
class _Draft:
    """An item that is not frozen yet. Same slots as Item, so that one may become the other."""

    id: int
    payload: Any
    meta: dict[str, Any]
    route: str
    parent_id: int | None
    index: int | None


def build_items(
    ids: Sequence[int],
    payloads: Sequence[Any],
    metas: Sequence[dict[str, Any]] | None = None,
    routes: Sequence[str] | None = None,
    births: Sequence[Birth | None] | None = None,
) -> list[Item]:
    """Make many items out of columns of equal length; None is a column of defaults.

    Builds drafts and turns them into items: the constructor of a frozen class takes more than twice as long.

    Raises:
        ValueError: The columns differ in length.
    """
    count = len(ids)
    given = [payloads, metas, routes, births]
    if any(column is not None and len(column) != count for column in given):
        raise ValueError(f"columns of {[count, *(column and len(column) for column in given)]} rows")
    drafts: list[Any] = list(
        map(
            _Draft,
            ids,
            payloads,
            [{} for _ in ids] if metas is None else metas,
            itertools.repeat(DEFAULT_ROUTE) if routes is None else routes,
            *_parents(births),
        )
    )
    for draft in drafts:
        draft.__class__ = Item
    return drafts


def _parents(births: Sequence[Birth | None] | None) -> tuple[Iterable[int | None], Iterable[int | None]]:
    if births is None:
        return itertools.repeat(None), itertools.repeat(None)
    return [birth and birth[0] for birth in births], [birth and birth[1] for birth in births]


def with_payloads(items: Sequence[Item], payloads: Sequence[Any], route: str | None = None) -> list[Item]:
    """The same items around other payloads, bound for another output if one is given; much cheaper than one by one.

    Raises:
        ValueError: There are more of one than of the other.
    """
    drafts: list[Any] = [
        _Draft(item.id, payload, item.meta, route or item.route, item.parent_id, item.index)
        for item, payload in zip(items, payloads, strict=True)
    ]
    for draft in drafts:
        draft.__class__ = Item
    return drafts


def columns(items: Sequence[Item], payloads: list[Any] | None = None) -> Columns:
    """The columns of items, as ``build_items`` takes them; those that hold only defaults are None. Where payloads are
    given they take the place of those of the items."""
    metas = [item.meta for item in items]
    routes = [item.route for item in items]
    parents = [item.parent_id for item in items]
    births = None
    if parents.count(None) < len(parents):
        births = [None if item.parent_id is None else (item.parent_id, item.index) for item in items]
    return (
        shortest([item.id for item in items]),
        [item.payload for item in items] if payloads is None else payloads,
        metas if any(metas) else None,
        routes if routes.count(DEFAULT_ROUTE) < len(routes) else None,
        births,
    )


def joined_columns(parts: Sequence[Columns]) -> Columns:
    """Columns one after the other, as one."""
    ids: list[int] = []
    payloads: list[Any] = []
    metas: list[dict[str, Any]] = []
    routes: list[str] = []
    births: list[Birth | None] = []
    for part in parts:
        count = len(part[0])
        ids += part[0]
        payloads += part[1]
        metas += part[2] or [{} for _ in range(count)]
        routes += part[3] or [DEFAULT_ROUTE] * count
        births += part[4] or [None] * count
    return (
        shortest(ids),
        payloads,
        metas if any(part[2] for part in parts) else None,
        routes if any(part[3] for part in parts) else None,
        births if any(part[4] for part in parts) else None,
    )


def shortest(ids: list[int]) -> Sequence[int]:
    """Ids that were taken together become the range they were: ten times shorter on the wire."""
    if not ids:
        return ids
    taken_together = range(ids[0], ids[0] + len(ids) * IdSource.STEP, IdSource.STEP)
    return taken_together if ids[-1] == taken_together[-1] and ids == list(taken_together) else ids
