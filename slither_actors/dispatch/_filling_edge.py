"""From one worker stage to another, which wants batches of a size of its own: what comes is cut and joined for it."""

from __future__ import annotations

import math

from slither_actors.dispatch._edges import OutEdge, Owner
from slither_actors.dispatch.messages import Ends, Expanded, OutPort, Tag
from slither_actors.workers.parcel import Parcel, count, cut


class FillingEdge(OutEdge):
    """A producer's end whose batches have the size that the consumer wants, whatever is put in. Nothing is decoded.

    What is less than a batch waits here, and what it came in with counts as settled: so it can be no reason why nothing
    more comes, and less than a batch more is held than credit says.

    A parcel that is cut travels twice. So what comes as whole batches goes on as whole batches, and a batch before it
    that is not full, since items were lost, goes as it is.
    """

    __slots__ = ("_lacking", "_part", "_since")

    def __init__(self, run: str, port: OutPort) -> None:
        super().__init__(run, port)
        self._part: list[Parcel] = []  # of the batch that is not full
        self._lacking = port.batch_size
        self._since: float | None = None  # when somebody first saw that part

    def put(
        self,
        parcels: tuple[Parcel, ...],
        ends: tuple[Ends | Expanded, ...] = (),
        owner: Owner | None = None,
        tag: Tag | None = None,
    ) -> None:
        full = self._filled(parcels)
        for batch in full[:-1]:
            super().put(batch)
        if full:
            super().put(full[-1], (), owner)
        elif owner is not None:
            owner.settle()

    def _filled(self, parcels: tuple[Parcel, ...]) -> list[tuple[Parcel, ...]]:
        """The batches that are full now."""
        full = []
        if self._part and count(parcels) % self.port.batch_size == 0:
            full.append(self._take_part())
        for parcel in parcels:
            lo, size = 0, count((parcel,))
            while lo < size:
                hi = min(size, lo + self._lacking)
                self._part.append(cut(parcel, lo, hi))
                self._lacking -= hi - lo
                lo = hi
                if not self._lacking:
                    full.append(self._take_part())
        return full

    def _take_part(self) -> tuple[Parcel, ...]:
        part, self._part, self._lacking, self._since = tuple(self._part), [], self.port.batch_size, None
        return part

    def due(self, now: float) -> float:
        """When the batch that is not full is to go as it is. To be asked after each `put`."""
        if not self._part or self.port.max_wait_s is None:
            return math.inf
        if self._since is None:
            self._since = now
        return self._since + self.port.max_wait_s

    def finish(self) -> None:
        if self._part:
            super().put(self._take_part())
