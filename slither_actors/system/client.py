"""The service's connection to a running tree: who is where, calls, runs, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from slither_actors import telemetry
from slither_actors.dispatch._run_plan import RunPlan
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.run import Run, RunHooks
from slither_actors.dispatch.source import Source
from slither_actors.errors import CallTimeout, NoProcess, RunDirectoryError, SlitherError, SystemDown
from slither_actors.otp._children import last_line
from slither_actors.otp.child import ExitReason
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import ListProcesses, Resolve, Shutdown
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.system.endpoints import Endpoints
from slither_actors.system.gateway import Gateway
from slither_actors.transport.bases import open_system
from slither_actors.transport.launch import Host

# How long a call waits for a process that is being restarted.
RESTART_LIMIT_S = 5.0
CALL_LIMIT_S = 10.0

# How long the registry, or the end of the whole tree, may lag behind a death.
_NEWS_LIMIT_S = 1.0

# How long what is left after an orderly stop may take to be killed.
_KILLING_S = 1.0

# How long an orderly stop may take when somebody is in a hurry.
HURRIED_S = 0.5


class Client:
    """Safe to use from any thread.

    Args:
        name: the system's name.
        host: its host process.
        gateway: the endpoint that actors know as the gateway.
        registry: address of the registry.
        tick: called about once per second in the gateway's thread.
        queue_limit_bytes: what may wait for one peer before sending more to it is an error.
    """

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
        self._stopper = 0
        self._over = threading.Event()
        self._causes: tuple[str, ...] | None = None
        self._queue_limit_bytes = queue_limit_bytes
        self._endpoints = Endpoints(self._make_endpoint, self._refusal)
        self._actor_system: Any = None
        self._gateway_endpoint = gateway
        self._gateway = Gateway(name, gateway, self._note_down, self._note_registry, tick)
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    def begin(self) -> None:
        """Start listening to the tree."""
        self._gateway.start()

    @property
    def state(self) -> str:
        """ "running", "stopped" or "down"."""
        return "stopped" if self._stopped else "down" if self._causes is not None else "running"

    # -- asking

    def resolve(self, names: tuple[str, ...], limit_s: float = RESTART_LIMIT_S) -> tuple[Ref, ...]:
        """Who runs under these names; a process that is being restarted is waited for.

        Raises:
            NoProcess: it did not come back in time. SystemDown: the system is stopped, or gave up.
        """
        deadline = time.monotonic() + limit_s
        while True:
            try:
                refs: tuple[Ref, ...] = self._ask_registry(Resolve(names))
                return refs
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)  # it is being restarted; the registry has no way to say when

    def call(self, name: str, request: Any, timeout_s: float) -> Any:
        """Ask the process called `name`."""
        (ref,) = self.resolve((name,))
        with self._endpoints.lent() as endpoint:
            return endpoint.call(ref.address, request, timeout_s, name)

    def ask(self, to: str | Ref, request: Any, timeout_s: float) -> Any:
        """Ask a process; one that is being restarted is not waited for."""
        with self._endpoints.lent() as endpoint:
            ref = endpoint.find(self._registry, to, timeout_s)
            return endpoint.call(ref.address, request, timeout_s, ref.name)

    def cast(self, to: str | Ref, request: Any) -> None:
        """Send without wanting an answer; the dead are no error."""
        with self._endpoints.lent() as endpoint:
            endpoint.cast(self._registry, to, request, CALL_LIMIT_S)
            if not endpoint.flush(CALL_LIMIT_S):  # nobody polls an endpoint that idles
                raise CallTimeout(str(to), CALL_LIMIT_S)

    def whereis(self, name: str) -> Ref | None:
        """Who runs under this name now."""
        try:
            found: tuple[Ref, ...] = self._ask_registry(Resolve((name,)))
        except NoProcess:
            return None
        return found[0]

    def processes(self) -> tuple[ProcessInfo, ...]:
        """All that the registry knows."""
        found: tuple[ProcessInfo, ...] = self._ask_registry(ListProcesses())
        return found

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """An endpoint for the time of a block."""
        return self._endpoints.lent()

    def _ask_registry(self, request: Any) -> Any:
        with self._endpoints.lent() as endpoint:
            return endpoint.call(self._registry, request, CALL_LIMIT_S, "the registry")

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
        event: telemetry.Name,
        over: Callable[[], None] = lambda: None,
        **about: str,
    ) -> Run:
        """Open a run on an endpoint of its own; a node that is being restarted is waited for.

        Args:
            plan: makes the plan for the address of the endpoint; called again for each attempt.
            source: the items.
            ends: where ended items are noted.
            event: prefix of the run's telemetry events.
            over: called when the run is over.
            about: metadata of the events.
        """
        hooks = RunHooks(self._endpoints.give_back, over, self.last_exit, event, {"system": self._name, **about})
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

    def last_exit(self, ref: Ref) -> str:
        """How a process ended, in one line.

        Raises:
            SystemDown: it ended with everything else.
        """
        return self.end_of(ref)[0]

    def end_of(self, ref: Ref) -> tuple[str, Any]:
        """How a process ended, in one line, and what its supervisor found, `None` if nobody can tell.

        The kernel has told us of the end sooner than the registry, so this waits a moment for the registry's news.

        Raises:
            SystemDown: it ended with everything else.
        """
        deadline = time.monotonic() + _NEWS_LIMIT_S
        while time.monotonic() < deadline:
            refusal = self._refusal()
            if refusal is not None:
                raise refusal
            with contextlib.suppress(NoProcess, CallTimeout):
                known = next((info for info in self.processes() if info.ref.name == ref.name), None)
                if known is None:
                    return "an orderly stop", None
                if known.ref != ref or not known.alive:
                    return _said(known.last_exit), known.finding
            time.sleep(0.005)
        return "an unknown exit", None

    # -- the end

    def stop(self, timeout_s: float) -> None:
        """Stop the tree in order, then everything that is left of it; at the end of it all calls have returned."""
        if os.getpid() != self._pid:  # a forked child must not end what is its parent's
            return
        with self._lock:
            first, self._stopped = not self._stopped, True
            if first:
                self._stopper = threading.get_ident()
        if first:
            try:
                self._stop(time.monotonic() + timeout_s + _KILLING_S, timeout_s)
            finally:
                self._over.set()
        elif threading.get_ident() not in (self._stopper, self._gateway.thread):  # those would wait for themselves
            self._over.wait()

    def _stop(self, deadline: float, timeout_s: float) -> None:
        atexit.unregister(self._at_exit)
        try:
            if self._causes is None and self._host.alive:
                with contextlib.suppress(SlitherError):
                    self._gateway_endpoint.post(self._host.root, Shutdown())
                    self._gateway.root_exited.wait(timeout_s)
        finally:  # also if the wait is interrupted
            self._gateway.stop(max(0.1, (deadline - time.monotonic()) / 2))
            self._host.end(max(0.1, deadline - time.monotonic()))
            self._endpoints.close()
            if self._actor_system is not None:
                self._actor_system._systemBase.transport.close()

    def _at_exit(self) -> None:
        self.stop(HURRIED_S)

    def _note_registry(self, address: str) -> None:
        self._registry = address

    def _note_down(self, causes: tuple[str, ...]) -> None:
        """In the gateway's thread: the tree gave up, or the host died."""
        with self._lock:
            if self._causes is None:
                self._causes = causes or ("the host process died",)
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
        return SystemDown(self._name, self._causes or ("the host process died",))

    def refusal(self) -> SlitherError | None:
        """The error of a system that is stopped or down."""
        return self._refusal()

    def _refusal(self) -> SlitherError | None:
        if os.getpid() != self._pid:
            return SystemDown(self._name, (f"it belongs to process {self._pid}, of which this is a fork",))
        return self._down_error() if self._stopped or self._causes is not None else None


def _said(reason: ExitReason | None) -> str:
    if reason is not None and not reason.is_normal:
        return last_line(reason)
    why = reason.text if reason is not None and reason.kind == "shutdown" else ""
    return f"an orderly stop ({why})" if why else "an orderly stop"
