"""The user's iterable, cut into batches by a strategy for which more counts than their size."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch._former import Former, OnLoss, located
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.dispatch._strategy_base import Clock, Cut, Strategy
from slither_actors.dispatch.messages import Tag
from slither_actors.dispatch.source import Source
from slither_actors.errors import ItemError, NotPicklable
from slither_actors.item import Item, columns
from slither_actors.workers.parcel import Parcel, pack

_END = object()


class FormedSource(Source):
    """Forms batches, and puts what comes of them into the order of the input where the strategy mixes that.

    Args:
        items: payloads and items in any mixture; may be endless.
        where: how errors call the place that got it.
        strategy: forms the batches.
        size: items that a batch may have.
        on_loss: told of each item that is in no batch, and why. What it raises comes through.
        ahead: how many items may be pulled and not yet taken by whoever wants the results, or ended. `None` where
            nobody says what comes of a batch; then it is two batches that may be held here.
        in_order: results come back batch by batch, and are to stand in the order of the input.
        keep_order: as for `Source`.
        clock: gives seconds, for how long a batch has waited.

    Raises:
        InvalidOption: it is not iterable. StrategyError: the strategy does not start.
    """

    def __init__(
        self,
        items: Iterable[Any],
        where: str,
        *,
        strategy: Strategy,
        size: int,
        on_loss: OnLoss,
        ahead: int | None = None,
        in_order: bool = False,
        keep_order: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(items, where, keep_order=keep_order)
        self._former = Former(strategy, size, self._lose, clock)
        self._size = size
        self._on_loss = on_loss
        self._ahead = ahead
        self._ended = 0  # items that will never be taken
        self._at_end = False
        self._places: dict[int, int] = {}  # of items that are not in a batch that has left, by identity
        self._out: dict[int, list[tuple[int, int]]] = {}  # ids and places of the items of batches that have left
        self._sent = 0
        self._results = ReorderBuffer[Item | None]() if in_order else None
        self._due: list[Item] = []

    @property
    def willing(self) -> bool:
        return not self.exhausted and (self._room > 0 or bool(self._former.ready) or self._former.held > 0)

    @property
    def _room(self) -> int:
        """How many items more may be pulled."""
        if self._ahead is None:
            return 2 * self._size - self._former.held
        return self._ahead - (self.pulled - self.taken - self._ended)

    def feed(self, out: OutEdge, size: int) -> None:
        if not self._former.ready:
            self._former.flush_late()
        if not self._former.ready:
            self._pull()
        if not self._former.ready and self._former.held and self._room <= 0:
            self._former.flush("ceiling")
        if self._former.ready:
            cut = self._former.ready.popleft()
            self._sent += 1
            places = [self._places.pop(id(item)) for item in cut]
            parcel = self._parcel(cut, places)
            if self._ahead is not None:
                self._out[self._sent] = [(item.id, place) for item, place in zip(cut, places, strict=True)]
            out.put((parcel,), (), None, cut.tag(self._sent))
        self.exhausted = self._at_end and not self._former.ready

    def cut(self) -> bool:
        return super().cut() and not self._at_end

    def _pull(self) -> None:
        """Pull until a batch is ready; a batch's worth of items at most, since results may be waiting meanwhile."""
        for _ in range(min(self._room, self._size)):
            value = next(self._iterator, _END)
            if value is _END:
                self._at_end = True
                self._former.flush("end")
                return
            # An item of the caller's own may come more than once, and its place goes by identity.
            item = attrs.evolve(value) if isinstance(value, Item) else Item.wrap(value)
            self._places[id(item)] = self.pulled
            if self._keep_order:
                self.order[item.id] = self.pulled
            self.ids.pull((item.id,))
            self.pulled += 1
            self._former.push(item)
            if self._former.ready:
                return

    def _parcel(self, cut: Cut, places: list[int]) -> Parcel:
        try:
            return pack(columns(cut))
        except NotPicklable as whole:
            for item, place in zip(cut, places, strict=True):
                try:
                    pack(columns([item]))
                except NotPicklable as error:
                    what = f"item {place} of the input ({type(item.payload).__name__})"
                    raise NotPicklable(what, error.why) from None
            raise NotPicklable("some items of the input, all together", whole.why) from None

    def _lose(self, item: Item, error: ItemError) -> bool:
        is_routed = self._on_loss(item, located(error, f"at item {self._places[id(item)]} of the input"))
        if not is_routed:
            self._end(self._places.pop(id(item)))
        return is_routed

    def _end(self, place: int) -> None:
        """Nothing will come of the item at this place."""
        self._ended += 1
        if self._results is not None:
            self._add(place, None)

    def _add(self, place: int, item: Item | None) -> None:
        assert self._results is not None
        self._due += [due for due in self._results.add(place, item) if due is not None]

    def arranged(self, items: list[Item], tag: Tag | None) -> list[Item]:
        rows = self._out.pop(tag[2], None) if tag is not None else None
        if rows is None:  # nobody says which batch this was
            return items
        if self._results is None:
            self._ended += len(rows) - len(items)
            return items
        results, strays = _matched(items, rows)
        for (_, place), result in zip(rows, results, strict=True):
            if result is None:
                self._end(place)
            else:
                self._add(place, result)
        return [*self.due(), *strays]

    def due(self) -> list[Item]:
        due, self._due = self._due, []
        return due

    def rest(self) -> list[Item]:
        held = self._results.drain() if self._results is not None else []
        return [*self.due(), *(item for item in held if item is not None)]


def _matched(items: Sequence[Item], rows: list[tuple[int, int]]) -> tuple[list[Item | None], list[Item]]:
    """What came of each item of a batch, `None` where nothing did, and results beyond that. An executor may give items
    that do not tell what they were made of: those take the places of what is missing, in order."""
    if len(items) == len(rows) and all(item.id == row[0] for item, row in zip(items, rows, strict=True)):
        return [*items], []
    found: dict[int, list[Item]] = {}
    wanted = {given for given, _ in rows}
    unknown: list[Item] = []
    for item in items:
        origin = item.id if item.id in wanted else item.parent_id
        if origin is not None and origin in wanted:
            found.setdefault(origin, []).append(item)
        else:
            unknown.append(item)
    results: list[Item | None] = []
    for given, _ in rows:
        of_this = found.get(given)
        results.append(of_this.pop(0) if of_this else None)
    unknown += [item for rest in found.values() for item in rest]
    for place, result in enumerate(results):
        if result is None and unknown:
            results[place] = unknown.pop(0)
    return results, unknown
