"""Plans and outcomes of runs, as the system puts them to users. Pure."""

from __future__ import annotations

import operator
import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._signature import accepts
from slither_actors.config import DispatchConfig
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._dispatch_run import DispatchPlan, SessionPart
from slither_actors.dispatch._formed_source import FormedSource
from slither_actors.dispatch._former import OnLoss
from slither_actors.dispatch._run_plan import Node, RunPlan
from slither_actors.dispatch._strategy_base import Clock
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.ends_file import EndsFile
from slither_actors.dispatch.messages import Ends, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.run import Halted
from slither_actors.dispatch.source import Source
from slither_actors.errors import (
    DeadlineExceeded,
    DispatchError,
    Drained,
    EndsFileError,
    InvalidOption,
    ItemError,
    PipeError,
    PoolQuarantined,
    SystemStopping,
    TransportError,
    shorten,
)
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.otp.ref import Ref
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.policy import Policy, skips, way_out, without_function
from slither_actors.workers.messages import Job

# Batches that may wait at the dispatcher or be on their way, beside those with workers: enough to keep it busy while
# the consumer settles one, within the promise of `max_in_flight + 4`.
_SLACK = 2

# What befalls a run on its way; everything else cannot work at all.
_HALTS = (ItemError, TransportError, DeadlineExceeded, EndsFileError, PoolQuarantined, Drained, SystemStopping)


def dispatch_plan(
    run: str,
    dispatcher: Ref,
    service: str,
    options: DispatchOptions,
    executor: Code,
    context: SealedContext,
    deadline: Deadline,
    session: SessionPart | None = None,
) -> RunPlan:
    """The plan of a plain dispatch: service -> dispatcher -> service."""
    window = options.max_in_flight + _SLACK
    strategy, echoes = options.strategy, False
    if strategy is not None and strategy.needs_former:
        echoes = True
        if not strategy.keeps_order:  # the service knows the order of the input, and restores it
            options = attrs.evolve(options, ordering="as_completed")
    there = OutPort(1, dispatcher.address, window, options.size, back=2)
    back = OutPort(2, service, window, options.size)
    policy = without_function(options.on_error)
    given, made = Origin(None, policy), Origin(None, policy, executor.name)
    job = Job(executor, context)
    inputs = (InPort(1, service, window, given, back=2),)
    dispatching = options.for_dispatcher()
    plan = DispatchPlan(inputs, back, back, job, dispatching, deadline, session=session, echoes=echoes)
    sinks = (InPort(2, dispatcher.address, window, made),)
    to = way_out(options.on_error)
    return RunPlan(run, (Node(dispatcher, plan),), there, sinks, deadline, to if callable(to) else None)


def dispatch_source(
    items: Iterable[Any], where: str, options: DispatchOptions, ends: EndLog, clock: Clock = time.monotonic
) -> Source:
    """The source of a plain dispatch; items that its strategy cannot place end by the error policy.

    Raises:
        InvalidOption: the items are not iterable. StrategyError: the strategy does not start.
    """
    strategy = options.strategy
    if strategy is None or not strategy.needs_former:
        return Source(items, where)
    on_loss = loss_by(options.on_error, None, ends)
    ahead = (options.max_in_flight + 2 * _SLACK) * options.size
    in_order = options.ordering == "preserve" and not strategy.keeps_order
    return FormedSource(
        items, where, strategy=strategy, size=options.size, on_loss=on_loss, ahead=ahead, in_order=in_order, clock=clock
    )


def pipe_source(
    items: Iterable[Any],
    where: str,
    definition: PipeDefinition,
    config: DispatchConfig,
    ends: EndLog,
    *,
    keep_order: bool = False,
    clock: Clock = time.monotonic,
) -> Source:
    """The source of a run of a pipe; items that the strategy of its first stage cannot place end by that one's policy.

    Raises:
        InvalidOption: the items are not iterable. StrategyError: the strategy does not start.
    """
    entry = definition.stages[0]
    if entry.strategy is None:
        return Source(items, where, keep_order=keep_order)
    size = definition.dispatch_options(entry, config).size
    on_loss = loss_by(definition.policy(entry, config.default_on_error), entry.name, ends)
    return FormedSource(
        items, where, strategy=entry.strategy, size=size, on_loss=on_loss, keep_order=keep_order, clock=clock
    )


def loss_by(policy: Policy, stage: str | None, ends: EndLog) -> OnLoss:
    """What a policy means for an item that is in no batch."""

    def on_loss(item: Item, error: ItemError) -> bool:
        if not skips(policy):
            raise Halted(stage, error, 0)
        if way_out(policy) is not None:
            return True
        ends.note_item(item, Ends("skipped", (), error, stage, 1))
        return False

    return on_loss


def dispatch_failure(halt: Halted, items: list[Item]) -> Exception:
    """What a halted dispatch raises: what cannot work at all is raised as it is."""
    if isinstance(halt.error, _HALTS):
        return DispatchError(halt.error, halt.batch_ref, items)
    return halt.error


def pipe_failure(definition: PipeDefinition, halt: Halted, items: list[Item], order: Mapping[int, int]) -> Exception:
    """What a halted pipe raises."""
    if isinstance(halt.error, _HALTS):
        partial = by_output(definition.outputs, items, order)
        return PipeError(definition.name, halt.stage or "", halt.error, partial)
    return halt.error


def by_output(outputs: Iterable[str], items: Iterable[Item], order: Mapping[int, int]) -> dict[str, list[Item]]:
    """Items by output. Within each in the order of the inputs; what a stage emitted stands where its parent stood.

    What was emitted out of something emitted names no input; it stays behind what came before it.
    """
    placed: dict[str, list[tuple[int, Item]]] = {output: [] for output in outputs}
    for item in items:
        found = placed[item.route if item.route in placed else DEFAULT_ROUTE]
        before = found[-1][0] if found else -1
        found.append((order.get(item.id, order.get(item.parent_id or 0, before)), item))
    return {output: [item for _, item in sorted(found, key=operator.itemgetter(0))] for output, found in placed.items()}


def given_limits(
    batch_size: Any, max_in_flight: Any, max_in_flight_weight: Any, timeout_s: Any, queue_timeout_s: Any
) -> dict[str, Any]:
    """The given limits by name."""
    return {
        "batch_size": batch_size,
        "max_in_flight": max_in_flight,
        "max_in_flight_weight": max_in_flight_weight,
        "timeout_s": timeout_s,
        "queue_timeout_s": queue_timeout_s,
    }


def check_session(session_id: Any, where: str = "pipe run") -> None:
    if session_id is not None and not (isinstance(session_id, str) and session_id):
        raise InvalidOption(where, "session_id", shorten(session_id), "None, or a text that is not empty")


def end_log(where: str, on_end: Any, keep: int | None = None, ends_file: Any = None) -> EndLog:
    """Where the ends of a run are noted.

    Raises:
        InvalidOption: `on_end` cannot be called, or the file cannot be used.
    """
    if on_end is not None and not (callable(on_end) and accepts(on_end, 2)):
        raise InvalidOption(where, "on_end", shorten(on_end), "None or a function of item and end")
    return EndLog(keep, on_end, None if ends_file is None else EndsFile.of(where, ends_file))


def sealed_context(context: Any, run_id: str, where: str) -> SealedContext:
    """What user code of a run is told, ready to travel; a run id of the caller's own is kept.

    Raises:
        InvalidOption: it is no context. NotPicklable: something in it cannot travel.
    """
    if context is None:
        context = Context()
    if not isinstance(context, Context):
        raise InvalidOption(where, "context", shorten(context), "None or a Context")
    check_session(context.session_id, where)
    return SealedContext.of(
        attrs.evolve(context, run_id=context.run_id or run_id, session_id=context.session_id or run_id)
    )
