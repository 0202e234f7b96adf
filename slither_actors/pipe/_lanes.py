"""The ways out of a stage: items wait here for a full batch, with what they were made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from slither_actors._record import record
from slither_actors.dispatch._edges import OutEdge
from slither_actors.errors import NotPicklable
from slither_actors.item import Item, columns, with_payloads
from slither_actors.workers.parcel import Note, Parcel, pack, pack_items


class Emission:
    """An item that becomes many, one by one. It may fail once, also after some of them have gone."""

    def __init__(self, item: Item, payloads: Iterator[Any], attempts: int) -> None:
        self.item = item
        self.payloads = payloads
        self.attempts = attempts
        self.count = 0  # of what it became
        self.given = 0  # the same, and what of it cannot travel
        self.told = 0  # how many of them the service knows of
        self.over = False  # whether that was all
        self.failed = False

    def gave(self) -> None:
        """One of what it becomes is on its way."""
        self.count += 1
        self.given += 1

    def close(self) -> None:
        """Let user code leave its generator; raises what that raises."""
        close = getattr(self.payloads, "close", None)
        if close is not None:
            close()

    def drop(self) -> None:
        """The same of what has failed already."""
        with contextlib.suppress(BaseException):
            self.close()


@record
class Routed:
    """An item that failed, and goes on by a policy, perhaps replaced."""

    item: Item
    note: Note


# What an item on a lane was made of.
Parent = Item | Emission | Routed


class Lane:
    """An edge, and the items that wait for a full batch on it. Each has beside it its payload, which may be another
    than it holds, and what it was made of: so no item is made anew only to be packed."""

    due_s: float | None = None  # seconds until there is something to pack though nothing comes

    def __init__(self, edge: OutEdge) -> None:
        self.edge = edge
        self.items: list[Item] = []
        self.payloads: list[Any] = []
        self.origins: list[Parent] = []

    def put(self, item: Item, origin: Parent) -> None:
        """Add an item."""
        self.items.append(item)
        self.payloads.append(item.payload)
        self.origins.append(origin)

    def put_all(self, items: Sequence[Item], payloads: Sequence[Any], origins: Sequence[Parent]) -> None:
        """Add items, with these payloads in the place of theirs."""
        self.items += items
        self.payloads += payloads
        self.origins += origins

    @property
    def busy(self) -> bool:
        """Whether there may be something to pack."""
        return bool(self.items)

    @property
    def full(self) -> bool:
        return len(self.items) >= self.edge.port.batch_size

    def pack(self, *, everything: bool) -> list[tuple[Parent, NotPicklable]]:
        """Form batches; returns the origins of items that cannot travel, and why they cannot."""
        size = self.edge.port.batch_size
        stuck: list[tuple[Parent, NotPicklable]] = []
        while self.items and (everything or not self.edge.port.wants_full or len(self.items) >= size):
            items, payloads, origins = self.items[:size], self.payloads[:size], self.origins[:size]
            del self.items[:size], self.payloads[:size], self.origins[:size]
            try:
                parcels = [pack(columns(items, payloads))]
            except NotPicklable:
                parcels, culprits = pack_one_by_one(with_payloads(items, payloads), origins)
                stuck += culprits
            if parcels:
                self.edge.put(tuple(parcels))
        return stuck


def pack_one_by_one(items: list[Item], origins: list[Parent]) -> tuple[list[Parcel], list[tuple[Parent, NotPicklable]]]:
    """Parcels of what can travel, and the origins of what cannot."""
    parcels = []
    stuck = []
    for item, origin in zip(items, origins, strict=True):
        try:
            parcels.append(pack_items([item]))
        except NotPicklable as error:
            what = f"an item whose payload is of type {type(item.payload).__name__}"
            stuck.append((origin, NotPicklable(what, error.why)))
    return parcels, stuck
