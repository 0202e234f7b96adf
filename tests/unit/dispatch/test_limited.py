"""A strategy without a time limit, where there must be one."""

import pytest

from slither_actors import FixedBatch, Item, KeyPartition, Strategy, WeightedBatch
from slither_actors.dispatch._former import Former
from slither_actors.testing import FakeClock


class Pairs(Strategy):
    """One of the user's own, that waits for as long as it takes."""

    def start(self, batch_size):
        self.held = []

    def push(self, item):
        self.held.append(item)
        return [self._taken(2)] if len(self.held) == 3 else []

    def flush(self, reason):
        return [self._taken(1)] if self.held else []

    def _taken(self, count):
        taken, self.held = self.held[:count], self.held[count:]
        return taken


STRATEGIES = {
    "fixed": FixedBatch(10),
    "weighted": WeightedBatch(100, weight=lambda item: 1),
    "by key": KeyPartition(lambda item: item.payload % 2),
    "of one's own": Pairs(),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_waits_longer_than_it_may(name):
    clock, lost = FakeClock(), []
    former = Former(STRATEGIES[name], 10, lambda item, error: lost.append(error), clock, max_wait_s=5.0)
    for number in range(4):
        former.push(Item(number, number))
        clock.advance(1.0)
    out = [item for cut in former.ready for item in cut]
    former.ready.clear()
    left_s = former.flush_late()
    assert left_s is not None
    assert 0 < left_s <= 5.0
    assert not former.ready
    clock.advance(left_s)
    assert former.flush_late() is None
    out += [item for cut in former.ready for item in cut]
    assert sorted(item.id for item in out) == [0, 1, 2, 3]
    assert (former.held, lost) == (0, [])
    former.push(Item(9, 9))
    assert former.flush_late() == 5.0, "what comes next has all its time"


def test_a_limit_of_its_own_comes_first():
    clock = FakeClock()
    former = Former(FixedBatch(10, max_wait_s=60.0), 10, lambda item, error: False, clock, max_wait_s=5.0)
    former.push(Item(1, 1))
    assert former.flush_late() == 60.0


def test_without_one_it_waits_for_as_long_as_it_takes():
    former = Former(Pairs(), 10, lambda item, error: False, FakeClock())
    former.push(Item(1, 1))
    assert former.flush_late() is None
    assert former.held == 1


class Nonsense(Pairs):
    def __init__(self, given):
        self.given = given

    def flush(self, reason):
        return self.given


@pytest.mark.parametrize("given", ["abc", [[]], [], 5])
def test_what_gives_nonsense_is_told_as_elsewhere(given):
    clock, lost = FakeClock(), []
    former = Former(Nonsense(given), 10, lambda item, error: lost.append(str(error)), clock, max_wait_s=5.0)
    former.push(Item(1, 1))
    clock.advance(6.0)
    former.flush_late()
    former.flush("ceiling")
    assert former.held == 0
    assert len(lost) == 1
    assert "Nonsense" in lost[0]
