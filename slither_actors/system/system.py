"""`System`: the handle of a running system. Safe to use from any thread."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from slither_actors import telemetry
from slither_actors._code import Code
from slither_actors._keywords import known_keywords
from slither_actors._validators import check_bool
from slither_actors.config import Config
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
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
from slither_actors.system._runs import (
    by_output,
    check_session,
    checked_seconds,
    dispatch_failure,
    dispatch_plan,
    dispatch_source,
    end_log,
    given_options,
    pipe_failure,
    sealed_context,
    tree_of,
)
from slither_actors.system._sessions import Sessions
from slither_actors.system.client import HURRIED_S, Client
from slither_actors.system.each import call_each
from slither_actors.system.figures import statistics_of
from slither_actors.system.pipes import DrainReport, Pipes, checked
from slither_actors.system.results import Results, Stream, collect
from slither_actors.system.session_calls import SessionCalls
from slither_actors.transport.launch import Host
from slither_actors.workers.executor import AnyExecutor
from slither_actors.workers.pool_options import PoolOptions, code_for


class System(SessionCalls):
    """A running system, as `start` returns it. A context manager: leaving the block stops the system."""

    def __init__(
        self, name: str, host: Host, gateway: Endpoint, registry: str, pools: dict[str, PoolOptions], config: Config
    ) -> None:
        self.name = name
        self.config = config
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
            items: payloads or `Item`s.
            executor: `"module:function"`, a function, `Call(...)`, `Command(...)` or an `Executor` subclass.
            pool: the worker pool.
            strategy: how items are cut into batches; `FixedBatch(batch_size)` by default.
            batch_size: items per batch (64, unless configured otherwise).
            max_in_flight: batches that may be with workers at once (8, unless configured otherwise).
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
        given = given_options(pool, strategy, batch_size, max_in_flight, ordering, on_error, timeout_s, queue_timeout_s)
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
        given = given_options(pool, strategy, batch_size, max_in_flight, ordering, on_error, timeout_s, queue_timeout_s)
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

    @known_keywords
    def call_each(
        self, executor: AnyExecutor, *, pool: str = "default", timeout_s: float = 30.0, context: Context | None = None
    ) -> list[Any]:
        """Call a function once on every worker of a pool: for statistics, or to warm up. It takes nothing, or `ctx`.

        Returns:
            One result per worker, in the order of the workers.

        Raises:
            RemoteError: it raised. WorkerCrashed: a worker died of it. CallTimeout: one did not answer in time.
            InvalidOutcome: a result cannot be read here. NotDecodable: a worker cannot read the context.
        """
        options = self._options({"pool": pool, "timeout_s": timeout_s}, "call_each")
        code = self._code(executor, options, "call_each", once=True)
        sealed = sealed_context(context, self._run_id(), "call_each")
        return call_each(self._client, options.pool, self._pools[options.pool].size, code, sealed, options.timeout_s)

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
        deadline = Deadline.of(where, deadline_s)
        options = self._options(given, where)
        code = self._code(executor, options, where)
        source = dispatch_source(items, where, options, ends)
        sealed = sealed_context(context, run_id := self._run_id(), where)

        def plan(service: str) -> RunPlan:
            dispatcher, part = self._sessions.way(context, options.pool)
            return dispatch_plan(run_id, dispatcher, service, options, code, sealed, deadline, part)

        return self._client.open(plan, source, ends, telemetry.DISPATCH_RUN, pool=options.pool)

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
        source = Source(inputs, "run_pipe", keep_order=True)
        ends = end_log("run_pipe", on_end, ends_file=ends_file)
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
        run = self._pipe_run(pipe, Source(inputs, "stream_pipe"), ends, session_id, metadata, deadline_s)
        return Stream(run, ends, lambda halt, items: pipe_failure(pipe.definition, halt, items, {}))

    @known_keywords
    def start_pipe(self, pipe: type[Pipe]) -> None:
        """Start the processes of a pipe and keep them running between runs.

        Raises:
            StartError: a stage did not start; the error says which and why.
        """
        self._pipes.start(pipe)

    @known_keywords
    def stop_pipe(self, pipe: type[Pipe], drain: bool = True, *, timeout_s: float = 30.0) -> DrainReport:
        """Stop the processes of a pipe. A run that begins from now on starts it anew.

        Args:
            pipe: the pipe class.
            drain: let open runs come to their end first; their sources are pulled as before, so an endless one takes
                all the time there is. What is open after that ends with a `PipeError` whose reason is `StageDown`.
            timeout_s: how many seconds that may take.

        Raises:
            InvalidOption: `drain` is no bool, or `timeout_s` no time. SystemDown: the system is stopped, or gave up.
        """
        check_bool("stop_pipe", "drain", drain)
        return self._pipes.stop(pipe, timeout_s if drain else 0.0)

    def _pipe_run(
        self,
        pipe: type[Pipe],
        source: Source,
        ends: EndLog,
        session_id: str | None,
        metadata: Mapping[str, Any] | None,
        deadline_s: float | None,
    ) -> Run:
        deadline = Deadline.of("pipe run", deadline_s)
        check_session(session_id)
        run_id = self._run_id()
        context = SealedContext.of(Context(pipe.definition.name, None, session_id or run_id, run_id, metadata))
        return self._pipes.open(run_id, pipe, source, ends, context, deadline, session_id)

    # -- looking at it

    def topology(self) -> dict[str, Any]:
        """The live tree as nested plain data: name, pid, incarnation, restarts, last exit, children."""
        return tree_of(self.name, self._client.processes())

    def statistics(self) -> dict[str, Any]:
        """Figures as plain data: processes, restarts, pools and pipes."""
        return statistics_of(self.name, self._client, self._pools) | {"pipes": self._pipes.statistics()}

    # -- the end

    @known_keywords
    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop the tree in order, for `timeout_s` at most; then what is left of it is killed, within a second. Can be
        called again; other threads that call it meanwhile wait for the same end."""
        self._client.stop(checked_seconds("stop", timeout_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(HURRIED_S if kind is not None else 10.0)

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
