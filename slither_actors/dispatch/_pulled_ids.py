"""Which of the items that a run has pulled have not come to their end yet. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Sequence

from slither_actors.item import IdSource, Item

# How many ids are remembered, so that an endless run whose results do not tell what they were made of stays small; and
# how many of those that ended without a result are, of each kind.
KEPT = 1 << 16
KEPT_ENDS = 1000

_STEP = IdSource.STEP


class PulledIds:
    """Counts all, and knows the open ones by id.

    Ids that were taken together are kept as the range that they were, so a batch that comes back as it left costs the
    same however large it is. An item that became several has come to its end with the first of them.
    """

    __slots__ = ("_ended", "_loose", "_starts", "_stops", "finished")

    def __init__(self) -> None:
        self.finished = 0
        # Of ranges, ascending. Two lists, since most of what happens is that an end of one moves.
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._loose: set[int] = set()
        self._ended: dict[str, tuple[int, deque[int]]] = {}

    def pull(self, ids: Sequence[int]) -> None:
        """These were read from the source."""
        stops = self._stops
        if not isinstance(ids, range) or ids.step != _STEP or (stops and ids.start < stops[-1]):
            self._loose.update(ids)
        elif stops and stops[-1] == ids.start:
            stops[-1] = ids.stop
        elif ids:
            self._starts.append(ids.start)
            stops.append(ids.stop)
        if len(self._loose) > KEPT or len(stops) > KEPT:
            self._forget()

    def finish(self, items: Sequence[Item]) -> None:
        """These are results."""
        ids = [item.id for item in items]
        # All of them are compared: results of several batches may begin and end like one that came back as it left.
        together = range(ids[0], ids[0] + len(ids) * _STEP, _STEP)
        if ids[-1] == together[-1] and ids == [*together] and self._take(together.start, together.stop):
            self.finished += len(ids)
        else:
            self.finished += len(self._take_each(items))

    def end(self, kind: str, items: Sequence[Item]) -> None:
        """These left the flow."""
        ended = self._take_each(items)
        if ended:
            count, ids = self._ended.get(kind) or (0, deque[int](maxlen=KEPT_ENDS))
            ids.extend(sorted(ended))
            self._ended[kind] = (count + len(ended), ids)

    def ended(self, kind: str) -> tuple[int, tuple[int, ...]]:
        """How many left the flow in this way, and the newest of them."""
        count, ids = self._ended.get(kind, (0, ()))
        return count, tuple(ids)

    @property
    def open(self) -> tuple[int, ...]:
        """Those that have not come to their end, as far as they are known by id."""
        ranges = zip(self._starts, self._stops, strict=True)
        return tuple(sorted([*self._loose, *(one for lo, hi in ranges for one in range(lo, hi, _STEP))]))

    def _take(self, start: int, stop: int) -> bool:
        """Take out what lies within one range."""
        starts, stops = self._starts, self._stops
        at = bisect_right(starts, start) - 1
        if at < 0 or stop > stops[at] or (start - starts[at]) % _STEP:
            return False
        if start > starts[at]:
            if stop < stops[at]:
                starts.insert(at + 1, stop)
                stops.insert(at, start)
            else:
                stops[at] = start
        elif stop < stops[at]:
            starts[at] = stop
        else:
            del starts[at], stops[at]
        return True

    def _take_each(self, items: Sequence[Item]) -> Collection[int]:
        """Take out those of these that are open; what one was made of stands for it."""
        taken = self._take_ids([item.id for item in items])
        if len(taken) < len(items):
            taken |= self._take_ids({item.parent_id for item in items if item.parent_id is not None})
        return taken

    def _take_ids(self, ids: Collection[int]) -> set[int]:
        if not ids:
            return set()
        self._loosen(min(ids), max(ids))
        taken = self._loose.intersection(ids)
        self._loose -= taken
        return taken

    def _loosen(self, lowest: int, highest: int) -> None:
        """No range reaches between these any more."""
        begin = max(0, bisect_right(self._starts, lowest) - 1)
        end = bisect_right(self._starts, highest)
        for lo, hi in zip(self._starts[begin:end], self._stops[begin:end], strict=True):
            self._loose.update(range(lo, hi, _STEP))
        del self._starts[begin:end], self._stops[begin:end]

    def _forget(self) -> None:
        """Too many never came to an end that tells what they were: the oldest are counted, and not known any more."""
        self._loose = set(_newest(self._loose, KEPT // 2))
        del self._starts[: -KEPT // 2], self._stops[: -KEPT // 2]


def _newest(ids: Iterable[int], keep: int) -> list[int]:
    return sorted(ids)[-keep:]
