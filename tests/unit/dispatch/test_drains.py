"""Drains of simulated runs: whatever happens, nothing more is read, and the sets of the report partition what was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.dispatch.source import Source
from slither_actors.errors import SystemStopping
from slither_actors.testing import _play as module
from tests.unit.dispatch.playing_acts import ActRun, play_acts

ACTS = st.lists(st.sampled_from(["ok", "ok", "ok", "slow", "fail", "shaky", "crash"]), min_size=1, max_size=24)


class Told(module.Run):
    """Can be given orders by the test."""

    latest: module.Run

    def open(self):
        super().open()
        Told.latest = self


class Draining(ActRun):
    """A run that is told something when so many of its items were read."""

    def __init__(self, play, acts, *, after, tell, **options):
        self.after, self.tell, self.read = after, tell, 0
        super().__init__(play, acts, **options)

    def _items(self, acts):
        for item in super()._items(acts):
            self.read += 1
            if self.read == self.after:
                self.tell(Told.latest)
            yield item


def drain(run):
    run.orders.drain("the test")
    run.orders.drain("the test, again")


def cut(run):
    run.orders.drain("the test")
    run.orders.cut(SystemStopping("s"))


@pytest.fixture(autouse=True)
def _told(monkeypatch):
    monkeypatch.setattr(module, "Run", Told)


def check_partition(run, report):
    ended = {"skipped": report.skipped, "dropped": report.dropped, "dead": report.dead}
    left = {"failed": report.failed, "abandoned": report.abandoned}
    assert report.pulled == run.read
    assert report.finished + sum(tally.count for tally in (ended | left).values()) == report.pulled
    named = [one for tally in (ended | left).values() for one in tally.ids]
    got = [item.id for item in run.log.got]
    assert sorted(named + got) == sorted(run.order[: run.read]), "each at one place"


@settings(max_examples=25, deadline=None)
@given(ACTS, st.integers(0, 10**6), st.integers(1, 24), st.sampled_from([drain, cut]), st.integers(1, 4), st.data())
def test_nothing_more_is_read_and_every_item_is_in_one_set(acts, seed, after, tell, size, data):
    options = {
        "on_error": data.draw(st.sampled_from(["halt", "skip"])),
        "ordering": data.draw(st.sampled_from(["preserve", "as_completed"])),
        "max_in_flight": data.draw(st.integers(1, 4)),
    }
    with play_acts(seed) as play:
        run = Draining(play, acts, after=after, tell=tell, size=size, **options)
        play.go()
    report = Told.latest.report()
    check_partition(run, report)
    if after <= len(acts):
        assert run.read <= -(-after // size) * size, "the batch that was being read is read to its size, and no other"
    if tell is drain and report.outcome != "failed":
        assert report.outcome == ("drained" if after <= len(acts) and run.read < len(acts) else report.outcome)
        assert report.outcome in ("drained", "finished")
        assert not report.abandoned
        assert report.finished == len(run.log.got)


def test_a_run_that_was_reported_as_cut_ends_so_though_all_of_it_comes_yet(monkeypatch):
    def told(run):
        cut(run)
        assert run.report().outcome == "cut"
        monkeypatch.setattr(Told, "_is_complete", lambda run: True, raising=False)  # as if it had come right now

    with play_acts(1) as play:
        run = Draining(play, ["ok"] * 4, after=2, tell=told, size=1)
        play.go()
    assert run.log.how == "halted"
    assert isinstance(run.log.halt.error, SystemStopping)


def test_a_list_that_was_read_to_its_end_was_not_cut_short():
    source = Source([1, 2], "test")
    source.pull(2)
    assert not source.exhausted
    assert not source.cut()
    assert Source([1, 2], "test").cut()


def test_a_source_that_keeps_a_batch_waiting_is_counted_with_what_it_gave():
    seen = []

    def slow():
        yield 1
        seen.append(source.read)
        yield 2

    source = Source(slow(), "test")
    source.pull(8)
    assert seen == [1]
    assert source.read == source.pulled == 2
