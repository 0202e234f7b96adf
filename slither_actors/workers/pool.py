"""A pool: the supervisor of its workers, and the actor that leases them."""

from __future__ import annotations

from typing import Any

from slither_actors._code import Code
from slither_actors.otp.child import ChildSpec, ExitReason, Strategy, SupervisorOptions
from slither_actors.otp.messages import Down, KillProcess, Subscribe, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Caller, Server, handles
from slither_actors.otp.supervisor import Supervisor
from slither_actors.workers._leases import Action, LeaseBook
from slither_actors.workers._page import running, take_last
from slither_actors.workers.messages import (
    CountLeases,
    LeaseGranted,
    LeaseRecalled,
    LeaseRequest,
    LeaseReturned,
    ListWorkers,
    Vacate,
    Vacated,
    WorkerRequest,
    WorkerTaken,
)
from slither_actors.workers.pool_options import PoolOptions
from slither_actors.workers.process import Worker

WORKERS = "workers"
LEASES = "leases"

# What still runs for a dispatcher that is dead may take this long before its worker is killed.
ORPHAN_GRACE_S = 1.0
_ORPHANED = "its batch was for a dispatcher that is dead"


class WorkerSupervisor(Supervisor):
    """Supervises the workers of one pool. A worker that dies under a batch is the batch's fault: it is restarted, and
    the restart budget stays as it was."""

    def autopsy(self, ref: Ref) -> int:
        return take_last(self.surroundings.directory, ref.pid)

    def at_work(self, ref: Ref) -> int:
        return running(self.surroundings.directory, ref.pid)

    def charges(self, ref: Ref | None, reason: ExitReason, finding: Any) -> bool:
        return not finding


class Pool(Server):
    """Leases the workers of one pool to dispatchers.

    Args:
        workers: the prefix of the workers' names.
    """

    corks = True

    def __init__(self, workers: str) -> None:
        self._workers = workers
        self._supervisor: str | None = None
        self._book = LeaseBook()

    def init(self) -> None:
        registry = self.life.surroundings.registry
        assert registry is not None
        self.post(registry, Subscribe(""))

    @handles(Up)
    def _on_up(self, message: Up, sender: str) -> None:
        if message.ref.name.startswith(self._workers):
            self._book.worker_up(message.ref)
            self.post(message.ref.address, Vacate(""))  # perhaps this pool is new, and not the worker
        elif message.ref.name + "/" == self._workers:
            self._supervisor = message.ref.address

    @handles(Down)
    def _on_down(self, message: Down, sender: str) -> None:
        if message.ref.name.startswith(self._workers):
            self._tell(self._book.worker_down(message.ref))
        else:
            self._holder_down(message.ref.address)

    def _holder_down(self, holder: str) -> None:
        if not self._book.knows(holder):
            return
        left = self._book.holder_down(holder)
        for worker in self._book.workers:  # also those that it had once, which know its runs
            self.post(worker.address, Vacate(holder))
        if left:
            self.start_timer(ORPHAN_GRACE_S, lambda: self._free_by_force(left, holder))

    def _free_by_force(self, left: list[Ref], holder: str) -> None:
        for worker in left:
            if self._supervisor is not None and self._book.is_left_by(worker, holder):
                self.post(self._supervisor, KillProcess(worker, _ORPHANED))

    @handles(Vacated)
    def _on_vacated(self, message: Vacated, sender: str) -> None:
        worker = next((ref for ref in self._book.workers if ref.address == sender), None)
        if worker is not None:
            self._tell(self._book.vacated(worker, message.holder))

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
        self._tell(self._book.give_back(sender, message.worker))

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, ListWorkers):
            return self._book.workers
        if isinstance(request, CountLeases):
            return self._book.figures
        return super().handle_call(request, caller)

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, LeaseGranted | LeaseRecalled | WorkerTaken):
            self._holder_down(to)

    def _tell(self, actions: list[Action]) -> None:
        for address, news in actions:
            self.post(address, news)


def worker_names(pool: str, size: int) -> list[str]:
    """The names that the workers of a pool are registered under."""
    return [f"pools/{pool}/{WORKERS}/worker-{number}" for number in range(1, size + 1)]


def pool_spec(name: str, options: PoolOptions, *more: ChildSpec) -> ChildSpec:
    """The child spec of one pool: its workers, the leases, then `more`. What comes later cannot live without what
    comes earlier, hence *rest for one*.

    Args:
        name: the pool's name.
        options: its workers.
        more: further children, such as the dispatcher for plain calls.
    """
    # whoever could want what a worker still runs was stopped before it
    ids = [full.rpartition("/")[2] for full in worker_names(name, options.size)]
    outfit, limit_s = options.outfit(), options.start_timeout_s
    args = () if outfit is None else (outfit,)
    workers = [ChildSpec(one, Code.of(Worker), args, shutdown_s=ORPHAN_GRACE_S, start_timeout_s=limit_s) for one in ids]
    supervisor = ChildSpec(
        WORKERS, Code.of(WorkerSupervisor), (SupervisorOptions(parallel_start=True), workers), type="supervisor"
    )
    leases = ChildSpec(LEASES, Code.of(Pool), (f"pools/{name}/{WORKERS}/",))
    together = SupervisorOptions(strategy=Strategy.REST_FOR_ONE, parallel_start=True)
    return ChildSpec(name, Code.of(Supervisor), (together, (supervisor, leases, *more)), type="supervisor")
