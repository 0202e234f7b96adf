"""One run through one stage, without an actor: batches in, outcomes sorted onto edges, credit kept."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors.context import Context
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch.messages import Ends, InPort, OutPort
from slither_actors.dispatch.policy import Policy, Skip
from slither_actors.errors import InvalidOutcome, ItemError, NotPicklable, RemoteError, SlitherError
from slither_actors.item import Item
from slither_actors.pipe.outcome import Drop, Emit, Fail, RouteTo
from slither_actors.worker.parcel import Parcel, pack_items, unpack_items


@attrs.frozen
class StagePlan:
    """A stage's part in a run.

    Attributes:
        inputs: edges that lead here.
        stages: edges to later stages, by name.
        sink: the edge to the service, for outputs and ends.
        outputs: names of the outputs.
        next: where an item goes by itself.
        policy: what an error means.
        context: given to user code.
        holds: names of stages whose edges wait until a batch is full, since they lead to workers.
    """

    inputs: tuple[InPort, ...]
    stages: dict[str, OutPort]
    sink: OutPort
    outputs: tuple[str, ...]
    next: str
    policy: Policy
    context: Context
    holds: frozenset[str]


@attrs.frozen
class StageSetting:
    """What a stage's process is told at its start.

    Attributes:
        pipe: name of the pipe. name: name of the stage.
        definition: the pipe class or its definition, where the stage finds its function.
        options: for a stage of the user's own class.
    """

    pipe: str
    name: str
    definition: Code
    options: dict[str, Any]


class RunHalted(Exception):
    """The policy says that the run ends here."""

    def __init__(self, error: SlitherError) -> None:
        super().__init__(error)
        self.error = error


class _Lane:
    """An edge, and the items that wait for a full batch on it."""

    def __init__(self, edge: OutEdge, holds: bool) -> None:
        self.edge = edge
        self.holds = holds
        self.items: list[Item] = []

    def pack(self, *, everything: bool) -> None:
        size = self.edge.port.batch_size
        while self.items and (everything or not self.holds or len(self.items) >= size):
            self.edge.put((pack_items(self.items[:size]),))
            del self.items[:size]


class StageRun:
    """One run through one stage."""

    def __init__(self, run: str, stage: str, plan: StagePlan) -> None:
        self.id = run
        self.plan = plan
        self.stage = stage
        self.context = plan.context.bind({})
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.sink = _Lane(OutEdge(run, plan.sink), holds=False)
        self._lanes = {name: _Lane(OutEdge(run, port), name in plan.holds) for name, port in plan.stages.items()}
        self._by_edge = {lane.edge.port.edge: lane.edge for lane in (*self._lanes.values(), self.sink)}
        self._waiting: deque[tuple[InEdge, tuple[Parcel, ...]]] = deque()

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

    def next_batch(self) -> list[Item] | None:
        """The next batch to work on, if there is one and every way out has room for what may come of it."""
        if not self._waiting or any(edge.credit < 1 for edge in self._by_edge.values()):
            return None
        owner, parcels = self._waiting.popleft()
        owner.held -= 1
        return unpack_items(parcels)

    @property
    def finished(self) -> bool:
        """Whether everything that will come has been worked on."""
        return not self._waiting and all(edge.done for edge in self.inputs.values())

    # -- outcomes

    def outcome(self, item: Item, answer: Any) -> None:
        """Send on what user code answered for an item.

        Raises:
            RunHalted: the answer is a failure, and the policy is to halt.
        """
        try:
            self._apply(item, answer)
        except NotPicklable as error:
            self.failure([item], InvalidOutcome(self.stage, str(error)))
        except ItemError as error:
            self.failure([item], error)

    def _apply(self, item: Item, answer: Any) -> None:
        if isinstance(answer, Drop):
            self._end("dropped", [item], _as_error(answer.reason, "Drop"))
        elif isinstance(answer, Fail):
            raise _as_error(answer.reason, "Fail")
        elif isinstance(answer, RouteTo):
            self._send(_next_item(item, answer.payload), answer.destination)
        elif isinstance(answer, Emit):
            for payload in _listed(self.stage, answer.payloads):
                if isinstance(payload, RouteTo):
                    self._send(_child(item, payload.payload), payload.destination)
                else:
                    self._send(_child(item, payload), self.plan.next)
        else:
            self._send(_next_item(item, answer), self.plan.next)

    def _send(self, item: Item, destination: str) -> None:
        lane = self._lanes.get(destination)
        if lane is not None:
            lane.items.append(item)
        elif destination in self.plan.outputs:
            self.sink.items.append(item if item.route == destination else item.with_route(destination))
        else:
            allowed = ", ".join((*self._lanes, *self.plan.outputs))
            raise InvalidOutcome(self.stage, f"destination {destination!r}; a later stage or an output: {allowed}")

    def failure(self, items: list[Item], error: ItemError) -> None:
        """Items failed; the policy decides.

        Raises:
            RunHalted: the policy is to halt.
        """
        if not isinstance(self.plan.policy, Skip):
            raise RunHalted(error)
        self._end("skipped", items, error)

    def _end(self, kind: str, items: list[Item], error: SlitherError) -> None:
        self.sink.pack(everything=True)
        self.sink.edge.put((), (Ends(kind, (pack_items(items),), error, self.stage, 1),))

    # -- what has to be sent

    def flush(self) -> list[tuple[str, Any]]:
        """What credit allows to be sent now, requests for more, and the end when it is reached."""
        finished = self.finished
        lanes = [*self._lanes.values(), self.sink]
        messages: list[tuple[str, Any]] = []
        for lane in lanes:
            lane.pack(everything=finished)
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

    def last_words(self) -> list[tuple[str, Any]]:
        """At a halt: what is finished and on its way to the service."""
        self.sink.pack(everything=True)
        return [(self.sink.edge.port.consumer, batch) for batch in self.sink.edge.take(regardless=True)]


def _next_item(item: Item, answer: Any) -> Item:
    """The item that an answer stands for: itself if it is one, else the old one with a new payload."""
    return answer if isinstance(answer, Item) else item.with_payload(answer)


def _child(parent: Item, payload: Any) -> Item:
    if isinstance(payload, Item):
        return payload
    (child,) = Item.wrap_many([payload])
    return attrs.evolve(child, meta=dict(parent.meta), parent_id=parent.id)


def _listed(stage: str, payloads: Any) -> list[Any]:
    if isinstance(payloads, str | bytes | dict) or not hasattr(payloads, "__iter__"):
        raise InvalidOutcome(stage, f"a list of payloads was expected, not a {type(payloads).__name__}")
    return list(payloads)


def _as_error(reason: Any, kind: str) -> RemoteError:
    if isinstance(reason, BaseException):
        return RemoteError.of(reason)
    return RemoteError(kind, str(reason) if reason is not None else "", "", (kind,))
