"""When a worker is worn out, and for how long one that keeps dying is kept down."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from slither_actors import InvalidOption, PoolOptions, Quarantine, Recycle
from slither_actors.workers.quarantine import CrashBook


@pytest.mark.parametrize(
    ("kind", "given_options", "words"),
    [
        (Recycle, {}, "Recycle: batches is None, as age_s and rss_mb are; allowed: at least one"),
        (Recycle, {"batches": 0}, "Recycle: batches is 0"),
        (Recycle, {"batches": 1.5}, "batches is 1.5"),
        (Recycle, {"age_s": 0}, "age_s is 0"),
        (Recycle, {"rss_mb": -1}, "rss_mb is -1"),
        (Recycle, {"age_s": 1, "jitter": 1.1}, "jitter is 1.1.*from 0 to 1"),
        (Recycle, {"batch": 1}, "did you mean 'batches'"),
        (Quarantine, {"crashes": 0}, "Quarantine: crashes is 0"),
        (Quarantine, {"within_s": 0}, "within_s is 0"),
        (Quarantine, {"pause_s": 0}, "pause_s is 0"),
        (Quarantine, {"factor": 0.5}, "factor is 0.5.*at least 1"),
        (Quarantine, {"pause_s": 10, "longest_s": 9}, "longest_s is 9; allowed: at least pause_s=10"),
        (Quarantine, {"crash": 1}, "did you mean 'crashes'"),
        (PoolOptions, {"size": 1, "recycle": 100}, r"PoolOptions: recycle is 100; allowed: None, or Recycle"),
        (PoolOptions, {"size": 1, "quarantine": True}, r"PoolOptions: quarantine is True; allowed: None, or Quar"),
    ],
)
def test_what_cannot_work_is_refused_by_name(kind: Any, given_options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        kind(**given_options)


def test_a_pool_with_both_can_be_a_key_like_any_other() -> None:
    options = PoolOptions(1, recycle=Recycle(batches=5), quarantine=Quarantine())
    assert hash(options) == hash(PoolOptions(1, recycle=Recycle(batches=5), quarantine=Quarantine()))


def test_a_worker_is_worn_by_whatever_comes_first() -> None:
    limits = Recycle(batches=10, age_s=60, rss_mb=100).limits(0.0)
    assert limits.worn(9, 59.9, 100_000_000) == ""
    assert limits.worn(10, 0.0, 0) == "it has run 10 batches"
    assert limits.worn(0, 60.0, 0) == "it has run for 60 s"
    assert limits.worn(0, 0.0, 100_000_001) == "it has 100 MB in memory"


def test_what_is_not_given_wears_nobody() -> None:
    assert Recycle(batches=10).limits(0.0).worn(9, 1e9, 10**12) == ""
    assert Recycle(age_s=10).limits(0.0).worn(10**9, 9.0, 10**12) == ""
    assert Recycle(rss_mb=10).limits(0.0).worn(10**9, 1e9, 10) == ""


@settings(max_examples=40)
@given(st.integers(1, 10**6), st.floats(0.001, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_the_limits_of_each_worker_are_smaller_by_the_jitter_at_most(
    batches: int, age_s: float, jitter: float, draw: float
) -> None:
    limits = Recycle(batches=batches, age_s=age_s, rss_mb=7, jitter=jitter).limits(draw)
    assert limits.batches is not None
    assert limits.age_s is not None
    assert max(1, round(batches * (1 - jitter))) <= limits.batches <= batches
    assert age_s * (1 - jitter) * 0.999 <= limits.age_s <= age_s
    assert limits.rss_bytes == 7_000_000


def test_workers_that_draw_differently_are_not_due_at_once() -> None:
    recycle = Recycle(batches=1000, jitter=0.1)
    assert [recycle.limits(draw).batches for draw in (0.0, 0.5, 1.0)] == [1000, 950, 900]


# -- quarantine


def test_so_many_deaths_within_the_time_are_one_too_many() -> None:
    book = CrashBook(Quarantine(crashes=3, within_s=10, pause_s=5))
    assert [book.died("a", now) for now in (0.0, 4.0)] == [0.0, 0.0]
    assert book.died("b", 5.0) == 0.0, "each worker counts for itself"
    assert book.died("a", 10.0) == 5.0
    assert book.confined(10.0) == {"a"}
    assert book.confined(14.9) == {"a"}
    assert book.confined(15.0) == set()


def test_deaths_that_are_far_apart_do_not_count_together() -> None:
    book = CrashBook(Quarantine(crashes=2, within_s=10))
    assert [book.died("a", now) for now in (0.0, 10.1, 20.3)] == [0.0, 0.0, 0.0]


def test_the_first_death_after_it_leads_back_for_longer_up_to_a_limit() -> None:
    book = CrashBook(Quarantine(crashes=2, within_s=10, pause_s=5, factor=3, longest_s=40))
    book.died("a", 0.0)
    assert book.died("a", 1.0) == 5.0
    assert book.died("a", 6.5) == 15.0
    assert book.died("a", 22.0) == 40.0
    assert book.died("a", 63.0) == 40.0


def test_one_that_has_lived_long_enough_begins_anew() -> None:
    book = CrashBook(Quarantine(crashes=2, within_s=10, pause_s=5))
    book.died("a", 0.0)
    assert book.died("a", 1.0) == 5.0
    assert book.died("a", 16.1) == 0.0, "it was up from 6 on"
    assert book.died("a", 17.0) == 5.0


def test_what_is_forgotten_has_no_record() -> None:
    book = CrashBook(Quarantine(crashes=1))
    book.died("a", 0.0)
    book.forget("a")
    book.forget("a")
    assert book.confined(0.0) == set()


def test_a_pause_is_never_longer_than_the_longest_however_often_it_was() -> None:
    assert Quarantine(longest_s=100).pause(10**6) == 100


@settings(max_examples=60)
@given(st.integers(1, 4), st.lists(st.floats(0.0, 8.0), max_size=25))
def test_nobody_dies_so_often_in_the_window_without_a_pause(crashes: int, gaps: list[float]) -> None:
    options = Quarantine(crashes=crashes, within_s=10, pause_s=1, longest_s=4)
    book, now, free = CrashBook(options), 0.0, []
    for gap in gaps:
        now = max(now + gap, 0.0)
        pause_s = book.died("a", now)
        assert pause_s == 0.0 or 1 <= pause_s <= 4
        free = [one for one in free if now - one <= 10] + [now] if pause_s == 0 else []
        assert len(free) < crashes
        now += pause_s
