"""Plans and outcomes of runs, as the system puts them to users. Pure."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._signature import accepts
from slither_actors._validators import is_number
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._dispatch_run import DispatchPlan, SessionPart
from slither_actors.dispatch._run_plan import Node, RunPlan
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.ends_file import EndsFile
from slither_actors.dispatch.messages import Ends, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.run import Halted
from slither_actors.dispatch.source import Source
from slither_actors.errors import (
    DeadlineExceeded,
    DispatchError,
    EndsFileError,
    InvalidOption,
    ItemError,
    PipeError,
    TransportError,
    shorten,
)
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.policy import skips, way_out, without_function
from slither_actors.system.names import ROOT
from slither_actors.workers.messages import Job
from slither_actors.workers.parcel import pack_items

# Batches that may wait at the dispatcher or be on their way, beside those with workers: enough to keep it busy while
# the consumer settles one, within the promise of `max_in_flight + 4`.
_SLACK = 2

# What befalls a run on its way; everything else cannot work at all.
_HALTS = (ItemError, TransportError, DeadlineExceeded, EndsFileError)


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
    there = OutPort(1, dispatcher.address, window, options.size, back=2)
    back = OutPort(2, service, window, options.size)
    policy = without_function(options.on_error)
    given, made = Origin(None, policy), Origin(None, policy, executor.name)
    job = Job(executor, context)
    inputs = (InPort(1, service, window, given, back=2),)
    plan = DispatchPlan(inputs, back, back, job, options.for_dispatcher(), deadline, session=session)
    sinks = (InPort(2, dispatcher.address, window, made),)
    to = way_out(options.on_error)
    return RunPlan(run, (Node(dispatcher, plan),), there, sinks, deadline, to if callable(to) else None)


def dispatch_source(items: Iterable[Any], where: str, options: DispatchOptions, ends: EndLog) -> Source:
    """The source of a plain dispatch; items that its strategy cannot place end by the error policy.

    Raises:
        InvalidOption: the items are not iterable.
    """

    def on_loss(item: Item, error: ItemError) -> None:
        if not skips(options.on_error):
            raise Halted(None, error, 0)
        ends.note(Ends("skipped", (pack_items([item]),), error, None, 1))

    cutter = options.strategy.cutter(options.batch_size, on_loss) if options.strategy else None
    return Source(items, where, cutter=cutter)


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


def tree_of(system: str, processes: Iterable[ProcessInfo]) -> dict[str, Any]:
    """Nested plain data out of a flat list of names."""
    root: dict[str, Any] = {"name": system, "children": []}
    nodes = {"": root}
    for info in sorted(processes, key=lambda info: info.ref.name):
        node = {
            "name": info.ref.name.rpartition("/")[2],
            "pid": info.ref.pid,
            "incarnation": info.ref.incarnation,
            "kind": info.kind,
            "alive": info.alive,
            "restarts": info.restarts,
            "last_exit": str(info.last_exit) if info.last_exit else None,
            "children": [],
        }
        if info.ref.name == ROOT:
            root.update({key: value for key, value in node.items() if key not in ("name", "children")})
            continue
        nodes[info.ref.name] = node
        nodes.get(info.ref.name.rpartition("/")[0], root)["children"].append(node)
    return root


def given_options(
    pool: str,
    strategy: Any,
    batch_size: Any,
    max_in_flight: Any,
    ordering: Any,
    on_error: Any,
    timeout_s: Any,
    queue_timeout_s: Any,
) -> dict[str, Any]:
    """The given options by name."""
    return {
        "pool": pool,
        "strategy": strategy,
        "batch_size": batch_size,
        "max_in_flight": max_in_flight,
        "ordering": ordering,
        "on_error": on_error,
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


def checked_seconds(where: str, timeout_s: Any) -> float:
    """A time that may be nothing at all, but not less."""
    if not is_number(timeout_s) or not 0 <= timeout_s <= threading.TIMEOUT_MAX:
        raise InvalidOption(where, "timeout_s", shorten(timeout_s), "a number of seconds, 0 or more")
    return float(timeout_s)


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
