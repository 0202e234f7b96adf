"""The form in which items travel."""

import pickle
import threading

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from slither_actors.errors import NotPicklable
from slither_actors.item import Item, columns
from slither_actors.workers.parcel import count, cut, pack, pack_by, pack_items, size, unpack, unpack_items

PLAIN = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.binary(max_size=5))


@st.composite
def items(draw):
    made = Item.wrap_many(draw(st.lists(PLAIN, min_size=1, max_size=12)))
    if draw(st.booleans()):
        made = [item.with_meta(n=number) if number % 2 else item for number, item in enumerate(made)]
    if draw(st.booleans()):
        made = [item.with_route("accept") if number % 3 else item for number, item in enumerate(made)]
    if draw(st.booleans()):
        made = [attrs.evolve(item, parent_id=7, index=n) if n % 4 else item for n, item in enumerate(made)]
    if draw(st.booleans()):
        made = draw(st.permutations(made))
    return made


@settings(max_examples=80, deadline=None)
@given(items(), st.data())
def test_any_cut_of_a_cut_gives_the_same_items_as_a_slice_of_a_slice(made, data):
    parcel = pickle.loads(pickle.dumps(pack_items(made)))
    assert count([parcel]) == len(made)
    for _ in range(2):
        lo = data.draw(st.integers(0, len(made)))
        hi = data.draw(st.integers(lo, len(made)))
        parcel, made = cut(parcel, lo, hi), made[lo:hi]
        assert unpack_items([parcel]) == made
        assert count([parcel]) == len(made)


def test_items_keep_their_places_over_several_parcels():
    first, second = Item.wrap_many("abc"), Item.wrap_many("de")
    assert unpack_items([pack_items(first), cut(pack_items(second), 1, 2)]) == [*first, second[1]]


@given(items(), st.integers(1, 5))
def test_rows_in_parcels_of_a_size_are_the_same_rows(made, size):
    parcels = pack_by(columns(made), size)
    assert unpack_items(parcels) == made
    assert [count([parcel]) for parcel in parcels[:-1]] == [size] * (len(parcels) - 1)
    assert 0 < count(parcels[-1:]) <= size
    assert all(len(unpack((*parcel[:2], 0, 1, ()))[0]) == 1 for parcel in parcels), "each has a frame of its own"


def test_a_route_for_all_replaces_that_of_each():
    parcel = pack_items([Item.wrap(1), Item.wrap(2).with_route("accept")])
    assert [item.route for item in unpack_items([parcel])] == ["default", "accept"]
    assert [item.route for item in unpack_items([parcel], "review")] == ["review", "review"]


def test_columns_that_hold_only_defaults_do_not_travel():
    rows = unpack(pack_items(Item.wrap_many(range(100))))
    assert rows[2:] == (None, None, None)
    assert isinstance(rows[0], range), "consecutive ids take a few bytes"


def test_a_cut_shares_the_frame():
    parcel = pack((range(4), [1, 2, 3, 4], None, None, None))
    assert cut(parcel, 1, 3)[0] is parcel[0]


def test_the_size_is_that_of_all_that_travels_and_of_a_part_that_of_the_whole():
    small, large = pack_items([Item.wrap(1)]), pack_items([Item.wrap(bytes(300_000))])
    beside = pack_items([Item.wrap(pickle.PickleBuffer(bytearray(200_000)))])
    assert size([small]) == len(small[0])
    assert 300_000 < size([large]) < 301_000
    assert 200_000 < size([beside]) < 201_000
    many = pack_items(Item.wrap_many(range(10)))
    assert size([cut(many, 2, 5), small]) == len(many[0]) + len(small[0])


def test_what_cannot_travel_is_said_before_it_is_sent():
    with pytest.raises(NotPicklable, match="lock"):
        pack_items([Item.wrap(threading.Lock())])
