"""One run through one stage, without an actor: batches in, outcomes sorted onto edges, credit kept.

Work goes on in small steps, so that whoever drives it can see to other things between two of them: an item that becomes
many may go on for ever. Whoever emits is asked for more only while every way out has room.
"""

from __future__ import annotations

import functools
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from slither_actors._code import Code
from slither_actors.context import Context
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._strategy_base import Clock, Strategy
from slither_actors.dispatch.messages import Batch, Ends, Origin, OutPort
from slither_actors.errors import InvalidOutcome, ItemError, NotPicklable, RemoteError, SlitherError, shorten
from slither_actors.item import Item
from slither_actors.outcome import Drop, Emit, Fail, RouteTo
from slither_actors.pipe._answers import as_error, child_of, emitted, means_nothing, new_child_of, next_item, same_item
from slither_actors.pipe._births import Births
from slither_actors.pipe._formed_lane import lane_to
from slither_actors.pipe._halt import RunHalted as RunHalted
from slither_actors.pipe._lanes import Emission, Lane, Parent, Routed
from slither_actors.pipe._stage_plan import StagePlan
from slither_actors.policy import Retry, Verdict, verdict, way_out
from slither_actors.workers._reading import marks, read_items, replaced, unrouted
from slither_actors.workers.executor import item_error
from slither_actors.workers.parcel import Note, Parcel, pack_items

# Stands for the end of an iterator.
_END = object()


class StageRun:
    """One run through one stage.

    Args:
        run, stage, plan: its id, how errors call the stage, and its part in the run.
        strategies: by the names of later stages, what forms their batches here.
        context: of the run, bound to this process; without one it has a state of its own.
        clock: gives seconds, for how long a batch has waited.

    Raises:
        NotDecodable: the context cannot be read in this process. StrategyError: a strategy does not start.
    """

    def __init__(
        self,
        run: str,
        stage: str,
        plan: StagePlan,
        strategies: Mapping[str, Strategy] | None = None,
        context: Context | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.id = run
        self.plan = plan
        self.stage = stage
        self.clock = clock
        self.context = plan.context.open().bind({}) if context is None else context
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.sink = Lane(OutEdge(run, plan.sink))
        self.lanes = {name: self._lane(name, port, (strategies or {}).get(name)) for name, port in plan.stages.items()}
        self._ways = [*self.lanes.values(), self.sink]  # the sink last: what fails on the way to the others ends there
        self._by_edge = {lane.edge.port.edge: lane.edge for lane in self._ways}
        self.waiting: deque[tuple[InEdge, tuple[Parcel, ...]]] = deque()
        self._fed = False  # whether nothing more comes in
        self._work: Iterator[float] | None = None  # what is left to do of the batch in work, which came in on `_owner`
        self.in_work: tuple[Parcel, ...] = ()
        self._owner: InEdge | None = None
        self._emission: Emission | None = None
        self._births = Births()
        self._follow, self._child = (same_item, new_child_of) if plan.keeps_ids else (next_item, child_of)
        self.pause_s = 0.0  # to wait before the next step; set to 0 by whoever drives this, when it is over

    def _lane(self, name: str, port: OutPort, strategy: Strategy | None) -> Lane:
        on_loss = functools.partial(self._unfit, self.plan.unfit.get(name, self.plan.inputs[0].origin))
        return lane_to(OutEdge(self.id, port), strategy, on_loss, self.clock)

    # -- events

    def batch(self, edge: int, seq: int, parcels: tuple[Parcel, ...]) -> None:
        owner = self.inputs[edge]
        owner.receive(seq)
        self.waiting.append((owner, parcels))

    def ask(self, edge: int, limit: int) -> None:
        if edge in self._by_edge:
            self._by_edge[edge].ask(limit)

    def complete(self, edge: int, last_seq: int) -> None:
        self.inputs[edge].last_seq = last_seq
        self._fed = all(edge.done for edge in self.inputs.values())

    # -- work

    @property
    def ready(self) -> bool:
        """Whether there is something to do, and every way out has room for what may come of it."""
        if self.pause_s or (self._work is None and not self.waiting):
            return False
        return all(lane.edge.credit > 0 for lane in self._ways)

    def next_batch(self) -> list[Item] | None:
        """The next batch, to be given to `begin`; `None` while there is still work to do on the last one.

        Raises:
            RunHalted: an item cannot be read here, and the policy of whoever made it is to halt.
        """
        if self._work is not None:
            return None
        self._owner, self.in_work = self.waiting.popleft()
        origin = self._owner.port.origin
        try:
            items, losses = read_items(self.in_work)
        except RemoteError as error:
            raise RunHalted(origin.error(error), origin.stage) from error
        for loss in losses:
            if not origin.skips:
                raise RunHalted(origin.error(loss.error), origin.stage)
            self._pack(self.sink, everything=True)
            self.sink.edge.put((), (origin.ends(loss),))
        return items

    def begin(self, work: Iterator[float]) -> None:
        """Each step of `work` handles one item at most, and gives its outcome; it yields the seconds to wait then."""
        self._work = work

    def step(self) -> bool:
        """Go on with the work; false when it is done, or when what came of it should be sent first.

        Raises:
            RunHalted: something failed, and the policy is to halt.
        """
        emission = self._emission
        if emission is not None:
            self._emit(emission)
            return self._emission is emission and not any(lane.full for lane in self._ways)
        assert self._work is not None
        try:
            self.pause_s = next(self._work)
        except StopIteration:
            self._work = None
            if self._owner is not None:
                self._owner.held -= 1
            return False
        return not self.pause_s

    @property
    def finished(self) -> bool:
        """Whether everything that will come has been worked on."""
        return self._fed and self._work is None and not self.waiting

    def close(self) -> None:
        """The run is over, whatever there is left to do. Raises what a generator raises that is left half-way."""
        emission, self._emission, self._work = self._emission, None, None
        if emission is not None:
            emission.close()

    # -- outcomes

    def outcome(self, item: Item, answer: Any, attempts: int = 1) -> Verdict | None:
        """Send on what user code answered for an item; what `failure` says if it is one.

        Raises:
            RunHalted: the answer is a failure, and the policy is to halt.
        """
        try:
            if isinstance(answer, Drop):
                self._end("dropped", [item], as_error(answer.reason, "Drop"), attempts)
            elif isinstance(answer, Fail):
                return self.failure([item], as_error(answer.reason, "Fail"), attempts)
            elif isinstance(answer, Emit):
                self._emission = Emission(item, emitted(self.stage, answer.payloads), attempts)
            elif isinstance(answer, RouteTo):
                self._put(self._follow(item, answer.payload), answer.destination, item)
            elif means_nothing(answer):
                raise InvalidOutcome(self.stage, f"{shorten(answer)} means nothing here; Drop(...) and Fail(...) do")
            else:
                self._put(self._follow(item, answer), self.plan.next, item)
        except ItemError as error:
            return self.failure([item], error, attempts)
        return None

    def _emit(self, emission: Emission) -> None:
        """One of what an item becomes. What was emitted before it fails stays emitted."""
        try:
            part = next(emission.payloads, _END)
            if part is _END:
                self._emission = None
                if emission.count:
                    self._births.over(emission)
                else:  # an item that becomes nothing is accounted for too
                    why = as_error("it became no item at all", "Drop")
                    self._end("dropped", [emission.item], why, emission.attempts)
                return
            if isinstance(part, Emit | Drop | Fail) or means_nothing(part):
                name = getattr(part, "__name__", type(part).__name__)
                raise InvalidOutcome(self.stage, f"Emit takes payloads, Items and RouteTo, not {name}")
            made, to = (part.payload, part.destination) if isinstance(part, RouteTo) else (part, self.plan.next)
            self._put(self._child(emission.item, made, emission.given), to, emission)
            emission.gave()
        except RunHalted:
            raise
        except BaseException as error:  # a generator is user code too
            self._emission_failed(emission, item_error(error))

    def _emission_failed(self, emission: Emission, error: ItemError) -> None:
        """It emits no more, and its item fails, once."""
        if self._emission is emission:
            self._emission = None
            emission.drop()
        if not emission.failed:
            item = self._births.failed(emission, routed=way_out(self.plan.policy) is not None)
            self.failure([item], error, emission.attempts, final=True)

    def _put(self, item: Item, destination: Any, origin: Parent) -> None:
        lane, placed = self._place(item, destination)
        lane.put(placed, origin)

    def count_out(self, number: int) -> None:
        """So many were sent on together."""

    def _place(self, item: Item, destination: Any) -> tuple[Lane, Item]:
        if isinstance(destination, str):
            if destination in self.lanes:
                return self.lanes[destination], item
            if destination in self.plan.outputs:
                return self.sink, item if item.route == destination else item.with_route(destination)
        allowed = ", ".join((*self.lanes, *self.plan.outputs))
        raise InvalidOutcome(self.stage, f"destination {shorten(destination)}; a later stage or an output: {allowed}")

    def failure(self, items: list[Item], error: ItemError, attempts: int = 1, *, final: bool = False) -> Verdict:
        """Items failed together, for the `attempts`-th time. The policy decides: `RETRY` and `SPLIT` are the caller's,
        what else there is was done here.

        Args:
            final: whether another attempt would not help, or do harm.

        Raises:
            RunHalted: the policy is to halt.
        """
        decision = verdict(self.plan.policy, error, attempts, len(items), final=final)
        if decision is Verdict.HALT:
            raise RunHalted(error)
        if decision is Verdict.ROUTED:
            for item in items:
                self._route(item, Note(error, self.stage, attempts, keeps_id=self.plan.keeps_ids))
        elif decision in (Verdict.SKIPPED, Verdict.DEAD):
            self._end(decision.value, items, error, attempts)
        return decision

    def _route(self, item: Item, note: Note) -> None:
        """Send a failed item on as the policy says."""
        to = way_out(self.plan.policy)
        item = marks(item, note)
        if isinstance(to, str):
            self._put(item, to, Routed(item, note))
            return
        try:
            assert isinstance(to, Code)
            made = replaced(item, note, to.load())
        except BaseException as error:  # user code
            self._unrouted(item, note, item_error(error))
        else:
            self._put(made, self.plan.next, Routed(item, note))

    def _unrouted(self, item: Item, note: Note, error: BaseException) -> None:
        loss = unrouted(item, note, error)
        self._end("dead", loss.items(), loss.error, note.attempts)

    def pause_after(self, attempts: int) -> float:
        """Seconds to wait before another attempt."""
        policy = self.plan.policy
        return policy.pause_s(attempts, random.random()) if isinstance(policy, Retry) else 0.0

    def _unfit(self, origin: Origin, item: Item, error: ItemError) -> bool:
        """An item fits into no batch of a later stage, whose policy decides; true if it is routed there."""
        if not origin.skips:
            raise RunHalted(error, origin.stage)
        if way_out(origin.policy) is not None:
            return True
        self._end("skipped", [item], error, 1, origin.stage)
        return False

    def _end(self, kind: str, items: list[Item], error: SlitherError, attempts: int, stage: str | None = None) -> None:
        self._pack(self.sink, everything=True)
        try:
            parcel = pack_items(items)
        except NotPicklable:  # a handler changed them in place
            parcel = pack_items([Item(item.id, None, parent_id=item.parent_id, index=item.index) for item in items])
        # what it became before it ended is told before its end
        self.sink.edge.put((), (*self._births.take(), Ends(kind, (parcel,), error, stage or self.stage, attempts)))

    def _pack(self, lane: Lane, *, everything: bool) -> None:
        for origin, why in lane.pack(everything=everything):
            error = InvalidOutcome(self.stage, str(why))
            if isinstance(origin, Emission):
                self._births.stuck(origin)
                self._emission_failed(origin, error)
            elif isinstance(origin, Routed):  # to route it once more would end here once more
                self._unrouted(origin.item, origin.note, error)
            else:
                self.failure([origin], error, final=True)

    # -- what has to be sent
    def flush(self) -> list[tuple[str, Any]]:
        """What credit allows to be sent now, requests for more, and the end when it is reached.

        Raises:
            RunHalted: an answer cannot travel, and the policy is to halt.
        """
        finished, lanes, messages = self.finished, self._ways, list[tuple[str, Any]]()
        for lane in lanes if finished else [lane for lane in lanes if lane.busy]:
            self._pack(lane, everything=finished)
        # what failed on its way was routed to another one
        while (finished or self.plan.settles_last) and any(lane.items for lane in lanes):
            for lane in lanes:
                self._pack(lane, everything=finished)
        if born := self._births.due(self._emission, done=self._work is None):
            self.sink.edge.put((), born)
        messages += [(lane.edge.port.consumer, one) for lane in lanes if lane.edge.waiting for one in lane.edge.take()]
        unsent = self.plan.settles_last and any(edge.waiting for edge in self._by_edge.values())
        for edge in () if unsent else self.inputs.values():
            if (ask := edge.ask(self.id)) is not None:
                messages.append((edge.port.producer, ask))
        if finished:
            completed = [(lane.edge, lane.edge.complete()) for lane in lanes]
            messages += [(edge.port.consumer, last) for edge, last in completed if last is not None]
        return messages

    @property
    def due_s(self) -> float | None:
        """Seconds until there is something to send though nothing happens."""
        return min((lane.due_s for lane in self.lanes.values() if lane.due_s is not None), default=None)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do or to send."""
        return self.finished and not any(edge.waiting for edge in self._by_edge.values())

    def last_words(self) -> tuple[Batch, ...]:
        """At a halt: what is finished and on its way to the service, whether it has credit or not."""
        self.sink.pack(everything=True)
        return tuple(self.sink.edge.take(regardless=True))
