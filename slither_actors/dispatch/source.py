"""The user's iterable, cut into encoded batches. Pulled in the caller's thread, and only when there is credit."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from slither_actors._describe import is_of_a_signal
from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch._pulled_ids import PulledIds
from slither_actors.dispatch.messages import Tag
from slither_actors.errors import InvalidOption, NotPicklable, shorten
from slither_actors.item import Item, columns, take_ids
from slither_actors.workers.parcel import Columns, Parcel, pack


class Source:
    """Pulls an iterable batch by batch.

    Args:
        items: payloads and items in any mixture; may be endless.
        where: how errors call the place that got it.
        keep_order: remember the place of each item, in `order` by id.

    Raises:
        InvalidOption: it is not iterable.
    """

    def __init__(self, items: Iterable[Any], where: str, *, keep_order: bool = False) -> None:
        try:
            self._iterator = iter(items)
        except TypeError:
            raise InvalidOption(where, "items", shorten(items), "an iterable of payloads or items") from None
        self.pulled = 0
        self.taken = 0  # results that whoever wanted them has taken, as far as that is counted
        self.exhausted = False
        self.ids = PulledIds()
        self._reading: Sequence[Any] = ()
        self.order: dict[int, int] = {}
        self._keep_order = keep_order

    @property
    def due_s(self) -> float:
        """Seconds until it is willing though nothing happens."""
        return math.inf

    @property
    def willing(self) -> bool:
        """Whether it has a batch to give, or may look for one."""
        return not self.exhausted

    def feed(self, out: OutEdge, size: int) -> None:
        """Put the next batch of at most `size` items on an edge, if there is one by now.

        Raises:
            NotPicklable: an item cannot travel; the error says which.
            Exception: what the iterable raises.
        """
        parcel = self.pull(size)
        if parcel is not None:
            out.put((parcel,))

    def arranged(self, items: list[Item], tag: Tag | None) -> list[Item]:
        """What is to be yielded when these results have come, of the batch that the tag tells."""
        return items

    def due(self) -> list[Item]:
        """What else is to be yielded by now."""
        return []

    def rest(self) -> list[Item]:
        """At the end: results that waited for others."""
        return []

    def pull(self, size: int) -> Parcel | None:
        """The next batch of at most `size` items, `None` at the end.

        Raises:
            NotPicklable: an item cannot travel; the error says which.
            Exception: what the iterable raises.
        """
        values: list[Any] = []
        self._reading = values
        values.extend(islice(self._iterator, size))
        self.exhausted = len(values) < size
        if not values:
            return None
        rows: Columns = (take_ids(len(values)), values, None, None, None)
        if Item in set(map(type, values)):
            rows = columns(Item.wrap_many(values))
        try:
            parcel = pack(rows)
        except NotPicklable:
            raise self._culprit(values) from None
        if self._keep_order:
            self.order.update(zip(rows[0], range(self.pulled, self.pulled + len(values)), strict=True))
        self.ids.pull(rows[0])
        self._reading = ()
        self.pulled += len(values)
        return parcel

    def __iter__(self) -> Iterator[Any]:
        """What is left, item by item."""
        return self._iterator

    @property
    def read(self) -> int:
        """How many items were pulled, with those of a batch for which the iterable has not given all yet."""
        return self.pulled + len(self._reading)

    def cut(self) -> bool:
        """Pull no more: what was pulled is all there is. Whether there could have been more."""
        iterator, self._iterator = self._iterator, iter(())
        if self.exhausted:
            return False
        try:
            return operator.length_hint(iterator, 1) > 0  # one that was read to its end may not have been asked again
        except Exception as error:  # user code
            if is_of_a_signal(error):
                raise
            return True

    def close(self) -> None:
        """Pull no more, and let go of the iterable."""
        self.exhausted = True
        self._iterator = iter(())

    def _culprit(self, values: Sequence[Any]) -> NotPicklable:
        for offset, value in enumerate(values):
            try:
                pack(columns(Item.wrap_many([value])))
            except NotPicklable as error:
                return NotPicklable(f"item {self.pulled + offset} of the input ({type(value).__name__})", error.why)
        return NotPicklable(f"items {self.pulled} to {self.pulled + len(values) - 1} of the input", "all together")
