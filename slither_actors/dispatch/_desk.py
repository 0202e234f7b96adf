"""The workers that a dispatcher has leased, and what each of them has to do."""

from __future__ import annotations

import math
from collections import deque

import attrs

from slither_actors.dispatch._edges import InEdge
from slither_actors.dispatch.messages import Tag
from slither_actors.otp.ref import Ref
from slither_actors.workers.parcel import Parcel

# One batch in work and one waiting: the worker never idles for a round trip, and little is stranded by its death.
SLOTS = 2

# Nothing is put behind a batch that has run for so long: the pause between two batches is little beside that, and
# another worker may be free before.
LONG_S = 0.01

# Where workers go round, a dispatcher that has work for one may keep it for so many batches, or until it has run for so
# long: to hand it over takes as much processor time as a small batch or two.
TURN_BATCHES = 16
TURN_S = 0.01


@attrs.define(eq=False)
class Task:
    """One batch on its way through a dispatcher, or a part of one that failed.

    Attributes:
        run: the run it belongs to.
        index: the place of the batch in the order of arrival within the run.
        parcels: its items.
        owner: the edge that the batch came in on.
        timeout_s: how long it may run.
        began: when it began to run.
        offset: the place of its first item within the batch.
        attempts: how often it has failed.
        number: that of its execution, which is its own; 0 while there is none.
        kill_again: when its worker is to be killed once more, for a batch that is over its time.
        waits_since: when it began to wait for a worker.
        until: when it must be over, since its run is.
        tag: what a strategy said of the batch.
    """

    run: str
    index: int
    parcels: tuple[Parcel, ...]
    owner: InEdge
    timeout_s: float = math.inf
    offset: int = 0
    attempts: int = 0
    number: int = 0
    kill_again: float = 0.0
    waits_since: float = 0.0
    until: float = math.inf
    tag: Tag | None = None
    began: float = math.inf

    @property
    def lane(self) -> int:
        """Its lane, 0 for none."""
        return self.tag[0] if self.tag is not None else 0

    @property
    def weight(self) -> float:
        return self.tag[1] if self.tag is not None else 0.0

    @property
    def deadline(self) -> float:
        """When its worker is to be killed."""
        return max(min(self.began + self.timeout_s, self.until), self.kill_again)


@attrs.define(eq=False)
class _Seat:
    worker: Ref
    tasks: deque[Task] = attrs.field(factory=deque)
    given: int = 0  # batches since the lease was granted
    seconds: float = 0.0  # that the worker has run since then
    leaving: bool = False

    @property
    def takes_more(self) -> bool:
        """Whether there may be a task more, if there is room. Nothing is put behind what may be heavy where others
        want the worker: behind the first batch, of which nobody knows yet."""
        if not self.leaving:
            return True
        if self.given >= TURN_BATCHES or self.seconds >= TURN_S:
            return False
        return not self.tasks or self.given > len(self.tasks)


class Desk:
    """Leased workers by address."""

    def __init__(self) -> None:
        self._seats: dict[str, _Seat] = {}
        self.someone_leaves = False

    def __len__(self) -> int:
        return len(self._seats)

    def seat(self, worker: Ref) -> None:
        """A lease was granted; perhaps by a new pool, for a worker that has tasks under the old one's lease."""
        seat = self._seats.setdefault(worker.address, _Seat(worker))
        seat.given, seat.seconds, seat.leaving = 0, 0.0, False

    def free_worker(self, now: float, *, idle_only: bool = False) -> Ref | None:
        """The worker with the least to do that can take a task more, or only one that has nothing to do."""
        best = None
        for seat in self._seats.values():
            if len(seat.tasks) < SLOTS and seat.takes_more and (best is None or len(seat.tasks) < len(best.tasks)):
                if not seat.tasks:
                    return seat.worker
                if now - seat.tasks[0].began < LONG_S:
                    best = seat
        return best.worker if best and not idle_only else None

    def load(self, address: str) -> int | None:
        """How many tasks a worker has that may take more; `None` if it may not, or is not leased."""
        seat = self._seats.get(address)
        return len(seat.tasks) if seat is not None and not seat.leaving else None

    def __contains__(self, address: str) -> bool:
        return address in self._seats

    def assign(self, worker: Ref, task: Task, now: float) -> bool:
        """Give the worker a task; true if it begins at once."""
        seat = self._seats[worker.address]
        begins = not seat.tasks
        task.began = now if begins else math.inf
        seat.tasks.append(task)
        seat.given += 1
        return begins

    def finish(
        self, address: str, number: int, now: float, seconds: float | None = None
    ) -> tuple[Task | None, Task | None]:
        """The worker is done with a task, which it has run for so many seconds: that task, and the one it begins now.
        `None` for what there is not, also for a task that this desk knows nothing of."""
        seat = self._seats.get(address)
        if seat is None or not seat.tasks or seat.tasks[0].number != number:
            return None, None
        task = seat.tasks.popleft()
        seat.seconds += now - task.began if seconds is None else seconds
        if not seat.tasks:
            return task, None
        seat.tasks[0].began = now
        return task, seat.tasks[0]

    def take_back(self, address: str, number: int) -> Task | None:
        """A task did not reach its worker, which is dead or nearly so; gives it nothing more to do."""
        seat = self._seats.get(address)
        task = next((task for task in seat.tasks if task.number == number), None) if seat else None
        if seat is not None and task is not None:
            if len(seat.tasks) > 1 and seat.tasks[0] is task:
                seat.tasks[1].began = task.began
            seat.tasks.remove(task)
            self._dismiss(seat)
        return task

    def remove(self, address: str) -> list[Task] | None:
        """The lease is over; returns the tasks the worker still had, in order; `None` if there was no lease."""
        seat = self._seats.pop(address, None)
        return list(seat.tasks) if seat else None

    def recall(self, worker: Ref, *, turn: bool = False) -> None:
        """It goes when its tasks are done; with `turn` when there is nothing for it to do, or it has had its turn."""
        seat = self._seats.get(worker.address)
        if seat is not None and turn:
            seat.leaving = self.someone_leaves = True
        elif seat is not None:
            self._dismiss(seat)

    def recall_all(self) -> tuple[Ref, ...]:
        """The leases mean nothing any more; the workers that are at a task all the same."""
        for seat in self._seats.values():
            self._dismiss(seat)
        return tuple([seat.worker for seat in self._seats.values() if seat.tasks])

    def _dismiss(self, seat: _Seat) -> None:
        """It gets nothing more to do."""
        seat.leaving = self.someone_leaves = True
        seat.seconds = math.inf

    def tasks_of(self, run: str) -> list[Task]:
        return [task for seat in self._seats.values() for task in seat.tasks if task.run == run]

    def places_of(self, run: str) -> list[tuple[str, Task]]:
        """The tasks of a run, each with the name of its worker."""
        return [(seat.worker.name, task) for seat in self._seats.values() for task in seat.tasks if task.run == run]

    def take_idle(self, *, recalled_only: bool, keep: int = 0) -> list[Ref]:
        """Workers without tasks, removed from the desk: those that were recalled, or all but so many that `keep`
        workers stay."""
        idle = [seat for seat in self._seats.values() if not seat.tasks]
        leaving = [seat for seat in idle if seat.leaving]
        if recalled_only:
            idle = leaving
        elif keep:
            spare = sum(not seat.leaving for seat in self._seats.values()) - keep
            idle = leaving + [seat for seat in idle if not seat.leaving][: max(0, spare)]
        for seat in idle:
            del self._seats[seat.worker.address]
        self.someone_leaves = any(seat.leaving for seat in self._seats.values())
        return [seat.worker for seat in idle]

    def give_up(self, *, recalled_only: bool, keep: int = 0) -> list[tuple[Ref, Ref | None]]:
        """As `take_idle`, and those that idle while one that was recalled is busy: each goes in its place, or whoever
        waits for it would wait for the end of a batch. With each the one that stays, or `None`."""
        going: list[tuple[Ref, Ref | None]] = [
            (worker, None) for worker in self.take_idle(recalled_only=recalled_only, keep=keep)
        ]
        if self.someone_leaves:
            idle = [seat for seat in self._seats.values() if not seat.tasks]
            busy = [seat for seat in self._seats.values() if seat.leaving and seat.seconds < math.inf]
            for seat, stays in zip(idle, busy, strict=False):
                stays.leaving = False
                del self._seats[seat.worker.address]
                going.append((seat.worker, stays.worker))
            self.someone_leaves = any(seat.leaving for seat in self._seats.values())
        return going

    def running(self) -> list[tuple[Ref, Task]]:
        """The task that each busy worker runs."""
        return [(seat.worker, seat.tasks[0]) for seat in self._seats.values() if seat.tasks]
