"""The pipes that run in a system: started when they are first needed, stopped when they idle."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._validators import checked_seconds
from slither_actors.config import DispatchConfig
from slither_actors.context import SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._run_events import RunEvents
from slither_actors.dispatch._run_plan import RunPlan
from slither_actors.dispatch.drain import DrainReport
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.run import Run
from slither_actors.dispatch.source import Source
from slither_actors.errors import (
    ChildRefused,
    NoProcess,
    SlitherError,
    StageDown,
    StartError,
)
from slither_actors.otp.child import ChildSpec, SupervisorOptions
from slither_actors.otp.messages import StartChild, TerminateChild
from slither_actors.otp.ref import Ref
from slither_actors.otp.supervisor import Supervisor
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.pipe.pipe import PipeType
from slither_actors.pipe.plan import RunSession, pipe_spec, process_of, run_plan, start_limit_s
from slither_actors.system._asking import CALL_LIMIT_S, GLANCE_S, RESTART_LIMIT_S
from slither_actors.system._ending import Limit, told
from slither_actors.system._feeders import Feed, Feeders
from slither_actors.system._pipe_checks import check_pipe, checked
from slither_actors.system._rates import Rates
from slither_actors.system._sessions import Sessions
from slither_actors.system.client import Client
from slither_actors.system.names import PIPES, ROOT
from slither_actors.system.stores import check_stores_of
from slither_actors.workers.pool_options import PoolOptions

# A pipe that was started by a run stops after this long without one.
IDLE_S = 30.0

# The supervisor of all pipes may be busy with others beside the limits of the stages.
_START_SLACK_S = 30.0
_STOP_LIMIT_S = 60.0
_LONGEST_NAME = 40

# How often it is tried to start processes again that were up before.
_MOST_REVIVALS = 3


@attrs.define(eq=False)
class RunningPipe:
    """A pipe whose processes run, or are being started: `child_id` is what its supervisor is called among all pipes.

    It stops when it has idled for `idle_s` seconds, `IDLE_S` by default, unless it is to `keep`. `starting` is held
    while they are started and stopped, which may take long; `over` says that they were stopped for good.
    """

    pipe: PipeType
    child_id: str
    keep: bool = False
    idle_s: float | None = None
    runs: int = 0
    idle_since: float = 0.0
    up: bool = False
    over: bool = False
    starting: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def definition(self) -> PipeDefinition:
        return self.pipe.definition

    def has_idled(self, now: float) -> bool:
        """Whether it is to be stopped."""
        idle_s = IDLE_S if self.idle_s is None else self.idle_s
        return self.up and not self.keep and not self.runs and self.idle_since + idle_s < now

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the processes that take part in runs, one per stage."""
        return tuple(f"{PIPES}/{self.child_id}/{process_of(stage)}" for stage in self.definition.stages)


class Pipes:
    """Started pipes by class. None waits for the start of another one.

    Args:
        client: the connection to the tree.
        pools: by name.
        config: defaults of options.
        sessions: of the system.
    """

    def __init__(
        self, client: Client, pools: Mapping[str, PoolOptions], config: DispatchConfig, sessions: Sessions
    ) -> None:
        self._client = client
        self._sessions = sessions
        self._pools = pools
        self._config = config
        self._rates = Rates(client, config)
        # Re-entrant, since the garbage collector may end an abandoned stream anywhere, also within this lock.
        self._lock = threading.Condition(threading.RLock())
        self._running: dict[PipeType, RunningPipe] = {}
        self._leaving: dict[PipeType, RunningPipe] = {}  # no run begins on them, and some may still be open
        self._numbers = itertools.count(1)
        self.feeders = Feeders()
        client.settling.append(self.feeders.settle)
        client.joining.append(self.feeders.join)
        self._supervising = threading.Lock()
        self._is_supervised = False

    def begin(self, pipe: Any, *, keep: bool = False, idle_s: float | None = None) -> RunningPipe:
        """A run of `pipe` begins; starts its processes if need be, and keeps them if wanted, or for as long without a
        run as is said."""
        check_pipe(pipe, self._pools, self._config)
        if pipe.definition.stores:
            check_stores_of(pipe.definition, self._client.stores.catalogue)
        while True:
            with self._lock:
                running = self._running.get(pipe)
                if running is None:
                    child_id = f"{pipe.definition.name[:_LONGEST_NAME]}-{next(self._numbers)}"
                    running = self._running[pipe] = RunningPipe(pipe, child_id)
                running.runs += 1
            try:
                if self._is_up(running):
                    running.keep = running.keep or keep
                    if idle_s is not None:
                        running.idle_s = max(running.idle_s or 0.0, idle_s)
                    return running
            except BaseException:
                self.end(running)
                raise
            self.end(running)

    def end(self, running: RunningPipe) -> None:
        """A run is over."""
        with self._lock:
            running.runs -= 1
            running.idle_since = time.monotonic()
            self._lock.notify_all()

    def open(
        self,
        run_id: str,
        pipe: Any,
        source: Source,
        ends: EndLog,
        context: SealedContext,
        deadline: Deadline,
        events: RunEvents,
        session_id: str | None = None,
        feed: Feed | None = None,
    ) -> Run:
        """Open a run of `pipe`, in a session if one is named, or one that is fed item by item."""
        sealed = context.with_trace(events.start())
        idle_s = None if feed is None else feed.idle_stop_s
        try:
            running = self.begin(pipe, keep=feed is not None and idle_s is None, idle_s=idle_s)
        except BaseException:
            events.stop("error")
            raise
        definition, max_wait_s = (running.definition, None) if feed is None else (feed.definition, feed.max_wait_s)

        def plan(service: str) -> RunPlan:
            stages = dict(zip((stage.name for stage in definition.stages), self.refs(running), strict=True))
            session = None if session_id is None else self._join(session_id, definition, stages)
            rates = self._rates.tickets(pipe, running.child_id)
            return run_plan(
                run_id, definition, stages, service, sealed, self._config, deadline, session, max_wait_s, rates
            )

        def over() -> None:
            self.end(running)

        try:
            admitted = feed is not None  # when its items were taken
            return self._client.open(plan, source, ends, events, over, running.child_id, admitted)
        except BaseException:
            over()
            raise

    def _join(self, session_id: str, definition: PipeDefinition, stages: dict[str, Ref]) -> RunSession:
        """What makes a run one of a session; in `stages` the dispatchers of sessions take the place of others."""
        parts, tickets = {}, {}
        for stage in definition.stages:
            if isinstance(stage.declaration, WorkerDeclaration):
                pool = definition.dispatch_options(stage, self._config).pool
                stages[stage.name], parts[stage.name] = self._sessions.part(session_id, pool, stage.name)
            else:
                tickets[stage.name] = self._sessions.stage_ticket(session_id, stages[stage.name].address)
        return RunSession(parts, tickets)

    def start(self, pipe: Any, idle_stop_s: float | None = None) -> None:
        """Start the processes of `pipe`, and keep them, or for as long without a run as is said."""
        self.end(self.begin(pipe, keep=idle_stop_s is None, idle_s=idle_stop_s))

    def stop(self, pipe: Any, timeout_s: Any) -> DrainReport:
        """Stop the processes of `pipe`, when its open runs are over or it took too long. A run that begins meanwhile
        starts others."""
        limit_s = checked_seconds("stop_pipe", timeout_s)
        began = time.monotonic()
        limit = Limit(began + limit_s)
        name = checked(pipe).definition.name
        feeders = self.feeders.refuse(pipe, limit)
        with self._lock:
            if pipe in self._running:
                self._leaving[pipe] = self._running.pop(pipe)
            running = self._leaving.get(pipe)
            if running is None:
                return DrainReport(name, 0, 0, 0.0)
            opened = running.runs
        where, open_runs = running.child_id, self._client.runs
        stopped = StageDown(f"{PIPES}/{where}", "an orderly stop (stop_pipe)")
        reports = open_runs.settle(open_runs.drain(f"pipe {name}", where), limit, stopped)
        cut = sum(report.outcome in ("cut", "closed") for report in reports)
        with self._lock:
            self._lock.wait_for(lambda: not running.runs, limit.left_s)
            ended = min(running.runs + cut, opened)
        self._terminate(running)
        open_runs.forget(where)
        self.feeders.join(feeders)
        with self._lock:
            if self._leaving.get(pipe) is running:
                del self._leaving[pipe]
        return told(DrainReport(name, opened - ended, ended, time.monotonic() - began, reports))

    def set_rate(self, pipe: Any, stage: Any, rate: Any) -> None:
        """Another limit for a stage of `pipe`, whether that runs or not."""
        kind = checked(pipe)
        with self._lock:
            running = self._running.get(kind)
        self._rates.set(kind, stage, rate, running.child_id if running is not None and running.up else None)

    def stop_idle(self) -> None:
        """Stop what nobody has used for a while and nobody wants kept."""
        now = time.monotonic()
        with self._lock:
            idle = [r for r in self._running.values() if r.has_idled(now)]
            for running in idle:
                del self._running[running.pipe]
        for running in idle:
            # it may take long, and whoever calls has more to do
            threading.Thread(target=self._terminate_quietly, args=(running,), daemon=True).start()

    def _terminate_quietly(self, running: RunningPipe) -> None:
        with contextlib.suppress(SlitherError):  # it is gone already, or everything is
            self._terminate(running)

    def refs(self, running: RunningPipe) -> tuple[Ref, ...]:
        """Its stages' processes; those that are being restarted are waited for.

        Raises:
            StartError: they do not start again. NoProcess: they did not come back in time.
        """
        deadline = time.monotonic() + RESTART_LIMIT_S
        failures: list[StartError] = []
        while True:
            try:
                return self._client.resolve(running.names, GLANCE_S)
            except NoProcess:
                if time.monotonic() > deadline and not failures:
                    raise
            try:
                self._revive(running)
            except StartError as error:  # they did start once, so one of them may have been killed while it came up
                failures.append(error)
                if len(failures) == _MOST_REVIVALS:
                    raise

    def _revive(self, running: RunningPipe) -> None:
        """Start its processes again if their supervisor has forgotten them: one that was restarted has."""
        with running.starting:
            if running.over:
                return
            try:
                self._start(running)
            except NoProcess:
                pass  # the supervisor itself is being restarted
            except ChildRefused:
                pass  # they are there, and being restarted

    def statistics(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            running = [(pipe, {"runs": run.runs, "kept": run.keep}) for pipe, run in self._running.items()]
        return {pipe.__name__: told | self._rates.figures(pipe) for pipe, told in running}

    def _is_up(self, running: RunningPipe) -> bool:
        """Start the processes unless they run; false when somebody has stopped them for good meanwhile."""
        with running.starting:
            if not running.up and not running.over:
                try:
                    self._start(running)
                    # the supervisor's answer may overtake its word to the registry
                    self._client.resolve((f"{PIPES}/{running.child_id}", *running.names), RESTART_LIMIT_S)
                except BaseException:
                    running.over = True
                    with self._lock:
                        if self._running.get(running.pipe) is running:
                            del self._running[running.pipe]
                    raise
                running.up = True
            return not running.over

    def _start(self, running: RunningPipe) -> None:
        self._start_supervisor()
        spec = pipe_spec(running.child_id, running.definition, Code.by_path(running.pipe), self._config)
        # each stage has a limit of its own, which names it
        self._client.call(PIPES, StartChild(spec), start_limit_s(running.definition) + _START_SLACK_S)

    def _start_supervisor(self) -> None:
        """Once: a system without pipes needs no process for them. The root restarts it from then on."""
        with self._supervising:
            if not self._is_supervised:
                options = SupervisorOptions(dynamic=True)
                spec = ChildSpec(PIPES, Code.of(Supervisor), (options,), type="supervisor")
                with contextlib.suppress(ChildRefused):  # an earlier call was answered too late
                    self._client.call(ROOT, StartChild(spec), CALL_LIMIT_S)
                self._is_supervised = True

    def _terminate(self, running: RunningPipe) -> None:
        with running.starting:
            running.over = True
            if running.up:
                running.up = False
                self._client.call(PIPES, TerminateChild(running.child_id), _STOP_LIMIT_S)
