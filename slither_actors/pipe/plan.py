"""Lays a run over the running stages of a pipe: which edges there are, and how much each may hold."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import NamedTuple

import attrs

from slither_actors._code import Code
from slither_actors._codec import encode_parts
from slither_actors._record import record, replaced
from slither_actors.config import DispatchConfig
from slither_actors.context import SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._dispatch_run import DispatchPlan, SessionPart
from slither_actors.dispatch._run_plan import Node, RunPlan
from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.messages import InPort, Origin, OutPort
from slither_actors.dispatch.strategy import FixedBatch
from slither_actors.otp.child import ChildSpec, Strategy, SupervisorOptions
from slither_actors.otp.ref import Ref
from slither_actors.otp.supervisor import Supervisor
from slither_actors.pipe._balance_plan import BalancePlan, edges_between, share_of
from slither_actors.pipe._stage_plan import StagePlan, StageSetting
from slither_actors.pipe.balancer import BALANCER, REPLICA, Balancer
from slither_actors.pipe.builtin import LocalStage, RouterStage
from slither_actors.pipe.declarations import CustomDeclaration, LocalDeclaration, WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition, StageSpec
from slither_actors.policy import Policy, for_travel, way_out
from slither_actors.workers.messages import Job
from slither_actors.workers.sessions import SessionTicket

# Items per batch of stages that handle them one by one, and of the service at the end.
STAGE_BATCH = 32

# Batches on an edge that are not settled: one in work, one waiting.
WINDOW = 2


def pipe_spec(child_id: str, definition: PipeDefinition, code: Code | None, config: DispatchConfig) -> ChildSpec:
    """The child spec of a running pipe: one process per stage, the first one first. A stage that dies takes those
    behind it along, since their open runs are lost with it.

    Args:
        child_id: what its supervisor is called.
        definition: the pipe.
        code: where stages find the pipe's class; `None` if no other process can import it.
        config: defaults of options.

    Raises:
        NotPicklable: an option, a function or a class cannot travel; the error names it and the stage.
    """
    children = [_stage_spec(definition, stage, code, config) for stage in definition.stages]
    options = SupervisorOptions(strategy=Strategy.REST_FOR_ONE, parallel_start=True)
    return ChildSpec(child_id, Code.of(Supervisor), (options, tuple(children)), type="supervisor")


def start_limit_s(definition: PipeDefinition) -> float:
    """How long the stages of a pipe, which start side by side, may take to come up."""
    return max(stage.declaration.start_timeout_s for stage in definition.stages)


def _stage_spec(definition: PipeDefinition, stage: StageSpec, code: Code | None, config: DispatchConfig) -> ChildSpec:
    declaration = stage.declaration
    if isinstance(declaration, WorkerDeclaration):
        pool = definition.dispatch_options(stage, config).pool
        return ChildSpec(stage.name, Code.of(Dispatcher), (pool, stage.name))
    if not declaration.has_balancer:
        return _process_spec(stage.name, definition, stage, code)
    names = [f"{REPLICA}{number}" for number in range(1, declaration.replicas + 1)]
    replicas = [_process_spec(name, definition, stage, code) for name in names]
    balancer = ChildSpec(BALANCER, Code.of(Balancer), (stage.name,))
    options = SupervisorOptions(parallel_start=True, parallel_stop=True)
    return ChildSpec(stage.name, Code.of(Supervisor), (options, (balancer, *replicas)), type="supervisor")


def process_of(stage: StageSpec) -> str:
    """What takes part in runs for a stage is called so below its pipe."""
    return f"{stage.name}/{BALANCER}" if stage.declaration.has_balancer else stage.name


def _process_spec(child_id: str, definition: PipeDefinition, stage: StageSpec, code: Code | None) -> ChildSpec:
    """One process that runs the code of a stage."""
    declaration = stage.declaration
    name = f"stage {stage.name} of pipe {definition.name}"
    strategies = _strategies(definition, stage, code)
    busy_s = declaration.handle_timeout_s
    if isinstance(declaration, CustomDeclaration):
        setting = StageSetting(definition.name, stage.name, None, declaration.options, strategies)
        options = [(f"option {key} of {name}", value) for key, value in declaration.options.items()]
        args = encode_parts((setting,), options, f"options of {name}")
        limit = declaration.start_timeout_s
        return ChildSpec(child_id, Code.of(declaration.stage), args, start_timeout_s=limit, busy_limit_s=busy_s)
    setting = StageSetting(definition.name, stage.name, code or Code.of_value(declaration, name), {}, strategies)
    kind = LocalStage if isinstance(declaration, LocalDeclaration) else RouterStage
    return ChildSpec(child_id, Code.of(kind), (setting,), busy_limit_s=busy_s)


def _strategies(definition: PipeDefinition, stage: StageSpec, code: Code | None) -> dict[str, Code]:
    """What forms the batches on the ways out of a stage."""
    what = f"of pipe {definition.name}"
    return {
        later.name: code or Code.of_value(later.strategy, f"strategy of stage {later.name} {what}")
        for later in _formed_behind(definition, stage)
    }


def _formed_behind(definition: PipeDefinition, stage: StageSpec) -> list[StageSpec]:
    """The later stages whose batches a strategy forms in the processes of this one. By size and time alone a balancer
    forms them, as it may have more than one process."""
    later = [one for one in definition.later_stages(stage.name) if one.strategy is not None]
    return [one for one in later if not (stage.declaration.has_balancer and isinstance(one.strategy, FixedBatch))]


AnyPlan = DispatchPlan | StagePlan | BalancePlan


@record
class RunSession:
    """What makes a run one of a session: for worker stages and for others, by name."""

    parts: dict[str, SessionPart]
    tickets: dict[str, SessionTicket]

    def joined(self, stage: str, plan: AnyPlan) -> AnyPlan:
        """The plan of a stage of such a run."""
        if isinstance(plan, DispatchPlan):
            return replaced(plan, session=self.parts[stage])
        if isinstance(plan, BalancePlan):
            return plan.for_session(self.tickets[stage])
        return replaced(plan, session=self.tickets[stage])


class _Shape(NamedTuple):
    """Of edges that lead to a stage: see `OutPort`."""

    window: int
    batch_size: int
    wants_full: bool = False
    max_wait_s: float | None = None


class _Edges:
    """Numbers the edges of one run, and collects both ends of each."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.inputs: dict[str, list[InPort]] = {}

    def reserve(self, count: int) -> int:
        """The first of so many numbers in a row that are nobody's yet."""
        first = next(self._numbers)
        self._numbers = itertools.count(first + count)
        return first

    def lead(
        self,
        producer: str,
        origin: Origin,
        consumer: str,
        to: str,
        shape: _Shape,
        route: str | None = None,
    ) -> OutPort:
        """An edge from the address `producer` to the node called `to` at the address `consumer`."""
        edge = next(self._numbers)
        self.inputs.setdefault(to, []).append(InPort(edge, producer, shape.window, origin))
        window, size, wants_full, wait_s = shape
        return OutPort(edge, consumer, window, size, route, wants_full=wants_full, max_wait_s=wait_s)


_SERVICE = ""

_SHAPE = _Shape(WINDOW, STAGE_BATCH)


def run_plan(
    run: str,
    definition: PipeDefinition,
    refs: Mapping[str, Ref],
    service: str,
    context: SealedContext,
    config: DispatchConfig,
    deadline: Deadline,
    session: RunSession | None = None,
    max_wait_s: float | None = None,
    rates: Mapping[str, RateTicket] | None = None,
) -> RunPlan:
    """The plan of one run.

    Args:
        run: the run's id.
        definition: the pipe.
        refs: its running stages by name.
        service: address of the endpoint that feeds the run and takes the results.
        context: what user code is told.
        config: defaults of options.
        deadline: when the run must be over.
        session: what makes it one of a session.
        max_wait_s: for a run that is fed item by item, whose items keep their ids: how long one may wait for others
            before a worker stage, unless that one's strategy says so.
        rates: limits of its stages, by name.
    """
    edges = _Edges()
    shapes = {stage.name: _shape(definition, stage, config, max_wait_s) for stage in definition.stages}
    policies = {
        stage.name: for_travel(definition.policy(stage, config.default_on_error)) for stage in definition.stages
    }
    entry = definition.stages[0].name
    source = edges.lead(service, Origin(entry, policies[entry]), refs[entry].address, entry, shapes[entry])
    ways: dict[str, dict[str, OutPort]] = {}
    sinks: dict[str, OutPort] = {}
    for stage in definition.stages:
        address, origin = refs[stage.name].address, Origin(stage.name, policies[stage.name], stage.name)
        is_worker = isinstance(stage.declaration, WorkerDeclaration)
        wanted = (stage.next, way_out(policies[stage.name]))
        later = [s.name for s in definition.later_stages(stage.name) if not is_worker or s.name in wanted]
        wanted_of = {name: _SHAPE if is_worker and not shapes[name].wants_full else shapes[name] for name in later}
        lead = functools.partial(edges.lead, address, origin)
        ways[stage.name] = {name: lead(refs[name].address, name, shape) for name, shape in wanted_of.items()}
        route = stage.next if is_worker and stage.next not in later else None
        sinks[stage.name] = lead(service, _SERVICE, _SHAPE, route)
    nodes = []
    for stage in definition.stages:
        inputs, own = tuple(edges.inputs[stage.name]), context.with_stage(stage.name)
        policy = policies[stage.name]
        plan = _node_plan(definition, stage, inputs, ways[stage.name], sinks[stage.name], own, config, policy, deadline)
        kept = plan if max_wait_s is None else _keeping_ids(plan)
        paced = _paced(definition, stage, kept, edges, (rates or {}).get(stage.name))
        nodes.append(Node(refs[stage.name], paced if session is None else session.joined(stage.name, paced)))
    return RunPlan(run, tuple(nodes), source, tuple(edges.inputs[_SERVICE]), deadline)


def _node_plan(
    definition: PipeDefinition,
    stage: StageSpec,
    inputs: tuple[InPort, ...],
    ways: dict[str, OutPort],
    sink: OutPort,
    context: SealedContext,
    config: DispatchConfig,
    policy: Policy,
    deadline: Deadline,
) -> DispatchPlan | StagePlan:
    """What one stage does in a run; `ways` are its edges to later stages."""
    if isinstance(stage.declaration, WorkerDeclaration):
        options = attrs.evolve(definition.dispatch_options(stage, config).for_dispatcher(), on_error=policy)
        output, to = ways.get(stage.next, sink), way_out(policy)
        detour = ways.get(to) or _as_output(sink, to) if isinstance(to, str) else None
        is_cut = output.wants_full and output.batch_size < options.size
        job = Job(stage.declaration.executor, context, parcel_size=output.batch_size if is_cut else 0)
        return DispatchPlan(inputs, output, sink, job, options, deadline, detour)
    unfit = {
        later.name: Origin(later.name, for_travel(definition.policy(later, config.default_on_error)))
        for later in definition.later_stages(stage.name)
        if later.strategy is not None
    }
    return StagePlan(inputs, ways, sink, definition.outputs, stage.next, policy, context, unfit)


def _keeping_ids(plan: DispatchPlan | StagePlan) -> DispatchPlan | StagePlan:
    if isinstance(plan, DispatchPlan):
        return replaced(plan, job=replaced(plan.job, keeps_ids=True))
    return replaced(plan, keeps_ids=True)


def _paced(
    definition: PipeDefinition,
    stage: StageSpec,
    plan: DispatchPlan | StagePlan,
    edges: _Edges,
    rate: RateTicket | None,
) -> AnyPlan:
    """The same with the rate limit of the stage, and for its balancer if it has one."""
    if isinstance(plan, DispatchPlan):
        return plan if rate is None else replaced(plan, rate=rate)
    if not stage.declaration.has_balancer:
        return plan
    replicas, ordered = stage.declaration.replicas, stage.declaration.ordered
    first = edges.reserve(edges_between(len(plan.inputs), len(plan.stages), replicas))
    formed = frozenset(later.name for later in _formed_behind(definition, stage))
    return BalancePlan(plan, replicas, ordered, first, formed, rate)


def _as_output(sink: OutPort, output: str) -> OutPort:
    """The same edge, for what goes to an output of its own."""
    return OutPort(sink.edge, sink.consumer, sink.window, sink.batch_size, output)


def _shape(definition: PipeDefinition, stage: StageSpec, config: DispatchConfig, max_wait_s: float | None) -> _Shape:
    if isinstance(stage.declaration, WorkerDeclaration):
        options = definition.dispatch_options(stage, config)
        wait_s = stage.strategy.max_wait_s if isinstance(stage.strategy, FixedBatch) else None
        return _Shape(options.max_in_flight + WINDOW, options.size, True, wait_s or max_wait_s)
    if stage.declaration.replicas > 1:  # as many items in all, in so many more batches
        size = share_of(stage.declaration.replicas)
        return _Shape(WINDOW * STAGE_BATCH // size, size)
    return _SHAPE
