"""One simulation from its seed to its end: the tree grows, runs are opened, things happen, and all rules look at it."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from slither_actors import telemetry
from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._dispatch_run import SessionPart
from slither_actors.dispatch._run_events import RunEvents
from slither_actors.dispatch._run_plan import RunHooks, RunPlan
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.ends import EndLog, OnEnd
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.run import Halted, Run
from slither_actors.dispatch.sessions import SessionDispatcher
from slither_actors.dispatch.source import Source
from slither_actors.errors import NoProcess, SessionLimit, SessionLost
from slither_actors.item import Item
from slither_actors.otp.child import ChildSpec
from slither_actors.otp.ref import Ref
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.pipe.pipe import PipeType
from slither_actors.pipe.plan import STAGE_BATCH, WINDOW, pipe_spec, process_of, run_plan
from slither_actors.system._rates import tickets_of
from slither_actors.system._runs import dispatch_plan, dispatch_source, pipe_source, sealed_context
from slither_actors.system.names import DISPATCHER, PIPES, POOLS, SESSIONS
from slither_actors.testing import _edge_rules, _rate_rules, _session_rules, _work_rules
from slither_actors.testing._faults import Faults
from slither_actors.testing._handles import HeldSession
from slither_actors.testing._outcome_rules import NoPullBehindTheEnd, RunLog, SourceWithinCeiling, outcome_rules
from slither_actors.testing._rules import Book
from slither_actors.testing._service import Party, SimulatedEndpoint, attended
from slither_actors.testing._tree import Tree
from slither_actors.testing._world import World
from slither_actors.testing.report import Execution, SimulationReport
from slither_actors.workers.pool import pool_spec
from slither_actors.workers.pool_options import PoolOptions
from slither_actors.workers.sessions import SessionTicket

_RULES = (
    _edge_rules.UnitsWithinCredit,
    _edge_rules.CreditNeverShrinks,
    _edge_rules.HeldWithinCeiling,
    _edge_rules.NumbersWithoutGaps,
    _edge_rules.NothingAfterTheEnd,
    _edge_rules.FewUnacknowledged,
    _work_rules.OneLeaseAtATime,
    _work_rules.LeasesOfThePool,
    _work_rules.TwoBatchesPerWorker,
    _work_rules.ReturnedGoFirst,
    _work_rules.AttemptsWithinPolicy,
    _work_rules.OnlyTheRunningIsCharged,
    _work_rules.OnlyCulpritsAreGivenUp,
    _work_rules.NobodyIdlesBesideWork,
    _rate_rules.RateKept,
    *_session_rules.RULES,
)

_NEVER = Deadline()

Plan = Callable[[tuple[Ref, ...], str], RunPlan]


@contextlib.contextmanager
def playing(seed: int, faults: Faults, config: Config) -> Iterator[Play]:
    """A simulation. Chance is the seed's alone, that of user code too."""
    before = random.getstate()
    random.seed(seed)
    try:
        with tempfile.TemporaryDirectory(prefix="slither-simulation-") as directory:
            yield Play(seed, faults, config, directory)
    finally:
        random.setstate(before)


class Play:
    """Any number of runs in one simulated system."""

    def __init__(self, seed: int, faults: Faults, config: Config, directory: str) -> None:
        self.world = World(seed, faults)
        book = self._book = self.world.watcher = Book(self.world)
        self.tree = Tree(self.world, directory)
        self.logs: list[RunLog] = []
        self._config = config.dispatch
        self._sessions = config.sessions
        self._parties: list[Party] = []
        self._pools: list[str] = []
        self._sticky: list[str] = []  # pools with a dispatcher of sessions
        self._stages: dict[str, str] = {}  # by the name of a dispatcher
        self._pull_rules = SourceWithinCeiling(book, self.logs), NoPullBehindTheEnd(book, self.logs)
        for rule in (*(kind(book) for kind in _RULES), *outcome_rules(book, self.logs)):
            book.add(rule)

    # -- runs

    def dispatch(
        self,
        items: Iterable[Any],
        executor: Code,
        options: DispatchOptions,
        *,
        context: Context | None = None,
        deadline: Deadline = _NEVER,
        leave_after: int | None = None,
        on_end: OnEnd | None = None,
        ticket: SessionTicket | None = None,
        holds: bool = False,
    ) -> RunLog:
        """Add a plain dispatch; one whose context names a session is one of that, with these options of it, and may
        hold it open meanwhile."""
        self._need_pool(options.pool)
        held = None
        if context is not None and context.session_id is not None:
            ticket = ticket or SessionTicket(context.session_id, ttl_s=self._sessions.default_ttl_s)
            self._need_sessions(options.pool)
            held = HeldSession(self.tree, f"{POOLS}/{options.pool}/{SESSIONS}", ticket) if holds else None
        ceiling = (options.max_in_flight + 4) * options.size
        log = self._log(ceiling, options.ordering == "preserve", keeps_ids=True)
        ends = self._noting(log, on_end)
        source = dispatch_source(self._pulled(items, log), "dispatch", options, ends, self.world.clock)
        sealed = sealed_context(context, log.name, "dispatch")

        def plan(refs: tuple[Ref, ...], service: str) -> RunPlan:
            known = ticket if held is None else held.ticket
            part = None if known is None else SessionPart(known)
            return dispatch_plan(log.name, refs[0], service, options, executor, sealed, deadline, part)

        names = (f"{POOLS}/{options.pool}/{DISPATCHER if ticket is None else SESSIONS}",)
        self._serve(log, names, plan, source, ends, telemetry.DISPATCH_RUN, leave_after, held)
        return log

    def pipe(
        self,
        pipe: PipeType,
        items: Iterable[Any],
        context: Context,
        *,
        deadline: Deadline = _NEVER,
        leave_after: int | None = None,
        on_end: OnEnd | None = None,
    ) -> RunLog:
        """Add a run of a pipe, with processes of its own."""
        definition = pipe.definition
        for stage in definition.stages:
            if isinstance(stage.declaration, WorkerDeclaration):
                self._need_pool(definition.dispatch_options(stage, self._config).pool)
        child = f"{definition.name[:40]}-{len(self.logs) + 1}"
        self.tree.grow(PIPES, pipe_spec(child, definition, Code.by_path(pipe), self._config))
        log = self._log(self._ceiling(definition), in_order=False, keeps_ids=False)
        ends = self._noting(log, on_end)
        pulled = self._pulled(items, log)
        clock = self.world.clock
        source = pipe_source(pulled, "run_pipe", definition, self._config, ends, keep_order=True, clock=clock)
        sealed = SealedContext.of(Context(definition.name, None, context.session_id, log.name, context.metadata))
        names = tuple(f"{PIPES}/{child}/{process_of(stage)}" for stage in definition.stages)
        self._stages |= dict(zip(names, (stage.name for stage in definition.stages), strict=True))
        rates = tickets_of(definition, child, self._config)

        def plan(refs: tuple[Ref, ...], service: str) -> RunPlan:
            stages = {stage.name: ref for stage, ref in zip(definition.stages, refs, strict=True)}
            return run_plan(log.name, definition, stages, service, sealed, self._config, deadline, rates=rates)

        self._serve(log, names, plan, source, ends, telemetry.PIPE_RUN, leave_after)
        return log

    def _need_pool(self, pool: str) -> None:
        if pool not in self._pools:
            self._pools.append(pool)
            dispatcher = ChildSpec(DISPATCHER, Code.of(Dispatcher), (pool,))
            self.tree.grow(POOLS, pool_spec(pool, PoolOptions(self.world.faults.workers), dispatcher))

    def _need_sessions(self, pool: str) -> None:
        if pool not in self._sticky:
            self._sticky.append(pool)
            spec = ChildSpec(SESSIONS, Code.of(SessionDispatcher), (pool, self._sessions.max_sessions))
            self.tree.add(f"{POOLS}/{pool}", spec)

    def _log(self, ceiling: int, in_order: bool, keeps_ids: bool) -> RunLog:
        log = RunLog(f"run-{len(self.logs) + 1}", ceiling, in_order, keeps_ids)
        self.logs.append(log)
        return log

    def _noting(self, log: RunLog, on_end: OnEnd | None) -> EndLog:
        def note(item: Item, end: str) -> None:
            log.ended.append((item, end))
            if on_end is not None:
                on_end(item, end)

        log.ends = EndLog(None, note)
        return log.ends

    def _pulled(self, items: Iterable[Any], log: RunLog) -> Iterator[Item]:
        for value in items:
            item = Item.wrap(value)
            log.pulled.append(item.id)
            for rule in self._pull_rules:
                rule.pulls(log)
            yield item

    def _ceiling(self, definition: PipeDefinition) -> int:
        """What all edges may hold together, and what waits within stages for a batch to be full."""
        total, largest = 0, STAGE_BATCH
        for number, stage in enumerate(definition.stages, 1):
            window, items = WINDOW, STAGE_BATCH
            if isinstance(stage.declaration, WorkerDeclaration):
                options = definition.dispatch_options(stage, self._config)
                window, items = options.max_in_flight + WINDOW, options.size
                largest = max(largest, options.size)
            if stage.declaration.has_balancer:  # between it and its replicas: as much again on each way
                total += (len(definition.stages) - number + 2) * (WINDOW + 1) * STAGE_BATCH
            # an edge from every earlier stage, and one to the service
            total += number * (window + 1) * items + (WINDOW + 1) * largest
        return total

    # -- the service

    def _serve(
        self,
        log: RunLog,
        names: tuple[str, ...],
        plan: Plan,
        source: Source,
        ends: EndLog,
        event: telemetry.Name,
        leave_after: int | None,
        held: HeldSession | None = None,
    ) -> None:
        def live(party: Party) -> None:
            try:
                if held is not None:
                    held.begin(party)
                play(party, self._opened(party, log, names, plan, source, ends, event))
            except (SessionLost, SessionLimit) as error:
                log.how, log.refusal = "refused", error
            if held is not None:
                held.end(party)

        def play(party: Party, run: Run) -> None:
            batches = run.batches()
            try:
                for batch in batches:
                    log.got += batch
                    party.wait()
                    if leave_after is not None and len(log.got) >= leave_after:
                        log.how = "left"
                        break
                log.how = log.how or "done"
            except Halted as halt:
                log.how, log.halt = "halted", halt
            finally:
                batches.close()

        self._parties.append(Party(self.world, f"service of {log.name}", live))

    def _opened(
        self,
        party: Party,
        log: RunLog,
        names: tuple[str, ...],
        plan: Plan,
        source: Source,
        ends: EndLog,
        event: telemetry.Name,
    ) -> Run:
        """As `Client.open` does it: whoever is being restarted is waited for."""
        events = RunEvents(event, {"system": "simulation", "run": log.name})
        events.start()
        hooks = RunHooks(lambda endpoint: None, lambda run: None, self.tree.last_exit, events)
        number = 0
        while True:
            number += 1
            party.wait(lambda: all(self.tree.find(name) for name in names))
            endpoint: Any = SimulatedEndpoint(party, self.tree, f"service of {log.name}, address {number}")
            refs = tuple(ref for name in names if (ref := self.tree.find(name)) is not None)
            made = plan(refs, endpoint.address)
            run = Run(endpoint, made if number == 1 else made.again(number), source, ends, hooks)
            try:
                run.open()
            except NoProcess:
                endpoint.close()
            else:
                return run

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the service whose thread this is."""
        me = next(party for party in self._parties if party.is_me)
        me.wait(lambda: False, self.world.now + seconds)

    # -- playing

    def go(self) -> None:
        """Let everything happen, and look at the end of it.

        Raises:
            InvariantBroken: something is not as it must be. Exception: what the source of a run raises.
        """
        with attended(self._parties):
            self.world.play()
            for party in self._parties:
                if party.error is not None:
                    raise party.error
            self._book.over()

    def report(self) -> SimulationReport:
        world = self.world
        executions = [
            Execution(worker, run, self._stages.get(dispatcher.rpartition("#")[0]), ids, began, outcome)
            for worker, run, dispatcher, ids, began, outcome in self._book.executions
        ]
        return SimulationReport(
            seed=world.seed,
            virtual_s=world.now,
            steps=world.steps,
            messages=world.trace.messages,
            executions=tuple(executions),
            deaths=tuple(self.tree.deaths),
            repeated=world.repeated,
            trace=world.trace.lines(),
        )
