"""Forming batches by weight, by key, by time and by strategies of anybody: nothing is ever lost."""

import asyncio
import itertools
import math
import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors import FixedBatch, KeyPartition, Strategy, WeightedBatch
from slither_actors.dispatch._cutting import ByKey, InTurn
from slither_actors.dispatch._former import Former
from slither_actors.dispatch._strategy_base import Cut
from slither_actors.errors import InvalidOutcome, RemoteError, StrategyError
from slither_actors.item import Item
from slither_actors.testing import FakeClock


def payload(item):
    return item.payload


def payloads(batch):
    return [item.payload for item in batch]


class Bench:
    """A former, and what it lost."""

    def __init__(self, strategy, size=5):
        self.losses = []
        self.former = Former(strategy, size, lambda *loss: self.losses.append(loss), time.monotonic)

    def push(self, *values):
        for value in values:
            self.former.push(Item.wrap(value))
        return self.taken()

    def flush(self, reason="end"):
        self.former.flush(reason)
        return self.taken()

    def taken(self):
        batches = [*self.former.ready]
        self.former.ready.clear()
        return [payloads(batch) for batch in batches]

    def all(self, values):
        return self.push(*values) + self.flush()

    @property
    def lost(self):
        return [item.payload for item, _ in self.losses]


class Begun(Strategy):
    """Stands for a strategy whose run was made by hand, with a clock of its own."""

    def __init__(self, run):
        self.run = run

    def begin(self, batch_size, clock):
        return self.run


def weighted(limit, size=5, weigh=payload):
    return WeightedBatch(limit, weigh, size)


# -- by weight


@pytest.mark.parametrize(
    ("weights", "batches"),
    [
        ([], []),
        ([3, 3, 4, 1], [[3, 3, 4], [1]]),
        ([3, 3, 5, 5, 6], [[3, 3], [5, 5], [6]]),
        ([11, 1, 1], [[11], [1, 1]]),
        ([1, 11, 1], [[1], [11], [1]]),
        ([10, 10], [[10], [10]]),
        ([1] * 7, [[1] * 5, [1] * 2]),
        ([0.5, 9.5, 0.1], [[0.5, 9.5], [0.1]]),
        ([1e308, 1e308, 1], [[1e308], [1e308], [1]]),
        ([5e-324, 10, 1], [[5e-324, 10], [1]]),
    ],
)
def test_a_batch_weighs_as_much_as_it_may_and_a_heavier_item_travels_alone(weights, batches):
    assert Bench(weighted(10)).all(weights) == batches


def test_the_largest_limit_there_is_overflows_nowhere():
    assert Bench(weighted(1.7e308)).all([1e308, 1e308]) == [[1e308], [1e308]]


@given(st.lists(st.integers(1, 30)), st.integers(1, 9), st.integers(1, 25))
def test_whatever_the_weights_no_limit_is_broken_and_nothing_is_lost(weights, size, limit):
    batches = Bench(weighted(limit, size)).all(weights)
    assert list(itertools.chain(*batches)) == weights
    assert all(len(batch) <= size and (sum(batch) <= limit or len(batch) == 1) for batch in batches)
    for batch, after in itertools.pairwise(batches):
        assert len(batch) == size or sum(batch) + after[0] > limit, "there was room for one more"


def test_a_batch_carries_its_weight_and_each_item_is_weighed_once():
    weighed = []
    bench = Bench(weighted(10, weigh=lambda item: weighed.append(item.payload) or item.payload))
    for weight in (4, 6, 3):
        bench.former.push(Item.wrap(weight))
    bench.former.flush("end")
    assert [batch.weight for batch in bench.former.ready] == [10, 3]
    assert weighed == [4, 6, 3]


HUGE = 10**400


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, -math.inf, HUGE, "5", None, True, False, [1], Decimal(1)])
def test_what_is_no_weight_is_lost_alone_and_told(wrong):
    bench = Bench(weighted(10))
    assert bench.all([6, wrong, 4, 5]) == [[6, 4], [5]]
    ((item, error),) = bench.losses
    assert item.payload is wrong
    assert isinstance(error, InvalidOutcome)
    assert "no finite number above 0" in str(error)


def test_numbers_of_other_libraries_are_weights_too():
    assert Bench(weighted(10)).all([Fraction(19, 2), Fraction(1, 2), Fraction(1, 2)])[0] == [9.5, 0.5]


def test_a_weight_that_raises_is_that_item_s_failure():
    bench = Bench(weighted(10, weigh=lambda item: 1 / item.payload))
    assert bench.all([1, 0, 1]) == [[1, 1]]
    assert isinstance(bench.losses[0][1], RemoteError)
    assert "ZeroDivisionError" in str(bench.losses[0][1])


def test_what_ends_the_program_comes_through():
    def interrupted(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Bench(weighted(10, weigh=interrupted)).push(1)


def test_who_is_told_of_a_loss_may_end_it():
    def halt(item, error):
        raise error

    former = Former(weighted(10), 5, halt, time.monotonic)
    with pytest.raises(InvalidOutcome):
        former.push(Item.wrap(0))


# -- by time


def slowly(bench, clock, *steps):
    batches = []
    for pause, value in steps:
        clock.advance(pause)
        batches += bench.push(value)
    return batches + bench.flush()


def test_a_batch_goes_out_when_its_first_item_has_waited_long_enough():
    clock = FakeClock()
    bench = Bench(Begun(InTurn(5, math.inf, None, 2.0, clock)))
    steps = zip((9.0, 1.0, 1.0, 0.5, 5.0, 0, 0, 0, 0, 0, 0), range(11), strict=True)
    assert slowly(bench, clock, *steps) == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9], [10]]


def test_an_item_that_did_not_fit_has_not_waited_with_the_batch_before_it():
    clock = FakeClock()
    bench = Bench(Begun(InTurn(5, 10, payload, 2.0, clock)))
    assert slowly(bench, clock, (0, 6), (1.0, 6), (1.5, 1), (1.0, 1)) == [[6], [6, 1, 1]]


def test_every_key_has_a_time_of_its_own():
    clock = FakeClock()
    bench = Bench(Begun(ByKey(lambda item: item.payload[0], 5, 2.0, clock)))
    steps = [(0, "a1"), (1.0, "b1"), (0.5, "a2"), (0.5, "b2"), (1.0, "c1")]
    assert slowly(bench, clock, *steps) == [["a1", "a2"], ["b1", "b2"], ["c1"]]


def test_it_says_how_long_the_next_one_may_wait():
    clock = FakeClock()
    bench = Bench(Begun(ByKey(payload, 5, 2.0, clock)))
    assert bench.former.flush_late() is None
    bench.push(1)
    clock.advance(0.5)
    bench.push(2)
    assert bench.former.flush_late() == 1.5
    clock.advance(1.75)
    assert bench.former.flush_late() == 0.25
    assert bench.taken() == [[1]]


@pytest.mark.parametrize("strategy", [FixedBatch(3), weighted(9), KeyPartition(payload)])
def test_without_a_limit_nothing_waits_for_a_time(strategy):
    bench = Bench(strategy)
    bench.push(1)
    assert bench.former.flush_late() is None


# -- by key


def first(item):
    return item.payload[0]


def test_items_of_one_key_travel_together_in_order_of_first_appearance():
    assert Bench(KeyPartition(first)).all(["b1", "a1", "b2", "c1", "a2"]) == [["b1", "b2"], ["a1", "a2"], ["c1"]]


def test_a_frequent_key_is_cut_and_begins_behind_the_others():
    bench = Bench(KeyPartition(first, max_size=2))
    assert bench.push("a1", "b1", "a2") == [["a1", "a2"]]
    assert bench.push("a3") == []
    assert bench.flush("ceiling") == [["b1"]]
    assert bench.flush("ceiling") == [["a3"]]


def test_equal_keys_are_one_key_and_have_one_lane():
    bench = Bench(KeyPartition(payload, max_size=4))
    bench.former.push(Item.wrap(1))
    for equal in (1.0, True, Fraction(1)):
        bench.former.push(Item.wrap(equal))
    (batch,) = bench.former.ready
    assert len(batch) == 4
    for _ in range(4):
        bench.former.push(Item.wrap(1))
    assert bench.former.ready[1].lane == batch.lane != 0


def test_a_key_whose_hash_is_zero_has_a_lane_too():
    bench = Bench(KeyPartition(payload))
    bench.former.push(Item.wrap(0))
    bench.former.flush("end")
    assert bench.former.ready[0].lane != 0


def test_a_key_that_does_not_equal_itself_goes_alone_and_leaves_no_lane():
    bench = Bench(KeyPartition(payload))
    nan = math.nan
    assert [len(batch) for batch in bench.push(nan, nan, float("nan"))] == [1, 1, 1]
    assert bench.former.held == 0
    assert not bench.former._running._lanes


def test_keys_that_never_equal_leave_no_more_lanes_than_items_are_held():
    bench = Bench(KeyPartition(lambda item: (float("nan"),)))
    for number in range(100):
        bench.push(number)
        if bench.former.held == 10:
            bench.flush("ceiling")
    assert len(bench.former._running._lanes) == bench.former.held <= 10


@pytest.mark.parametrize("wrong", [[1], {"a": 1}, {1}, ([1],)])
def test_a_key_that_is_not_hashable_is_that_item_s_failure(wrong):
    bench = Bench(KeyPartition(payload))
    assert bench.all([1, wrong, 1]) == [[1, 1]]
    ((_, error),) = bench.losses
    assert isinstance(error, InvalidOutcome)
    assert f"a key of type {type(wrong).__name__} is not hashable" in str(error)


class Odd:
    """A key that breaks when it is compared."""

    def __hash__(self):
        return 7

    def __eq__(self, other):
        raise ValueError("not me")


@pytest.mark.parametrize("key", [lambda item: 1 / item.payload, lambda item: item.payload or Odd()])
def test_a_key_that_raises_is_that_item_s_failure(key):
    bench = Bench(KeyPartition(key))
    assert bench.all([1, 0, 1]) == [[1, 1]]
    assert bench.lost == [0]
    assert isinstance(bench.losses[0][1], RemoteError)


@given(st.lists(st.integers(0, 5)), st.integers(1, 4), st.integers(1, 9))
def test_whatever_the_keys_each_keeps_its_order_and_nothing_is_lost(keys, size, ceiling):
    values = list(enumerate(keys))
    bench = Bench(KeyPartition(lambda item: item.payload[1], size))
    batches = []
    for value in values:
        batches += bench.push(value)
        if bench.former.held >= ceiling:
            oldest = min(bench.former._held.values(), key=lambda item: item.payload[0]).payload
            (flushed,) = bench.flush("ceiling")
            assert oldest in flushed, "not the lane of the oldest item"
            batches.append(flushed)
    batches += bench.flush()
    assert sorted(itertools.chain(*batches)) == values
    for batch in batches:
        assert 0 < len(batch) <= size
        assert len({key for _, key in batch}) == 1
    for key in set(keys):
        numbers = [number for batch in batches for number, of in batch if of == key]
        assert numbers == sorted(numbers)


# -- by anybody


class Pairs(Strategy):
    """Two at a time, as a user would write it."""

    def start(self, batch_size):
        self.items = []

    def push(self, item):
        self.items.append(item)
        return self.flush("ceiling") if len(self.items) == 2 else []

    def flush(self, reason):
        batch, self.items = self.items, []
        return [batch]


def test_a_strategy_of_the_user_s_own_forms_the_batches():
    assert Bench(Pairs()).all([1, 2, 3]) == [[1, 2], [3]]


def test_every_run_has_a_copy_of_its_own():
    strategy = Pairs()
    one, other = Bench(strategy), Bench(strategy)
    assert one.push(1) == other.push(2) == []
    assert (one.flush(), other.flush()) == ([[1]], [[2]])
    assert not hasattr(strategy, "items")


def test_hooks_may_be_generators():
    class Single(Pairs):
        def push(self, item):
            yield (item,)

    assert Bench(Single()).all([1, 2]) == [[1], [2]]


class Repeats(Pairs):
    def push(self, item):
        return [[item, item]]


class Invents(Pairs):
    def push(self, item):
        return [[item.with_payload(5)]]


class Echoes(Pairs):
    """Gives each item once more with the next one."""

    last = None

    def push(self, item):
        before, self.last = self.last, item
        return [[item]] if before is None else [[item], [before]]


class GivesNothing(Pairs):
    def push(self, item):
        self.items.append(item)


class GivesItem(Pairs):
    def push(self, item):
        return item


class GivesItems(Pairs):
    def push(self, item):
        return [item]


class GivesText(Pairs):
    def push(self, item):
        return ["text"]


class GivesRaw(Pairs):
    def push(self, item):
        return [[item.payload]]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Repeats, "gave an item in push that it had given already, or never got"),
        (Invents, "gave an item in push that it had given already, or never got"),
        (GivesNothing, "gave something of type NoneType in push"),
        (GivesItem, "gave something of type Item in push"),
        (GivesItems, "gave a batch of type Item in push"),
        (GivesText, "gave a batch of type str in push"),
        (GivesRaw, "gave an item in push that it had given already, or never got"),
    ],
)
def test_a_strategy_that_breaks_its_contract_fails_with_all_that_it_holds(kind, said):
    bench = Bench(kind())
    assert bench.all([1, 2]) == []
    assert bench.lost == [1, 2]
    assert all(isinstance(error, StrategyError) and said in str(error) for _, error in bench.losses)
    assert str(bench.losses[0][1]).startswith(kind.__qualname__)


def test_what_was_given_before_the_breach_stays_given():
    bench = Bench(Echoes())
    assert bench.all([1, 2, 3]) == [[1], [2], [3]]
    assert bench.lost == []
    assert bench.former._running.last.payload == 3
    assert bench.push(4) == [[4]]


class Forgets(Pairs):
    def flush(self, reason):
        return []


@pytest.mark.parametrize(("reason", "said"), [("end", "lost 1 of its items"), ("ceiling", "gave no batch at flush")])
def test_a_strategy_that_keeps_items_back_fails_with_them(reason, said):
    bench = Bench(Forgets())
    bench.push(1)
    assert bench.flush(reason) == []
    assert bench.lost == [1]
    assert said in str(bench.losses[0][1])


class Raises(Pairs):
    where = ""

    def __init__(self, where, error=None):
        self.where = where
        self.error = error or OSError("disk")

    def push(self, item):
        if self.where == "push" and item.payload == 2:
            raise self.error
        return super().push(item)

    def flush(self, reason):
        if self.where == "flush":
            raise self.error
        return super().flush(reason)

    def deadline(self):
        if self.where == "deadline":
            raise self.error
        return


@pytest.mark.parametrize(("where", "batches", "lost"), [("push", [[1, 3]], [2]), ("flush", [], [1, 2, 3])])
def test_what_raises_is_charged_to_the_item_or_to_all_that_are_held(where, batches, lost):
    bench = Bench(Raises(where))
    assert bench.all([1, 2, 3]) == batches
    assert sorted(bench.lost) == lost
    assert all("OSError: disk" in str(error) for _, error in bench.losses)


@pytest.mark.parametrize("given", ["soon", math.nan, True])
def test_a_deadline_is_a_number_or_nothing(given):
    class Hurries(Pairs):
        def deadline(self):
            return given

    bench = Bench(Hurries())
    bench.push(1)
    assert bench.lost == [1]
    assert "gave a deadline of type" in str(bench.losses[0][1])


def test_a_deadline_that_raises_fails_all_that_are_held():
    bench = Bench(Raises("deadline"))
    bench.push(1)
    assert bench.lost == [1]


def test_a_strategy_says_what_is_late():
    class Late(Pairs):
        def deadline(self):
            return -1.0 if self.items else None

    assert Bench(Late()).push(1, 2) == [[1], [2]]


def test_a_batch_may_say_its_lane_and_weight():
    class Marked(Pairs):
        def push(self, item):
            return [Cut([item], lane=3, weight=0.5)]

    bench = Bench(Marked())
    bench.former.push(Item.wrap(1))
    assert (bench.former.ready[0].lane, bench.former.ready[0].weight) == (3, 0.5)


@given(st.lists(st.sampled_from(["give", "hold", "repeat", "invent", "raise", "odd", "flush", "ceiling"])))
def test_whatever_a_strategy_does_every_item_ends_in_exactly_one_place(script):
    class Wild(Strategy):
        def start(self, batch_size):
            self.items = []

        def push(self, item):
            act = item.payload[1]
            if act == "raise":
                raise OSError
            self.items.append(item)
            if act == "give":
                batch, self.items = self.items, []
                return [batch]
            if act == "repeat":
                return [[item, item]]
            if act == "invent":
                return [[Item.wrap(1)]]
            return 5 if act == "odd" else []

        def flush(self, reason):
            batch, self.items = self.items, []
            return [batch]

    bench = Bench(Wild())
    batches = []
    for number, act in enumerate(script):
        batches += bench.push((number, act))
        if act in ("flush", "ceiling"):
            batches += bench.flush("ceiling")
    batches += bench.flush()
    ended = [*itertools.chain(*batches), *bench.lost]
    assert sorted(ended) == list(enumerate(script))
    assert bench.former.held == 0


# -- what a strategy says beside its items


class Says(Pairs):
    """Gives single items, as what `make` makes of them."""

    def __init__(self, make):
        self.make = make

    def push(self, item):
        return [self.make([item])]


class OddCut(Cut):
    @property
    def lane(self):
        raise ValueError("no lane")

    @lane.setter
    def lane(self, value):
        pass


@pytest.mark.parametrize(
    ("make", "said"),
    [
        *[
            (lambda items, wrong=wrong: Cut(items, weight=wrong), "a finite number of at least 0 was expected")
            for wrong in ("heavy", None, math.nan, math.inf, -1, True, Decimal(1), HUGE)
        ],
        *[
            (lambda items, wrong=wrong: Cut(items, lane=wrong), "an integer was expected")
            for wrong in ("x", ["x"], None, 1.5, object())
        ],
        (OddCut, "raised in push: ValueError: no lane"),
    ],
)
def test_what_is_no_lane_or_weight_reaches_no_dispatcher(make, said):
    bench = Bench(Says(make))
    assert bench.all([1]) == []
    assert bench.lost == [1]
    assert isinstance(bench.losses[0][1], StrategyError)
    assert said in str(bench.losses[0][1])


class Number(int):
    """Exists only in this process."""


class OwnCut(Cut):
    pass


def test_lanes_and_weights_leave_as_plain_numbers():
    bench = Bench(Says(lambda items: OwnCut(items, lane=Number(3), weight=Number(4))))
    bench.former.push(Item.wrap(1))
    (cut,) = bench.former.ready
    assert [type(one) for one in (cut, *cut.tag(0)[:2])] == [Cut, int, float]
    assert cut.tag(0) == (3, 4.0, 0, None)


def test_a_batch_that_the_strategy_uses_again_stays_as_it_was_given():
    class Reuses(Pairs):
        def start(self, batch_size):
            self.cut = Cut()

        def push(self, item):
            self.cut[:] = [item]
            return [self.cut]

        def flush(self, reason):
            return []

    assert Bench(Reuses()).all([1, 2]) == [[1], [2]]


@pytest.mark.parametrize("hook", ["flush", "deadline"])
def test_where_a_hook_for_all_raises_the_strategy_is_named(hook):
    bench = Bench(Raises(hook))
    bench.push(1)
    bench.flush()
    error = bench.losses[0][1]
    assert isinstance(error, StrategyError)
    assert str(error) == f"Raises raised in {hook}: OSError: disk"
    assert "OSError" in error.__cause__.traceback


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (
            KeyPartition(lambda item: 1 / item.payload),
            "ZeroDivisionError: division by zero, in the key of KeyPartition",
        ),
        (
            WeightedBatch(9, lambda item: 1 / item.payload),
            "ZeroDivisionError: division by zero, in the weight of WeightedBatch",
        ),
        (Says(lambda items: 1 / items[0].payload), "ZeroDivisionError: division by zero, in push of Says"),
    ],
)
def test_what_fails_for_one_item_says_where(strategy, said):
    bench = Bench(strategy)
    bench.push(0)
    assert str(bench.losses[0][1]) == said
    assert "ZeroDivisionError" in bench.losses[0][1].traceback


@pytest.mark.parametrize("hook", ["push", "flush", "deadline"])
def test_cancellation_in_a_hook_is_a_failure_like_any_other(hook):
    bench = Bench(Raises(hook, asyncio.CancelledError("no")))
    bench.push(1, 2)
    bench.flush()
    assert 2 in bench.lost
    assert "CancelledError: no" in str(bench.losses[-1][1])
