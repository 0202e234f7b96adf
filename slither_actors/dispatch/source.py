"""The user's iterable, cut into encoded batches. Pulled in the caller's thread, and only when there is credit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from slither_actors.dispatch._cutter import Cutter
from slither_actors.errors import InvalidOption, NotPicklable, shorten
from slither_actors.item import Item, columns, take_ids
from slither_actors.workers.parcel import Columns, Parcel, pack


class Source:
    """Pulls an iterable batch by batch.

    Args:
        items: payloads and items in any mixture; may be endless.
        where: how errors call the place that got it.
        keep_order: remember the place of each item, in `order` by id.
        cutter: forms the batches, where more counts than their size.

    Raises:
        InvalidOption: it is not iterable.
    """

    def __init__(
        self, items: Iterable[Any], where: str, *, keep_order: bool = False, cutter: Cutter | None = None
    ) -> None:
        try:
            self._iterator = iter(items)
        except TypeError:
            raise InvalidOption(where, "items", shorten(items), "an iterable of payloads or items") from None
        self.pulled = 0
        self.exhausted = False
        self.order: dict[int, int] = {}
        self._keep_order = keep_order
        self._cutter = cutter

    def pull(self, size: int) -> Parcel | None:
        """The next batch of at most `size` items, `None` at the end or where no item is fit for one.

        Raises:
            NotPicklable: an item cannot travel; the error says which.
            Exception: what the iterable raises.
        """
        if self._cutter is None:
            values = list(islice(self._iterator, size))
            self.exhausted = len(values) < size
        else:
            lost = self._cutter.lost
            values, self.exhausted = self._cutter.take(self._iterator)
            self.pulled += self._cutter.lost - lost
        if not values:
            return None
        try:
            parcel = self._pack(values)
        except NotPicklable:
            raise self._culprit(values) from None
        self.pulled += len(values)
        return parcel

    def __iter__(self) -> Iterator[Any]:
        """What is left, item by item."""
        return self._iterator

    def close(self) -> None:
        """Pull no more, and let go of the iterable."""
        self.exhausted = True
        self._iterator = iter(())

    def _pack(self, values: Sequence[Any]) -> Parcel:
        rows: Columns = (take_ids(len(values)), values, None, None, None)
        if Item in set(map(type, values)):
            rows = columns(Item.wrap_many(values))
        if self._keep_order:
            self.order.update(zip(rows[0], range(self.pulled, self.pulled + len(values)), strict=True))
        return pack(rows)

    def _culprit(self, values: Sequence[Any]) -> NotPicklable:
        for offset, value in enumerate(values):
            try:
                self._pack([value])
            except NotPicklable as error:
                return NotPicklable(f"item {self.pulled + offset} of the input ({type(value).__name__})", error.why)
        return NotPicklable(f"items {self.pulled} to {self.pulled + len(values) - 1} of the input", "all together")
