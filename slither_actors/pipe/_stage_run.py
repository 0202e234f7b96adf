"""One run through one stage, without an actor: batches in, outcomes sorted onto edges, credit kept.

Work goes on in small steps, so that whoever drives it can see to other things between two of them: an item that becomes
many may go on for ever. Whoever emits is asked for more only while every way out has room.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch.messages import Batch, Ends
from slither_actors.errors import InvalidOutcome, ItemError, NotPicklable, RemoteError, SlitherError, kinds_of, shorten
from slither_actors.item import Item, take_ids
from slither_actors.outcome import Drop, Emit, Fail, RouteTo
from slither_actors.pipe._lanes import Emission, Lane, Parent, Routed
from slither_actors.pipe._stage_plan import StagePlan
from slither_actors.policy import Halt, Retry, Route, Skip, Verdict, verdict, way_out
from slither_actors.workers._reading import marks, read_items, replaced, unrouted
from slither_actors.workers.executor import descendant, item_error
from slither_actors.workers.parcel import Note, Parcel, pack_items


class RunHalted(Exception):
    """The policy says that the run ends here. `stage` is who is to blame, `None` for the stage itself."""

    def __init__(self, error: SlitherError, stage: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.stage = stage


# Stands for the end of an iterator.
_END = object()


class StageRun:
    """One run through one stage.

    Raises:
        NotDecodable: the context cannot be read in this process.
    """

    def __init__(self, run: str, stage: str, plan: StagePlan, state: dict[str, Any] | None = None) -> None:
        self.id = run
        self.plan = plan
        self.stage = stage
        self.context = plan.context.open().bind({} if state is None else state)
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.sink = Lane(OutEdge(run, plan.sink), holds=False)
        self._lanes = {name: Lane(OutEdge(run, port), name in plan.holds) for name, port in plan.stages.items()}
        self._by_edge = {lane.edge.port.edge: lane.edge for lane in (*self._lanes.values(), self.sink)}
        self._waiting: deque[tuple[InEdge, tuple[Parcel, ...]]] = deque()
        self._work: Iterator[float] | None = None  # what is left to do of the batch in work, which came in on `_owner`
        self._owner: InEdge | None = None
        self._emission: Emission | None = None
        self.pause_s = 0.0  # to wait before the next step; set to 0 by whoever drives this, when it is over

    # -- events

    def batch(self, edge: int, seq: int, parcels: tuple[Parcel, ...]) -> None:
        owner = self.inputs[edge]
        owner.receive(seq)
        self._waiting.append((owner, parcels))

    def ask(self, edge: int, limit: int) -> None:
        if edge in self._by_edge:
            self._by_edge[edge].ask(limit)

    def complete(self, edge: int, last_seq: int) -> None:
        self.inputs[edge].last_seq = last_seq

    # -- work

    @property
    def ready(self) -> bool:
        """Whether there is something to do, and every way out has room for what may come of it."""
        if self.pause_s or (self._work is None and not self._waiting):
            return False
        return all(edge.credit > 0 for edge in self._by_edge.values())

    def next_batch(self) -> list[Item] | None:
        """The next batch, to be given to `begin`; `None` while there is still work to do on the last one.

        Raises:
            RunHalted: an item cannot be read here, and the policy of whoever made it is to halt.
        """
        if self._work is not None:
            return None
        self._owner, parcels = self._waiting.popleft()
        origin = self._owner.port.origin
        try:
            items, losses = read_items(parcels)
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
            return self._emission is emission and not any(lane.full for lane in (*self._lanes.values(), self.sink))
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
        return self._work is None and not self._waiting and all(edge.done for edge in self.inputs.values())

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
                self._end("dropped", [item], _as_error(answer.reason, "Drop"), attempts)
            elif isinstance(answer, Fail):
                return self.failure([item], _as_error(answer.reason, "Fail"), attempts)
            elif isinstance(answer, Emit):
                self._emission = Emission(item, _iterator(self.stage, answer.payloads), attempts)
            elif isinstance(answer, RouteTo):
                self._put(_next_item(item, answer.payload), answer.destination, item)
            elif _means_nothing(answer):
                raise InvalidOutcome(self.stage, f"{shorten(answer)} means nothing here; Drop(...) and Fail(...) do")
            else:
                self._put(_next_item(item, answer), self.plan.next, item)
        except ItemError as error:
            return self.failure([item], error, attempts)
        return None

    def _emit(self, emission: Emission) -> None:
        """One of what an item becomes. What was emitted before it fails stays emitted."""
        try:
            part = next(emission.payloads, _END)
            if part is _END:
                self._emission = None
                if emission.empty:  # an item that becomes nothing is accounted for too
                    why = _as_error("it became no item at all", "Drop")
                    self._end("dropped", [emission.item], why, emission.attempts)
                return
            if isinstance(part, Emit | Drop | Fail) or _means_nothing(part):
                name = getattr(part, "__name__", type(part).__name__)
                raise InvalidOutcome(self.stage, f"Emit takes payloads, Items and RouteTo, not {name}")
            made, to = (part.payload, part.destination) if isinstance(part, RouteTo) else (part, self.plan.next)
            self._put(_child(emission.item, made), to, emission)
            emission.empty = False
        except RunHalted:
            raise
        except BaseException as error:  # a generator is user code too
            self._emission_failed(emission, item_error(error))

    def _emission_failed(self, emission: Emission, error: ItemError) -> None:
        """It emits no more, and its item fails, once."""
        if self._emission is emission:
            self._emission = None
            with contextlib.suppress(BaseException):  # it has failed already
                emission.close()
        if not emission.failed:
            emission.failed = True
            self.failure([emission.item], error, emission.attempts, final=True)

    def _put(self, item: Item, destination: Any, origin: Parent) -> None:
        lane, placed = self._place(item, destination)
        lane.items.append(placed)
        lane.origins.append(origin)

    def _place(self, item: Item, destination: Any) -> tuple[Lane, Item]:
        if isinstance(destination, str):
            lane = self._lanes.get(destination)
            if lane is not None:
                return lane, item
            if destination in self.plan.outputs:
                return self.sink, item if item.route == destination else item.with_route(destination)
        allowed = ", ".join((*self._lanes, *self.plan.outputs))
        problem = f"destination {shorten(destination)}; a later stage or an output: {allowed}"
        raise InvalidOutcome(self.stage, problem)

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
                self._route(item, Note(error, self.stage, attempts))
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

    def _end(self, kind: str, items: list[Item], error: SlitherError, attempts: int) -> None:
        self._pack(self.sink, everything=True)
        try:
            parcel = pack_items(items)
        except NotPicklable:  # a handler changed them in place
            parcel = pack_items([Item(item.id, None, parent_id=item.parent_id) for item in items])
        self.sink.edge.put((), (Ends(kind, (parcel,), error, self.stage, attempts),))

    def _pack(self, lane: Lane, *, everything: bool) -> None:
        for origin, why in lane.pack(everything=everything):
            error = InvalidOutcome(self.stage, str(why))
            if isinstance(origin, Emission):
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
        finished = self.finished
        lanes = [*self._lanes.values(), self.sink]  # the sink last: what fails on the way to the others ends there
        messages: list[tuple[str, Any]] = []
        for lane in lanes:
            self._pack(lane, everything=finished)
        while finished and any(lane.items for lane in lanes):  # what failed on its way was routed to another one
            for lane in lanes:
                self._pack(lane, everything=True)
        for lane in lanes:
            messages += [(lane.edge.port.consumer, batch) for batch in lane.edge.take()]
        for edge in self.inputs.values():
            ask = edge.ask(self.id)
            if ask is not None:
                messages.append((edge.port.producer, ask))
        if finished:
            completed = [(lane.edge, lane.edge.complete()) for lane in lanes]
            messages += [(edge.port.consumer, last) for edge, last in completed if last is not None]
        return messages

    @property
    def over(self) -> bool:
        """Whether nothing is left to do or to send."""
        return self.finished and not any(edge.waiting for edge in self._by_edge.values())

    def last_words(self) -> tuple[Batch, ...]:
        """At a halt: what is finished and on its way to the service, whether it has credit or not."""
        self.sink.pack(everything=True)
        return tuple(self.sink.edge.take(regardless=True))


def _means_nothing(answer: Any) -> bool:
    """Whether it means something elsewhere, or was not made."""
    kind = type(answer)
    return kind in (Halt, Skip, Retry, Route) or (kind is type and answer in (Drop, Emit, Fail, RouteTo))


def _next_item(item: Item, answer: Any) -> Item:
    """The item that an answer stands for: itself if it is one, else the old one with a new payload."""
    return descendant(answer, item) if isinstance(answer, Item) else item.with_payload(answer)


def _child(parent: Item, made: Any) -> Item:
    """One of several made of `parent`, under an id of its own."""
    child = made if isinstance(made, Item) else parent.with_payload(made)
    fresh = child.id if child.id != parent.id else take_ids(1)[0]
    return attrs.evolve(child, id=fresh, parent_id=parent.id)


def _iterator(stage: str, payloads: Any) -> Iterator[Any]:
    if isinstance(payloads, str | bytes | dict) or not hasattr(payloads, "__iter__"):
        raise InvalidOutcome(stage, f"a list of payloads was expected, not a {type(payloads).__name__}")
    try:
        return iter(payloads)
    except BaseException as error:  # user code too
        raise item_error(error) from error


def _as_error(reason: Any, kind: str) -> RemoteError:
    if isinstance(reason, BaseException):
        return RemoteError.of(reason)
    # to a policy it is as good as an exception
    return RemoteError(kind, str(reason) if reason is not None else "", "", (kind, *kinds_of(Exception)))
