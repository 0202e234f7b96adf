"""`System`: the handle of a running system. Safe to use from any thread."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from slither_actors.config import Config
from slither_actors.context import Context
from slither_actors.dispatch.ends import STREAM_KEEPS, EndLog, OnEnd
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.run import Halted, Run, RunPlan
from slither_actors.dispatch.source import Source
from slither_actors.errors import InvalidOption, NoProcess, SlitherError, SystemDown, UnknownPool, shorten
from slither_actors.item import Item
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import ListProcesses, Resolve, Shutdown
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.pipe.outputs import Outputs
from slither_actors.pipe.plan import run_plan
from slither_actors.system._runs import (
    by_output,
    dispatch_failure,
    dispatch_plan,
    pipe_failure,
    tree_of,
)
from slither_actors.system.each import call_each
from slither_actors.system.endpoints import Endpoints
from slither_actors.system.gateway import Gateway
from slither_actors.system.names import DISPATCHER, POOLS
from slither_actors.system.pipes import Pipes, RunningPipe, checked
from slither_actors.system.results import Results, Stream
from slither_actors.transport.launch import Host, join
from slither_actors.worker.executor import code_of
from slither_actors.worker.messages import ListWorkers
from slither_actors.worker.pool import LEASES

# How long a call waits for a process that is being restarted.
_RESTART_LIMIT_S = 5.0
_CALL_LIMIT_S = 10.0

# How long an orderly stop may take when the block was left by an exception: somebody is in a hurry.
_HURRIED_S = 0.5


class System:
    """A running system, as `start` returns it. A context manager: leaving the block stops the system."""

    def __init__(
        self, name: str, host: Host, gateway: Endpoint, registry: str, pools: dict[str, int], config: Config
    ) -> None:
        self.name = name
        self.config = config
        self._host = host
        self._registry = registry
        self._pools = pools
        self._lock = threading.Lock()
        self._stopped = False
        self._causes: tuple[str, ...] | None = None
        self._run_numbers = itertools.count(1)
        self._endpoints = Endpoints(lambda: Endpoint(host.directory, host.watch, self._down_error), self._refusal)
        self._pipes = Pipes(self._call_by_name, tuple(pools), config.dispatch)
        self._actor_system: Any = None
        self._gateway_endpoint = gateway
        self._gateway = Gateway(name, gateway, self._note_down, self._note_registry, self._pipes.stop_idle)
        self._gateway.start()
        self._finalizer = weakref.finalize(self, _end_host, host, os.getpid())

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "down" if self._causes is not None else "running"
        return f"<System {self.name} {state}>"

    # -- dispatch

    def dispatch(
        self,
        items: Iterable[Any],
        executor: Any,
        *,
        context: Context | None = None,
        on_end: OnEnd | None = None,
        **options: Any,
    ) -> Results:
        """Run items through a worker pool in batches, and wait for all.

        Args:
            items: payloads or `Item`s.
            executor: `"module:function"`, a function, `Call(...)` or a subclass of `Executor`.
            context: what user code is told of the run.
            on_end: called as `on_end(item, end)` for each item that leaves the flow.
            options: those of `DispatchOptions`: pool, batch_size, max_in_flight, ordering, on_error, timeout_s, strategy.

        Returns:
            The surviving items; `.skipped`, `.dropped` and `.dead` hold the others.

        Raises:
            DispatchError: the error policy halted the run; `partial_results` holds what was finished.
            InvalidOption, UnknownPool, NotImportable, NotPicklable: it cannot run at all.
            SystemDown: the system is stopped, or gave up.
        """
        ends = EndLog(on_end=on_end)
        run = self._dispatch_run(items, executor, context, ends, options, "dispatch")
        return Results(_collect(run, dispatch_failure), ends)

    def stream(
        self,
        items: Iterable[Any],
        executor: Any,
        *,
        context: Context | None = None,
        on_end: OnEnd | None = None,
        **options: Any,
    ) -> Stream:
        """Like `dispatch`, lazily: `items` may be endless, and is pulled only as results are taken.

        The source is never further ahead of what was taken than `(max_in_flight + 4) * batch_size` items. It is pulled
        in the thread that takes the results.
        """
        ends = EndLog(STREAM_KEEPS, on_end)
        return Stream(self._dispatch_run(items, executor, context, ends, options, "stream"), ends, dispatch_failure)

    def call_batch(
        self,
        items: Iterable[Any],
        executor: Any,
        *,
        pool: str = "default",
        timeout_s: float = 30.0,
        context: Context | None = None,
    ) -> list[Item]:
        """Run one ready batch, whole, on one worker; no strategy and no policy.

        Raises:
            SlitherError: what happened, as it is: `RemoteError`, `BatchTimeout`, `WorkerCrashed` ...
        """
        batch = list(Source(items, "call_batch"))
        if not batch:
            return []
        options = {
            "pool": pool,
            "timeout_s": timeout_s,
            "batch_size": len(batch),
            "max_in_flight": 1,
            "on_error": "halt",
        }
        run = self._dispatch_run(batch, executor, context, EndLog(), options, "call_batch")
        return _collect(run, lambda halt, items: halt.error)

    def call_each(
        self, executor: Any, *, pool: str = "default", timeout_s: float = 30.0, context: Context | None = None
    ) -> list[Any]:
        """Call a function once on every worker of a pool: for statistics, or to warm up. It takes nothing, or `ctx`.

        Returns:
            One result per worker, in the order of the workers.

        Raises:
            RemoteError: it raised. WorkerCrashed: a worker died. CallTimeout: one did not answer in time.
        """
        self._check_pool(pool)
        code = code_of(executor, once=True)
        workers = self._call_by_name(f"{POOLS}/{pool}/{LEASES}", ListWorkers(), _CALL_LIMIT_S)
        with self._endpoints.lent() as endpoint:
            return call_each(endpoint, workers, code, _context(context), timeout_s)

    def _dispatch_run(
        self,
        items: Iterable[Any],
        executor: Any,
        context: Context | None,
        ends: EndLog,
        given: Mapping[str, Any],
        where: str,
    ) -> Run:
        options = DispatchOptions.of(dict(given), self.config.dispatch, where)
        self._check_pool(options.pool)
        code = code_of(executor)
        source = Source(items, where)
        run_id = self._run_id()
        context = _context(context, run_id)
        (dispatcher,) = self._resolve((f"{POOLS}/{options.pool}/{DISPATCHER}",))
        return self._open(
            lambda service: dispatch_plan(run_id, dispatcher, service, options, code, context),
            source,
            ends,
            lambda: None,
        )

    # -- pipes

    def run_pipe(
        self,
        pipe: Any,
        inputs: Iterable[Any],
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_end: OnEnd | None = None,
    ) -> Outputs:
        """Run inputs through a pipe, and wait for all.

        Returns:
            The items by output, in input order, and the ends.

        Raises:
            PipeError: an error policy halted the run; `partial_results` maps outputs to what had reached them.
            InvalidOption, UnknownPool, StartError: it cannot run at all.
        """
        checked(pipe)
        source = Source(inputs, "run_pipe", keep_order=True)
        ends = EndLog(on_end=on_end)
        run = self._pipe_run(pipe, source, ends, session_id, metadata)
        outputs = pipe.definition.outputs
        items = _collect(run, lambda halt, items: pipe_failure(pipe.definition, halt, items, source.order))
        return Outputs(by_output(outputs, items, source.order), ends)

    def stream_pipe(
        self,
        pipe: Any,
        inputs: Iterable[Any],
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_end: OnEnd | None = None,
    ) -> Stream:
        """Like `run_pipe`, lazily: yields items whose `route` is the output's name; `inputs` may be endless."""
        checked(pipe)
        ends = EndLog(STREAM_KEEPS, on_end)
        run = self._pipe_run(pipe, Source(inputs, "stream_pipe"), ends, session_id, metadata)
        return Stream(run, ends, lambda halt, items: pipe_failure(pipe.definition, halt, items, {}))

    def start_pipe(self, pipe: Any) -> None:
        """Start the processes of a pipe and keep them running between runs.

        Raises:
            StartError: a stage did not start; the error says which and why.
        """
        self._pipes.start(pipe)

    def stop_pipe(self, pipe: Any) -> None:
        """Stop the processes of a pipe. Runs that are open through it end with an error."""
        self._pipes.stop(pipe)

    def _pipe_run(
        self,
        pipe: Any,
        source: Source,
        ends: EndLog,
        session_id: str | None,
        metadata: Mapping[str, Any] | None,
    ) -> Run:
        run_id = self._run_id()
        context = Context(pipe.definition.name, None, session_id, run_id, dict(metadata or {}))
        running = self._pipes.begin(pipe)
        try:
            return self._open(
                lambda service: self._pipe_plan(run_id, running, service, context),
                source,
                ends,
                lambda: self._pipes.end(running),
            )
        except BaseException:
            self._pipes.end(running)
            raise

    def _pipe_plan(self, run_id: str, running: RunningPipe, service: str, context: Context) -> RunPlan:
        refs = self._resolve(running.names)
        stages = {stage.name: ref for stage, ref in zip(running.definition.stages, refs, strict=True)}
        return run_plan(run_id, running.definition, stages, service, context, self.config.dispatch)

    # -- looking at it

    @property
    def actor_system(self) -> Any:
        """Thespian's own client of this system, for those who speak Thespian. Ends with the system; do not call its
        `shutdown()`, which ends the actors behind the supervisors' back."""
        with self._lock:
            if self._actor_system is None:
                self._actor_system = join(self._host.directory)
            return self._actor_system

    def topology(self) -> dict[str, Any]:
        """The live tree as nested plain data: name, pid, incarnation, restarts, last exit, children."""
        return tree_of(self.name, self._processes())

    def statistics(self) -> dict[str, Any]:
        """Figures as plain data: processes, restarts, pools and pipes."""
        processes = self._processes()
        return {
            "system": self.name,
            "processes": sum(info.alive for info in processes),
            "restarts": sum(info.restarts for info in processes),
            "pools": dict(self._pools),
            "pipes": self._pipes.statistics(),
        }

    def _processes(self) -> tuple[ProcessInfo, ...]:
        with self._endpoints.lent() as endpoint:
            found: tuple[ProcessInfo, ...] = endpoint.call(
                self._registry, ListProcesses(), _CALL_LIMIT_S, "the registry"
            )
            return found

    # -- the end

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop the tree in order, then everything that is left of it. Can be called again.

        Args:
            timeout_s: how long the orderly stop may take; after it the rest is killed.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        if self._causes is None and self._host.alive:
            with contextlib.suppress(SlitherError):
                self._gateway_endpoint.post(self._host.root, Shutdown(timeout_s))
                self._gateway.root_exited.wait(timeout_s)
        self._end(timeout_s)

    def _end(self, timeout_s: float) -> None:
        self._gateway.stop()
        self._host.end(timeout_s)
        self._endpoints.close()
        if self._actor_system is not None:
            self._actor_system._systemBase.transport.close()
        self._finalizer.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(_HURRIED_S if kind is not None else 10.0)

    # -- inside

    def _open(self, plan: Callable[[str], RunPlan], source: Source, ends: EndLog, over: Callable[[], None]) -> Run:
        """Open a run on an endpoint of its own. A node that is being restarted is waited for."""
        deadline = time.monotonic() + _RESTART_LIMIT_S
        while True:
            endpoint = self._endpoints.borrow()
            try:
                made = plan(endpoint.address)
            except BaseException:
                self._endpoints.give_back(endpoint)
                raise
            run = Run(endpoint, made, source, ends, self._endpoints.give_back, over, self._last_exit)
            try:
                run.open()
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
            else:
                return run

    def _resolve(self, names: tuple[str, ...]) -> tuple[Ref, ...]:
        deadline = time.monotonic() + _RESTART_LIMIT_S
        while True:
            try:
                with self._endpoints.lent() as endpoint:
                    refs: tuple[Ref, ...] = endpoint.call(self._registry, Resolve(names), _CALL_LIMIT_S, "the registry")
                    return refs
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)  # it is being restarted; the registry has no way to say when

    def _call_by_name(self, name: str, request: Any, timeout_s: float) -> Any:
        (ref,) = self._resolve((name,))
        with self._endpoints.lent() as endpoint:
            return endpoint.call(ref.address, request, timeout_s, name)

    def _last_exit(self, name: str) -> str:
        with contextlib.suppress(SlitherError):
            for info in self._processes():
                if info.ref.name == name and info.last_exit is not None:
                    return str(info.last_exit)
        return "an unknown exit"

    def _check_pool(self, pool: str) -> None:
        if pool not in self._pools:
            raise UnknownPool(pool, tuple(self._pools))

    def _run_id(self) -> str:
        return f"{next(self._run_numbers)}-{secrets.token_hex(4)}"

    def _note_registry(self, address: str) -> None:
        self._registry = address

    def _note_down(self, causes: tuple[str, ...]) -> None:
        """In the gateway's thread: the tree gave up, or the host died."""
        with self._lock:
            if self._causes is None:
                self._causes = causes or ("the host process died",)
        self._host.end(_HURRIED_S)

    def _down_error(self) -> SystemDown:
        if self._stopped and self._causes is None:
            return SystemDown(self.name, ("it was stopped",))
        return SystemDown(self.name, self._causes or ("the host process died",))

    def _refusal(self) -> SlitherError | None:
        return self._down_error() if self._stopped or self._causes is not None else None


def _collect(run: Run, failure: Callable[[Halted, list[Item]], Exception]) -> list[Item]:
    items: list[Item] = []
    try:
        for batch in run.batches():
            items += batch
    except Halted as halt:
        raise failure(halt, items) from None
    return items


def _context(context: Any, run_id: str | None = None) -> Context:
    if context is None:
        return Context(run_id=run_id)
    if not isinstance(context, Context):
        raise InvalidOption("dispatch", "context", shorten(context), "a Context")
    return context


def _end_host(host: Host, pid: int) -> None:
    # a forked child of the service inherits this, and must not end what is its parent's
    if os.getpid() == pid:
        host.end(_HURRIED_S)
