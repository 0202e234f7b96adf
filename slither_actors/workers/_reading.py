"""Parcels as their readers want them: decoded as far as possible, and what is noted on them done.

A note is written where nothing is decoded and no user code may run, and is followed where the items are used next.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors._describe import is_of_a_signal
from slither_actors.errors import InvalidOutcome, NotPicklable, RemoteError, shorten
from slither_actors.item import Item, build_items, columns, joined_columns
from slither_actors.outcome import Outcome
from slither_actors.policy import Policy
from slither_actors.workers._identity import in_its_place
from slither_actors.workers._salvage import Loss, read
from slither_actors.workers.executor import descendant
from slither_actors.workers.parcel import Columns, Note, Parcel, Sorted, pack_items

Reroute = Callable[[Item, Any], Any]


def read_columns(parcels: Sequence[Parcel]) -> tuple[Columns, list[Loss]]:
    """The columns of parcels, as one, and what could not be read or routed.

    Raises:
        RemoteError: not even the ids of a parcel can be read.
    """
    if len(parcels) == 1:
        return _read_columns(parcels[0])
    parts, losses = zip(*map(_read_columns, parcels), strict=True)
    return joined_columns(parts), list(itertools.chain.from_iterable(losses))


def _read_columns(parcel: Parcel) -> tuple[Columns, list[Loss]]:
    rows, loss = read(parcel)
    losses = [loss] if loss is not None else []
    if parcel[4]:
        rows = columns(_follow(parcel[4], build_items(*rows), None, losses, None))
    return rows, losses


def read_items(
    parcels: Sequence[Parcel], route: str | None = None, reroute: Reroute | None = None
) -> tuple[list[Item], list[Loss]]:
    """The items of parcels, and what could not be read or routed.

    Args:
        route: becomes the route of all that are not routed elsewhere.
        reroute: the function of a `Route` that did not travel.

    Raises:
        RemoteError: not even the ids of a parcel can be read.
    """
    made: list[Item] = []
    losses: list[Loss] = []
    for parcel in parcels:
        (ids, payloads, metas, routes, births), loss = read(parcel)
        losses += [loss] if loss is not None else []
        notes = parcel[4]
        if notes and isinstance(notes[0], Sorted):
            routes, notes = notes[0].of(ids), ()
        elif route is not None:
            routes = [route] * len(ids)
        items = build_items(ids, payloads, metas, routes, births)
        made += _follow(notes, items, reroute, losses, route) if notes else items
    return made, losses


def as_they_came(parcels: Sequence[Parcel]) -> tuple[Parcel, ...]:
    """For a record: what befell the items is told, and no function of a `Route` is called for it."""
    return tuple(
        (data, buffers, lo, hi, tuple(Note(note.error, note.stage, note.attempts, note.route) for note in notes))
        for data, buffers, lo, hi, notes in parcels
    )


def _follow(
    notes: Sequence[Note], items: list[Item], reroute: Reroute | None, losses: list[Loss], route: str | None
) -> list[Item]:
    """The items after all that is noted; those that got lost on the way join `losses`. Where all get a `route`, what
    takes the place of one gets its."""
    for note in notes:
        marked = [marks(item, note) for item in items]
        items = []
        for item in marked:
            try:
                made = replaced(item, note, reroute)
                items.append(made if route is None or made.route == item.route else made.with_route(item.route))
            except BaseException as error:  # user code
                if is_of_a_signal(error) or isinstance(error, KeyboardInterrupt):
                    raise
                losses.append(unrouted(item, note, error))
    return items


def marks(item: Item, note: Note) -> Item:
    """The item with what befell it in its meta, on its new way."""
    item = item.with_meta(error=note.error, stage=note.stage, attempts=note.attempts)
    return item if note.route is None else item.with_route(note.route)


def replaced(item: Item, note: Note, reroute: Reroute | None) -> Item:
    """What goes on in the place of an item.

    Raises:
        Exception: what the function raises, or `InvalidOutcome` for what it must not give.
    """
    function = note.function.load() if note.function is not None else reroute
    if function is None:
        return item
    answer = function(item, note.error)
    if isinstance(answer, Item):
        return in_its_place(answer, item) if note.keeps_id else descendant(answer, item)
    if isinstance(answer, Outcome | Policy):
        raise InvalidOutcome("the function of Route", f"{shorten(answer)} cannot take the place of an item")
    return item.with_payload(answer)


def unrouted(item: Item, note: Note, error: BaseException) -> Loss:
    """An item that stays behind, since what should have taken its place could not be made."""
    raised = RemoteError.of(error)
    told = f"{raised.message} (in the function of Route, for an item that failed with {note.error!r})"
    try:
        parcel = pack_items([item])
    except NotPicklable:  # the function changed it in place
        parcel = pack_items([attrs.evolve(item, payload=None, meta={})])
    return Loss(parcel, RemoteError(raised.type_name, told, raised.traceback, raised.kinds), note)
