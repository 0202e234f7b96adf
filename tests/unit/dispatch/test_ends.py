"""Where items stand that left the flow."""

import pytest

from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.messages import Ends
from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.workers.parcel import pack_items

BOOM = RemoteError("ValueError", "boom", "", ("ValueError",))


def ends(kind, items):
    return Ends(kind, (pack_items(items),), BOOM, "predict", 2)


@pytest.mark.parametrize("kind", ["skipped", "dropped", "dead"])
def test_each_end_keeps_its_items_and_says_why(kind):
    log = EndLog()
    item = Item.wrap(5).with_meta(mine=1)
    log.note(ends(kind, [item]))
    (noted,) = getattr(log, kind)
    assert (noted.id, noted.payload) == (item.id, 5)
    assert noted.meta["mine"] == 1
    assert (noted.meta["stage"], noted.meta["attempts"], str(noted.meta["error"])) == ("predict", 2, "ValueError: boom")
    assert sum(getattr(log, other).total for other in ("skipped", "dropped", "dead")) == 1


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def test_an_item_that_cannot_be_read_here_stands_without_its_payload():
    log = EndLog()
    items = Item.wrap_many([1, Unreadable()])
    log.note(ends("skipped", items))
    assert [(item.id, item.payload) for item in log.skipped] == [(items[0].id, 1), (items[1].id, None)]
    assert {str(item.meta["error"]) for item in log.skipped} == {"ValueError: boom"}


def test_a_limited_log_keeps_the_newest_and_counts_all():
    log = EndLog(keep=3)
    log.note(ends("skipped", Item.wrap_many(range(10))))
    assert [item.payload for item in log.skipped] == [7, 8, 9]
    assert log.skipped.total == 10


def test_everyone_is_told_as_it_happens():
    seen = []
    log = EndLog(keep=1, on_end=lambda item, end: seen.append((item.payload, end, len(log.dead))))
    log.note(ends("dead", Item.wrap_many("ab")))
    assert seen == [("a", "dead", 1), ("b", "dead", 1)]


class Hurried(EndLog):
    """Whenever one of its counts is read, another thread has just done some more."""

    def step(self):
        """What that does."""

    def __getattribute__(self, name):
        if name in ("given", "pulled", "_born", "_expanded", "dead"):
            object.__getattribute__(self, "step")(self.__dict__)
        return super().__getattribute__(name)


def passing(counts):
    counts["pulled"] += 1
    counts["given"] += 1


def early(counts):
    """A result comes before the news of its birth."""
    counts["given"] += 1


def expanding(counts):
    counts["_born"] += 2
    counts["_expanded"] += 1
    counts["given"] += 2


@pytest.mark.parametrize(("step", "gives_birth"), [(passing, False), (early, True), (expanding, True)])
def test_the_numbers_add_up_also_while_another_thread_goes_on(step, gives_birth):
    log = Hurried()
    log.step = step
    for _ in range(3):
        told = log.accounting
        assert told.abandoned >= 0
        assert gives_birth or told.born == 0, "what was pulled meanwhile is not taken for born"
