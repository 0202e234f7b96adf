"""Items that keep their ids on their way, so that whoever waits for one of them finds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from slither_actors.item import Item


def in_its_place(made: Item, origin: Item) -> Item:
    """What user code made of `origin`, under the id of that."""
    if made.id == origin.id:
        return made
    return attrs.evolve(made, id=origin.id, parent_id=origin.parent_id, index=origin.index)


def in_order_of(origins: Sequence[Item], answers: Sequence[Any]) -> list[Any]:
    """The answers for these items, each beside its own: a batch may come back in another order. Answers that do not
    tell whose they are keep theirs, and take the places that are left."""
    if not any(isinstance(one, Item) and one.id != origin.id for one, origin in zip(answers, origins, strict=True)):
        return list(answers)
    places = {origin.id: place for place, origin in enumerate(origins)}
    found: dict[int, Any] = {}
    others = []
    for one in answers:
        place = places.pop(one.id, None) if isinstance(one, Item) else None
        if place is None:
            others.append(one)
        else:
            found[place] = one
    left = iter(others)
    return [found[place] if place in found else next(left) for place in range(len(origins))]
