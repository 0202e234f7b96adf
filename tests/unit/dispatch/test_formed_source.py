"""What a source with a strategy pulls, holds and puts back into order. No process: results come as a test says."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors import FixedBatch, KeyPartition, WeightedBatch
from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch._formed_source import FormedSource
from slither_actors.dispatch._lane_queues import LaneQueues
from slither_actors.dispatch._load import Load
from slither_actors.dispatch.messages import OutPort
from slither_actors.errors import InvalidOption, NotPicklable
from slither_actors.item import Item
from slither_actors.workers.parcel import unpack_items


def key(item):
    return item.payload % 10


class Bench:
    """A source, the edge that it feeds, and what was yielded."""

    def __init__(self, items, strategy, *, size=3, **options):
        self.lost = []
        self.source = FormedSource(
            items,
            "dispatch",
            strategy=strategy,
            size=size,
            on_loss=lambda item, error: self.lost.append(item.payload),
            **options,
        )
        self.edge = OutEdge("r", OutPort(1, "d", 1000, size))
        self.batches = []
        self.yielded = []

    def feed(self):
        self.source.feed(self.edge, 3)
        new = [(unpack_items(batch.parcels), batch.tag) for batch in self.edge.take()]
        self.batches += new
        self.take(self.source.due())
        return [[item.payload for item in items] for items, _ in new]

    def answer(self, place, but=()):
        items, tag = self.batches.pop(place)
        self.take(self.source.arranged([item for item in items if item.payload not in but], tag))

    def take(self, items):
        self.yielded += [item.payload for item in items]
        self.source.taken += len(items)

    def feed_all(self):
        while self.source.willing:
            self.feed()


def test_results_stand_in_the_order_of_the_input():
    bench = Bench([1, 2, 11, 12, 21, 3], KeyPartition(key), ahead=20, in_order=True)
    bench.feed_all()
    assert [[item.payload for item in items] for items, _ in bench.batches] == [[1, 11, 21], [2, 12], [3]]
    bench.answer(1)
    assert bench.yielded == []
    bench.answer(0)
    assert bench.yielded == [1, 2, 11, 12, 21]
    bench.answer(0)
    assert bench.yielded == [1, 2, 11, 12, 21, 3]


def test_what_ended_leaves_no_gap():
    bench = Bench([1, 2, 11], KeyPartition(key), ahead=20, in_order=True)
    bench.feed_all()
    bench.answer(1)
    bench.answer(0, but=[1])
    assert bench.yielded == [2, 11]


def test_the_rest_is_there_when_the_run_ends_early():
    bench = Bench([1, 2, 3, 12], KeyPartition(key), ahead=20, in_order=True)
    bench.feed_all()
    bench.answer(2)
    bench.answer(1)
    assert bench.yielded == []
    assert [item.payload for item in bench.source.rest()] == [2, 3, 12]
    assert bench.source.rest() == []


def test_an_item_that_is_lost_at_the_edge_lets_others_out():
    """The one in place 0 is held; when its strategy is at its end, what stands behind it comes."""

    def fails(item):
        if item.payload == 9:
            raise ValueError
        return item.payload

    bench = Bench([5, 9, 5, 5, 9], KeyPartition(fails), ahead=20, in_order=True)
    bench.feed_all()
    assert bench.lost == [9, 9]
    bench.answer(0)
    assert bench.yielded == [5, 5, 5]


def test_a_lost_item_that_all_others_wait_for_lets_them_out():
    def fails(item):
        if item.payload < 0:
            raise ValueError
        return item.payload

    source = iter([1, 1, 1, -1])
    bench = Bench(source, KeyPartition(fails), ahead=20, in_order=True)
    bench.feed()
    bench.answer(0)
    assert bench.yielded == [1, 1, 1]
    bench.feed_all()
    assert bench.lost == [-1]
    assert bench.source.exhausted


@pytest.mark.parametrize("in_order", [True, False])
def test_it_pulls_to_the_ceiling_then_flushes_the_oldest_lane_and_stops(in_order):
    pulled = []
    source = (pulled.append(number) or number for number in itertools.count())
    bench = Bench(source, KeyPartition(lambda item: item.payload), ahead=6, in_order=in_order)
    assert bench.feed() == [], "a batch's worth at once, and no more: results may be waiting"
    assert len(pulled) == 3
    bench.feed_all()
    assert len(pulled) == 6
    assert [[item.payload for item in items] for items, _ in bench.batches] == [[n] for n in range(6)]
    assert not bench.source.willing
    bench.answer(0)
    assert bench.source.willing
    assert bench.feed() == [[6]]
    assert len(pulled) == 7


def test_where_nobody_says_what_comes_of_a_batch_two_batches_may_be_held():
    bench = Bench(itertools.count(), KeyPartition(lambda item: item.payload))
    for _ in range(10):
        bench.feed()
        assert bench.source.pulled - len(bench.batches) <= 6
    assert bench.batches[0][0][0].payload == 0


def test_the_end_comes_with_the_last_batch():
    bench = Bench([1, 2, 3, 4], KeyPartition(lambda item: item.payload), ahead=20)
    assert bench.feed() == []
    exhausted = []
    while bench.source.willing:
        bench.feed()
        exhausted.append(bench.source.exhausted)
    assert exhausted == [False, False, False, True]


def test_an_empty_source_is_at_its_end_at_once():
    bench = Bench([], KeyPartition(key), ahead=20)
    assert bench.feed() == []
    assert (bench.source.exhausted, bench.source.willing) == (True, False)


def test_places_are_remembered_where_they_are_wanted():
    items = Item.wrap_many([4, 5, 14])
    bench = Bench(items, KeyPartition(key), keep_order=True)
    bench.feed_all()
    assert bench.source.order == {item.id: place for place, item in enumerate(items)}
    assert bench.source.pulled == 3


def test_what_is_no_iterable_is_refused():
    with pytest.raises(InvalidOption, match="items is 5"):
        Bench(5, KeyPartition(key))


def test_an_item_that_cannot_travel_is_named_by_its_place():
    bench = Bench([1, 2, (n for n in ()), 3], FixedBatch(2, max_wait_s=100), ahead=20)
    bench.feed()
    with pytest.raises(NotPicklable, match=r"item 2 of the input \(generator\)"):
        bench.feed()


def test_what_the_source_raises_comes_through():
    bench = Bench((1 / number for number in (1, 0)), WeightedBatch(1, lambda item: 1), ahead=20)
    bench.feed()
    with pytest.raises(ZeroDivisionError):
        bench.feed()


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 5), st.integers(1, 12), st.booleans(), st.randoms())
def test_i4_and_i8_whatever_comes_back_when(values, size, more, in_order, rng):
    """A finite source ends, never too far ahead, in its order or with the order of each key, and nothing is lost."""
    ahead = size + more
    numbered = list(enumerate(values))
    bench = Bench(iter(numbered), KeyPartition(lambda item: item.payload[1]), size=size, ahead=ahead, in_order=in_order)
    ended = set()
    while bench.source.willing or bench.batches:
        lanes = {}
        for place, (_, tag) in enumerate(bench.batches):
            lanes.setdefault(tag[0], place)  # of a lane, the first one that is out comes back first
        if bench.source.willing and (not bench.batches or rng.random() < 0.5):
            bench.feed()
        else:
            place = rng.choice(list(lanes.values()))
            lost = [item.payload for item in bench.batches[place][0] if rng.random() < 0.2]
            ended |= set(lost)
            bench.answer(place, but=lost)
        assert bench.source.pulled - len(bench.yielded) - len(ended) <= ahead
    assert bench.source.exhausted
    assert sorted([*bench.yielded, *ended]) == numbered
    if in_order:
        assert bench.yielded == sorted(bench.yielded)
    for one in set(values):
        numbers = [number for number, of in bench.yielded if of == one]
        assert numbers == sorted(numbers)


# -- credit by weight, lanes


@given(st.lists(st.floats(0.001, 50)), st.floats(1, 60), st.randoms())
def test_a_load_never_exceeds_its_limit_but_for_one_alone(weights, limit, rng):
    load = Load(limit)
    out = {}
    for number, weight in enumerate(weights):
        while not load.fits(weight):
            assert out, "nothing is out, and yet it may not go"
            back = rng.choice(list(out))
            load.remove(back)
            del out[back]
        load.add(number, weight)
        out[number] = weight
        assert len(out) == 1 or math.fsum(out.values()) <= limit


def test_a_load_does_not_drift():
    load = Load(0.3)
    for number in range(1000):
        load.add(number, 0.1)
        load.remove(number)
    load.add(0, 0.1)
    load.add(1, 0.1)
    assert not load.fits(0.1 + 1e-9)
    assert load.fits(0.09)


class LaneTask:
    def __init__(self, lane, name):
        self.lane, self.name = lane, name


@given(st.lists(st.integers(1, 4)), st.randoms())
def test_lanes_let_one_go_at_a_time_in_order_and_forget_themselves(lanes, rng):
    queues = LaneQueues()
    under_way, done = {}, {}
    for name, lane in enumerate(lanes):
        task = LaneTask(lane, name)
        if queues.enter(task):
            assert lane not in under_way
            under_way[lane] = task
        else:
            assert lane in under_way
        while under_way and rng.random() < 0.5:
            leave(queues, under_way, done, rng.choice(list(under_way)))
    while under_way:
        leave(queues, under_way, done, rng.choice(list(under_way)))
    for lane in set(lanes):
        assert done[lane] == [name for name, of in enumerate(lanes) if of == lane]
    assert not queues._behind


def leave(queues, under_way, done, lane):
    task = under_way.pop(lane)
    done.setdefault(lane, []).append(task.name)
    following = queues.leave(task)
    if following is not None:
        under_way[lane] = following


def test_the_other_half_of_a_batch_comes_before_what_follows_it():
    queues = LaneQueues()
    left, right, after = (LaneTask(1, name) for name in ("left", "right", "after"))
    assert queues.enter(left)
    assert not queues.enter(after)
    queues.put_next(right)
    assert queues.leave(left) is right
    assert queues.leave(right) is after
    assert queues.leave(after) is None


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (KeyPartition(lambda item: [item.payload][item.payload]), "in the key of KeyPartition, at item 2 of the input"),
        (KeyPartition(lambda item: [] if item.payload else 0), "a tuple of these is, at item 2 of the input"),
        (WeightedBatch(5, lambda item: 1 - item.payload), "no finite number above 0, at item 2 of the input"),
    ],
)
def test_an_item_that_fits_into_no_batch_is_told_by_its_place_in_the_input(strategy, said):
    errors = []
    bench = Bench([0, 0, 7, 0], strategy, ahead=20)
    bench.source._on_loss = lambda item, error: errors.append(str(error))
    bench.feed_all()
    (error,) = errors
    assert error.endswith(said)
