"""The form in which items travel: columns, encoded once where they leave and decoded once where they are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors._codec import Frame, encode
from slither_actors._message import message
from slither_actors.item import Item, build_items, columns

Columns = tuple[
    Sequence[int],
    Sequence[Any],
    Sequence[dict[str, Any]] | None,
    Sequence[str] | None,
    Sequence[int | None] | None,
]


@message
class Parcel:
    """The items `lo` to `hi` (excluded) of an encoded frame of columns; passed on and cut without being decoded."""

    frame: Frame
    lo: int
    hi: int

    def __len__(self) -> int:
        return self.hi - self.lo

    def cut(self, lo: int, hi: int) -> Parcel:
        """The items `lo` to `hi` of this parcel, still encoded."""
        return Parcel(self.frame, self.lo + lo, self.lo + hi)


def pack(rows: Columns) -> Parcel:
    """Encode columns.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    return Parcel(encode(rows), 0, len(rows[0]))


def pack_items(items: Sequence[Item]) -> Parcel:
    """Encode items.

    Raises:
        NotPicklable: a payload or meta cannot travel.
    """
    return pack(columns(items))


def unpack(parcel: Parcel) -> Columns:
    """Decode a parcel to columns."""
    rows: Columns = parcel.frame.decode()
    if parcel.lo == 0 and parcel.hi == len(rows[0]):
        return rows
    cut = slice(parcel.lo, parcel.hi)
    ids, payloads, metas, routes, parents = rows
    return (
        ids[cut],
        payloads[cut],
        metas and metas[cut],
        routes and routes[cut],
        parents and parents[cut],
    )


def unpack_items(parcels: Sequence[Parcel], route: str | None = None) -> list[Item]:
    """Decode parcels to items; where `route` is given it becomes the route of all."""
    made: list[Item] = []
    for parcel in parcels:
        ids, payloads, metas, routes, parents = unpack(parcel)
        made += build_items(ids, payloads, metas, routes if route is None else [route] * len(ids), parents)
    return made
