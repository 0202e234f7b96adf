"""Results in the order of their items."""

import hypothesis.strategies as st
from hypothesis import given

from slither_actors.dispatch._reorder import ReorderBuffer


@given(st.permutations(range(12)))
def test_whatever_the_order_of_arrival_each_comes_out_once_and_in_order(arrivals):
    buffer, out = ReorderBuffer(), []
    for count, index in enumerate(arrivals, 1):
        out += buffer.add(index, f"v{index}")
        assert len(buffer) == count - len(out)
    assert out == [f"v{index}" for index in range(12)]
    assert not buffer


@given(st.permutations(range(10)), st.integers(0, 10))
def test_a_drain_hands_over_what_stands_behind_a_gap_in_order(arrivals, count):
    buffer, out = ReorderBuffer(), []
    for index in arrivals[:count]:
        out += buffer.add(index, index)
    assert out + buffer.drain() == sorted(arrivals[:count])
    assert buffer.drain() == []


def test_it_holds_nothing_back_when_results_come_in_order():
    buffer = ReorderBuffer()
    for index in range(100):
        assert buffer.add(index, index) == [index]
        assert len(buffer) == 0
