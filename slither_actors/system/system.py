"""`System`: the handle of a running system. Safe to use from any thread."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Any

from slither_actors import telemetry
from slither_actors._code import Code
from slither_actors._keywords import known_keywords
from slither_actors.config import Config
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._run_events import RunEvents
from slither_actors.dispatch._run_plan import RunPlan
from slither_actors.dispatch.ends import STREAM_KEEPS, EndLog, OnEnd
from slither_actors.dispatch.options import DispatchOptions, Ordering
from slither_actors.dispatch.run import Run
from slither_actors.dispatch.source import Source
from slither_actors.dispatch.strategy import AnyStrategy
from slither_actors.errors import UnknownPool
from slither_actors.item import Item
from slither_actors.otp.endpoint import Endpoint
from slither_actors.pipe.outputs import Outputs
from slither_actors.pipe.pipe import Pipe
from slither_actors.policy import AnyPolicy, as_policy
from slither_actors.system._pipe_checks import checked
from slither_actors.system._runs import (
    by_output,
    check_session,
    dispatch_failure,
    dispatch_plan,
    dispatch_source,
    end_log,
    given_limits,
    pipe_failure,
    pipe_source,
    sealed_context,
)
from slither_actors.system._sessions import Sessions
from slither_actors.system.client import Client
from slither_actors.system.figures import Figures
from slither_actors.system.lifecycle import Lifecycle
from slither_actors.system.pipe_calls import PipeCalls
from slither_actors.system.pipes import Pipes
from slither_actors.system.pool_calls import PoolCalls
from slither_actors.system.results import Results, Stream, collect
from slither_actors.system.session_calls import SessionCalls
from slither_actors.transport.launch import Host
from slither_actors.workers.executor import AnyExecutor
from slither_actors.workers.pool_options import PoolOptions, code_for


class System(Lifecycle, PoolCalls, PipeCalls, SessionCalls, Figures):
    """A running system, as `start` returns it. A context manager: leaving the block stops the system."""

    def __init__(
        self,
        name: str,
        host: Host,
        gateway: Endpoint,
        registry: str,
        pools: dict[str, PoolOptions],
        config: Config,
        handle_signals: bool,
        stop_timeout_s: float,
    ) -> None:
        self.name = name
        self.config = config
        self._handle_signals = handle_signals
        self._stop_timeout_s = stop_timeout_s
        self._pools = pools
        self._run_numbers = itertools.count(1)
        self._client = Client(name, host, gateway, registry, lambda: self._pipes.stop_idle(), config.queue_limit_bytes)
        self._sessions = Sessions(self._client, config.sessions)
        self._pipes = Pipes(self._client, pools, config.dispatch, self._sessions)
        self._client.begin()

    def __repr__(self) -> str:
        return f"<System {self.name} {self._client.state}>"

    # -- dispatch

    @known_keywords
    def dispatch(
        self,
        items: Iterable[Any],
        executor: AnyExecutor,
        *,
        pool: str = "default",
        strategy: AnyStrategy | None = None,
        batch_size: int | None = None,
        max_in_flight: int | None = None,
        max_in_flight_weight: float | None = None,
        ordering: Ordering | None = None,
        on_error: AnyPolicy | None = None,
        timeout_s: float = 30.0,
        queue_timeout_s: float | None = None,
        deadline_s: float | None = None,
        context: Context | None = None,
        on_end: OnEnd | None = None,
        ends_file: str | os.PathLike[str] | None = None,
    ) -> Results:
        """Run items through a worker pool in batches, and wait for all.

        Args:
            items: payloads, or objects of `Item`.
            executor: `"module:function"`, a function, `Call(...)`, `Command(...)` or an `Executor` subclass.
            pool: the worker pool.
            strategy: how items are cut into batches; `FixedBatch(batch_size)` by default.
            batch_size: items per batch (64, unless configured otherwise).
            max_in_flight: batches that may be with workers at once (8, unless configured otherwise).
            max_in_flight_weight: what these may weigh together, by a strategy with weights; a heavier one goes alone.
            ordering: `"preserve"` or `"as_completed"`.
            on_error: `"halt"`, `"skip"`, `Skip()`, `Retry()` or `Route(function)`.
            timeout_s: seconds a batch may run before its worker is killed.
            queue_timeout_s: seconds a batch may wait while the pool has no worker for this call; no limit by default.
            deadline_s: seconds the whole call may take; no limit by default.
            context: what user code is told of the run.
            on_end: called as `on_end(item, end)` for each item that leaves the flow, in this thread.
            ends_file: where each of them is written, with its reason; `read_ends` and `slither dead` read it.

        Returns:
            The surviving items; `.skipped`, `.dropped` and `.dead` hold the others.

        Raises:
            DispatchError: the error policy or the deadline ended the run; `partial_results` holds what was finished.
            InvalidOption, UnknownPool, NotImportable, NotPicklable, NotDecodable: it cannot run at all.
            SystemDown: the system is stopped, or gave up.
        """
        ends = end_log("dispatch", on_end, ends_file=ends_file)
        limits = given_limits(batch_size, max_in_flight, max_in_flight_weight, timeout_s, queue_timeout_s)
        given = limits | {"pool": pool, "strategy": strategy, "ordering": ordering, "on_error": on_error}
        run = self._dispatch_run(items, executor, context, ends, given, "dispatch", deadline_s)
        return Results(collect(run, dispatch_failure), ends)

    @known_keywords
    def stream(
        self,
        items: Iterable[Any],
        executor: AnyExecutor,
        *,
        pool: str = "default",
        strategy: AnyStrategy | None = None,
        batch_size: int | None = None,
        max_in_flight: int | None = None,
        max_in_flight_weight: float | None = None,
        ordering: Ordering | None = None,
        on_error: AnyPolicy | None = None,
        timeout_s: float = 30.0,
        queue_timeout_s: float | None = None,
        deadline_s: float | None = None,
        context: Context | None = None,
        on_end: OnEnd | None = None,
        ends_file: str | os.PathLike[str] | None = None,
    ) -> Stream:
        """Like `dispatch`, lazily: `items` may be endless, and is pulled in the thread that takes the results, never
        further ahead of what was taken than `(max_in_flight + 4) * batch_size` items."""
        ends = end_log("stream", on_end, STREAM_KEEPS, ends_file)
        limits = given_limits(batch_size, max_in_flight, max_in_flight_weight, timeout_s, queue_timeout_s)
        given = limits | {"pool": pool, "strategy": strategy, "ordering": ordering, "on_error": on_error}
        run = self._dispatch_run(items, executor, context, ends, given, "stream", deadline_s)
        return Stream(run, ends, dispatch_failure)

    @known_keywords
    def call_batch(
        self,
        items: Iterable[Any],
        executor: AnyExecutor,
        *,
        pool: str = "default",
        timeout_s: float = 30.0,
        context: Context | None = None,
    ) -> list[Item]:
        """Run one ready batch, whole, on one worker; no strategy and no policy.

        Raises:
            SlitherError: what happened, as it is: `RemoteError`, `BatchTimeout`, `WorkerCrashed` ...
        """
        options = {"pool": pool, "timeout_s": timeout_s, "max_in_flight": 1, "on_error": "halt"}
        code = self._code(executor, self._options(options, "call_batch"), "call_batch")  # before anything is pulled
        batch = list(Source(items, "call_batch"))
        if not batch:
            return []
        run = self._dispatch_run(batch, code, context, EndLog(), options | {"batch_size": len(batch)}, "call_batch")
        return collect(run, lambda halt, items: halt.error)

    def _dispatch_run(
        self,
        items: Iterable[Any],
        executor: Any,
        context: Context | None,
        ends: EndLog,
        given: Mapping[str, Any],
        where: str,
        deadline_s: float | None = None,
    ) -> Run:
        deadline = Deadline.of(where, deadline_s, self._client.clock)
        options = self._options(given, where)
        code = self._code(executor, options, where)
        source = dispatch_source(items, where, options, ends, self._client.clock)
        sealed = sealed_context(context, run_id := self._run_id(), where)

        about = {"system": self.name, "run": run_id, "pool": options.pool}
        events = RunEvents(telemetry.DISPATCH_RUN, about, context.trace if context else None)

        def plan(service: str) -> RunPlan:
            dispatcher, part = self._sessions.way(context, options.pool)
            traced = sealed.with_trace(events.start())
            return dispatch_plan(run_id, dispatcher, service, options, code, traced, deadline, part)

        return self._client.open(plan, source, ends, events)

    # -- pipes

    @known_keywords
    def run_pipe(
        self,
        pipe: type[Pipe],
        inputs: Iterable[Any],
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline_s: float | None = None,
        on_end: OnEnd | None = None,
        ends_file: str | os.PathLike[str] | None = None,
    ) -> Outputs:
        """Run inputs through a pipe, and wait for all.

        Args:
            session_id: a session; its worker stages work in the session's worker of their pool.
            metadata: what user code finds in `ctx.metadata`.
            deadline_s: seconds the whole run may take; no limit by default.
            on_end: called as `on_end(item, end)` for each item that leaves the flow, in this thread.
            ends_file: where each of them is written, with its reason; `read_ends` and `slither dead` read it.

        Returns:
            The items by output, in input order, and the ends.

        Raises:
            PipeError: a policy or the deadline ended the run; `partial_results` maps outputs to what had reached them.
            InvalidOption, UnknownPool, NotPicklable, NotDecodable, StartError: it cannot run at all.
        """
        checked(pipe)
        ends = end_log("run_pipe", on_end, ends_file=ends_file)
        source = self._pipe_source(inputs, "run_pipe", pipe, ends, keep_order=True)
        run = self._pipe_run(pipe, source, ends, session_id, metadata, deadline_s)
        outputs = pipe.definition.outputs
        items = collect(run, lambda halt, items: pipe_failure(pipe.definition, halt, items, source.order))
        return Outputs(by_output(outputs, items, source.order), ends)

    @known_keywords
    def stream_pipe(
        self,
        pipe: type[Pipe],
        inputs: Iterable[Any],
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline_s: float | None = None,
        on_end: OnEnd | None = None,
        ends_file: str | os.PathLike[str] | None = None,
    ) -> Stream:
        """Like `run_pipe`, lazily: yields items whose `route` is the output's name; `inputs` may be endless."""
        checked(pipe)
        ends = end_log("stream_pipe", on_end, STREAM_KEEPS, ends_file)
        source = self._pipe_source(inputs, "stream_pipe", pipe, ends)
        run = self._pipe_run(pipe, source, ends, session_id, metadata, deadline_s)
        return Stream(run, ends, lambda halt, items: pipe_failure(pipe.definition, halt, items, {}))

    def _pipe_source(self, inputs: Any, where: str, pipe: Any, ends: EndLog, keep_order: bool = False) -> Source:
        config, clock = self.config.dispatch, self._client.clock
        return pipe_source(inputs, where, pipe.definition, config, ends, keep_order=keep_order, clock=clock)

    def _pipe_run(
        self,
        pipe: type[Pipe],
        source: Source,
        ends: EndLog,
        session_id: str | None,
        metadata: Mapping[str, Any] | None,
        deadline_s: float | None,
    ) -> Run:
        deadline = Deadline.of("pipe run", deadline_s, self._client.clock)
        check_session(session_id)
        self._client.check_admission()
        run_id = self._run_id()
        stores = pipe.definition.stores
        context = SealedContext.of(Context(pipe.definition.name, None, session_id or run_id, run_id, metadata), stores)
        events = RunEvents(telemetry.PIPE_RUN, {"system": self.name, "run": run_id, "pipe": pipe.definition.name})
        return self._pipes.open(run_id, pipe, source, ends, context, deadline, events, session_id)

    def _options(self, given: Mapping[str, Any], where: str) -> DispatchOptions:
        options = DispatchOptions.of(dict(given), self.config.dispatch, where)
        as_policy(options.on_error, where, places=False)
        if options.pool not in self._pools:
            raise UnknownPool(options.pool, tuple(self._pools))
        return options

    def _code(self, executor: Any, options: DispatchOptions, where: str, once: bool = False) -> Code:
        return code_for(executor, options.pool, self._pools[options.pool], where, once=once)

    def _run_id(self) -> str:
        return f"{next(self._run_numbers)}-{os.urandom(4).hex()}"
