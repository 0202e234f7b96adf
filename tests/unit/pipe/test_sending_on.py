"""Answers that go on together, in their places; and what a router passes on without encoding it again."""

import random
import threading

import pytest

import slither_actors as slither
from slither_actors import Drop, Emit, Fail, Item, RouteTo
from slither_actors._code import Code
from slither_actors.context import Context
from slither_actors.dispatch.messages import Batch, OpenRun, Origin, Surrender
from slither_actors.item import with_payloads
from slither_actors.pipe._stage_plan import StageSetting
from slither_actors.pipe.builtin import RouterStage
from slither_actors.policy import Halt, Skip
from slither_actors.workers._reading import read_items
from slither_actors.workers.parcel import Note, Sorted, cut, noted, pack_items
from tests.unit.pipe.playing_edges import one_way_plan
from tests.unit.pipe.test_stage import Bench, Foreign


class Answers(slither.Stage):
    """Answers what the payload says, and counts the calls."""

    def handle_item(self, item, ctx):
        self.calls = [*getattr(self, "calls", []), item.payload]
        return answer_of(item)


class BatchAnswers(slither.Stage):
    def handle_batch(self, items, ctx):
        return [answer_of(item) for item in items]


def answer_of(item):
    kind, number = item.payload
    if kind == "raise":
        raise ValueError(number)
    same = {"drop": Drop, "fail": Fail, "item": item.with_payload, "class": lambda number: Drop}
    if kind in same:
        return same[kind](number)
    if kind == "emit":
        return Emit([number, number])
    return RouteTo("out", number) if kind == "route" else number


@pytest.mark.parametrize("cls", [Answers, BatchAnswers])
@pytest.mark.parametrize("seed", range(20))
def test_answers_of_all_kinds_keep_their_order(cls, seed):
    rng = random.Random(seed)
    kinds = ["payload"] * rng.randint(1, 6) + ["drop", "fail", "item", "emit", "route", "class"]
    kinds += ["raise"] if cls is Answers else []
    payloads = [(rng.choice(kinds), number) for number in range(rng.randint(0, 30))]
    bench = Bench(cls, Skip(), outputs=("default", "out"))
    bench.feed(*payloads, last=True)
    lasting = {"payload": 1, "item": 1, "route": 1, "emit": 2}
    assert bench.results() == [number for kind, number in payloads for _ in range(lasting.get(kind, 0))]
    ended = [payload for _, ended, _ in bench.ends() for payload in ended]
    assert ended == [payload for payload in payloads if payload[0] not in lasting]


def test_behind_an_answer_that_ends_the_run_no_item_is_handled():
    bench = Bench(Answers, Halt())
    bench.feed(("payload", 1), ("payload", 2), ("fail", 3), ("payload", 4))
    assert bench.stage.calls == [("payload", 1), ("payload", 2), ("fail", 3)]
    assert bench.results() == [1, 2]


def test_an_item_that_takes_long_ends_the_turn_and_goes_out_before_the_next_one():
    bench = Bench(Slow, Halt())
    bench.stage._clock = bench.stage._runs["r"].clock = lambda: bench.stage.now
    items = Item.wrap_many([("payload", 1), ("payload", 2)])
    bench.stage._on_batch(Batch("r", 1, 1, (pack_items(items),), ()), "source")
    assert bench.results() == [1]
    assert bench.stage.calls == [("payload", 1)]
    bench.go_on_to_the_end()
    assert bench.results() == [1, 2]


class Slow(Answers):
    now = 0.0

    def handle_item(self, item, ctx):
        self.now += 1.0
        return super().handle_item(item, ctx)


def test_what_goes_on_together_keeps_ids_notes_and_parents_and_gets_the_output():
    items = [Item(5, "a", {"n": 1}, "old", 3), Item(6, "b")]
    assert with_payloads(items, [1, 2]) == [Item(5, 1, {"n": 1}, "old", 3), Item(6, 2)]
    assert [item.route for item in with_payloads(items, [1, 2], "out")] == ["out", "out"]
    with pytest.raises(ValueError, match="zip"):
        with_payloads(items, [1])


@pytest.mark.parametrize("cls", [Answers, BatchAnswers])
def test_what_goes_on_by_itself_to_an_output_gets_that_as_its_route(cls):
    bench = Bench(cls, Halt(), then="out")
    bench.feed(("payload", 1), ("item", 2), ("payload", 3), last=True)
    routes = [item.route for batch in bench.batches() for item in read_items(batch.parcels)[0]]
    assert routes == ["out", "out", "out"]


@pytest.mark.parametrize("number", [0, 3])
def test_an_answer_among_others_that_cannot_travel_is_a_failure_of_its_item_alone(number):
    bench = Bench(Answers, Skip())
    answers = [1, 2, 3, 4]
    answers[number] = threading.Lock()
    bench.stage.handle_item = lambda item, ctx: answers[item.payload]
    bench.feed(0, 1, 2, 3, last=True)
    assert bench.results() == [answer for answer in answers if isinstance(answer, int)]
    assert [payloads for _, payloads, _ in bench.ends()] == [[number]]


# -- routers


class Routed(slither.Pipe):
    sort = slither.router(
        (lambda item: _fits(item, "later"), "later"),
        (lambda item: _fits(item, "out"), "out"),
    )
    next = slither.local(lambda item: item)
    later = slither.local(lambda item: item)
    outputs = ("out",)


def _fits(item, destination):
    if item.payload == "raise":
        raise ValueError("boom")
    return item.payload == destination


class RouterBench(Bench):
    """A router in front of two stages, or of none."""

    def __init__(self, policy=None, *, ways=True, then=None):
        self.sent = []
        setting = StageSetting(
            "Routed", "sort", Code.of_value(Routed.definition.stage("sort").declaration, "x"), {}, {}
        )
        actor = {"post": lambda _, to, message: self.sent.append(message), "address": "itself"}
        self.stage = type("Router", (RouterStage,), actor)(setting)
        self.stage.setup(Context())
        stages = {"next": (100, 50), "later": (100, 50)} if ways else {}
        plan = one_way_plan(policy or Halt(), stages=stages, then=then or ("next" if ways else "default"))
        self.stage._on_open(OpenRun("r", plan), "service")
        self.sent.clear()
        self.seq = 0

    def feed_parcels(self, *parcels):
        self.seq += 1
        self.stage._on_batch(Batch("r", 1, self.seq, parcels, ()), "source")
        self.go_on_to_the_end()

    def arrived(self):
        return [(item.payload, item.route) for batch in self.batches() for item in read_items(batch.parcels)[0]]

    def data(self):
        return [parcel[0] for batch in self.batches() for parcel in batch.parcels]


def test_what_goes_to_outputs_alone_is_passed_on_as_it_came():
    bench = RouterBench(ways=False)
    whole = pack_items(Item.wrap_many(["no", "out", "x", "out", "no"]))
    other = pack_items([Item(1, "out", {"n": 1}, "elsewhere", 7)])
    bench.feed_parcels(cut(whole, 1, 4), other)
    assert bench.arrived() == [("out", "out"), ("x", "default"), ("out", "out"), ("out", "out")]
    assert all(ours is theirs for ours, theirs in zip(bench.data(), [whole[0], other[0]], strict=True))
    (*_, last) = read_items(bench.batches()[0].parcels)[0]
    assert last == Item(1, "out", {"n": 1}, "out", 7)


TWICE = Item.wrap("out")
NOTED = noted([pack_items([Item.wrap("out")])], Note(slither.RemoteError("E", "m", "", ()), "before", 1))[0]


@pytest.mark.parametrize(
    ("parcel", "expected"),
    [
        (pack_items(Item.wrap_many(["out", "later", "x"])), [("later", "default"), ("out", "out"), ("x", "default")]),
        (pack_items([TWICE, TWICE]), [("out", "out"), ("out", "out")]),
        (NOTED, [("out", "out")]),
    ],
)
def test_what_is_not_all_for_outputs_or_was_changed_on_the_way_is_encoded_again(parcel, expected):
    bench = RouterBench(ways=parcel is not NOTED, then="next")
    bench.feed_parcels(parcel)
    assert sorted(bench.arrived()) == expected
    assert parcel[0] not in bench.data()
    assert not any(isinstance(note, Sorted) for batch in bench.batches() for one in batch.parcels for note in one[4])


def test_an_item_that_cannot_be_read_ends_alone_and_the_others_reach_their_outputs():
    bench = RouterBench(Skip(), ways=False)
    bench.stage._on_open(OpenRun("r", one_way_plan(Skip(), origin=Origin("before", Skip(), "before"))), "service")
    bench.feed_parcels(pack_items(Item.wrap_many(["out", Foreign(), "x"])))
    assert bench.arrived() == [("out", "out"), ("x", "default")]
    assert [kind for kind, _, _ in bench.ends()] == ["skipped"]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_whoever_cannot_read_one_of_what_was_passed_on_gets_the_right_outputs_of_the_others(lost):
    payloads = ["a", "b", "c"]
    payloads[lost] = Foreign()
    items = Item.wrap_many(payloads)
    data, buffers, lo, hi, _ = pack_items(items)
    routes = ["for a", "for b", "for c"]
    note = Sorted([item.id for item in items], routes)
    good, (loss,) = read_items([(data, buffers, lo, hi, (note,))])
    assert [item.route for item in good] == [f"for {item.payload}" for item in good]
    assert [item.id for item in loss.items()] == [items[lost].id]


def test_a_predicate_that_raises_is_a_failure_of_its_item_and_of_no_other():
    bench = RouterBench(Skip(), ways=False)
    bench.feed("out", "raise", "x", "out", last=True)
    assert bench.arrived() == [("out", "out"), ("x", "default"), ("out", "out")]
    ((kind, payloads, error),) = bench.ends()
    assert (kind, payloads) == ("skipped", ["raise"])
    assert "boom" in error


def test_what_was_passed_on_and_has_no_credit_yet_is_among_the_last_words():
    bench = RouterBench(ways=False)
    run = bench.stage._runs["r"]
    run.sink.edge._limit = 0
    run.batch(1, 1, (pack_items(Item.wrap_many(["out", "x"])),))
    run.begin(bench.stage._handle(run, run.next_batch()))
    while run.step():
        pass
    bench.stage._on_surrender(Surrender("r"), "service")
    assert bench.arrived() == [("out", "out"), ("x", "default")]


@pytest.mark.parametrize("ways", [False, True])
def test_a_run_that_is_measured_counts_what_goes_out_together(ways):
    bench = RouterBench(ways=ways)
    run = bench.stage._runs["r"]
    counted = []
    run.count_out = counted.append
    bench.feed("out", "x", "out")
    assert sum(counted) == 3
