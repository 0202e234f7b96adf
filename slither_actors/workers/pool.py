"""A pool: the supervisor of its workers, and the actor that leases them."""

from __future__ import annotations

from typing import Any

from slither_actors._code import Code
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ChildSpec, Strategy, SupervisorOptions
from slither_actors.otp.messages import Down, KillProcess, Subscribe, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Caller, Server, handles
from slither_actors.otp.supervisor import Supervisor
from slither_actors.workers._leases import SUPERVISOR, Action, LeaseBook
from slither_actors.workers._page import Figures, read
from slither_actors.workers.messages import (
    FIRST_BATCH,
    CountLeases,
    LeaseGranted,
    LeaseRecalled,
    LeaseRefused,
    LeaseRequest,
    LeaseReturned,
    Staffing,
    Vacate,
    Vacated,
    WatchStaff,
    WorkerRequest,
    WorkerRetires,
    WorkersClaimed,
    WorkerTaken,
)
from slither_actors.workers.pool_options import PoolOptions
from slither_actors.workers.process import Worker
from slither_actors.workers.supervisor import StaffOptions, WorkerSupervisor

WORKERS = "workers"
LEASES = "leases"

# One that retires, and that something lives in, is looked at this often.
_LOOK_S = 0.2

# A worker that is restarted is up again in less, unless it takes long to be made ready.
_PATIENCE_S = 0.5

# What still runs for a dispatcher that is dead may take this long before its worker is killed.
ORPHAN_GRACE_S = 1.0
# Dispatchers that live tell a new pool at once which workers are at their batches; the others' are nobody's.
CLAIM_S = 2.0
_ORPHANED = "its batch was for a dispatcher that is dead"


class Pool(Server):
    """Leases the workers of one pool to dispatchers.

    Args:
        workers: the prefix of the workers' names.
    """

    corks = True

    def __init__(self, workers: str) -> None:
        self._workers = workers
        self._supervisor: str | None = None
        self._book = LeaseBook(self._lives_in)
        self._grace: dict[Ref, Timer] = {}  # of workers that have yet to be vacated
        self._is_looking = False
        self._is_patient = False

    def init(self) -> None:
        registry = self.life.surroundings.registry
        assert registry is not None
        self.post(registry, Subscribe(""))

    @handles(Up)
    def _on_up(self, message: Up, sender: str) -> None:
        if message.ref.name.startswith(self._workers):
            self._book.worker_up(message.ref)
            self._vacate(message.ref, "", CLAIM_S)  # perhaps this pool is new, and not the worker
        elif message.ref.name + "/" == self._workers:
            self._supervisor = message.ref.address
            self.post(self._supervisor, WatchStaff(self.life.incarnation))

    @handles(Down)
    def _on_down(self, message: Down, sender: str) -> None:
        if message.ref.name.startswith(self._workers):
            self._end_grace(message.ref)
            self._tell(self._book.worker_down(message.ref))
        else:
            self._holder_down(message.ref.address)

    def _holder_down(self, holder: str) -> None:
        for worker in self._book.holder_down(holder):
            self._vacate(worker, holder, ORPHAN_GRACE_S)

    def _vacate(self, worker: Ref, holder: str, grace_s: float) -> None:
        self._end_grace(worker)
        self.post(worker.address, Vacate(holder))
        self._grace[worker] = self.start_timer(grace_s, lambda: self._free_by_force(worker, holder))

    def _end_grace(self, worker: Ref) -> None:
        timer = self._grace.pop(worker, None)
        if timer is not None:
            timer.cancel()

    @handles(WorkersClaimed)
    def _on_claimed(self, message: WorkersClaimed, sender: str) -> None:
        for worker in message.workers:
            self._book.claim(sender, worker)

    def _free_by_force(self, worker: Ref, holder: str) -> None:
        if self._supervisor is None or not self._book.is_left_by(worker, holder):
            return
        number = self._page(worker).number
        if 0 < number < FIRST_BATCH and not holder:  # a call, which has no dispatcher; whoever made it ends it in time
            self._grace[worker] = self.start_timer(CLAIM_S, lambda: self._free_by_force(worker, holder))
        else:
            self.post(self._supervisor, KillProcess(worker, _ORPHANED, number))

    @handles(Staffing)
    def _on_staffing(self, message: Staffing, sender: str) -> None:
        self._tell(self._book.staff(message.retiring, message.missed, message.refusal))

    def _lives_in(self, worker: Ref) -> bool:
        page = self._page(worker)
        return bool(page.sessions or page.number)

    def _page(self, worker: Ref) -> Figures:
        return read(self.life.surroundings.directory, worker.pid)

    @handles(Vacated)
    def _on_vacated(self, message: Vacated, sender: str) -> None:
        worker = next((ref for ref in self._book.workers if ref.address == sender), None)
        if worker is not None:
            actions = self._book.vacated(worker, message.holder)
            if not self._book.leaves(worker):
                self._end_grace(worker)
            self._tell(actions)

    @handles(LeaseRequest)
    def _on_request(self, message: LeaseRequest, sender: str) -> None:
        if message.lost is not None:  # the news of it may be on its way to us still
            self._tell(self._book.worker_down(message.lost))
        self._tell(self._book.request(sender, message.want))

    @handles(WorkerRequest)
    def _on_worker_request(self, message: WorkerRequest, sender: str) -> None:
        self._tell(self._book.request_worker(sender, message.worker))

    @handles(LeaseReturned)
    def _on_returned(self, message: LeaseReturned, sender: str) -> None:
        self._tell(self._book.give_back(sender, message.worker, message.want, message.instead))

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, CountLeases):
            return self._book.figures
        return super().handle_call(request, caller)

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, LeaseGranted | LeaseRecalled | LeaseRefused | WorkerRetires | WorkerTaken):
            self._holder_down(to)

    def _tell(self, actions: list[Action]) -> None:
        for address, news in actions:
            if address != SUPERVISOR:
                self.post(address, news)
            elif self._supervisor is not None:
                self.post(self._supervisor, news)
        if self._book.has_resting and not self._is_looking:
            self._is_looking = True
            self.start_timer(_LOOK_S, self._look)
        if self._book.keeps_somebody_waiting and not self._is_patient:
            self._is_patient = True
            self.start_timer(_PATIENCE_S, self._end_patience)

    def _look(self) -> None:
        self._is_looking = False
        self._tell(self._book.look())

    def _end_patience(self) -> None:
        self._is_patient = False
        if self._book.keeps_somebody_waiting:
            self._tell(self._book.stop_waiting())


def pool_spec(name: str, options: PoolOptions, *more: ChildSpec) -> ChildSpec:
    """The child spec of one pool: its workers, the leases, then `more`. What comes later cannot live without what
    comes earlier, hence *rest for one*.

    Args:
        name: the pool's name.
        options: its workers.
        more: further children, such as the dispatcher for plain calls.
    """
    # whoever could want what a worker still runs was stopped before it
    ids = [f"worker-{number}" for number in range(1, options.size + 1)]
    outfit, limit_s = options.outfit(), options.start_timeout_s
    args = () if outfit is None else (outfit,)
    workers = [ChildSpec(one, Code.of(Worker), args, shutdown_s=ORPHAN_GRACE_S, start_timeout_s=limit_s) for one in ids]
    plan = StaffOptions(name, options.recycle, options.quarantine)
    supervising = (SupervisorOptions(parallel_start=True), workers, plan)
    supervisor = ChildSpec(WORKERS, Code.of(WorkerSupervisor), supervising, type="supervisor")
    leases = ChildSpec(LEASES, Code.of(Pool), (f"pools/{name}/{WORKERS}/",))
    together = SupervisorOptions(strategy=Strategy.REST_FOR_ONE, parallel_start=True)
    return ChildSpec(name, Code.of(Supervisor), (together, (supervisor, leases, *more)), type="supervisor")
