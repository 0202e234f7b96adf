"""What became of items, told by those that they became: for whoever waits for all of one. Pure.

What an item became may come out before the news that it became anything, since they take different ways. So whatever
names a parent waits until that one is known to have become others. From then on it is counted: all of an item has come
to its end when none of them goes on becoming others, and as many have ended as there ever were.

It takes items that keep their ids, see `StagePlan.keeps_ids`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from slither_actors._record import record
from slither_actors.item import Item

# An item, and the name of its end; `None` for one that came out.
Leaf = tuple[Item, str | None]

_Note = tuple[int, int | None, int, int]


@record
class Descent:
    """All that came of an item: in the order in which the stages made it, if the item became others."""

    root: int
    leaves: tuple[Leaf, ...]
    became_others: bool


class _Family:
    """An item that became others."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.there = 1  # how many items it ever was
        self.over = 0  # how many of them have ended
        self.growing = 0  # how many of them go on becoming others, so that there may be more than is known
        self.paths: dict[int, tuple[int, ...]] = {root: ()}  # of those that became others, by id
        self.leaves: list[tuple[tuple[int, ...], Leaf]] = []

    def add(self, leaf: Leaf) -> None:
        item = leaf[0]
        path = self.paths.get(item.id)
        if path is None:
            path = (*self.paths[item.parent_id or 0], item.id)
        else:
            self.growing -= 1
        self.leaves.append((path, leaf))
        self.over += 1

    def in_order(self) -> tuple[Leaf, ...]:
        return tuple(leaf for _, leaf in sorted(self.leaves, key=lambda placed: placed[0]))


class Lineage:
    """Of one run.

    Args:
        open_ids: the ids of items that somebody waits for.
    """

    def __init__(self, open_ids: Container[int]) -> None:
        self._open_ids = open_ids
        self._families: dict[int, _Family] = {}  # by the id of each member that became others
        self._early: dict[int | None, list[Leaf]] = {}  # by parent: what came before the news of it
        self._early_news: dict[int | None, list[_Note]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self._families or self._early or self._early_news)

    def ended(self, item: Item, kind: str | None = None) -> Descent | None:
        """An item has come to its end; returns what all came of the one that it was made of, if that was the last."""
        family = self._families.get(item.id)
        if family is None:
            if item.id in self._open_ids:
                return Descent(item.id, ((item, kind),), False)
            family = self._families.get(item.parent_id or 0)
        if family is None:
            self._early.setdefault(item.parent_id, []).append((item, kind))
            return None
        family.add((item, kind))
        return self._settled(family)

    def expanded(self, news: Iterable[_Note]) -> Iterator[Descent]:
        """Items became others, as an `Expanded` says it; the notes in one belong together."""
        touched: dict[int, _Family] = {}
        early: list[tuple[_Family, Leaf]] = []
        todo = list(news)
        while todo:
            number, parent, more, ended = todo.pop(0)
            family = self._families.get(number)
            if family is None:
                family = self._joined(number, parent)
                if family is None:
                    self._early_news.setdefault(parent, []).append((number, parent, more, ended))
                    continue
                early += [(family, leaf) for leaf in self._early.pop(number, ())]
                todo += self._early_news.pop(number, ())
            family.there += more
            family.over += ended
            family.growing -= ended
            touched[family.root] = family
        for family, leaf in early:  # it may be one that became others before it ended, as only its news tell
            family.add(leaf)
        for family in touched.values():
            descent = self._settled(family)
            if descent is not None:
                yield descent

    def known(self, root: int) -> list[Item]:
        """What has come out of an item that has not come to its end."""
        family = self._families.get(root)
        leaves = self._early.get(root, ()) if family is None else family.in_order()
        return [item for item, kind in leaves if kind is None]

    def _joined(self, number: int, parent: int | None) -> _Family | None:
        """The family of an item that became others; `None` while nobody knows it."""
        if number in self._open_ids:
            family: _Family | None = _Family(number)
        else:
            family = self._families.get(parent or 0)
            if family is not None:
                family.paths[number] = (*family.paths[parent or 0], number)
        if family is not None:
            self._families[number] = family
            family.growing += 1
        return family

    def _settled(self, family: _Family) -> Descent | None:
        if family.growing or family.over < family.there:
            return None
        for number in family.paths:
            del self._families[number]
        return Descent(family.root, family.in_order(), True)
