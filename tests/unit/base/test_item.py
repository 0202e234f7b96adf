"""Item: immutable envelopes, rising ids, and the fast way in and out of columns."""

import copy
import pickle
import subprocess
import sys
import threading

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.item import IdSource, Item, build_items, columns, joined_columns, take_ids
from tests.helpers.patience import PATIENCE_S

METAS = st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
ITEMS = st.builds(
    Item,
    st.integers(1, 1 << 70),
    st.one_of(st.integers(), st.text(max_size=5), st.none()),
    METAS,
    st.sampled_from(["default", "accept", "review"]),
) | st.builds(
    Item,
    st.integers(1, 1 << 70),
    st.integers(),
    parent_id=st.integers(1, 9),
    index=st.one_of(st.none(), st.integers(0, 9)),
)


def test_wrapping_gives_an_id_and_defaults():
    item = Item.wrap("x")
    assert (item.payload, item.meta, item.route, item.parent_id) == ("x", {}, "default", None)
    assert item.id > 0


def test_an_item_is_not_wrapped_again():
    item = Item.wrap("x")
    assert Item.wrap(item) is item
    assert Item.wrap_many([item])[0] is item


def test_ids_rise_in_the_order_of_wrapping():
    ids = [Item.wrap(0).id, *(item.id for item in Item.wrap_many("abc")), *take_ids(3), Item.wrap(1).id]
    assert ids == sorted(set(ids))


def test_wrap_many_keeps_the_order_and_the_items_among_the_values():
    old = Item.wrap("old")
    items = Item.wrap_many(iter(["a", old, None]))
    assert [item.payload for item in items] == ["a", "old", None]
    assert items[1] is old
    assert Item.wrap_many([]) == []


def test_changing_an_item_makes_another_one_of_the_same_id():
    item = Item(7, "x", {"a": 1}, "accept", 3, 2)
    assert item.with_payload("y") == Item(7, "y", {"a": 1}, "accept", 3, 2)
    assert item.with_meta(b=2, a=0) == Item(7, "x", {"a": 0, "b": 2}, "accept", 3, 2)
    assert item.with_route("review") == Item(7, "x", {"a": 1}, "review", 3, 2)
    assert item == Item(7, "x", {"a": 1}, "accept", 3, 2)


def test_with_meta_leaves_the_old_notes_alone():
    item = Item.wrap("x")
    item.with_meta(a=1)
    assert item.meta == {}


def test_an_item_cannot_be_changed_in_place_however_it_was_made():
    for item in (Item.wrap("x"), Item.wrap_many(["x"])[0], pickle.loads(pickle.dumps(Item.wrap("x")))):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            item.payload = "y"  # type: ignore[misc]
        assert type(item) is Item


def test_items_can_be_put_in_a_set_whatever_they_carry():
    assert len({Item(1, [], {"a": []}), Item(1, [], {"a": []}), Item(2, {})}) == 2


@given(ITEMS)
def test_an_item_survives_pickling_and_copying(item):
    assert pickle.loads(pickle.dumps(item)) == item
    assert pickle.loads(pickle.dumps(item, 5)) == item
    assert copy.deepcopy(item) == copy.copy(item) == item


def test_an_item_of_defaults_pickles_small():
    assert len(pickle.dumps(Item.wrap(1), 5)) < 80


@given(st.lists(ITEMS, max_size=8))
def test_columns_and_build_items_are_inverse(items):
    ids, payloads, metas, routes, births = columns(items)
    assert build_items(ids, payloads, metas, routes, births) == items
    assert (metas is None) == all(item.meta == {} for item in items)
    assert (routes is None) == all(item.route == "default" for item in items)
    assert (births is None) == all(item.parent_id is None for item in items)


@given(st.lists(st.lists(ITEMS, max_size=4), max_size=4))
def test_columns_are_joined_as_items_would_be(parts):
    joined = joined_columns([columns(items) for items in parts])
    whole = columns([item for items in parts for item in items])
    assert ([*joined[0]], *joined[1:]) == ([*whole[0]], *whole[1:])


def test_joined_ids_that_were_taken_together_travel_as_a_range():
    items = Item.wrap_many(range(100))
    assert isinstance(joined_columns([columns(items[:60]), columns(items[60:])])[0], range)


def test_ids_that_were_taken_together_travel_as_a_range():
    ids = take_ids(1000)
    items = build_items(ids, list(range(1000)))
    assert columns(items)[0] == ids
    assert len(pickle.dumps(columns(items)[0])) < 80
    assert columns(items[::-1])[0] == [*ids][::-1]


def test_built_items_do_not_share_their_meta():
    first, second = build_items(take_ids(2), "ab")
    assert first.meta is not second.meta


@pytest.mark.parametrize("short", range(4))
def test_columns_of_different_length_are_refused(short):
    given_columns: list[list[object]] = [["a", "b"], [{}, {}], ["r", "r"], [None, (1, 0)]]
    given_columns[short].pop()
    with pytest.raises(ValueError, match="columns of"):
        build_items([1, 2], *given_columns)  # type: ignore[arg-type]


def test_ids_of_many_threads_are_unique_and_rise_in_each():
    source, taken = IdSource(), []

    def take() -> None:
        mine = [id_ for _ in range(200) for id_ in source.take(3)]
        assert mine == sorted(mine)
        taken.append(mine)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    everything = [id_ for mine in taken for id_ in mine]
    assert len(everything) == len(set(everything)) == 4 * 600


def test_two_sources_give_different_ids():
    assert not set(IdSource().take(100)) & set(IdSource().take(100))


def test_a_renewed_source_goes_on_above_its_old_ids():
    source = IdSource()
    before = source.take(5)
    source.renew()
    after = source.take(5)
    assert after[0] > before[-1]
    assert after[0] % IdSource.STEP != before[0] % IdSource.STEP


def test_a_forked_child_gives_its_own_ids_even_if_the_lock_was_held():
    script = """
import os
from slither_actors import item
before = item.take_ids(1)[0]
reader, writer = os.pipe()
with item._IDS._lock:
    pid = os.fork()
    if pid == 0:
        os.write(writer, str(item.take_ids(1)[0]).encode())
        os._exit(0)
child = int(os.read(reader, 100))
os.waitpid(pid, 0)
print(before, item.take_ids(1)[0], child)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    before, parent, child = map(int, done.stdout.split())
    assert len({before, parent, child}) == 3
    assert parent > before
    assert child > before
