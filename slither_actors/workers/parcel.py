"""The form in which items travel: columns, encoded once where they leave and decoded once where they are used.

A parcel is a plain tuple `(data, buffers, lo, hi)`: the items `lo` to `hi` (excluded) of the columns that are pickled
in `data`, with large buffers beside it. A plain tuple, since parcels cross a process border four times, and an object
would cost more each time than all the rest of the message.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from slither_actors._codec import LARGE, Frame, encode
from slither_actors.item import Columns as Columns
from slither_actors.item import Item, build_items, columns

Parcel = tuple[Any, tuple[Any, ...], int, int]


def pack(rows: Columns) -> Parcel:
    """Encode columns.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    frame = encode(rows)
    data = frame.data if len(frame.data) < LARGE else pickle.PickleBuffer(frame.data)
    return data, frame.buffers, 0, len(rows[0])


def pack_items(items: Sequence[Item]) -> Parcel:
    """Encode items.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    return pack(columns(items))


def count(parcels: Sequence[Parcel]) -> int:
    """How many items there are."""
    return sum(hi - lo for _, _, lo, hi in parcels)


def cut(parcel: Parcel, lo: int, hi: int) -> Parcel:
    """The items `lo` to `hi` of a parcel, without decoding it."""
    data, buffers, start, _ = parcel
    return data, buffers, start + lo, start + hi


def halves(parcels: Sequence[Parcel]) -> tuple[tuple[Parcel, ...], tuple[Parcel, ...]]:
    """The first and the second half of the items, without decoding them."""
    left: list[Parcel] = []
    right: list[Parcel] = []
    wanted = count(parcels) // 2
    for parcel in parcels:
        here = min(count([parcel]), wanted)
        wanted -= here
        left += [cut(parcel, 0, here)] if here else []
        right += [cut(parcel, here, count([parcel]))] if here < count([parcel]) else []
    return tuple(left), tuple(right)


def unpack(parcel: Parcel) -> Columns:
    """Decode a parcel to columns."""
    data, buffers, lo, hi = parcel
    rows: Columns = Frame(data, plain_buffers(buffers)).decode()
    if lo == 0 and hi == len(rows[0]):
        return rows
    part = slice(lo, hi)
    ids, payloads, metas, routes, parents = rows
    return (
        ids[part],
        payloads[part],
        metas and metas[part],
        routes and routes[part],
        parents and parents[part],
    )


def unpack_items(parcels: Sequence[Parcel], route: str | None = None) -> list[Item]:
    """Decode parcels to items; where `route` is given it becomes the route of all."""
    made: list[Item] = []
    for parcel in parcels:
        ids, payloads, metas, routes, parents = unpack(parcel)
        made += build_items(ids, payloads, metas, routes if route is None else [route] * len(ids), parents)
    return made


def plain_buffers(buffers: tuple[Any, ...]) -> tuple[Any, ...]:
    """Buffers as whoever decodes them wants them: those that have travelled are in wrappers."""
    return tuple([buffer.raw() if isinstance(buffer, pickle.PickleBuffer) else buffer for buffer in buffers])
