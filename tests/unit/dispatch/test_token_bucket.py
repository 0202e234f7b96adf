"""Rate limits on a virtual clock: never more than `burst + rate * t` in any span of time, and not less either."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.dispatch._rate_table import RateTable
from slither_actors.dispatch._token_bucket import RateTicket, TokenBucket
from slither_actors.errors import InvalidOption
from slither_actors.rate import Rate, as_rate

rates = st.sampled_from([0.01, 0.3, 1.0, 7.0, 100.0, 12345.678])
bursts = st.integers(1, 50)
asked = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60)), max_size=60)


def ticket(per_second=10.0, burst=5, version=0, name="stage"):
    return RateTicket(name, per_second, burst, version)


def taken_by(bucket, asked, now=100.0):
    """Whoever asks for items after a pause takes what is allowed; the times and numbers."""
    taken = []
    for pause_s, items in asked:
        now += pause_s
        allowed = bucket.allowed(items, now)
        if allowed:
            bucket.take(allowed, now)
            taken.append((now, allowed))
    return taken


@given(rates, bursts, asked)
def test_in_any_span_of_time_no_more_goes_than_the_burst_and_what_the_rate_adds(rate, burst, asked):
    taken = taken_by(TokenBucket(ticket(rate, burst)), asked)
    for begin in range(len(taken)):
        for end in range(begin, len(taken)):
            span_s = taken[end][0] - taken[begin][0]
            went = sum(items for _, items in taken[begin : end + 1])
            assert went <= burst + rate * span_s + 1e-6


@given(rates, bursts, st.integers(1, 30))
def test_whoever_waits_until_it_is_allowed_finds_that_it_is_and_not_a_moment_sooner(rate, burst, rounds):
    bucket, now, went, waited = TokenBucket(ticket(rate, burst)), 50.0, 0, False
    items = max(1, burst // 2)
    for _ in range(rounds):
        at = bucket.allowed_at(items)
        if at > now:
            assert bucket.allowed(items, math.nextafter(at, -math.inf)) < items
            now, waited = at, True
        assert bucket.allowed(items, now) == items
        bucket.take(items, now)
        went += items
        if waited:  # nothing of the rate is lost
            assert went == pytest.approx(burst + rate * (now - 50.0))


@given(rates, rates, bursts, bursts, asked, asked)
def test_a_limit_that_changes_gives_nothing_away(first, second, before, after, early, late):
    bucket = TokenBucket(ticket(first, before))
    taken = taken_by(bucket, early)
    changed_at = taken[-1][0] if taken else 100.0
    assert bucket.change(ticket(second, after, version=1), changed_at)
    new = taken_by(bucket, late, changed_at)
    for begin in range(len(taken) + len(new)):
        for end in range(begin, len(taken) + len(new)):
            part = [*taken, *new][begin : end + 1]
            before_s = max(0.0, min(part[-1][0], changed_at) - part[0][0])
            after_s = max(0.0, part[-1][0] - max(part[0][0], changed_at))
            went = sum(items for _, items in part)
            burst = max(before, after) if part[0][0] <= changed_at else after
            assert went <= burst + first * before_s + second * after_s + 1e-6


def test_what_was_saved_up_stays_as_far_as_the_new_burst_goes():
    bucket = TokenBucket(ticket(10.0, 5))
    bucket.take(2, 1.0)
    bucket.change(ticket(1.0, 100, version=1), 1.0)
    assert bucket.allowed(50, 1.0) == 3
    bucket.change(ticket(1.0, 2, version=2), 1.0)
    assert bucket.allowed(50, 1.0) == 2
    assert bucket.allowed(50, 100.0) == 2


def test_no_limit_lets_all_go_and_a_limit_after_it_begins_with_its_burst():
    bucket = TokenBucket(ticket(math.inf, 1))
    assert bucket.allowed(10_000, 0.0) == 10_000
    bucket.take(10_000, 0.0)
    bucket.change(ticket(1.0, 3, version=1), 0.0)
    assert bucket.allowed(10, 0.0) == 3


def test_an_older_word_changes_nothing():
    bucket = TokenBucket(ticket(10.0, 5, version=3))
    assert not bucket.change(ticket(1.0, 1, version=2), 0.0)
    assert not bucket.change(ticket(1.0, 1, version=3), 0.0)
    assert bucket.ticket.per_second == 10.0


class TestTable:
    def setup_method(self):
        self.now = 0.0
        self.table = RateTable(lambda: self.now)

    def test_runs_that_tell_the_same_name_share_a_limit(self):
        first, second = self.table.join(ticket()), self.table.join(ticket())
        first.take(5)
        assert second.holds(1)
        assert not self.table.join(ticket(name="other")).holds(1)

    def test_a_run_that_begins_later_finds_what_the_one_before_has_used(self):
        self.table.join(ticket()).take(5)  # and forgets it
        self.table.join(ticket(name="other"))
        assert self.table.join(ticket()).holds(1)

    def test_a_limit_that_nobody_uses_is_forgotten_when_it_knows_nothing_any_more(self):
        self.table.join(ticket()).take(5)
        self.now = 1.0
        kept = self.table.join(ticket(name="used"))
        self.table.join(ticket(name="another"))
        self.table.join(ticket(name="a third"))
        assert len(self.table) == 2, "the used one, and the newest"
        assert not kept.holds(1)

    def test_a_newer_word_holds_for_open_runs_whoever_brings_it(self):
        pace = self.table.join(ticket())
        pace.take(5)
        self.table.join(ticket(1000.0, 5, version=2))
        self.now = 0.01
        assert not pace.holds(5)
        assert self.table.change(ticket(0.1, 1, version=3))
        pace.take(1)
        assert pace.allowed_at(1) > self.now + 9
        assert not self.table.change(ticket(name="nobody's"))


@pytest.mark.parametrize("value", [0, -1, True, "10", math.inf, math.nan, (1, 2)])
def test_what_is_no_rate_is_refused(value):
    with pytest.raises(InvalidOption, match="rate"):
        as_rate(value, "stage")
    with pytest.raises(InvalidOption, match="per_second"):
        Rate(value)


@pytest.mark.parametrize("burst", [0, -1, 1.5, True, "2"])
def test_what_is_no_burst_is_refused(burst):
    with pytest.raises(InvalidOption, match="burst"):
        Rate(1, burst=burst)


def test_a_rate_without_a_burst_saves_up_what_goes_in_a_second():
    assert [Rate(rate).burst_for(1) for rate in (0.1, 1, 2.5, 100)] == [1, 1, 3, 100]
    assert Rate(10).burst_for(64) == 64, "and a batch at least"
    assert Rate(10, burst=7).burst_for(64) == 7
    assert as_rate(5, "stage") == Rate(5.0)
    assert as_rate(None, "stage") is None
