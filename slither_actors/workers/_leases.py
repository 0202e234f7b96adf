"""Who may use which worker. Pure: events in, grants and recalls out.

Every holder that wants workers gets an equal share, as far as it wants that much. Where there are more holders than
workers, a worker goes round: it is recalled from the holder that has had it longest.
"""

from __future__ import annotations

from slither_actors.otp.ref import Ref
from slither_actors.workers.messages import LeaseAnswer, LeaseGranted, LeaseRecalled, WorkerTaken

Action = tuple[str, LeaseGranted | LeaseRecalled | LeaseAnswer | WorkerTaken]


class LeaseBook:
    """The workers of one pool and their holders (addresses of dispatchers)."""

    def __init__(self) -> None:
        self._free: dict[Ref, None] = {}
        # Up, but perhaps still at work for a holder that is dead; "" for one that an earlier book knew of.
        self._leaving: dict[Ref, str] = {}
        self._held: dict[Ref, str] = {}  # in the order of the grants
        self._recalled: set[Ref] = set()
        self._wants: dict[str, int] = {}  # in the order of waiting
        self._unanswered: dict[str, int] = {}
        self._restarting: set[str] = set()  # names of workers that died, and will be back
        self._holders: set[str] = set()
        self._by_name: dict[Ref, dict[str, None]] = {}  # who waits for this very worker

    @property
    def workers(self) -> tuple[Ref, ...]:
        """All workers that are up, in the order of their names."""
        known = (*self._free, *self._held, *self._leaving)
        return tuple(sorted(known, key=lambda ref: (len(ref.name), ref.name)))

    @property
    def figures(self) -> dict[str, int]:
        """How many workers are up, by what they are: idle, leased, or yet to be vacated."""
        return {"idle": len(self._free), "leased": len(self._held), "leaving": len(self._leaving)}

    def worker_up(self, worker: Ref) -> None:
        """It is granted to nobody before it is `vacated` by ""."""
        self._restarting.discard(worker.name)
        self._leaving[worker] = ""
        for dead in [ref for ref in self._by_name if ref.name == worker.name and ref != worker]:
            del self._by_name[dead]

    def vacated(self, worker: Ref, holder: str) -> list[Action]:
        """The worker does nothing for this dead holder any more."""
        if self._leaving.get(worker) == holder:
            del self._leaving[worker]
            self._free[worker] = None
        return self._settle()

    def is_left_by(self, worker: Ref, holder: str) -> bool:
        """Whether the worker has yet to end what it does for this dead holder."""
        return self._leaving.get(worker) == holder

    def worker_down(self, worker: Ref) -> list[Action]:
        """A worker died; may be told more than once, also when the next one under its name is up."""
        if worker in self.workers:
            self._restarting.add(worker.name)
        self._free.pop(worker, None)
        self._leaving.pop(worker, None)
        self._held.pop(worker, None)
        self._recalled.discard(worker)
        self._by_name.pop(worker, None)
        return self._settle()

    def request_worker(self, holder: str, worker: Ref) -> list[Action]:
        """`holder` wants this very worker; it is told if it has to wait for another holder."""
        self._holders.add(holder)
        if self._held.get(worker) == holder:
            return [(holder, LeaseGranted(worker))]
        self._by_name.setdefault(worker, {})[holder] = None
        actions = self._settle()
        if worker in self._held and holder in self._by_name.get(worker, ()):
            actions.append((holder, WorkerTaken(worker)))
        return actions

    def request(self, holder: str, want: int) -> list[Action]:
        """`holder` can use `want` workers in all; 0 means none any more.

        The answer waits for the workers that have yet to be vacated, or to come back: a holder that is told that
        nothing more comes puts its batches behind others.
        """
        self._holders.add(holder)
        self._wants.pop(holder, None)
        self._unanswered[holder] = want
        if want > 0:
            self._wants[holder] = want
        return self._settle()

    def give_back(self, holder: str, worker: Ref) -> list[Action]:
        if self._held.get(worker) == holder:
            del self._held[worker]
            self._recalled.discard(worker)
            self._free[worker] = None
            if holder in self._wants:  # to the end of the line
                self._wants[holder] = self._wants.pop(holder)
        return self._settle()

    def knows(self, holder: str) -> bool:
        """Whether a worker may know of runs of this holder: it has asked for workers, and is not known to be dead."""
        return holder in self._holders

    def holder_down(self, holder: str) -> list[Ref]:
        """The holder is dead; the workers that may still be at work for it, granted to nobody before they are
        `vacated`."""
        self._holders.discard(holder)
        self._wants.pop(holder, None)
        self._unanswered.pop(holder, None)
        for waiting in self._by_name.values():
            waiting.pop(holder, None)
        left = [worker for worker, who in self._held.items() if who == holder]
        for worker in left:
            del self._held[worker]
            self._recalled.discard(worker)
            self._leaving[worker] = holder
        return left

    def _settle(self) -> list[Action]:
        actions = self._grant_by_name() if self._by_name else []
        actions += self._grant()
        actions += self._recall()
        if not self._leaving and not self._restarting:
            actions += [(holder, LeaseAnswer(want)) for holder, want in self._unanswered.items()]
            self._unanswered.clear()
        return actions

    def _grant_by_name(self) -> list[Action]:
        """Free workers to those who want these very ones; others are recalled for them."""
        actions: list[Action] = []
        for worker, waiting in list(self._by_name.items()):
            holder = next(iter(waiting), None)
            if holder is None:
                del self._by_name[worker]
            elif worker in self._free:
                del self._free[worker]
                self._held[worker] = holder
                del waiting[holder]
                actions.append((holder, LeaseGranted(worker)))
            if waiting and worker in self._held and worker not in self._recalled:
                self._recalled.add(worker)
                actions.append((self._held[worker], LeaseRecalled(worker)))
        return actions

    def _grant(self) -> list[Action]:
        actions: list[Action] = []
        while self._free:
            short = [holder for holder, want in self._wants.items() if self._count(holder) < want]
            if not short:
                break
            holder = min(short, key=self._count)
            worker = next(iter(self._free))
            del self._free[worker]
            self._held[worker] = holder
            actions.append((holder, LeaseGranted(worker)))
        return actions

    def _recall(self) -> list[Action]:
        """Ask the richest for a worker for each holder who is poorer by more than one, or has none at all."""
        actions: list[Action] = []
        coming = len(self._recalled)
        for poor in sorted((h for h, want in self._wants.items() if self._count(h) < want), key=self._count):
            if coming > 0:
                coming -= 1  # one that is on its way already is for this one
                continue
            # the first of the richest, so the one whose oldest lease is the oldest
            rich = max(dict.fromkeys(self._held.values()), key=self._keeps, default=None)
            if rich is None or rich == poor:
                break
            have, keeps = self._count(poor), self._keeps(rich)
            if keeps > have + 1 or (have == 0 and keeps == 1):
                worker = next(w for w, h in self._held.items() if h == rich and w not in self._recalled)
                self._recalled.add(worker)
                actions.append((rich, LeaseRecalled(worker)))
        return actions

    def _count(self, holder: str) -> int:
        return sum(1 for who in self._held.values() if who == holder)

    def _keeps(self, holder: str) -> int:
        return sum(1 for worker, who in self._held.items() if who == holder and worker not in self._recalled)
