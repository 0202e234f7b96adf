"""A way out of a stage whose consumer named a strategy: it forms the batches, here where the items are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch._former import Former, OnLoss
from slither_actors.dispatch._strategy_base import Clock, Cut, Strategy
from slither_actors.dispatch.strategy import FixedBatch
from slither_actors.errors import ItemError, NotPicklable
from slither_actors.item import Item, with_payloads
from slither_actors.pipe._lanes import Lane, Parent, pack_one_by_one
from slither_actors.workers.parcel import pack_items

# Of batches that are not full so much may be held, in items of full ones: then that with the oldest item goes.
_HELD_BATCHES = 2


def lane_to(edge: OutEdge, strategy: Strategy | None, on_loss: OnLoss, clock: Clock) -> Lane:
    """A way out. Where the run says how long an item may wait for others at most, that holds for any strategy that has
    no such limit of its own.

    Raises:
        StrategyError: the strategy does not start.
    """
    if strategy is None and edge.port.max_wait_s is not None:
        strategy = FixedBatch(edge.port.batch_size, edge.port.max_wait_s)
    return Lane(edge) if strategy is None else FormedLane(edge, strategy, on_loss, clock)


def _nothing(error: BaseException) -> bool:
    """Whatever user code raises in a stage, it is about an item."""
    return False


class FormedLane(Lane):
    """Items wait here until the strategy has put them into a batch.

    Args:
        edge: leads to the consumer.
        strategy: what the consumer named.
        on_loss: told of each item that is in no batch, and why. What it raises comes through.
        clock: gives seconds, for how long a batch has waited.

    Raises:
        StrategyError: the strategy does not start.
    """

    def __init__(self, edge: OutEdge, strategy: Strategy, on_loss: OnLoss, clock: Clock) -> None:
        super().__init__(edge)
        self._former = Former(strategy, edge.port.batch_size, self._lose, clock, _nothing, edge.port.max_wait_s)
        self._on_loss = on_loss
        self._ceiling = _HELD_BATCHES * edge.port.batch_size
        self._made_of: dict[int, Parent] = {}  # by identity of the item that is held

    def put_all(self, items: Sequence[Item], payloads: Sequence[Any], origins: Sequence[Parent]) -> None:
        super().put_all(with_payloads(items, payloads), payloads, origins)  # for the strategy to look at

    @property
    def busy(self) -> bool:
        return bool(self.items or self._former.held)

    def pack(self, *, everything: bool) -> list[tuple[Parent, NotPicklable]]:
        items, origins, self.items, self.payloads, self.origins = self.items, self.origins, [], [], []
        for given, origin in zip(items, origins, strict=True):
            # A handler may give one object more than once, also while a batch with it waits to be sent.
            item = attrs.evolve(given) if id(given) in self._made_of else given
            self._made_of[id(item)] = origin
            self._former.push(item)
            if self._former.held >= self._ceiling:
                self._former.flush("ceiling")
        if everything:
            self._former.flush("end")
        self.due_s = self._former.flush_late()
        stuck = []
        while self._former.ready:
            stuck += self._put(self._former.ready.popleft())
        return stuck

    def _put(self, cut: Cut) -> list[tuple[Parent, NotPicklable]]:
        origins = [self._made_of.pop(id(item)) for item in cut]
        stuck: list[tuple[Parent, NotPicklable]] = []
        try:
            parcels = [pack_items(cut)]
        except NotPicklable:
            parcels, stuck = pack_one_by_one(cut, origins)
        if parcels:
            self.edge.put(tuple(parcels), (), None, cut.tag(0))
        return stuck

    def _lose(self, item: Item, error: ItemError) -> bool:
        is_routed = self._on_loss(item, error)
        if not is_routed:
            del self._made_of[id(item)]
        return is_routed
