"""The results of a whole run of a pipe."""

import copy
import pickle

import pytest

from slither_actors import Item, Outputs
from slither_actors.dispatch.ends import EndLog
from slither_actors.system._runs import by_output


@pytest.fixture
def outputs():
    ends = EndLog()
    ends.skipped.note(Item.wrap("s"))
    return Outputs({"default": [], "accept": Item.wrap_many("ab")}, ends)


def test_they_are_a_mapping_and_have_attributes(outputs):
    assert list(outputs) == ["default", "accept"]
    assert len(outputs) == 2
    assert [item.payload for item in outputs["accept"]] == ["a", "b"]
    assert outputs.accept is outputs["accept"]
    assert outputs.default == []
    assert dict(outputs) == {"default": [], "accept": outputs.accept}
    assert "accept" in outputs
    assert "skipped" not in outputs
    assert ([item.payload for item in outputs.skipped], outputs.skipped.total) == (["s"], 1)
    assert (list(outputs.dropped), list(outputs.dead)) == ([], [])


def test_a_missing_output_is_told_by_name_with_those_that_exist(outputs):
    with pytest.raises(AttributeError, match="there is no output 'acept'; this pipe has: default, accept"):
        outputs.acept  # noqa: B018
    with pytest.raises(KeyError, match="there is no output 'acept'; this pipe has: default, accept"):
        outputs["acept"]
    assert not hasattr(outputs, "acept")
    assert "acept" not in outputs
    assert outputs.get("acept") is None


def test_the_text_counts_and_shows_no_payload(outputs):
    assert repr(outputs) == "<Outputs default=0 accept=2 skipped=1 dropped=0 dead=0>"


def test_it_can_be_copied_and_pickled(outputs):
    for twin in (copy.copy(outputs), copy.deepcopy(outputs), pickle.loads(pickle.dumps(outputs))):
        assert dict(twin) == dict(outputs)
        assert twin.skipped.total == 1


def test_each_output_is_in_the_order_of_the_inputs():
    items = Item.wrap_many(range(6))
    order = {item.id: place for place, item in enumerate(items)}
    arrived = [items[number].with_route("ab"[number % 2]) for number in (5, 0, 3, 4, 1, 2)]
    sorted_out = by_output(["default", "a", "b"], arrived, order)
    assert {name: [item.payload for item in found] for name, found in sorted_out.items()} == {
        "default": [],
        "a": [0, 2, 4],
        "b": [1, 3, 5],
    }


def test_what_was_made_of_an_item_stands_where_it_stood_in_the_order_of_its_making():
    first, second = Item.wrap_many("ab")
    order = {first.id: 0, second.id: 1}
    children = [Item(number, number, parent_id=parent.id) for number, parent in ((3, second), (1, first), (2, first))]
    sorted_out = by_output(["default"], [children[0], second, *children[1:], first], order)
    assert [item.payload for item in sorted_out["default"]] == [1, 2, "a", 3, "b"]


def test_grandchildren_stay_behind_what_came_before_them_on_their_way():
    first, second, third = Item.wrap_many("abc")
    order = {first.id: 0, second.id: 1, third.id: 2}
    grandchild = Item(9, "b1", parent_id=8)
    sorted_out = by_output(["default"], [first, grandchild, third], order)
    assert [item.payload for item in sorted_out["default"]] == ["a", "b1", "c"]
