"""Who may use which worker. Pure: events in, grants and recalls out.

Every holder that wants workers gets an equal share, as far as it wants that much. Where there are more holders than
workers, a worker goes round: it is recalled from the holder that has had it longest. One that retires is granted to
nobody but those who want this very worker, and leaves as soon as nothing lives in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from slither_actors.errors import PoolQuarantined
from slither_actors.otp.ref import Ref
from slither_actors.workers.messages import (
    LeaseAnswer,
    LeaseGranted,
    LeaseRecalled,
    LeaseRefused,
    WorkerEmpty,
    WorkerRetires,
    WorkerTaken,
)

News = LeaseAnswer | LeaseGranted | LeaseRecalled | LeaseRefused | WorkerEmpty | WorkerRetires | WorkerTaken
Action = tuple[str, News]

# Stands for the address of the workers' supervisor.
SUPERVISOR = ""


class LeaseBook:
    """The workers of one pool and their holders (addresses of dispatchers).

    Args:
        lives_in: whether there is something in a worker that nobody holds, and that would be lost with it.
    """

    def __init__(self, lives_in: Callable[[Ref], bool] = lambda worker: False) -> None:
        self._lives_in = lives_in
        self._free: dict[Ref, None] = {}
        self._resting: dict[Ref, None] = {}  # held by nobody, and retiring
        # Up, but perhaps still at work for a holder that is dead; "" for one that an earlier book knew of.
        self._leaving: dict[Ref, str] = {}
        self._held: dict[Ref, str] = {}  # in the order of the grants
        self._recalled: dict[Ref, bool] = {}  # each with whether the holder may finish its turn
        self._retiring: set[Ref] = set()
        self._wants: dict[str, int] = {}  # in the order of waiting
        self._unanswered: dict[str, int] = {}
        self._claimed: dict[Ref, str] = {}  # who says that it is at work there, since an earlier book
        self._awaited: set[str] = set()  # names of workers that will be free in a moment, if all goes well
        self._missed: frozenset[str] = frozenset()  # names of those that will not be back soon
        self._refusal: PoolQuarantined | None = None
        self._by_name: dict[Ref, dict[str, None]] = {}  # who waits for this very worker
        self._askers: set[str] = set()  # who has ever asked for a worker by its name

    @property
    def workers(self) -> tuple[Ref, ...]:
        """All workers that are up, in the order of their names."""
        known = (*self._free, *self._held, *self._leaving, *self._resting)
        return tuple(sorted(known, key=lambda ref: (len(ref.name), ref.name)))

    @property
    def figures(self) -> dict[str, int]:
        """How many workers are up, by what they are: idle, leased, or yet to be vacated."""
        return {"idle": len(self._free), "leased": len(self._held), "leaving": len(self._leaving)}

    @property
    def keeps_somebody_waiting(self) -> bool:
        """Whether a holder is not answered yet, since a worker will be free in a moment."""
        return bool(self._unanswered)

    @property
    def has_resting(self) -> bool:
        """Whether one that retires waits for what lives in it; `look` sees whether that is over."""
        return bool(self._resting)

    # -- workers

    def worker_up(self, worker: Ref) -> None:
        """It is granted to nobody before it is `vacated` by ""."""
        self._awaited.add(worker.name)
        self._leaving[worker] = ""
        for known in (self._by_name, self._claimed):
            for dead in [ref for ref in known if ref.name == worker.name and ref != worker]:
                del known[dead]

    def claim(self, holder: str, worker: Ref) -> None:
        """`holder` is at work there, by a lease of an earlier book; it will see to it that this comes to an end. The
        news may be older than the end, or younger than the worker is known here."""
        known = self._awaited | {ref.name for ref in self.workers}
        if self._leaving.get(worker) == "" or worker.name not in known:
            self._claimed[worker] = holder

    def vacated(self, worker: Ref, holder: str) -> list[Action]:
        """The worker does nothing for this dead holder any more."""
        if self._leaving.get(worker) == holder:
            del self._leaving[worker]
            self._claimed.pop(worker, None)
            self._free_up(worker)
        return self._settle()

    def leaves(self, worker: Ref) -> bool:
        """Whether it has yet to be vacated."""
        return worker in self._leaving

    def is_left_by(self, worker: Ref, holder: str) -> bool:
        """Whether the worker has yet to end what it does for this dead holder; for "", for one that nobody knows."""
        return self._leaving.get(worker) == holder and (holder != "" or worker not in self._claimed)

    def worker_down(self, worker: Ref) -> list[Action]:
        """A worker died; may be told more than once, also when the next one under its name is up."""
        if worker in self.workers:
            self._awaited.discard(worker.name)
            if worker not in self._retiring and worker.name not in self._missed:
                self._awaited.add(worker.name)
        for known in (self._free, self._resting, self._leaving, self._held, self._by_name, self._claimed):
            known.pop(worker, None)
        self._recalled.pop(worker, None)
        self._retiring.discard(worker)
        return self._settle()

    def staff(
        self, retiring: Collection[Ref], missed: Collection[str] = (), refusal: PoolQuarantined | None = None
    ) -> list[Action]:
        """What the supervisor says of its workers. To repeat it does no harm.

        Args:
            retiring: those that are to end as soon as nothing lives in them; once told, never taken back.
            missed: names of those that died and will not be back soon.
            refusal: why no worker is there, or will be soon; whoever wants one is told.
        """
        self._missed = frozenset(missed)
        self._awaited -= self._missed
        self._refusal = refusal
        self._retiring.intersection_update(retiring)
        actions: list[Action] = []
        for worker in [ref for ref in retiring if ref not in self._retiring]:
            self._retiring.add(worker)
            if worker in self._free:
                del self._free[worker]
                self._resting[worker] = None
            elif worker in self._held and self._recalled.get(worker, True):
                actions.append(self._recall_at_once(worker))
            actions += [(holder, WorkerRetires(worker)) for holder in sorted(self._askers)]
        return actions + self._settle()

    def stop_waiting(self) -> list[Action]:
        """Those workers that should be free by now take longer; all requests are answered with what there is."""
        self._awaited.clear()
        return self._settle()

    def look(self) -> list[Action]:
        """See whether what lived in those that retire is over."""
        return self._settle()

    # -- holders

    def request_worker(self, holder: str, worker: Ref) -> list[Action]:
        """`holder` wants this very worker; it is told if it has to wait for another holder."""
        self._askers.add(holder)
        if self._held.get(worker) == holder:
            return [(holder, LeaseGranted(worker))]
        self._by_name.setdefault(worker, {})[holder] = None
        actions: list[Action] = [(holder, WorkerRetires(worker))] if worker in self._retiring else []
        actions += self._settle()
        if worker in self._held and holder in self._by_name.get(worker, ()):
            actions.append((holder, WorkerTaken(worker)))
        return actions

    def request(self, holder: str, want: int) -> list[Action]:
        """`holder` can use `want` workers in all; 0 means none any more. Who waits already keeps its place in line.

        The answer waits for workers that will be free in a moment, unless `holder` has all it wants: a holder that is
        told that nothing more comes puts its batches behind others.
        """
        self._unanswered[holder] = want
        self._set_want(holder, want)
        return self._settle()

    def _set_want(self, holder: str, want: int) -> None:
        if want > 0:
            self._wants[holder] = want
        else:
            self._wants.pop(holder, None)

    def give_back(self, holder: str, worker: Ref, want: int | None = None, instead: Ref | None = None) -> list[Action]:
        """`holder` can use `want` workers in all from now on, if that has changed, and keeps the recalled `instead`."""
        if want is not None:
            self._unanswered.pop(holder, None)
            self._set_want(holder, want)
        if instead is not None and self._held.get(instead) == holder and self._recalled.get(instead):
            del self._recalled[instead]  # also where `worker` has died since: then another one is recalled
        if self._held.get(worker) == holder:
            del self._held[worker]
            self._recalled.pop(worker, None)
            self._free_up(worker)
            if holder in self._wants:  # to the end of the line
                self._wants[holder] = self._wants.pop(holder)
        return self._settle()

    def holder_down(self, holder: str) -> list[Ref]:
        """The holder is dead; the workers that may still be at work for it, granted to nobody before they are
        `vacated`."""
        self._askers.discard(holder)
        self._wants.pop(holder, None)
        self._unanswered.pop(holder, None)
        for waiting in self._by_name.values():
            waiting.pop(holder, None)
        left = [worker for worker, who in self._held.items() if who == holder]
        for worker in left:
            del self._held[worker]
            self._recalled.pop(worker, None)
        left += [worker for worker, who in self._claimed.items() if who == holder and worker in self._leaving]
        self._claimed = {worker: who for worker, who in self._claimed.items() if who != holder}
        for worker in left:
            self._leaving[worker] = holder
            self._awaited.add(worker.name)
        return left

    # -- what follows

    def _free_up(self, worker: Ref) -> None:
        self._awaited.discard(worker.name)
        (self._resting if worker in self._retiring else self._free)[worker] = None

    def _settle(self) -> list[Action]:
        actions = self._let_go() if self._resting else []
        if self._by_name:
            actions += self._grant_by_name()
        counts = self._counts()
        if self._free:
            actions += self._grant(counts)
        actions += self._recall(counts)
        if self._refusal is not None:
            actions += [(holder, LeaseRefused(self._refusal)) for holder in self._wants]
            self._unanswered = {holder: want for holder, want in self._unanswered.items() if holder not in self._wants}
            self._wants.clear()
        if self._unanswered:
            actions += self._answer(counts)
        return actions

    def _answer(self, counts: Counter[str]) -> list[Action]:
        ready = [(h, want) for h, want in self._unanswered.items() if not self._awaited or counts[h] >= want]
        for holder, _ in ready:
            del self._unanswered[holder]
        return [(holder, LeaseAnswer(want)) for holder, want in ready]

    def _let_go(self) -> list[Action]:
        """Those that retire, and are empty. Who waits for one of them has nothing there yet, and goes elsewhere."""
        empty = [worker for worker in self._resting if not self._lives_in(worker)]
        for worker in empty:
            del self._resting[worker]
            self._by_name.pop(worker, None)
        return [(SUPERVISOR, WorkerEmpty(worker)) for worker in empty]

    def _grant_by_name(self) -> list[Action]:
        """Free workers to those who want these very ones; others are recalled for them."""
        actions: list[Action] = []
        for worker, waiting in list(self._by_name.items()):
            holder = next(iter(waiting), None)
            if holder is None:
                del self._by_name[worker]
            elif worker in self._free or worker in self._resting:
                self._free.pop(worker, None)
                self._resting.pop(worker, None)
                self._held[worker] = holder
                del waiting[holder]
                actions.append((holder, LeaseGranted(worker)))
            if waiting and worker in self._held and self._recalled.get(worker, True):
                actions.append(self._recall_at_once(worker))
        return actions

    def _recall_at_once(self, worker: Ref) -> Action:
        """This very one is wanted, so its holder has no turn, or no more of it."""
        self._recalled[worker] = False
        return self._held[worker], LeaseRecalled(worker)

    def _grant(self, counts: Counter[str]) -> list[Action]:
        actions: list[Action] = []
        while self._free and (short := self._short(counts)):
            holder = min(short, key=counts.__getitem__)
            worker = next(iter(self._free))
            del self._free[worker]
            self._held[worker] = holder
            counts[holder] += 1
            actions.append((holder, LeaseGranted(worker)))
        return actions

    def _recall(self, counts: Counter[str]) -> list[Action]:
        """Ask the richest for a worker for each holder who is poorer by more than one, or has none at all."""
        actions: list[Action] = []
        poorest = sorted(self._short(counts), key=counts.__getitem__)
        # those that are on their way already are for the first of them
        poorest = poorest[len(self._recalled.keys() - self._retiring) :]
        keeping = Counter(who for worker, who in self._held.items() if self._may_recall(worker)) if poorest else {}
        for poor in poorest:
            # the first of the richest, so the one whose oldest lease is the oldest
            rich = max(keeping, key=keeping.__getitem__, default=poor)
            have, keeps = counts[poor], keeping.get(rich, 0)
            if rich == poor or not (keeps > have + 1 or (have == 0 and keeps == 1)):
                break  # nor is there one for those who are less poor
            worker = next(w for w, h in self._held.items() if h == rich and self._may_recall(w))
            self._recalled[worker] = True
            keeping[rich] -= 1
            actions.append((rich, LeaseRecalled(worker, turn=True)))
        return actions

    def _short(self, counts: Counter[str]) -> list[str]:
        """Those who want more than they have, in the order of waiting."""
        return [holder for holder, want in self._wants.items() if counts[holder] < want]

    def _counts(self) -> Counter[str]:
        """How many workers each holder has, without those that retire: for each of them it may have another one."""
        return Counter(who for worker, who in self._held.items() if worker not in self._retiring)

    def _may_recall(self, worker: Ref) -> bool:
        return worker not in self._recalled and worker not in self._retiring
