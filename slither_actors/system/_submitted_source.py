"""The source of a run that is fed by `submit`: it gives what is there, and waits for more without end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch._former import Former
from slither_actors.dispatch._orders import Orders
from slither_actors.dispatch.messages import Tag
from slither_actors.dispatch.source import Source
from slither_actors.errors import NotPicklable
from slither_actors.item import Item, columns
from slither_actors.system._submissions import Submissions
from slither_actors.workers.parcel import Parcel, pack

Clock = Callable[[], float]


class SubmittedSource(Source):
    """Pulled in the thread that drives the run.

    Args:
        submissions: where items come from.
        unfit: told of an item that cannot travel, and why.
        former: forms the batches, where the first stage takes full ones.
        size: items that a batch may have, where there is a former.
        idle_s: after so many seconds without an item the source is at its end; `None` is never.
        clock: gives seconds.
    """

    def __init__(
        self,
        submissions: Submissions,
        unfit: Callable[[Item, NotPicklable], None],
        former: Former | None,
        size: int,
        idle_s: float | None,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__((), "submit")
        self.orders: Orders | None = None  # of the run, when it is open
        self._submissions = submissions
        self._unfit = unfit
        self._former = former
        self._size = size
        self._idle_s = math.inf if idle_s is None else idle_s
        self._clock = clock
        self._idle_since: float | None = None
        self._due_s = math.inf
        self._sent = 0
        self._ends = False  # nothing comes behind what is there

    @property
    def due_s(self) -> float:
        return self._due_s

    @property
    def willing(self) -> bool:
        self._due_s = math.inf
        if self.exhausted or (self.orders is not None and self.orders.cutting is not None):
            return False
        return self._has_some() or self._ends or self._has_idled()

    def _has_some(self) -> bool:
        if self._former is None:
            return self._submissions.look()
        left_s = self._former.flush_late()
        if self._former.ready:
            return True
        if left_s is not None:
            self._due_s = left_s
        return self._room > 0 and self._submissions.look()

    @property
    def _room(self) -> int:
        assert self._former is not None
        return 2 * self._size - self._former.held

    def _has_idled(self) -> bool:
        if self._idle_s == math.inf:
            return False
        if self._submissions.under_way:
            self._idle_since = None
            return False
        now = self._clock()
        if self._idle_since is None:
            self._idle_since = now
        left_s = self._idle_since + self._idle_s - now
        self._ends = left_s <= 0
        self._due_s = min(self._due_s, left_s)
        return self._ends

    def feed(self, out: OutEdge, size: int) -> None:
        self._idle_since = None
        if self._former is None:
            self._send(out, self._pulled(size), None)
        else:
            self._form(self._former, out)
        left = self._submissions.queued or (self._former is not None and (self._former.ready or self._former.held))
        self.exhausted = self._ends and not left

    def _form(self, former: Former, out: OutEdge) -> None:
        if not former.ready:
            former.flush_late()
        if not former.ready:
            for item in self._pulled(min(self._room, self._size)):
                former.push(item)
        if not former.ready and self._room <= 0:
            former.flush("ceiling")
        if not former.ready and self._ends and not self._submissions.queued:
            former.flush("end")
        if former.ready:
            cut = former.ready.popleft()
            self._sent += 1
            self._send(out, cut, cut.tag(self._sent))

    def _pulled(self, count: int) -> list[Item]:
        items = self._submissions.pull(count)
        self.pulled += len(items)
        if items:
            self.ids.pull([item.id for item in items])
        return items

    def _send(self, out: OutEdge, items: Sequence[Item], tag: Tag | None) -> None:
        parcels = self._packed(items)
        if parcels:
            out.put(parcels, (), None, tag)

    def _packed(self, items: Sequence[Item]) -> tuple[Parcel, ...]:
        """Those that can travel."""
        if not items:
            return ()
        try:
            return (pack(columns(items)),)
        except NotPicklable:
            parcels = []
        for item in items:
            try:
                parcels.append(pack(columns([item])))
            except NotPicklable as error:
                self._unfit(item, NotPicklable(f"a submitted item ({type(item.payload).__name__})", error.why))
        return tuple(parcels)

    def cut(self) -> bool:
        """Nothing comes any more; what was submitted is still pulled."""
        self._ends = True
        return True
