"""What becomes of batches that failed and are not given up: they wait for another attempt, or run again in parts."""

from __future__ import annotations

import heapq
import itertools
import math

import attrs

from slither_actors.dispatch._desk import Task
from slither_actors.dispatch.messages import Ends, Tag
from slither_actors.workers.parcel import Parcel, count, halves

Part = tuple[tuple[Parcel, ...], tuple[Ends, ...]]


@attrs.define(eq=False)
class _Pieces:
    """A batch that runs in parts: how many are still out, and what came of the others, by their offset."""

    tag: Tag | None
    out: int = 1
    done: list[tuple[int, Part]] = attrs.field(factory=list)

    def joined(self) -> Part:
        parts = [part for _, part in sorted(self.done, key=lambda one: one[0])]
        parcels = itertools.chain.from_iterable(parcels for parcels, _ in parts)
        ends = itertools.chain.from_iterable(ends for _, ends in parts)
        return tuple(parcels), tuple(ends)


class SecondChances:
    """Of one run."""

    def __init__(self) -> None:
        self._later: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self._pieces: dict[int, _Pieces] = {}

    def __len__(self) -> int:
        """How many tasks wait for their time."""
        return len(self._later)

    @property
    def due(self) -> float:
        """When the first of them is to run."""
        return self._later[0][0] if self._later else math.inf

    def waiting(self) -> list[Task]:
        return [task for _, _, task in self._later]

    def retry(self, task: Task, at: float) -> None:
        heapq.heappush(self._later, (at, next(self._order), task))

    def take_due(self, now: float) -> list[Task]:
        """Those whose time has come, the first ones first."""
        ready = []
        while self._later and self._later[0][0] <= now:
            ready.append(heapq.heappop(self._later)[2])
        return ready

    def split(self, task: Task) -> tuple[Task, Task]:
        """Two tasks that take its place."""
        self._pieces.setdefault(task.index, _Pieces(task.tag)).out += 1
        left, right = halves(task.parcels)
        first, whole = count(left), count(task.parcels)
        tags = [_share(task.tag, part / whole) for part in (first, whole - first)]
        return (
            Task(task.run, task.index, left, task.owner, task.timeout_s, task.offset, tag=tags[0]),
            Task(task.run, task.index, right, task.owner, task.timeout_s, task.offset + first, tag=tags[1]),
        )

    def settle(self, task: Task, part: Part) -> Part | None:
        """What came of a task: that of the whole batch, or `None` while other parts of it are out."""
        pieces = self._pieces.get(task.index)
        if pieces is None:
            return part
        pieces.done.append((task.offset, part))
        pieces.out -= 1
        return None if pieces.out else self._pieces.pop(task.index).joined()

    def unfinished(self) -> list[tuple[int, Part, Tag | None]]:
        """What is done of batches of which parts are out, by the index of the batch, and the batch's tag."""
        return [(index, self._pieces[index].joined(), self._pieces[index].tag) for index in sorted(self._pieces)]


def _share(tag: Tag | None, share: float) -> Tag | None:
    """The tag of a part. What each item weighs is not known here, so all of them count the same."""
    return tag if tag is None else (tag[0], tag[1] * share, *tag[2:])
