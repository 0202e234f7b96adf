"""Which items have not come to their end: whatever comes back in whatever shape, nothing is counted twice or lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.dispatch import _pulled_ids as module
from slither_actors.dispatch._pulled_ids import PulledIds
from slither_actors.dispatch.drain import RunReport
from slither_actors.item import Item, take_ids


def items_of(ids):
    return [Item(one, None) for one in ids]


def test_a_batch_that_comes_back_as_it_left_is_one_range_less():
    ids = PulledIds()
    batches = [take_ids(4) for _ in range(3)]
    for batch in batches:
        ids.pull(batch)
    ids.finish(items_of(batches[1]))
    assert ids.finished == 4
    assert ids.open == (*batches[0], *batches[2])
    assert not ids._loose


def test_a_part_of_a_batch_comes_back_in_any_order():
    ids = PulledIds()
    ids.pull(batch := take_ids(6))
    ids.finish(items_of([batch[4], batch[1]]))
    ids.finish(items_of([batch[1]]))
    assert ids.finished == 2
    assert ids.open == (batch[0], batch[2], batch[3], batch[5])


def test_a_part_that_begins_and_ends_like_a_batch_is_taken_for_none():
    ids = PulledIds()
    ids.pull(batch := take_ids(4))
    ids.finish(items_of([batch[0], batch[3], batch[2]]))
    assert (ids.finished, ids.open) == (3, (batch[1],))


def test_what_an_item_became_stands_for_it_once():
    ids = PulledIds()
    ids.pull(batch := take_ids(2))
    children = [Item(one, None, parent_id=batch[0]) for one in take_ids(3)]
    ids.finish(children[:2])
    ids.end("dropped", children[2:])
    assert ids.finished == 1
    assert ids.ended("dropped") == (0, ())
    assert ids.open == (batch[1],)


def test_strangers_are_nobody():
    ids = PulledIds()
    before = take_ids(3)
    ids.pull(batch := take_ids(3))
    ids.finish(items_of(before))
    ids.finish(items_of(take_ids(3)))
    assert (ids.finished, ids.open) == (0, tuple(batch))


def test_of_an_endless_run_whose_results_tell_nothing_little_is_remembered(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 8)
    ids = PulledIds()
    for _ in range(50):
        ids.pull([take_ids(1)[0]])
        ids.pull(take_ids(2))
        take_ids(1)
    assert len(ids.open) < 60
    ids.pull(last := take_ids(1))
    assert last[0] in ids.open


def test_of_those_that_left_the_flow_the_newest_are_known():
    ids = PulledIds()
    ids.pull(batch := take_ids(module.KEPT_ENDS + 5))
    for one in batch:
        ids.end("skipped", items_of([one]))
    count, known = ids.ended("skipped")
    assert (count, len(known), known[-1]) == (module.KEPT_ENDS + 5, module.KEPT_ENDS, batch[-1])


@given(st.data())
def test_the_sets_of_a_report_partition_what_was_pulled(data):
    """The property I18 speaks of, whatever the order in which things come to their end."""
    ids, pulled, open_ = PulledIds(), [], []
    expected = Counter()
    for _ in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["pull", "own", "finish", "several", "skipped", "dead"]))
        if what in ("pull", "own"):
            batch = take_ids(data.draw(st.integers(1, 6)))
            given_ids = batch if what == "pull" else [*batch]
            ids.pull(given_ids)
            pulled += batch
            open_ += batch
            continue
        some = data.draw(st.lists(st.sampled_from(open_), unique=True)) if open_ else []
        if not some:
            continue
        open_ = [one for one in open_ if one not in some]
        if what == "several":
            ids.finish([Item(take_ids(1)[0], None, parent_id=one) for one in some for _ in range(2)])
            expected["finished"] += len(some)
        elif what == "finish":
            ids.finish(items_of(some))
            expected["finished"] += len(some)
        else:
            ids.end(what, items_of(some))
            expected[what] += len(some)
    outcome = data.draw(st.sampled_from(["failed", "cut", "closed"]))
    report = RunReport.of("r", {"pool": "default"}, outcome, len(pulled), ids, {"w": open_[:1], "d": open_})
    left = report.failed if outcome == "failed" else report.abandoned
    ended = {kind: getattr(report, kind) for kind in ("skipped", "dropped", "dead", "failed", "abandoned")}
    assert report.finished + sum(tally.count for tally in ended.values()) == report.pulled == len(pulled)
    assert (report.finished, report.skipped.count, report.dead.count) == (
        expected["finished"],
        expected["skipped"],
        expected["dead"],
    )
    assert left.ids == tuple(sorted(open_))
    named = [one for tally in ended.values() for one in tally.ids]
    assert len(named) == len(set(named)) == report.pulled - report.finished
    if outcome != "failed" and open_:
        assert sorted(one for held in report.places.values() for one in held) == sorted(open_)
        assert report.places["w"] == (open_[0],)


def test_what_cannot_be_told_by_its_id_has_come_to_its_end_where_the_run_has():
    ids = PulledIds()
    ids.pull(take_ids(3))
    report = RunReport.of("r", {"pipe": "P", "system": "s"}, "drained", 3, ids, {})
    assert (report.kind, report.name, report.finished, report.abandoned.count) == ("pipe", "P", 3, 0)


def test_what_nobody_names_is_at_an_unknown_place():
    ids = PulledIds()
    ids.pull(batch := take_ids(3))
    report = RunReport.of("r", {"pool": "p"}, "cut", 3, ids, {"w": [batch[1], 5]})
    assert report.places == {"w": (batch[1],), "unknown": (batch[0], batch[2])}
