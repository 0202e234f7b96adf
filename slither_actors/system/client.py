"""The service's connection to a running tree: who is where, calls, runs, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slither_actors import telemetry
from slither_actors.dispatch._run_events import RunEvents
from slither_actors.dispatch._run_plan import RunHooks, RunPlan
from slither_actors.dispatch.drain import DrainReport, RunReport
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.run import Run
from slither_actors.dispatch.source import Source
from slither_actors.errors import (
    ForkedSystem,
    NoProcess,
    RunDirectoryError,
    SlitherError,
    SystemDown,
    SystemStopping,
)
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import ListProcesses, Shutdown
from slither_actors.otp.ref import ProcessInfo
from slither_actors.system._asking import CALL_LIMIT_S as CALL_LIMIT_S
from slither_actors.system._asking import RESTART_LIMIT_S as RESTART_LIMIT_S
from slither_actors.system._asking import Asking
from slither_actors.system._ending import Ending, Limit, had_killed, killed, told
from slither_actors.system._explained import deaths_behind
from slither_actors.system._open_runs import OpenRuns
from slither_actors.system.endpoints import Endpoints
from slither_actors.system.gateway import Gateway
from slither_actors.transport.bases import open_system
from slither_actors.transport.incident_file import IncidentReader
from slither_actors.transport.launch import Host

if TYPE_CHECKING:
    from slither_actors.store.views import ProcessStores

# How long the end of a run waits for handlers that are slow.
_HEARING_S = 5.0

# How long what is left after an orderly stop may take to be killed.
_KILLING_S = 1.0

# How often somebody who stops the tree looks whether others have become more hurried.
_GLANCE_S = 0.05

# How long an orderly stop may take when somebody is in a hurry.
HURRIED_S = 0.5


class Client(Asking):
    """Safe to use from any thread.

    Args:
        name: the system's name.
        host: its host process.
        gateway: the endpoint that actors know as the gateway.
        registry: address of the registry.
        tick: called once per second, or more often, in the gateway's thread.
        queue_limit_bytes: what may wait for one peer before sending more to it is an error.
    """

    # What the time is, in seconds. A simulated system has a clock of its own.
    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(
        self,
        name: str,
        host: Host,
        gateway: Endpoint,
        registry: str,
        tick: Callable[[], None],
        queue_limit_bytes: int,
    ) -> None:
        self._name = name
        self._host = host
        self._registry = registry
        self._lock = threading.RLock()  # a signal handler may stop the system wherever the thread is
        self._stopped = False
        self._leaving = False  # the interpreter ends
        self._ending = Ending()
        self.runs = OpenRuns()
        self.joining: list[Callable[[], None]] = []  # who has to say what came of what was cut
        self.settling: list[Callable[[Limit], None]] = []  # what else there is to wait for before the tree stops
        self._causes: tuple[str, ...] | None = None
        self._queue_limit_bytes = queue_limit_bytes
        self._endpoints = Endpoints(self._make_endpoint, self._refusal)
        self._actor_system: Any = None
        self._stores: ProcessStores | None = None
        self.incidents = IncidentReader(host.directory)
        self._gateway_endpoint = gateway

        def beat() -> None:
            host.look()
            tick()

        self._gateway = Gateway(name, gateway, self._note_down, self._note_registry, beat, host.look_every_s)
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    def begin(self) -> None:
        """Start listening to the tree."""
        self._gateway.start()

    @property
    def directory(self) -> Path:
        """The system's run directory."""
        return self._host.directory

    @property
    def state(self) -> str:
        """ "running", "stopping", "stopped", "down", or "forked" in a fork of the service."""
        if not self.is_ours:
            return "forked"
        if self._stopped or self._causes is not None:
            return "stopped" if self._stopped else "down"
        return "stopping" if self._ending.begun else "running"

    @property
    def stores(self) -> ProcessStores:
        """The stores of the system, as this process uses them."""
        with self._lock:
            if self._stores is None:
                from slither_actors.store.views import ProcessStores  # with LMDB, which others do not need

                self._stores = ProcessStores(self._host.directory, self._refusal)
            return self._stores

    @property
    def actor_system(self) -> Any:
        """Thespian's own client, made when it is first wanted."""
        error = self._refusal()
        if error is not None:
            raise error
        with self._lock:
            if self._actor_system is None:
                self._actor_system, _ = open_system(self._host.base, self._host.joining)
            return self._actor_system

    # -- runs

    def open(
        self,
        plan: Callable[[str], RunPlan],
        source: Source,
        ends: EndLog,
        events: RunEvents,
        over: Callable[[], None] = lambda: None,
        through: str | None = None,
        admitted: bool = False,
    ) -> Run:
        """Open a run on an endpoint of its own; a node that is being restarted is waited for.

        Args:
            plan: makes the plan for the address of the endpoint; called again for each attempt.
            source: the items.
            ends: where ended items are noted.
            events: what telemetry hears of it.
            over: called when the run is over.
            through: the pipe that it goes through, as its supervisor calls that.
            admitted: whether it is for what was taken already, so that it may begin while the system is stopping.
        """
        if not admitted:
            self.check_admission()
        events.start()

        def ended(run: Run) -> None:  # given, not remembered: results are freed with their run, not by a collector
            self.runs.remove(run)
            over()
            self.hear()

        hooks = RunHooks(self._endpoints.give_back, ended, self.last_exit, events, self.explain)
        try:
            run = self._opened(plan, source, ends, hooks)
        except BaseException:
            events.stop("error")
            raise
        self.runs.add(run, through)
        return run

    def _opened(self, plan: Callable[[str], RunPlan], source: Source, ends: EndLog, hooks: RunHooks) -> Run:
        deadline = time.monotonic() + RESTART_LIMIT_S
        attempt = 0
        while True:
            attempt += 1
            endpoint = self._endpoints.borrow()
            try:
                made = plan(endpoint.address)
            except BaseException:
                self._endpoints.give_back(endpoint)
                raise
            run = Run(endpoint, made if attempt == 1 else made.again(attempt), source, ends, hooks)
            try:
                run.open()
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
            else:
                return run

    def hear(self) -> None:
        """Wait, for some seconds at most, until handlers have heard the events of what is over now."""
        if telemetry.interest().prefixes:
            self._gateway.settle(_HEARING_S)

    def explain(self, error: SlitherError, process: int) -> None:
        """Note on an error what is known of the death behind it: the text of a traceback ends with that."""
        for incident in deaths_behind(error, process, lambda: self.incidents.read().newest, time.time()):
            error.add_note(str(incident))

    # -- the end

    def stop(self, timeout_s: float, *, drain: bool = True) -> DrainReport:
        """Drain what is open, stop the tree in order, then kill everything that is left of it."""
        self.check_process()
        at = time.monotonic() + timeout_s
        limit = Limit(at if drain else 0.0, at)
        report = self._ending.once(limit, self._stop, self.runs.hasten, (self._gateway.thread,))
        return report or DrainReport(None, 0, 0, 0.0, system=self._name)

    def _stop(self, limit: Limit) -> DrainReport:
        began, since = time.monotonic(), time.time()
        atexit.unregister(self._at_exit)
        reports: tuple[RunReport, ...] = ()
        left: tuple[str, ...] = ()
        dead: tuple[str, ...] | None = None
        try:
            if self._causes is None and not self._host.alive:
                self._note_down(())
            dead = self._causes
            if dead is None:
                reports = self._drain(limit)
                for join in () if self._leaving else self.joining:
                    join()
                left = self._stop_tree(limit)
                dead = None if self._gateway.in_order else self._causes
        finally:  # also if the wait is interrupted
            self._stopped = True
            deadline = max(limit.end, time.monotonic()) + _KILLING_S
            self._gateway.stop(max(0.1, (deadline - time.monotonic()) / 2))
            if not self._host.end(max(0.1, deadline - time.monotonic())):
                left = (*left, "host")
            self.incidents.close()
            self._endpoints.close()
            if self._stores is not None:
                self._stores.close()
            if self._actor_system is not None:
                self._actor_system._systemBase.transport.close()
        if dead is not None:
            left = (*left, self._host.victim)
        ended = sum(report.outcome in ("cut", "closed") for report in reports)
        left = tuple(sorted({*left, *had_killed(self.incidents.read().newest, since)}))
        report = DrainReport(None, len(reports) - ended, ended, time.monotonic() - began, reports, left, self._name)
        return told(report, dead or (), in_haste=limit.at == 0.0)

    def _drain(self, limit: Limit) -> tuple[RunReport, ...]:
        """Bring everything that is open to its end."""
        runs = self.runs.drain(f"system {self._name}")
        if self._leaving:  # nobody is there any more who would want anything
            return ()

        def settle() -> tuple[RunReport, ...]:
            for one in self.settling:
                one(limit)
            return self.runs.settle(runs, limit, SystemStopping(self._name))

        return self._ending.insist(settle, limit)

    def _stop_tree(self, limit: Limit) -> tuple[str, ...]:
        """Everything in reverse order; returns who does not end."""
        before: tuple[ProcessInfo, ...] = ()
        with contextlib.suppress(SlitherError):
            before = self._ask_registry(ListProcesses(), HURRIED_S)
        self._stopped = True
        limit.end = max(limit.end, time.monotonic() + HURRIED_S)
        with contextlib.suppress(SlitherError):  # where it is dead the gateway hears of that
            self._gateway_endpoint.post(self._host.root, Shutdown())
        while not self._gateway.root_exited.wait(_GLANCE_S):
            if time.monotonic() > limit.end:
                return killed(before)
        return ()

    def _at_exit(self) -> None:
        if self.is_ours:
            self._leaving = True
            self.stop(HURRIED_S, drain=False)

    def _note_registry(self, address: str) -> None:
        self._registry = address

    def _note_down(self, causes: tuple[str, ...]) -> None:
        """In the gateway's thread: the tree gave up, or the host died."""
        self.incidents.close()  # what the tree had to say last, before its directory goes
        with self._lock:
            if self._causes is None:
                self._causes = causes or (self._host.epitaph(),)
        self._host.end(HURRIED_S)

    def _make_endpoint(self) -> Endpoint:
        try:
            return Endpoint(self._host.directory, self._host.watch, self._down_error, self._queue_limit_bytes)
        except RunDirectoryError:
            if self._host.directory.exists():
                raise
            # to remove it is the host's last deed; that it is dead will be known in a moment
            raise self._down_error() from None

    def _down_error(self) -> SystemDown:
        if self._stopped and self._causes is None:
            return SystemDown(self._name, ("it was stopped",))
        return SystemDown(self._name, self._causes or (self._host.epitaph(),))

    def refusal(self) -> SlitherError | None:
        """The error of a system that is stopped or down."""
        return self._refusal()

    @property
    def is_ours(self) -> bool:
        """Whether this process is the one that the handle was made in."""
        return os.getpid() == self._pid

    def check_process(self) -> None:
        """Raises `ForkedSystem` where this is no process to use the handle in."""
        if not self.is_ours:
            raise self._forked()

    def check_admission(self) -> None:
        """Raises where nothing new may begin: `SystemStopping`, or what `refusal` says."""
        refusal = self._refusal()
        if refusal is None and self._ending.begun:
            refusal = SystemStopping(self._name)
        if refusal is not None:
            raise refusal

    def _forked(self) -> ForkedSystem:
        return ForkedSystem(self._name, (), self._pid)

    def _refusal(self) -> SlitherError | None:
        if os.getpid() != self._pid:  # asked before each write to a store, so without `is_ours`
            return self._forked()
        return self._down_error() if self._stopped or self._causes is not None else None
