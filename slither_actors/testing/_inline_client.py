"""What `system.client.Client` is to a `System`, with a simulated tree behind it."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slither_actors._code import Code
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.drain import DrainReport
from slither_actors.errors import ChildRefused, NoProcess, SlitherError, SystemDown
from slither_actors.otp.child import ChildSpec
from slither_actors.otp.messages import StartChild, TerminateChild
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.store.views import ProcessStores
from slither_actors.system._ending import Ending, Limit, told
from slither_actors.system._open_runs import OpenRuns
from slither_actors.system.client import Client
from slither_actors.system.endpoints import Endpoints
from slither_actors.system.names import DISPATCHER, PIPES, POOLS, ROOT
from slither_actors.testing._faults import Faults
from slither_actors.testing._inline_endpoint import InlineEndpoint
from slither_actors.testing._inline_world import InlineTree, InlineWorld
from slither_actors.testing._process import NotSimulated
from slither_actors.testing.clock import FakeClock
from slither_actors.transport.incident_file import Incidents
from slither_actors.transport.memory import remove_memory
from slither_actors.workers.messages import CountWorkers, ListWorkers
from slither_actors.workers.pool import pool_spec
from slither_actors.workers.pool_options import PoolOptions


class _NoIncidents:
    """Where nobody writes incidents down."""

    def read(self) -> Incidents:
        return Incidents()


class InlineClient(Client):
    """Runs, calls and the end as with a real tree. What supervisors are asked is answered here.

    Args:
        name: the system's name. clock: its time.
        directory: its own, which is removed with it. faults: what batches take.
    """

    def __init__(self, name: str, clock: FakeClock, directory: Path, faults: Faults) -> None:
        self._name = name
        self._directory = directory
        self.clock = clock
        self.world = InlineWorld(clock, faults)
        self.tree = InlineTree(self.world, str(directory))
        self._lock = threading.RLock()
        self._stopped = self._leaving = False
        self._causes = None
        self._ending = Ending()
        self.runs = OpenRuns()
        self.settling, self.joining = [], []
        self._numbers = itertools.count(1)
        self._endpoints: Any = Endpoints(self._make_inline, self._refusal)  # type: ignore[arg-type]
        self._stores: ProcessStores | None = None
        self.incidents: Any = _NoIncidents()
        self._gateway: Any = SimpleNamespace(thread=None)
        self._pid = os.getpid()

    def grow_pool(self, name: str, options: PoolOptions) -> None:
        """Start a pool.

        Raises:
            StartError: a worker does not start.
        """
        self.tree.grow(POOLS, pool_spec(name, options, ChildSpec(DISPATCHER, Code.of(Dispatcher), (name,))))
        self.hear()

    def use_stores(self, stores: ProcessStores) -> None:
        """Let all processes, and this one, use these."""
        self._stores = self.world.stores = stores

    @property
    def directory(self) -> Path:
        """The system's own directory."""
        return self._directory

    @property
    def stores(self) -> ProcessStores:
        """The stores of the system."""
        if self._stores is None:
            self._stores = ProcessStores(self._directory, self._refusal)  # without any
        return self._stores

    def _make_inline(self) -> InlineEndpoint:
        return InlineEndpoint(self.tree, f"service, address {next(self._numbers)}", self._refusal)

    # -- questions

    def resolve(self, names: tuple[str, ...], limit_s: float = 0.0) -> tuple[Ref, ...]:
        """Who runs under these names; whoever is being restarted is waited for."""
        while True:
            found = [self.tree.find(name) for name in names]
            refs = tuple(ref for ref in found if ref is not None)
            if len(refs) == len(names):
                return refs
            refusal = self._refusal()
            if refusal is not None:
                raise refusal
            if not self.world.move():
                raise NoProcess(names[found.index(None)])

    def whereis(self, name: str) -> Ref | None:
        """Who runs under this name now."""
        return self.tree.find(name)

    def processes(self) -> tuple[ProcessInfo, ...]:
        """All that run."""
        refs = (ref for name in self.tree.names() if (ref := self.tree.find(name)) is not None)
        return tuple(ProcessInfo(ref, True, "worker", self.tree.restarts_of(ref.name)) for ref in refs)

    def call(self, name: str, request: Any, timeout_s: float) -> Any:
        """Ask the process called `name`; for a supervisor its stand-in answers."""
        with self.world.lock:
            if isinstance(request, StartChild):
                return self._start(name, request.spec)
            if isinstance(request, TerminateChild):
                self.tree.stop(f"{name}/{request.child_id}")
                return None
            if isinstance(request, ListWorkers):
                names = tuple(self.tree.children_of(name))
                return self.resolve(names), names
            if isinstance(request, CountWorkers):
                return self._figures(name)
        return super().call(name, request, timeout_s)

    def ask(self, to: str | Ref, request: Any, timeout_s: float) -> Any:
        """Ask a process; one that is being restarted is not waited for."""
        ref = to if isinstance(to, Ref) else self.tree.find(to)
        if ref is None:
            raise NoProcess(str(to))
        with self._endpoints.lent() as endpoint:
            return endpoint.call(ref.address, request, timeout_s, ref.name)

    def _start(self, name: str, spec: Any) -> None:
        if name == ROOT and spec.id == PIPES:
            return
        if self.tree.find(f"{name}/{spec.id}") is not None:
            raise ChildRefused(f"{name}/{spec.id}", "already_started", "it runs")
        if name == PIPES:
            self.tree.grow(name, spec)
        else:
            self.tree.add(name, spec)
        self.hear()

    def _figures(self, name: str) -> dict[str, Any]:
        names = self.tree.children_of(name)
        up = sum(self.tree.find(child) is not None for child in names)
        restarts = sum(map(self.tree.restarts_of, names))
        return {"size": len(names), "up": up, "restarts": restarts, "recycled": 0, "retiring": 0, "quarantined": 0}

    def last_exit(self, ref: Ref) -> str:
        """How a process ended, in one line."""
        return self.tree.last_exit(ref)

    def end_of(self, ref: Ref) -> tuple[str, Any]:
        """How a process ended; nobody finds more."""
        return self.tree.last_exit(ref), None

    def explain(self, error: SlitherError, process: int) -> None:
        """There is no more to say of a death than its error says."""

    def hear(self) -> None:
        """Let everything happen that needs no time."""
        self.world.settle_all()

    @property
    def actor_system(self) -> Any:
        """There is none."""
        raise NotSimulated("actor_system: an InlineSystem has no Thespian behind it")

    # -- the end

    def _stop(self, limit: Limit) -> DrainReport:
        began = time.monotonic()
        reports = self._drain(limit)
        self._stopped = True
        with self.world.lock:
            for name in (PIPES, POOLS):
                self.tree.stop(name)
        self._endpoints.close()
        if self._stores is not None:
            self._stores.close()
        remove_directory(self._directory)
        ended = sum(report.outcome in ("cut", "closed") for report in reports)
        took = time.monotonic() - began
        return told(DrainReport(None, len(reports) - ended, ended, took, reports, (), self._name))

    def _down_error(self) -> SystemDown:
        return SystemDown(self._name, ("it was stopped",))


def remove_directory(directory: Path) -> None:
    """Remove what an `InlineSystem` had on disk and in shared memory."""
    remove_memory(directory)
    shutil.rmtree(directory, ignore_errors=True)
