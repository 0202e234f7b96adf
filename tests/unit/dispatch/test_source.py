"""The user's iterable, cut into encoded batches."""

import itertools
import threading

import pytest

from slither_actors import InvalidOption, Item, NotPicklable
from slither_actors.dispatch.source import Source
from slither_actors.workers.parcel import unpack_items


def pulls(source, size):
    parcels = []
    while not source.exhausted:
        parcel = source.pull(size)
        if parcel is not None:
            parcels.append([item.payload for item in unpack_items([parcel])])
    return parcels


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [[0]]), (4, [[0, 1], [2, 3]]), (5, [[0, 1], [2, 3], [4]])]
)
def test_batches_are_full_but_for_the_last_and_never_empty(count, expected):
    source = Source(range(count), "here")
    assert pulls(source, 2) == expected
    assert source.pulled == count


def test_nothing_is_pulled_before_it_is_asked_for_and_nothing_beyond():
    pulled = []
    source = Source((pulled.append(n) or n for n in itertools.count()), "here")
    assert pulled == []
    source.pull(3)
    assert pulled == [0, 1, 2]


def test_payloads_and_items_may_be_mixed_and_items_keep_what_they_are():
    given = Item.wrap("a").with_meta(n=1).with_route("r")
    source = Source(["x", given], "here")
    first, second = unpack_items([source.pull(10)])
    assert (first.payload, first.meta) == ("x", {})
    assert second == given


def test_ids_rise_over_batches_in_the_order_of_the_input():
    source = Source(range(7), "here")
    ids = [item.id for size in (2, 3, 2) for item in unpack_items([source.pull(size)])]
    assert ids == sorted(set(ids))


def test_the_place_of_each_item_is_kept_where_it_is_wanted():
    items = Item.wrap_many("abcde")
    source = Source(reversed(items), "here", keep_order=True)
    source.pull(2), source.pull(5)
    assert [source.order[item.id] for item in items] == [4, 3, 2, 1, 0]
    assert Source(items, "here").order == {}


@pytest.mark.parametrize("wrong", [5, None, print])
def test_what_cannot_be_iterated_is_refused_at_once(wrong):
    with pytest.raises(InvalidOption) as caught:
        Source(wrong, "run_pipe")
    assert str(caught.value).startswith("run_pipe: items is ")
    assert "an iterable of payloads or items" in str(caught.value)


def test_an_item_that_cannot_travel_is_told_by_its_place():
    source = Source([*range(5), threading.Lock(), 6], "here")
    source.pull(4)
    with pytest.raises(NotPicklable, match=r"item 5 of the input \(lock\)"):
        source.pull(4)


def test_what_the_iterable_raises_comes_through_as_it_is():
    def broken():
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Source(broken(), "here").pull(4)


def test_a_closed_source_lets_go_of_the_iterable():
    closed = []

    def noting():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    source = Source(noting(), "here")
    source.pull(2)
    source.close()
    assert closed == [True]
    assert source.pull(2) is None
