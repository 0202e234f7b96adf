"""A run, seen from the service: it opens the nodes, feeds the source while there is credit, and yields the results.

The run lives in the thread that consumes it. Nothing happens between two steps of the consumer but what is under way
already: whoever stops taking results stops the source.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._halted import Halted as Halted
from slither_actors.dispatch._last_words import LastWords
from slither_actors.dispatch._opening import await_opened
from slither_actors.dispatch._orders import Orders
from slither_actors.dispatch._run_plan import RunHooks, RunPlan
from slither_actors.dispatch.drain import RunOutcome, RunReport
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, Failed, OpenRun, Surrendered
from slither_actors.dispatch.source import Source
from slither_actors.errors import (
    Drained,
    ForkedSystem,
    NotDecodable,
    RemoteError,
    SlitherError,
    StageDown,
    SystemDown,
    TransportError,
)
from slither_actors.item import Item
from slither_actors.otp.endpoint import Ended, Endpoint
from slither_actors.transport.hub import Undecodable, Unread
from slither_actors.workers._reading import read_items

# At a deadline dispatchers end the run by themselves, and send what is finished; this is how long that may take. Where
# it is cut they are asked to.
LAST_WORDS_S = 0.5


# What the outcomes of telemetry are in the report of a drain.
_OUTCOMES: dict[str, RunOutcome] = {"ok": "finished", "drained": "drained", "error": "failed", "cancelled": "closed"}


class Run:
    """One run, in one thread at a time. `batches` yields lists of items; `close` ends it early; others give `orders`.

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
        self._ids = ends.ids = source.ids
        self.orders = Orders(endpoint.wake)
        self.drained = False  # whether the source was cut short of its end
        self._told_cut = False  # whether somebody was told that the run was cut
        self.driver: int | None = None  # the thread that asks for batches now
        self.consumer: int | None = None  # the last one that did
        self.keep: Callable[[], Callable[[float], None] | None] = lambda: None  # drives it in another one
        self._last_words: LastWords | None = None
        self._outcome = "cancelled"
        has_dispatchers = any(isinstance(node.plan, DispatchPlan) for node in plan.nodes)
        self._late = plan.deadline.at + (LAST_WORDS_S if has_dispatchers else 0.0)

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
            await_opened(self._endpoint, self._plan, self._late)
        except BaseException:
            # the source was not touched, so the caller may try again with it
            self.orders.finish()
            self._leave_nodes()
            self._hooks.release(self._endpoint)
            raise
        self._hooks.events.opened()
        self._ends.begin(self._plan.run, self._about)

    def close(self) -> None:
        """End the run for good: nodes forget it, the source is let go of, the endpoint is given back."""
        if os.getpid() != self.orders.process or not self.orders.finish():  # a fork must not end what is its parent's
            return
        self._leave_nodes()
        counts = {"items_in": self._source.pulled, "items_out": self._ends.given, **self._ends.counts()}
        self._source.close()
        self._ends.close()
        if self._outcome not in ("ok", "drained"):
            self._endpoint.close()  # more may come, which nobody will read; those who sent it learn of that
        self._hooks.release(self._endpoint)
        self._hooks.over(self)
        self._hooks.events.stop(self._outcome, counts)

    @property
    def _about(self) -> dict[str, Any]:
        return self._hooks.events.about

    def _leave_nodes(self) -> None:
        for forget in self._watches:
            forget()
        if not self._endpoint.closed:
            for node in self._plan.nodes:
                with contextlib.suppress(SlitherError):
                    self._endpoint.post(node.ref.address, CloseRun(self._plan.run))

    # -- the run

    def check_process(self) -> None:
        """Raises `ForkedSystem` where the run is another process's."""
        if os.getpid() != self.orders.process:
            raise ForkedSystem(self._about.get("system", ""), (), self.orders.process)

    def batches(self) -> Generator[list[Item]]:
        """The results, batch by batch. A batch is settled when the next one is asked for.

        Raises:
            Halted: the run was halted; nothing more comes.
            Exception: what the source raises.
        """
        orders = self.orders
        try:
            while not orders.cancelled and not orders.over and not self._is_complete():
                if orders.news:
                    self._obey()
                received = self._endpoint.receive(0 if self._may_feed else self._patience_s())
                if received is not None:
                    yield from self._handle(*received)
                if self._ends.failure is not None:
                    yield from self._arrived()
                    raise Halted(None, self._ends.failure, 0)
                if self._endpoint.clock() >= self._late:
                    failed = yield from self._arrived()
                    if self._is_complete():  # it was done in time, and only read late
                        continue
                    raise self._halted_by(failed) if failed else Halted(None, self._late_error(), 0)
                if self._may_feed and not orders.news:
                    yield from self._feed()
            if self._told_cut and orders.cutting is not None:  # and then it stays so, also if all of it comes yet
                raise Halted(None, orders.cutting, 0)
            if not orders.cancelled and not orders.over:
                yield from self._give(self._source.rest())
                self._ends.close()
                if self._ends.failure is not None:
                    raise Halted(None, self._ends.failure, 0)
                self._outcome = "drained" if self.drained else "ok"
        except Exception as error:
            self._outcome = "error"
            # No name may keep an error here: it would keep this frame, and with it the source.
            cutting = self._cutting(error)
            if cutting is not None or isinstance(error, Halted):
                yield from self._give(self._source.rest())
            if cutting is None:
                raise
            raise Halted(None, cutting, 0) from None
        finally:
            self.close()

    def _obey(self) -> None:
        """Pull no more; and where there is no time for more, have the nodes give up what they have."""
        self.orders.news = False
        self.drained = self._source.cut() or self.drained
        if self.orders.cutting is not None and self._last_words is None:
            self._last_words = LastWords(self._endpoint, self._plan, self.orders.cutting)
            self._late = min(self._late, self._endpoint.clock() + LAST_WORDS_S)

    def _halted_by(self, failed: Failed) -> Halted:
        self._hooks.explain(failed.error, 0)
        return Halted.by(failed)

    def _late_error(self) -> SlitherError:
        return self._plan.deadline.error() if self._last_words is None else self._last_words.error

    def _cutting(self, error: Exception) -> SlitherError | None:
        """Why the run was cut, if that is the reason: what dies under one that is cut anyway is no other."""
        died = isinstance(error, SystemDown) or (isinstance(error, Halted) and isinstance(error.error, StageDown))
        return self.orders.cutting if died else None

    def drained_error(self) -> Drained:
        """Why the source was cut."""
        return Drained(self.orders.draining or "the run", self._source.pulled)

    def report(self) -> RunReport:
        """How it ended, or what is known while it does not."""
        is_cut = self.orders.cutting is not None and self._outcome in ("error", "cancelled")
        self._told_cut = is_cut
        outcome: RunOutcome = "cut" if is_cut else _OUTCOMES[self._outcome]
        places = {} if self._last_words is None else self._last_words.places(self._ids.open)
        return RunReport.of(self._plan.run, self._about, outcome, self._source.read, self._ids, places)

    @property
    def _may_feed(self) -> bool:
        return self._source.willing and self._out.credit > 0 and not self.orders.cancelled

    def _is_complete(self) -> bool:
        return all(edge.done for edge in self._sinks.values())

    def _patience_s(self) -> float | None:
        left_s = min(self._late - self._endpoint.clock(), self._source.due_s)
        return None if left_s == math.inf else max(0.0, left_s)

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
            raise self._halted_by(news)
        elif isinstance(news, Surrendered) and self._last_words is not None:
            yield from self._unpack_all(news.finished)
            if self._last_words.note(news, sender):
                self._late = -math.inf
        elif isinstance(news, Undecodable | Unread):
            raise Halted(None, NotDecodable("a message of the run", news.error), 0)
        elif isinstance(news, Ended) and not self._is_done_with(news.ref.address):
            error = StageDown(news.ref.name, self._hooks.last_exit(news.ref))
            self._hooks.explain(error, news.ref.pid)
            raise Halted(_stage_of(news.ref.name), error, 0)

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
        yield from self._give(self._source.arranged(items, batch.tag))
        if losses and not origin.skips:
            return Halted(origin.stage, origin.error(losses[0].error), batch.seq)
        for loss in losses:
            self._ends.note(origin.ends(loss))
        return None

    def _give(self, items: list[Item]) -> Iterator[list[Item]]:
        if items:
            self._ends.given += len(items)
            self._ids.finish(items)
            yield items
            self._source.taken += len(items)

    def _unpack_all(self, batches: Iterable[Batch]) -> Iterator[list[Item]]:
        for batch in batches:
            yield from self._unpack(batch)

    def _arrived(self) -> Generator[list[Item], None, Failed | None]:
        """What is finished and has come already; returns the last words of a node that halted the run."""
        failed = None
        while not self.orders.cancelled and (received := self._endpoint.receive(0)) is not None:
            news = received[0]
            if isinstance(news, Batch) and news.run == self._plan.run:
                self._sinks[news.edge].receive(news.seq)
                yield from self._unpack(news)
            elif isinstance(news, Complete) and news.run == self._plan.run:
                self._sinks[news.edge].last_seq = news.last_seq
            elif isinstance(news, Failed) and news.run == self._plan.run:
                failed = failed or news
                yield from self._unpack_all(news.finished)
        return failed

    def _is_done_with(self, address: str) -> bool:
        """Whether a node that died had done its part: everything it owed us has come."""
        return all(edge.done for edge in self._sinks.values() if edge.port.producer == address)

    def _feed(self) -> Iterator[list[Item]]:
        try:
            self._source.feed(self._out, self._plan.source.batch_size)
        except Halted:  # for an item that is fit for no batch
            yield from self._arrived()
            raise
        finally:
            self._ends.pulled = self._source.pulled
        if self.orders.cancelled:  # by the source itself, or meanwhile
            return
        for batch in self._out.take(limit=self._limit_back):
            try:
                self._endpoint.post(self._plan.source.consumer, batch)
            except TransportError as error:
                raise Halted(None, error.with_traceback(None), batch.seq) from None
        yield from self._give(self._source.due())
        if self._source.exhausted:
            last = self._out.complete()
            if last is not None:
                self._endpoint.post(self._plan.source.consumer, last)


def _stage_of(name: str) -> str | None:
    """The stage behind a process name, `None` for the dispatcher of a pool."""
    parts = name.split("/")
    return parts[2] if parts[0] == "pipes" else None
