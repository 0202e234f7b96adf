"""Plays whoever stands around one run through a stage: the source before it, later stages and the service behind it."""

import random

from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch.messages import Ask, Batch, Complete, Expanded, InPort, Origin, OutPort
from slither_actors.item import Item
from slither_actors.pipe._stage_plan import StagePlan
from slither_actors.pipe._stage_run import StageRun
from slither_actors.policy import Halt, Skip
from slither_actors.workers.executor import item_error
from slither_actors.workers.parcel import pack_items, unpack_items

SINK = 99
WAYS = {"stages": {"next": (4, 3), "later": (3, 5)}, "then": "next"}


def one_way_plan(
    policy,
    *,
    window=1000,
    outputs=("default", "out"),
    then="default",
    stages=None,
    holds=(),
    context=None,
    origin=None,
    unfit=None,
):
    """A plan with one edge in, edges to later stages, and the edge to the service."""
    ways = {
        name: OutPort(10 + number, f"stage-{name}", edge_window, size, wants_full=name in holds)
        for number, (name, (edge_window, size)) in enumerate((stages or {}).items())
    }
    return StagePlan(
        (InPort(1, "source", window, origin or Origin(None, Halt())),),
        ways,
        OutPort(SINK, "service", window, 4),
        tuple(outputs),
        then,
        policy,
        SealedContext.of(context or Context()),
        unfit or {},
    )


class Neighbours:
    """One stage's run between a source and its consumers, all of them slow at will. Handles items itself, by `handler`.

    Args:
        rng: decides who moves next.
        plan: the stage's part.
        handler: item -> answer; what it raises is a failure.
        feed: payloads, may be endless.
        breaks: how often it sees to other things between two steps, as a probability.
    """

    def __init__(self, rng, plan, handler, feed, *, size=4, breaks=0.0):
        self.rng = rng
        self.run = StageRun("r", "middle", plan)
        self.handler = handler
        self.feed = iter(feed)
        self.size = size
        (port,) = plan.inputs
        self.source = OutEdge("r", OutPort(port.edge, "middle", port.window, size))
        self.consumers = {
            out.edge: InEdge(InPort(out.edge, "middle", out.window)) for out in (*plan.stages.values(), plan.sink)
        }
        self.names = {out.edge: name for name, out in plan.stages.items()} | {SINK: "sink"}
        self.inbox = {edge: [] for edge in self.consumers}
        self.arrived = {name: [] for name in self.names.values()}
        self.batches = {name: [] for name in self.names.values()}
        self.ends = []
        self.expanded = []
        self.fed = []
        self.exhausted = False
        self.breaks = breaks
        self.going_on = False

    def moves(self):
        moves = []
        if not self.exhausted and self.source.credit > 0:
            moves.append(self.push)
        if self.going_on:
            moves.append(self.work)
        moves += [lambda edge=edge: self.take(edge) for edge, messages in self.inbox.items() if messages]
        return moves

    def step(self):
        moves = self.moves()
        if not moves:
            return False
        self.rng.choice(moves)()
        return True

    def push(self):
        items = [Item.wrap(payload) for _, payload in zip(range(self.size), self.feed, strict=False)]
        self.fed += items
        if items:
            self.source.put((pack_items(items),))
        for batch in self.source.take():
            self.run.batch(batch.edge, batch.seq, batch.parcels)
        if len(items) < self.size:
            self.exhausted = True
            self.run.complete(1, self.source.complete().last_seq)
        self.work()

    @property
    def accounts(self):
        """How many items there were at first, by what became of all."""
        there = len(self.ends) + sum(map(len, self.arrived.values()))
        return there + sum(ended - more for _, _, more, ended in self.expanded)

    def take(self, edge):
        message = self.inbox[edge].pop(0)
        consumer = self.consumers[edge]
        if isinstance(message, Complete):
            consumer.last_seq = message.last_seq
            return
        consumer.receive(message.seq)
        items = unpack_items(message.parcels)
        self.batches[self.names[edge]].append(len(items))
        self.arrived[self.names[edge]] += items
        for ends in message.ends:
            assert edge == SINK, "ends go to the service"
            if isinstance(ends, Expanded):
                self.expanded += ends.parents
                continue
            self.ends += [(ends.kind, item, ends.error) for item in unpack_items(ends.parcels)]
        consumer.held -= 1
        ask = consumer.ask("r")
        if ask is not None:
            self.run.ask(edge, ask.limit)
            self.work()

    def work(self):
        """As the actor does, with turns of a random number of steps."""
        self.going_on = False
        self.send(self.run.flush())
        while self.run.ready:
            if self.rng.random() < self.breaks:
                self.going_on = True
                return
            items = self.run.next_batch()
            if items is not None:
                self.run.begin(self.handle(items))
            while self.run.step() and self.rng.random() >= self.breaks:
                pass
            self.send(self.run.flush())

    def handle(self, items):
        for item in items:
            try:
                answer = self.handler(item)
            except Exception as error:
                self.run.failure([item], item_error(error))
            else:
                self.run.outcome(item, answer)
            yield 0.0

    def send(self, messages):
        for _, message in messages:
            if isinstance(message, Ask):
                self.source.ask(message.limit)
            else:
                assert isinstance(message, Batch | Complete)
                self.inbox[message.edge].append(message)

    @property
    def done(self):
        return self.run.over and all(edge.done for edge in self.consumers.values())


def play(handler, feed, *, policy=None, seed=0, **plan):
    """Everything there is to take, taken; each name with its items."""
    given = {**WAYS, **plan}
    around = Neighbours(random.Random(seed), one_way_plan(policy or Skip(), **given), handler, feed)
    while around.step():
        pass
    assert around.done, "the run stalls"
    return around


def payloads(around, name):
    return [item.payload for item in around.arrived[name]]
