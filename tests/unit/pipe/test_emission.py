"""One item that becomes very many: pulled as there is credit, and closed when nobody wants the rest."""

import itertools
import random
import threading

import pytest

from slither_actors import Emit, RouteTo
from slither_actors.pipe._stage_run import RunHalted
from slither_actors.policy import Halt, Skip
from slither_actors.workers.parcel import count as parcel_count
from tests.unit.pipe.playing_edges import WAYS, Neighbours, one_way_plan, payloads, play


class Endless:
    """What an endless generator knows of its use."""

    def __init__(self):
        self.pulled = 0
        self.closed = 0

    def __call__(self, item):
        return Emit(self._numbers())

    def _numbers(self):
        try:
            for number in itertools.count():
                self.pulled += 1
                yield number
        finally:
            self.closed += 1


@pytest.mark.parametrize(("window", "size"), [(1, 1), (2, 4), (2, 32)])
@pytest.mark.parametrize("holds", [(), ("next",)])
def test_no_more_is_pulled_than_there_is_credit_for(window, size, holds):
    source = Endless()
    plan = one_way_plan(Skip(), window=window, stages={"next": (window, size)}, then="next", holds=holds)
    around = Neighbours(random.Random(1), plan, source, ["x"])
    around.push()
    assert source.pulled == window * size, "what fits on the edge, and nothing is taken yet"
    (edge,) = [edge for edge, name in around.names.items() if name == "next"]
    for taken in range(1, 50):
        while not around.inbox[edge]:
            assert around.step()
        around.take(edge)
        assert source.pulled <= (taken + window) * size
    assert payloads(around, "next") == list(range(len(around.arrived["next"])))


def test_others_are_seen_to_between_two_pulls():
    source = Endless()
    around = Neighbours(random.Random(1), one_way_plan(Skip(), **WAYS), source, ["x"], breaks=1.0)
    around.push()
    before = source.pulled
    assert around.going_on
    assert before <= 1
    around.work()
    assert source.pulled <= before + 1


def test_a_run_that_is_closed_closes_the_generator():
    source = Endless()
    around = Neighbours(random.Random(1), one_way_plan(Skip(), **WAYS), source, ["x"])
    around.push()
    assert not source.closed
    around.run.close()
    around.run.close()
    assert source.closed == 1


def test_a_generator_that_fails_is_a_failure_of_its_item_and_what_came_before_stays():
    def failing(item):
        yield 1
        yield 2
        raise ValueError("half way")

    around = play(lambda item: Emit(failing(item)) if item.payload == "x" else item, ["x", "y"])
    ((kind, item, error),) = around.ends
    assert (kind, item.payload, str(error)) == ("skipped", "x", "ValueError: half way")
    assert payloads(around, "next") == [1, 2, "y"]


def test_at_a_halt_what_a_failing_generator_gave_before_is_finished():
    def failing(item):
        yield 1
        yield 2
        raise ValueError("half way")

    around = Neighbours(random.Random(0), one_way_plan(Halt()), lambda item: Emit(failing(item)), ["x"])
    with pytest.raises(RunHalted):
        around.push()
    assert sum(parcel_count(batch.parcels) for batch in around.run.last_words()) == 2


def test_the_items_behind_one_that_becomes_many_wait_for_their_turn():
    around = play(lambda item: Emit(range(100)) if item.payload == "x" else item, ["a", "x", "b"])
    assert payloads(around, "next") == ["a", *range(100), "b"]


@pytest.mark.parametrize("ways", [("next", "next"), ("next", "out"), ("later", "next")])
def test_several_parts_that_cannot_travel_fail_their_item_once(ways):
    parts = [RouteTo(way, threading.Lock()) for way in ways]
    around = play(lambda item: Emit([1, *parts, 2]), ["x"])
    ((kind, item, _),) = around.ends
    assert (kind, item.payload) == ("skipped", "x")


def test_a_run_is_not_over_while_an_item_still_becomes_more():
    plan = one_way_plan(Skip(), window=1, stages={"next": (1, 1)}, then="next")
    around = Neighbours(random.Random(1), plan, lambda item: Emit(range(5)), ["x"], size=4)
    around.push()
    assert around.exhausted
    assert not around.run.finished
    while around.step():
        pass
    assert around.done
    assert payloads(around, "next") == list(range(5))
