"""Whoever waits for all that came of an item is told once, with everything, in whatever order the news come."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from slither_actors import Item
from slither_actors.pipe._lineage import Lineage


class Node:
    """An item of a made-up family."""

    def __init__(self, number, parent, children, ends):
        self.item = Item(number, number, parent_id=parent)
        self.children = children  # nodes, if it became others
        self.ends = ends  # whether it fails after that, and has an end of its own

    def news(self):
        """What is said of it, in the order that holds for one item."""
        if self.children is None:
            return [("leaf", self.item, self.item.payload % 3 == 0)]
        # some are told now and then, while there are more to come
        told = [1] * (len(self.children) - 1) if self.item.payload % 2 else []
        said = [("news", self.item, more, 0) for more in told]
        said.append(("news", self.item, len(self.children) - len(told), 0 if self.ends else 1))
        return [*said, ("leaf", self.item, True)] if self.ends else said

    def all(self):
        return [self, *itertools.chain.from_iterable(child.all() for child in self.children or ())]

    def leaves(self):
        """In the order in which they were made, those that end by themselves first."""
        own = [self.item.id] if self.children is None or self.ends else []
        return own + [number for child in self.children or () for number in child.leaves()]


@st.composite
def families(draw, depth=3):
    numbers = itertools.count(1)

    def node(parent, left):
        number = next(numbers)
        if not left or draw(st.integers(0, 2)):
            return Node(number, parent, None, False)
        return Node(number, parent, [], draw(st.booleans()))

    def grown(one, left):
        if one.children is not None:  # ids rise with each that is emitted by one item
            one.children = [node(one.item.id, left - 1) for _ in range(draw(st.integers(1, 4)))]
            for child in one.children:
                grown(child, left - 1)
        return one

    return [grown(node(None, depth), depth) for _ in range(draw(st.integers(1, 4)))]


@given(st.data())
def test_each_is_told_once_and_with_all_whatever_overtakes_what(data):
    roots = data.draw(families())
    waiting = [node.news() for root in roots for node in root.all()]
    open_ids = {root.item.id for root in roots}
    lineage, told = Lineage(open_ids), {}
    missing = {root.item.id: sum(len(node.news()) for node in root.all()) for root in roots}
    root_of = {node.item.id: root.item.id for root in roots for node in root.all()}
    while any(waiting):
        chosen = data.draw(st.sampled_from([lines for lines in waiting if lines]))
        kind, item, *rest = chosen.pop(0)
        missing[root_of[item.id]] -= 1
        if kind == "news":
            found = list(lineage.expanded([(item.id, item.parent_id, *rest)]))
        else:
            descent = lineage.ended(item, "skipped" if rest[0] else None)
            found = [] if descent is None else [descent]
        for descent in found:
            assert descent.root not in told
            assert not missing[descent.root], "all of it has been said"
            told[descent.root] = descent
            open_ids.discard(descent.root)
    assert set(told) == {root.item.id for root in roots}
    for root in roots:
        descent = told[root.item.id]
        assert [item.id for item, _ in descent.leaves] == root.leaves()
        assert descent.became_others == (root.children is not None)
    assert not lineage, "nothing is remembered of what has ended"


def test_one_that_turns_out_not_to_travel_is_taken_back():
    """It became two, and both were told; then one of them stays behind, and so the item fails after all."""
    lineage = Lineage({1})
    (first, second) = Item(2, "a", parent_id=1), Item(1, "x")
    assert list(lineage.expanded([(1, None, 2, 1)])) == []
    assert lineage.ended(first) is None
    assert list(lineage.expanded([(1, None, -1, 0), (1, None, 0, -1)])) == []
    descent = lineage.ended(second, "skipped")
    assert descent is not None
    assert [(item.id, kind) for item, kind in descent.leaves] == [(1, "skipped"), (2, None)]
    assert not lineage


def test_the_last_one_may_be_the_news_that_there_is_none():
    lineage = Lineage({1})
    list(lineage.expanded([(1, None, 2, 1)]))
    lineage.ended(Item(2, "a", parent_id=1))
    (descent,) = lineage.expanded([(1, None, -1, 0)])
    assert [item.id for item, _ in descent.leaves] == [2]


def test_what_is_known_of_one_that_never_ends():
    lineage = Lineage({1, 5})
    lineage.ended(Item(2, "a", parent_id=1))
    lineage.ended(Item(3, "b", parent_id=1), "skipped")
    assert [item.payload for item in lineage.known(1)] == ["a"]
    list(lineage.expanded([(1, None, 3, 1)]))
    assert [item.payload for item in lineage.known(1)] == ["a"]
    assert lineage.known(5) == []
