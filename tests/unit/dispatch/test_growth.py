"""What is done for each item stays the same as there are more of them: counted, not timed."""

from __future__ import annotations

import random
import statistics
import tracemalloc

import pytest

from slither_actors import KeyPartition
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.testing import InlineSystem
from tests.unit.counting import Steps


def same(payloads):
    return payloads


class Place(int):
    """A place in an order that counts how often anybody looks at it."""

    looks = 0

    def __hash__(self):
        Place.looks += 1
        return int.__hash__(self)

    def __eq__(self, other):
        Place.looks += 1
        return int.__eq__(self, other)

    def __lt__(self, other):
        Place.looks += 1
        return int.__lt__(self, other)


def backwards(number):
    return range(number - 1, -1, -1)


def first_last(number):
    return [*range(1, number), 0]


def at_random(number):
    return random.Random(number).sample(range(number), number)


@pytest.mark.parametrize("arrivals", [range, backwards, first_last, at_random])
def test_results_are_put_in_order_at_a_cost_that_grows_as_they_do(arrivals):
    costs = []
    for number in (500, 2000):
        buffer, out, before = ReorderBuffer(), [], Place.looks
        with Steps() as steps:
            for place in arrivals(number):
                out += buffer.add(Place(place), place)
        assert out == [*range(number)]
        costs.append((steps.count, Place.looks - before))
    (few_steps, few_looks), (many_steps, many_looks) = costs
    assert many_steps <= 4.1 * few_steps
    assert many_looks <= 4.1 * few_looks


@pytest.mark.parametrize("strategy", [None, KeyPartition(lambda item: item.payload % 3)], ids=["plain", "keyed"])
def test_a_dispatch_in_order_does_as_much_for_each_item_however_many_there_are(strategy):
    costs = []
    with InlineSystem() as system:
        for number in (50, 150, 350):
            with Steps() as steps:
                results = system.dispatch(range(number), same, strategy=strategy, batch_size=2)
            assert [item.payload for item in results] == [*range(number)]
            costs.append(steps.count)
    first, few, many = costs
    assert (many - few) / 200 <= 1.1 * (few - first) / 100, costs


def test_results_that_are_there_already_are_not_copied_for_those_that_come():
    """What is taken from memory beside what stays, from one batch to the next: a list that was copied would be that."""
    size, taken = 50, []

    def source(number):
        before = tracemalloc.get_traced_memory()[0]
        for item in range(number):
            if item % size == 0:
                now, peak = tracemalloc.get_traced_memory()
                taken.append(peak - before)
                tracemalloc.reset_peak()
                before = now
            yield item

    costs = []
    with InlineSystem() as system:
        system.dispatch(range(size), same, batch_size=size)  # what is loaded once
        tracemalloc.start()
        try:
            for number in (1000, 16_000):
                taken.clear()
                results = system.dispatch(source(number), same, batch_size=size)
                costs.append(statistics.median(taken[len(taken) // 2 :]))
                del results
        finally:
            tracemalloc.stop()
    few, many = costs
    assert many <= 2 * few, costs
