"""Cutting by weight and by time: never over the limit, in order, nothing lost, never more pulled than needed."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.dispatch._cutter import Cutter
from slither_actors.errors import InvalidOutcome, RemoteError
from slither_actors.item import Item


def payload(item):
    return item.payload


def all_batches(cutter, values, most=1000):
    source, batches = iter(values), []
    for _ in range(most):
        batch, at_end = cutter.take(source)
        batches += [[getattr(one, "payload", one) for one in batch]] if batch else []
        if at_end:
            return batches
    raise AssertionError("it has no end")


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
    ],
)
def test_a_batch_weighs_as_much_as_it_may_and_a_heavier_item_travels_alone(weights, batches):
    assert all_batches(Cutter(5, max_weight=10, weigh=payload), weights) == batches


@given(st.lists(st.integers(1, 30)), st.integers(1, 9), st.integers(1, 25))
def test_whatever_the_weights_no_limit_is_broken_and_nothing_is_lost(weights, size, limit):
    batches = all_batches(Cutter(size, max_weight=limit, weigh=payload), weights)
    assert list(itertools.chain(*batches)) == weights
    assert all(len(batch) <= size and (sum(batch) <= limit or len(batch) == 1) for batch in batches)
    for batch, after in itertools.pairwise(batches):
        assert len(batch) == size or sum(batch) + after[0] > limit, "there was room for one more"


def test_no_more_is_pulled_than_one_item_beyond_the_batch():
    pulled = []
    source = (pulled.append(n) or 4 for n in itertools.count())
    cutter = Cutter(100, max_weight=10, weigh=payload)
    assert len(cutter.take(source)[0]) == 2
    assert len(pulled) == 3
    assert len(cutter.take(source)[0]) == 2
    assert len(pulled) == 5


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "5", None, True])
def test_what_is_no_weight_is_lost_alone_and_told(wrong):
    losses = []
    cutter = Cutter(5, max_weight=10, weigh=payload, on_loss=lambda *loss: losses.append(loss))
    assert all_batches(cutter, [6, wrong, 4, 5]) == [[6, 4], [5]]
    ((item, error),) = losses
    assert item.payload is wrong
    assert isinstance(error, InvalidOutcome)
    assert "no finite number above 0" in str(error)
    assert cutter.lost == 1


def test_a_weight_that_raises_is_that_item_s_failure():
    losses = []
    cutter = Cutter(5, max_weight=10, weigh=lambda item: 1 / item.payload, on_loss=lambda *loss: losses.append(loss))
    assert all_batches(cutter, [1, 0, 1]) == [[1, 1]]
    assert isinstance(losses[0][1], RemoteError)
    assert "ZeroDivisionError" in str(losses[0][1])


def test_who_is_told_of_a_loss_may_end_it():
    def halt(item, error):
        raise error

    with pytest.raises(InvalidOutcome):
        Cutter(5, max_weight=10, weigh=payload, on_loss=halt).take(iter([1, 0]))


def test_an_endless_source_of_what_has_no_weight_lets_go_now_and_then():
    cutter = Cutter(5, max_weight=10, weigh=payload)
    assert cutter.take(itertools.repeat(0)) == ([], False)
    assert cutter.lost == 5


def test_a_batch_goes_out_when_its_first_item_has_waited_long_enough():
    now = [0.0]

    def slow(*pauses):
        for number, pause in enumerate(pauses):
            now[0] += pause
            yield number

    cutter = Cutter(5, max_wait_s=2.0, clock=lambda: now[0])
    assert all_batches(cutter, slow(9.0, 1.0, 1.0, 0.5, 5.0, 0, 0, 0, 0, 0, 0)) == [
        [0, 1, 2],
        [3, 4],
        [5, 6, 7, 8, 9],
        [10],
    ]


def test_the_time_of_an_item_that_did_not_fit_any_more_counts_from_its_arrival():
    now = [0.0]

    def slow():
        for pause, weight in [(0, 6), (1.0, 6), (3.0, 1)]:
            now[0] += pause
            yield weight

    cutter = Cutter(5, max_weight=10, weigh=payload, max_wait_s=2.0, clock=lambda: now[0])
    assert all_batches(cutter, slow()) == [[6], [6, 1]]


def test_an_item_that_is_held_back_has_not_waited_with_the_batch_before_it():
    now = [0.0]

    def slow():
        for pause, weight in [(0, 6), (1.0, 6), (1.5, 1), (1.0, 1)]:
            now[0] += pause
            yield weight

    cutter = Cutter(5, max_weight=10, weigh=payload, max_wait_s=2.0, clock=lambda: now[0])
    assert all_batches(cutter, slow()) == [[6], [6, 1, 1]]


def test_items_stay_themselves():
    item = Item.wrap(3).with_meta(a=1)
    batch, _ = Cutter(5, max_weight=10, weigh=payload).take(iter([item]))
    assert batch[0] is item


def test_what_the_source_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        Cutter(5, max_weight=10, weigh=payload).take(1 / n for n in (1, 0))
