"""The form in which items travel: columns, encoded once where they leave and decoded once where they are used.

A parcel is a plain tuple `(data, buffers, lo, hi, notes)`: the items `lo` to `hi` (excluded) of the columns that are
pickled in `data`, with large buffers beside it, and what befell them since, oldest first. A plain tuple, since parcels
cross a process border four times, and an object would cost more each time than all the rest of the message.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from slither_actors._code import Code
from slither_actors._codec import LARGE, Frame, encode
from slither_actors._record import record
from slither_actors.errors import SlitherError
from slither_actors.item import Columns as Columns
from slither_actors.item import Item, build_items, columns


@record
class Note:
    """All items of a parcel failed and were routed: what whoever reads them has to do about it.

    Attributes:
        error: why. stage: where. attempts: how often they ran there.
        route: name of the output that they are bound for now.
        function: what takes their place, as `Route` says; `None` if they go on as they are, or the reader knows it.
        keeps_id: whether what takes the place of one has its id.
    """

    error: SlitherError
    stage: str | None
    attempts: int
    route: str | None = None
    function: Code | None = None
    keeps_id: bool = False


@record
class Sorted:
    """On the way to the service, in the place of all notes: a router sent each item of a parcel to an output, and
    changed nothing else. `routes` are the outputs in the order of the `ids`, each of which is there once."""

    ids: Sequence[int]
    routes: Sequence[str]

    def of(self, ids: Sequence[int]) -> list[str]:
        """The outputs of some of the items."""
        routes = dict(zip(self.ids, self.routes, strict=True))
        return [routes[one] for one in ids]


Parcel = tuple[Any, tuple[Any, ...], int, int, tuple[Any, ...]]


def pack(rows: Columns) -> Parcel:
    """Encode columns.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    frame = encode(rows)
    data = frame.data if len(frame.data) < LARGE else pickle.PickleBuffer(frame.data)
    return data, frame.buffers, 0, len(rows[0]), ()


def pack_by(rows: Columns, size: int) -> tuple[Parcel, ...]:
    """Encode columns in parcels of at most `size` items.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    return tuple([pack(_rows(rows, lo, lo + size)) for lo in range(0, len(rows[0]), size)])


def pack_items(items: Sequence[Item]) -> Parcel:
    """Encode items.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    return pack(columns(items))


def count(parcels: Sequence[Parcel]) -> int:
    """How many items there are."""
    return sum(hi - lo for _, _, lo, hi, _ in parcels)


def size(parcels: Sequence[Parcel]) -> int:
    """How many bytes travel with these parcels, the large buffers beside them too. Those of a part are those of the
    whole that it is a part of, which is what is sent."""
    return sum(memoryview(part).nbytes for data, buffers, *_ in parcels for part in (data, *buffers))


def cut(parcel: Parcel, lo: int, hi: int) -> Parcel:
    """The items `lo` to `hi` of a parcel, without decoding it."""
    data, buffers, start, _, notes = parcel
    return data, buffers, start + lo, start + hi, notes


def noted(parcels: Sequence[Parcel], note: Note) -> tuple[Parcel, ...]:
    """The same items with a note more, without decoding them."""
    return tuple((data, buffers, lo, hi, (*notes, note)) for data, buffers, lo, hi, notes in parcels)


def halves(parcels: Sequence[Parcel]) -> tuple[tuple[Parcel, ...], tuple[Parcel, ...]]:
    """The first and the second half of the items, without decoding them."""
    return split_at(parcels, count(parcels) // 2)


def split_at(parcels: Sequence[Parcel], wanted: int) -> tuple[tuple[Parcel, ...], tuple[Parcel, ...]]:
    """The first `wanted` items and the others, without decoding them."""
    left: list[Parcel] = []
    right: list[Parcel] = []
    for parcel in parcels:
        here = min(count([parcel]), wanted)
        wanted -= here
        left += [cut(parcel, 0, here)] if here else []
        right += [cut(parcel, here, count([parcel]))] if here < count([parcel]) else []
    return tuple(left), tuple(right)


def unpack(parcel: Parcel) -> Columns:
    """Decode a parcel to columns, without regard to its notes."""
    data, buffers, lo, hi, _ = parcel
    rows: Columns = Frame(data, plain_buffers(buffers)).decode()
    if lo == 0 and hi == len(rows[0]):
        return rows
    return _rows(rows, lo, hi)


def _rows(rows: Columns, lo: int, hi: int) -> Columns:
    part = slice(lo, hi)
    ids, payloads, metas, routes, births = rows
    return (
        ids[part],
        payloads[part],
        metas and metas[part],
        routes and routes[part],
        births and births[part],
    )


def unpack_items(parcels: Sequence[Parcel], route: str | None = None) -> list[Item]:
    """Decode parcels without notes to items; where `route` is given it becomes the route of all."""
    made: list[Item] = []
    for parcel in parcels:
        ids, payloads, metas, routes, births = unpack(parcel)
        made += build_items(ids, payloads, metas, routes if route is None else [route] * len(ids), births)
    return made


def plain_buffers(buffers: tuple[Any, ...]) -> tuple[Any, ...]:
    """Buffers as whoever decodes them wants them: those that have travelled are in wrappers."""
    return tuple([buffer.raw() if isinstance(buffer, pickle.PickleBuffer) else buffer for buffer in buffers])
