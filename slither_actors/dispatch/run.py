"""A run, seen from the service: it opens the nodes, feeds the source while there is credit, and yields the results.

The run lives in the thread that consumes it. Nothing happens between two steps of the consumer but what is under way
already: whoever stops taking results stops the source.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from slither_actors import telemetry
from slither_actors._record import record
from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._run_plan import RunPlan
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.messages import (
    Ask,
    Batch,
    CloseRun,
    Complete,
    Failed,
    OpenRun,
    RunOpened,
    RunRefused,
)
from slither_actors.dispatch.source import Source
from slither_actors.errors import (
    CallTimeout,
    NoProcess,
    NotDecodable,
    RemoteError,
    SlitherError,
    StageDown,
    TransportError,
)
from slither_actors.item import Item
from slither_actors.otp.endpoint import Ended, Endpoint, HungUp
from slither_actors.otp.ref import Ref
from slither_actors.transport.hub import Undecodable, Undelivered, Unread
from slither_actors.workers._reading import read_items

_log = logging.getLogger(__name__)

# A dispatcher runs no user code, so it answers at once or never. A stage answers when it has done what it is at, which
# may take what it takes; this often a warning says who is waited for.
_OPEN_LIMIT_S = 30.0

# At a deadline dispatchers end the run by themselves, and send what is finished; this is how long that may take.
_LAST_WORDS_S = 0.5


class Halted(Exception):
    """A node halted the run, or died. Turned into `DispatchError` or `PipeError` by whoever drives the run."""

    def __init__(self, stage: str | None, error: SlitherError, batch_ref: int) -> None:
        super().__init__(stage, error, batch_ref)
        self.stage = stage
        self.error = error
        self.batch_ref = batch_ref


@record
class RunHooks:
    """What a run needs of the system around it.

    Attributes:
        release: takes the endpoint back.
        over: called once when the run is over, however it ended.
        last_exit: tells how a process ended, for the error that reaches the user; raises if the system did.
        event: prefix of the telemetry events of this run, `start` and `stop`.
        about: their metadata.
    """

    release: Callable[[Endpoint], None]
    over: Callable[[], None]
    last_exit: Callable[[Ref], str]
    event: telemetry.Name
    about: dict[str, Any]


class Run:
    """One run, in one thread at a time. `batches` yields lists of items; `close` ends it early, more than once. Another
    thread may `cancel` it at any time.

    Args:
        endpoint: where its messages arrive, lent for this run.
        plan: the nodes and edges.
        source: the items.
        ends: where ended items are noted.
        hooks: the system around it.
    """

    def __init__(self, endpoint: Endpoint, plan: RunPlan, source: Source, ends: EndLog, hooks: RunHooks) -> None:
        self._endpoint = endpoint
        self._plan = plan
        self._source = source
        self._ends = ends
        self._hooks = hooks
        self._out = OutEdge(plan.run, plan.source)
        self._sinks = {port.edge: InEdge(port) for port in plan.sinks}
        self._limit_back = 0  # of the way back of the source's edge; told with the next batch
        self._routes = {node.plan.sink.edge: node.plan.sink.route for node in plan.nodes}
        self._watches: list[Callable[[], None]] = []
        self._ending = threading.Lock()
        self._over = False
        self._cancelled = False
        self._began = time.perf_counter()
        self._items_out = 0
        self._outcome = "cancelled"
        has_dispatchers = any(isinstance(node.plan, DispatchPlan) for node in plan.nodes)
        self._late = plan.deadline.at + (_LAST_WORDS_S if has_dispatchers else 0.0)

    # -- begin and end

    def open(self) -> None:
        """Make every node ready.

        Raises:
            NoProcess: a node is gone already. SlitherError: a node refuses. CallTimeout: a dispatcher does not answer.
            NotDecodable: a node cannot read its plan.
        """
        try:
            for node in self._plan.nodes:
                self._watches.append(self._endpoint.watch(node.ref))
                self._endpoint.post(node.ref.address, OpenRun(self._plan.run, node.plan))
            self._await_opened()
        except BaseException:
            # the source was not touched, so the caller may try again with it
            self._over = True
            self._leave_nodes()
            self._hooks.release(self._endpoint)
            raise
        self._ends.begin(self._plan.run, self._hooks.about)
        telemetry.emit((*self._hooks.event, "start"), {}, self._about())

    def _await_opened(self) -> None:
        names = {node.ref.address: node.ref.name for node in self._plan.nodes}
        missing = dict(names)
        dispatchers = {node.ref.address for node in self._plan.nodes if isinstance(node.plan, DispatchPlan)}
        deadline = self._endpoint.clock() + _OPEN_LIMIT_S
        while missing:
            received = self._endpoint.receive(min(deadline, self._late) - self._endpoint.clock())
            if received is None:
                if self._endpoint.clock() >= self._late:
                    return  # for `batches` to say
                silent = [name for address, name in missing.items() if address in dispatchers]
                if silent:
                    raise CallTimeout(silent[0], _OPEN_LIMIT_S)
                name = next(iter(missing.values()))
                _log.warning("a run waits for %s, which is busy with an item; stop_pipe() replaces its processes", name)
                deadline += _OPEN_LIMIT_S
                continue
            news, sender = received
            if isinstance(news, RunOpened) and news.run == self._plan.run:
                missing.pop(sender, None)
            elif isinstance(news, RunRefused) and news.run == self._plan.run:
                raise news.error
            elif isinstance(news, Unread) and news.head == ("OpenRun", self._plan.run) and sender in missing:
                raise NotDecodable(f"the plan of {missing[sender]}", news.error)
            elif isinstance(news, Ended | HungUp | Undelivered) and sender in names:  # also one that was ready already
                raise NoProcess(names[sender])

    def cancel(self) -> None:
        """Make `batches` end the run, in whichever thread it waits for results. Safe to call from any thread."""
        with self._ending:
            self._cancelled = True
            if not self._over:  # else the endpoint is another's by now
                self._endpoint.wake()

    def close(self) -> None:
        """End the run for good: nodes forget it, the source is let go of, the endpoint is given back."""
        with self._ending:
            if self._over:
                return
            self._over = True
        self._leave_nodes()
        measured = {
            "duration_s": time.perf_counter() - self._began,
            "items_in": self._source.pulled,
            "items_out": self._items_out,
            **self._ends.counts(),
        }
        self._source.close()
        self._ends.close()
        if self._outcome != "ok":
            self._endpoint.close()  # more may come, which nobody will read; those who sent it learn of that
        self._hooks.release(self._endpoint)
        self._hooks.over()
        telemetry.emit((*self._hooks.event, "stop"), measured, self._about() | {"outcome": self._outcome})

    def _about(self) -> dict[str, Any]:
        return self._hooks.about | {"run": self._plan.run}

    def _leave_nodes(self) -> None:
        for forget in self._watches:
            forget()
        if not self._endpoint.closed:
            for node in self._plan.nodes:
                with contextlib.suppress(SlitherError):
                    self._endpoint.post(node.ref.address, CloseRun(self._plan.run))

    # -- the run

    def batches(self) -> Generator[list[Item]]:
        """The results, batch by batch. A batch is settled when the next one is asked for.

        Raises:
            Halted: the run was halted; nothing more comes.
            Exception: what the source raises.
        """
        try:
            while not self._cancelled and not self._over and not all(edge.done for edge in self._sinks.values()):
                feeding = not self._source.exhausted and self._out.credit > 0
                received = self._endpoint.receive(0 if feeding else self._patience_s())
                if received is not None:
                    yield from self._handle(*received)
                if self._ends.failure is not None:
                    yield from self._arrived()
                    raise Halted(None, self._ends.failure, 0)
                if self._endpoint.clock() >= self._late:
                    failed = yield from self._arrived()
                    raise _halted(failed) if failed else Halted(None, self._plan.deadline.error(), 0)
                if feeding and not self._cancelled:
                    self._feed()
            if not self._cancelled and not self._over:
                self._ends.close()
                if self._ends.failure is not None:
                    raise Halted(None, self._ends.failure, 0)
                self._outcome = "ok"
        except Exception:
            self._outcome = "error"
            raise
        finally:
            self.close()

    def _patience_s(self) -> float | None:
        return None if self._late == math.inf else max(0.0, self._late - self._endpoint.clock())

    def _handle(self, news: Any, sender: str) -> Iterator[list[Item]]:
        if getattr(news, "run", self._plan.run) != self._plan.run:
            return  # a late message of an earlier run
        if isinstance(news, Batch):
            edge = self._sinks[news.edge]
            edge.receive(news.seq)
            halted = yield from self._unpack(news)
            if halted is not None:
                yield from self._arrived()
                raise Halted(*halted.args)  # a fresh one, as in worker/_salvage.py
            edge.held -= 1
            ask = edge.ask(self._plan.run)
            if ask is not None and news.edge == self._plan.source.back:
                # No batch will follow that this was not told with: what was sent before is within the limit before.
                self._limit_back = ask.limit
                self._out.settle(edge.settled)
            elif ask is not None:
                self._endpoint.post(edge.port.producer, ask)
        elif isinstance(news, Ask):
            self._out.ask(news.limit)
        elif isinstance(news, Complete):
            self._sinks[news.edge].last_seq = news.last_seq
        elif isinstance(news, Failed):
            yield from self._unpack_all(news.finished)
            yield from self._arrived()
            raise _halted(news)
        elif isinstance(news, Undecodable | Unread):
            raise Halted(None, NotDecodable("a message of the run", news.error), 0)
        elif isinstance(news, Ended) and not self._is_done_with(news.ref.address):
            raise Halted(_stage_of(news.ref.name), StageDown(news.ref.name, self._hooks.last_exit(news.ref)), 0)

    def _unpack(self, batch: Batch) -> Generator[list[Item], None, Halted | None]:
        """The items of a batch. Those that cannot be read here are charged to whoever made them; returns what halts
        the run if they say so."""
        for ends in batch.ends:
            self._ends.note(ends)
        origin = self._sinks[batch.edge].port.origin
        try:
            items, losses = read_items(batch.parcels, self._routes[batch.edge], self._plan.reroute)
        except RemoteError as error:
            return Halted(origin.stage, origin.error(error), batch.seq)
        if items:
            self._items_out += len(items)
            yield items
        if losses and not origin.skips:
            return Halted(origin.stage, origin.error(losses[0].error), batch.seq)
        for loss in losses:
            self._ends.note(origin.ends(loss))
        return None

    def _unpack_all(self, batches: Iterable[Batch]) -> Iterator[list[Item]]:
        for batch in batches:
            yield from self._unpack(batch)

    def _arrived(self) -> Generator[list[Item], None, Failed | None]:
        """What is finished and has come already; returns the last words of a node that halted the run."""
        failed = None
        while not self._cancelled and (received := self._endpoint.receive(0)) is not None:
            news = received[0]
            if isinstance(news, Batch) and news.run == self._plan.run:
                yield from self._unpack(news)
            elif isinstance(news, Failed) and news.run == self._plan.run:
                failed = failed or news
                yield from self._unpack_all(news.finished)
        return failed

    def _is_done_with(self, address: str) -> bool:
        """Whether a node that died had done its part: everything it owed us has come."""
        return all(edge.done for edge in self._sinks.values() if edge.port.producer == address)

    def _feed(self) -> None:
        parcel = self._source.pull(self._plan.source.batch_size)
        if self._cancelled:  # by the source itself, or meanwhile
            return
        if parcel is not None:
            self._out.put((parcel,))
            for batch in self._out.take(limit=self._limit_back):
                try:
                    self._endpoint.post(self._plan.source.consumer, batch)
                except TransportError as error:
                    raise Halted(None, error.with_traceback(None), batch.seq) from None
        if self._source.exhausted:
            last = self._out.complete()
            if last is not None:
                self._endpoint.post(self._plan.source.consumer, last)


def _halted(failed: Failed) -> Halted:
    return Halted(failed.stage, failed.error, failed.batch_ref)


def _stage_of(name: str) -> str | None:
    """The stage behind a process name, `None` for the dispatcher of a pool."""
    parts = name.split("/")
    return parts[-1] if parts[0] == "pipes" else None
