"""Lays a run over the running stages of a pipe: which edges there are, and how much each may hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import attrs

from slither_actors._code import Code
from slither_actors._codec import encode_parts
from slither_actors._record import record, replaced
from slither_actors.config import DispatchConfig
from slither_actors.context import SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._dispatch_run import DispatchPlan, SessionPart
from slither_actors.dispatch._run_plan import Node, RunPlan
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.dispatch.messages import InPort, Origin, OutPort
from slither_actors.otp.child import ChildSpec, Strategy, SupervisorOptions
from slither_actors.otp.ref import Ref
from slither_actors.otp.supervisor import Supervisor
from slither_actors.pipe._stage_plan import StagePlan, StageSetting
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
    name = f"stage {stage.name} of pipe {definition.name}"
    if isinstance(declaration, CustomDeclaration):
        setting = StageSetting(definition.name, stage.name, None, declaration.options)
        options = [(f"option {key} of {name}", value) for key, value in declaration.options.items()]
        args = encode_parts((setting,), options, f"options of {name}")
        limit = declaration.start_timeout_s
        return ChildSpec(stage.name, Code.of(declaration.stage), args, start_timeout_s=limit)
    setting = StageSetting(definition.name, stage.name, code or Code.of_value(declaration, name), {})
    kind = LocalStage if isinstance(declaration, LocalDeclaration) else RouterStage
    return ChildSpec(stage.name, Code.of(kind), (setting,))


@record
class RunSession:
    """What makes a run one of a session: for worker stages and for others, by name."""

    parts: dict[str, SessionPart]
    tickets: dict[str, SessionTicket]

    def joined(self, stage: str, plan: DispatchPlan | StagePlan) -> DispatchPlan | StagePlan:
        """The plan of a stage of such a run."""
        if isinstance(plan, DispatchPlan):
            return replaced(plan, session=self.parts[stage])
        return replaced(plan, session=self.tickets[stage])


class _Edges:
    """Numbers the edges of one run, and collects both ends of each."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.inputs: dict[str, list[InPort]] = {}

    def lead(
        self, producer: str, origin: Origin, consumer: str, to: str, window: int, size: int, route: str | None = None
    ) -> OutPort:
        """An edge from the address `producer` to the node called `to` at the address `consumer`."""
        edge = next(self._numbers)
        self.inputs.setdefault(to, []).append(InPort(edge, producer, window, origin))
        return OutPort(edge, consumer, window, size, route)


_SERVICE = ""


def run_plan(
    run: str,
    definition: PipeDefinition,
    refs: Mapping[str, Ref],
    service: str,
    context: SealedContext,
    config: DispatchConfig,
    deadline: Deadline,
    session: RunSession | None = None,
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
    """
    edges = _Edges()
    shapes = {stage.name: _shape(definition, stage, config) for stage in definition.stages}
    policies = {
        stage.name: for_travel(definition.policy(stage, config.default_on_error)) for stage in definition.stages
    }
    entry = definition.stages[0].name
    source = edges.lead(service, Origin(entry, policies[entry]), refs[entry].address, entry, *shapes[entry])
    ways: dict[str, dict[str, OutPort]] = {}
    sinks: dict[str, OutPort] = {}
    for stage in definition.stages:
        address, origin = refs[stage.name].address, Origin(stage.name, policies[stage.name], stage.name)
        is_worker = isinstance(stage.declaration, WorkerDeclaration)
        wanted = (stage.next, way_out(policies[stage.name]))
        later = [s.name for s in definition.later_stages(stage.name) if not is_worker or s.name in wanted]
        ways[stage.name] = {
            name: edges.lead(address, origin, refs[name].address, name, *shapes[name]) for name in later
        }
        route = stage.next if is_worker and stage.next not in later else None
        sinks[stage.name] = edges.lead(address, origin, service, _SERVICE, WINDOW, STAGE_BATCH, route)
    nodes = []
    for stage in definition.stages:
        inputs, own = tuple(edges.inputs[stage.name]), context.with_stage(stage.name)
        policy = policies[stage.name]
        plan = _node_plan(definition, stage, inputs, ways[stage.name], sinks[stage.name], own, config, policy, deadline)
        if session is not None:
            plan = session.joined(stage.name, plan)
        nodes.append(Node(refs[stage.name], plan))
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
        job = Job(stage.declaration.executor, context)
        options = attrs.evolve(definition.dispatch_options(stage, config), on_error=policy)
        to = way_out(policy)
        detour = ways.get(to) or _as_output(sink, to) if isinstance(to, str) else None
        return DispatchPlan(inputs, ways.get(stage.next, sink), sink, job, options, deadline, detour)
    workers = frozenset(s.name for s in definition.stages if isinstance(s.declaration, WorkerDeclaration))
    return StagePlan(inputs, ways, sink, definition.outputs, stage.next, policy, context, workers)


def _as_output(sink: OutPort, output: str) -> OutPort:
    """The same edge, for what goes to an output of its own."""
    return OutPort(sink.edge, sink.consumer, sink.window, sink.batch_size, output)


def _shape(definition: PipeDefinition, stage: StageSpec, config: DispatchConfig) -> tuple[int, int]:
    """Window and batch size of edges that lead to a stage."""
    if isinstance(stage.declaration, WorkerDeclaration):
        options = definition.dispatch_options(stage, config)
        return options.max_in_flight + WINDOW, options.size
    return WINDOW, STAGE_BATCH
