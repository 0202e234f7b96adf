"""What must be true of the work that goes to workers: leases, attempts, who is charged for a death."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import attrs

from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.messages import Batch, Ends, Failed, OpenRun, ends_of
from slither_actors.errors import BatchTimeout, WorkerCrashed
from slither_actors.otp.messages import Down, Up
from slither_actors.testing import _peek
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._rules import Rule, on_delivered, on_sent
from slither_actors.testing._worker import SimulatedWorker
from slither_actors.transport.hub import Undelivered
from slither_actors.workers.messages import BatchDone, BatchFailed, LeaseGranted, LeaseReturned, RunBatch
from slither_actors.workers.pool import LEASES, Pool


@attrs.define(eq=False)
class Lease:
    """A batch that is with a worker, as its dispatcher knows."""

    dispatcher: str
    worker: str
    run: str
    number: int
    ids: tuple[int, ...]


class _LeaseRule(Rule):
    """Knows which batch is with which worker."""

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self.leases: dict[tuple[str, int], Lease] = {}

    @on_sent(RunBatch)
    def _open(self, sender: str, to: str, message: RunBatch) -> None:
        lease = Lease(sender, to, message.run, message.number, self.book.ids(message.parcels))
        self.look(lease)
        self.leases[sender, message.number] = lease

    @on_delivered(BatchDone, BatchFailed)
    def _close(self, sender: str, to: str, message: BatchDone | BatchFailed) -> None:
        self.leases.pop((to, message.number), None)

    @on_delivered(Undelivered)
    def _come_back(self, sender: str, to: str, message: Undelivered) -> None:
        if isinstance(message.original, RunBatch):
            self.leases.pop((to, message.original.number), None)

    def look(self, lease: Lease) -> None:
        """A lease is about to be opened."""


class OneLeaseAtATime(_LeaseRule):
    """I10: no batch is with two living workers, and no item of one."""

    id = "I10"

    def look(self, lease: Lease) -> None:
        mine = set(lease.ids)
        for other in self.leases.values():
            same = (other.dispatcher, other.run) == (lease.dispatcher, lease.run)
            if same and other.worker in self.book.world.nodes and not mine.isdisjoint(other.ids):
                self.check(False, f"a batch goes to {lease.worker} that {other.worker} has")


class LeasesOfThePool(Rule):
    """I10: batches go only to workers that the pool has leased and nobody has given back, and a new pool knows of no
    lease of the old one."""

    id = "I10"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._leased: dict[str, set[str]] = defaultdict(set)

    @on_delivered(LeaseGranted)
    def _note_grant(self, sender: str, to: str, message: LeaseGranted) -> None:
        self._leased[to].add(message.worker.address)

    @on_sent(LeaseReturned)
    def _note_return(self, sender: str, to: str, message: LeaseReturned) -> None:
        self._leased[sender].discard(message.worker.address)

    @on_delivered(Up)
    def _note_pool(self, sender: str, to: str, message: Up) -> None:
        if message.ref.name.endswith(f"/{LEASES}"):
            self._leased[to].clear()

    @on_sent(RunBatch)
    def _look(self, sender: str, to: str, message: RunBatch) -> None:
        self.check(to in self._leased[sender], f"{sender} gives a batch to {to}, which it has not leased")


class TwoBatchesPerWorker(_LeaseRule):
    """I19: no more than two batches of a dispatcher are with a worker: one in work, one waiting."""

    id = "I19"

    def look(self, lease: Lease) -> None:
        there = [
            one for one in self.leases.values() if (one.dispatcher, one.worker) == (lease.dispatcher, lease.worker)
        ]
        self.check(len(there) < _peek.SLOTS, f"{lease.dispatcher} gives {lease.worker} a batch beyond {len(there)}")


class ReturnedGoFirst(_LeaseRule):
    """I15: batches that came back unharmed from a dead worker are sent again before newer ones."""

    id = "I15"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        # by dispatcher and worker: what that one was running, and all that it had then
        self._dead: dict[tuple[str, str], tuple[Any, set[int]]] = {}
        self._seen: set[tuple[str, str, int]] = set()

    @on_delivered(Down)
    def _note_death(self, sender: str, to: str, message: Down) -> None:
        worker = message.ref.address
        had = {one.number for one in self.leases.values() if (one.dispatcher, one.worker) == (to, worker)}
        self._dead.setdefault((to, worker), (message.finding, had))

    def look(self, lease: Lease) -> None:
        known = {(lease.dispatcher, lease.run, one) for one in lease.ids}
        is_fresh = known.isdisjoint(self._seen)
        self._seen |= known
        for key, one in list(self.leases.items()):
            at = one.dispatcher, one.worker
            if one.run != lease.run or one.dispatcher != lease.dispatcher or at not in self._dead:
                continue
            if self.book.world.settling == (one.worker, one.dispatcher):
                continue  # the news of the death comes behind all that the worker had sent
            running, had = self._dead[at]
            if one.number not in had:
                continue  # sent to the dead by mistake, and will come back
            if one.number == running or not set(one.ids).isdisjoint(lease.ids):
                del self.leases[key]
            else:
                self.check(
                    not is_fresh,
                    f"{lease.dispatcher} sends a newer batch of {lease.run} before one that {one.worker} had",
                )


class AttemptsWithinPolicy(Rule):
    """I7: an item is executed at most as often as its policy allows; bisecting adds one for each halving."""

    id = "I7"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._policies: dict[tuple[str, str], Any] = {}
        self._times: Counter[tuple[str, str, int]] = Counter()
        self._whole: dict[tuple[str, str, int], int] = {}  # the size of the batch that an item was first in

    @on_sent(OpenRun)
    def _learn(self, sender: str, to: str, message: OpenRun) -> None:
        options = getattr(message.plan, "options", None)
        if options is not None:
            self._policies[message.run, to] = options.on_error

    def begun(self, worker: SimulatedWorker, dispatcher: str, message: RunBatch, ids: tuple[int, ...]) -> None:
        policy = self._policies[message.run, dispatcher]
        for one in ids:
            key = message.run, dispatcher, one
            self._times[key] += 1
            times, whole = self._times[key], self._whole.setdefault(key, len(ids))
            halvings = math.ceil(math.log2(whole)) if getattr(policy, "isolate", False) else 0
            limit = getattr(policy, "max_attempts", 1) + halvings
            self.check(
                times <= limit, f"an item of {message.run} is executed for the {times}th time, {limit} are allowed"
            )


class OnlyTheRunningIsCharged(Rule):
    """I14: a death is charged to the batch that was executing, and a timeout to one that had its time."""

    id = "I14"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._running: dict[str, tuple[float, tuple[int, ...]]] = {}
        self._struck: dict[int, float] = {}  # by item: the longest time it ran for when its worker died
        self._batches: dict[tuple[str, str, int], tuple[int, ...]] = {}

    def begun(self, worker: SimulatedWorker, dispatcher: str, message: RunBatch, ids: tuple[int, ...]) -> None:
        self._running[worker.address] = self.book.world.now, ids

    def died(self, process: SimulatedProcess) -> None:
        began, ids = self._running.get(process.address, (0.0, ()))
        if process.finding:
            for one in ids:
                self._struck[one] = max(self._struck.get(one, 0.0), self.book.world.now - began)

    @on_sent(Batch, Failed)
    def _look(self, sender: str, to: str, message: Batch | Failed) -> None:
        for ends in ends_of(message):
            self._check_ends(ends)

    def _check_ends(self, ends: Ends) -> None:
        if isinstance(ends.error, WorkerCrashed | BatchTimeout):
            innocent = [one for one in self.book.ids(ends.parcels) if one not in self._struck]
            self.check(not innocent, f"{len(innocent)} items pay for a death that did not befall them: {ends.error}")


class OnlyCulpritsAreGivenUp(Rule):
    """I16: a policy that isolates gives up single items, each of which has failed alone."""

    id = "I16"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._isolates: dict[tuple[str, str], bool] = {}

    @on_sent(OpenRun)
    def _learn(self, sender: str, to: str, message: OpenRun) -> None:
        options = getattr(message.plan, "options", None)
        self._isolates[message.run, to] = getattr(getattr(options, "on_error", None), "isolate", False)

    @on_sent(Batch, Failed)
    def _look(self, sender: str, to: str, message: Batch | Failed) -> None:
        if not self._isolates.get((message.run, sender), False):
            return
        for ends in ends_of(message):
            ids = self.book.ids(ends.parcels)
            was_alone = any(one[1:4] == [message.run, sender, ids] for one in self.book.executions)
            if was_alone:  # else it could not be read, or was never executed
                self.check(len(ids) == 1, f"{len(ids)} items are given up together: {ends.error}")


class NobodyIdlesBesideWork(Rule):
    """I12: no state with work, credit and an idle worker lasts longer than one tick. That a run ends is looked at when
    nothing happens any more."""

    id = "I12"

    def silent(self) -> None:
        processes = [node for node in self.book.world.nodes.values() if isinstance(node, SimulatedProcess)]
        hungry: dict[str, list[str]] = defaultdict(list)
        for process in processes:
            if isinstance(process.server, Dispatcher):
                runs = _peek.hungry(process.server)
                idle = _peek.idle_seats(process.server)
                self.check(not (runs and idle), f"{process.address} has work for {runs} and leaves {idle} idle")
                if runs:
                    hungry[process.address] = runs
        for process in processes:
            if isinstance(process.server, Pool) and hungry:
                free = _peek.free_workers(process.server)
                self.check(not free, f"{free} are free, and {dict(hungry)} wait")
