"""Pauses before restarts. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from slither_actors.errors import InvalidOption
from slither_actors.otp import Backoff
from slither_actors.otp._actions import ApiError, GiveUp, Stopped
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import CRASH, NORMAL, PlayingShell, worker, workers

STRATEGIES = pytest.mark.parametrize("strategy", list(Strategy))
STEADY = Backoff(min_s=1.0, max_s=10.0, jitter=0.0, reset_s=30.0)


def pausing(child_id, backoff=STEADY, **options):
    return worker(child_id, backoff=backoff, **options)


def pause_after(shell, child_id, reason=CRASH):
    """How long a child is away after it died, as its supervisor's clock has it."""
    before = shell.clock.now
    shell.exits(child_id, reason)
    comes_back(shell, child_id)
    return shell.clock.now - before


def comes_back(shell, child_id):
    assert child_id not in shell.living
    while child_id not in shell.living:
        assert shell.status(child_id) == "restarting"
        shell.clock.advance(0.25)


@STRATEGIES
def test_restarts_follow_min_times_a_growing_power_of_the_factor_up_to_max(strategy):
    """61"""
    shell = PlayingShell([pausing("a")], strategy=strategy, intensity=99).start()
    assert [pause_after(shell, "a") for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_the_factor_is_as_given():
    shell = PlayingShell([pausing("a", Backoff(min_s=1.0, factor=3.0, jitter=0.0))], intensity=99).start()
    assert [pause_after(shell, "a") for _ in range(3)] == [1, 3, 9]


@pytest.mark.parametrize(("draw", "pause_s"), [(0.0, 1.5), (0.5, 2.0), (1.0, 2.5)])
def test_jitter_makes_a_pause_shorter_or_longer(draw, pause_s):
    """61"""
    shell = PlayingShell([pausing("a", Backoff(min_s=2.0, jitter=0.25))], draw=lambda: draw).start()
    assert pause_after(shell, "a") == pause_s


def test_the_longest_pauses_have_their_jitter_too_however_often_the_factor_was_applied():
    backoff = Backoff(min_s=1.0, max_s=10.0, factor=1000.0, jitter=0.25)
    assert [backoff.pause_s(restarts, 0.0) for restarts in (2, 5000)] == [7.5, 7.5]
    assert backoff.pause_s(5000, 1.0) == 10.0


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.01, 100),
    st.floats(1, 100),
    st.floats(1, 1000),
    st.floats(0, 1),
    st.integers(0, 10_000),
    st.floats(0, 1),
)
def test_no_pause_is_longer_than_max_and_none_is_further_from_its_power_than_the_jitter(
    least, times, factor, jitter, restarts, draw
):
    """61"""
    backoff = Backoff(min_s=least, max_s=least * times, factor=factor, jitter=jitter)
    pause_s = backoff.pause_s(restarts, draw)
    assert 0 <= pause_s <= backoff.max_s
    if restarts < 50:
        base = min(least * factor**restarts, backoff.max_s)
        assert base * (1 - jitter) * 0.999 <= pause_s <= base * (1 + jitter) * 1.001


def test_after_a_quiet_time_the_pauses_begin_anew_and_not_before():
    """61"""
    shell = PlayingShell([pausing("a")], intensity=99).start()
    assert [pause_after(shell, "a") for _ in range(3)] == [1, 2, 4]
    shell.clock.advance(29)
    assert pause_after(shell, "a") == 8
    shell.clock.advance(30)
    assert [pause_after(shell, "a") for _ in range(2)] == [1, 2]


def test_time_spent_away_is_no_quiet_time():
    shell = PlayingShell([pausing("a", Backoff(min_s=8.0, max_s=64.0, jitter=0.0, reset_s=10.0))], intensity=99).start()
    assert [pause_after(shell, "a") for _ in range(4)] == [8, 16, 32, 64]


def test_a_start_that_fails_makes_the_next_pause_longer_though_the_process_before_it_ran_long():
    shell = PlayingShell([pausing("a")], intensity=99).start()
    shell.clock.advance(1000)
    shell.broken["a"] = 3
    assert pause_after(shell, "a") == 1 + 2 + 4 + 8


@STRATEGIES
def test_every_restart_counts_against_the_budget_however_long_the_pause(strategy):
    """61"""
    shell = PlayingShell([pausing("a")], strategy=strategy, intensity=2, period_s=60).start()
    for _ in range(2):
        pause_after(shell, "a")
    shell.exits("a")
    assert isinstance(shell.end, GiveUp), "at once: no pause before a restart that is not to be"
    assert len(shell.end.causes) == 3


def test_failed_attempts_count_too():
    """61"""
    shell = PlayingShell([pausing("a")], intensity=2, period_s=60).start()
    shell.broken["a"] = 9
    shell.exits("a")
    shell.clock.advance(3)
    assert isinstance(shell.end, GiveUp)
    assert len(shell.end.causes) == 3


def test_pauses_longer_than_the_period_never_exhaust_the_budget():
    shell = PlayingShell([pausing("a")], intensity=1, period_s=0.5).start()
    for _ in range(20):
        pause_after(shell, "a")
    assert shell.end is None


def test_a_death_that_is_charged_elsewhere_needs_no_pause():
    shell = PlayingShell([pausing("a")]).start()
    shell.exits("a", charge=False)
    assert "a" in shell.living


def test_an_exit_that_needs_no_restart_needs_no_pause_either():
    shell = PlayingShell([pausing("a", restart=Restart.TRANSIENT)]).start()
    shell.exits("a", NORMAL)
    assert shell.status("a") == "stopped"


def test_others_are_restarted_meanwhile_and_each_has_a_pause_of_its_own():
    shell = PlayingShell([pausing("a"), worker("b"), pausing("c")], intensity=99).start()
    shell.exits("a")
    shell.clock.advance(0.5)
    shell.exits("b")
    assert "b" in shell.living
    shell.exits("c")
    shell.clock.advance(0.5)
    assert "a" in shell.living
    assert "c" not in shell.living
    shell.clock.advance(0.5)
    assert "c" in shell.living


def test_one_for_all_stops_the_others_at_once_and_starts_all_after_the_pause():
    specs = [worker("a"), pausing("b"), worker("c"), worker("d", restart=Restart.TEMPORARY)]
    shell = PlayingShell(specs, strategy=Strategy.ONE_FOR_ALL).start()
    shell.logged()
    shell.exits("b")
    assert shell.logged("start", "stop") == ["stop d", "stop c", "stop a"]
    assert shell.stopped_for[-1][1].child_id == "b"
    shell.clock.advance(0.9)
    assert shell.living == {}
    shell.clock.advance(0.1)
    assert shell.logged("start", "stop") == ["start a", "start b", "start c"]
    assert [(one.child_id, one.cause) for one in shell.restarted] == [("a", CRASH), ("b", CRASH), ("c", CRASH)]


def test_rest_for_one_keeps_the_earlier_ones_through_the_pause():
    shell = PlayingShell([worker("a"), pausing("b"), worker("c")], strategy=Strategy.REST_FOR_ONE).start()
    before = shell.incarnation("a")
    shell.exits("b")
    assert list(shell.living) == ["a"]
    comes_back(shell, "b")
    assert set(shell.living) == {"a", "b", "c"}
    assert shell.incarnation("a") == before


def test_a_group_restart_for_another_one_starts_a_child_whose_pause_lasts_and_the_pause_then_does_nothing():
    shell = PlayingShell([worker("a"), pausing("b")], strategy=Strategy.REST_FOR_ONE).start()
    shell.exits("b")
    shell.exits("a")
    assert set(shell.living) == {"a", "b"}
    before = shell.incarnations()
    shell.clock.advance(5)
    assert shell.incarnations() == before


@STRATEGIES
def test_calls_get_through_during_the_pause(strategy):
    """45, with a pause"""
    shell = PlayingShell([pausing("a"), worker("b")], strategy=strategy, intensity=99).start()
    shell.exits("a")
    assert shell.start_child(worker("a"))[0].error is ApiError.ALREADY_PRESENT
    assert shell.restart_child("a")[0].error is ApiError.RESTARTING
    assert shell.delete_child("a")[0].error is ApiError.RESTARTING
    assert shell.terminate_child("a")[0].error is None
    shell.clock.advance(60)
    assert shell.status("a") == "stopped"
    assert shell.restart_child("a")[0].error is None
    assert pause_after(shell, "a") == 1, "a start by hand begins anew"


@STRATEGIES
def test_a_supervisor_can_be_stopped_during_a_pause(strategy):
    shell = PlayingShell([pausing("a"), worker("b")], strategy=strategy).start()
    shell.exits("a")
    shell.stop()
    assert shell.end == Stopped()
    shell.clock.advance(60)
    assert not shell.living


def test_a_dynamic_child_comes_back_after_its_pause():
    shell = PlayingShell([pausing("t")], dynamic=True).start()
    shell.start_more(1)
    assert pause_after(shell, "t-1") == 1


def test_a_child_that_dies_while_others_start_again_has_its_pause_when_they_are_up():
    shell = PlayingShell([pausing("a"), worker("b")], strategy=Strategy.ONE_FOR_ALL, intensity=99).start()
    shell.slow.add("b")
    shell.exits("b")
    shell.exits("a")
    assert shell.status("a") == "exited"
    shell.comes_up("b")
    assert shell.status("a") == "restarting"
    shell.slow.clear()
    shell.clock.advance(1)
    assert set(shell.living) == {"a", "b"}


def test_children_without_backoff_come_back_at_once():
    shell = PlayingShell(workers("a")).start()
    shell.exits("a")
    assert "a" in shell.living


@pytest.mark.parametrize(
    ("option", "value"),
    [("min_s", 0), ("max_s", -1), ("max_s", 0.05), ("factor", 0.5), ("jitter", 1.5), ("reset_s", 0), ("rest_s", 1)],
)
def test_a_faulty_backoff_is_refused(option, value):
    with pytest.raises(InvalidOption) as caught:
        Backoff(**{option: value})
    assert (caught.value.where, caught.value.option) == ("Backoff", option)


def test_a_pause_that_jitter_makes_nothing_of_is_charged_once_too():
    shell = PlayingShell([pausing("a", Backoff(jitter=1.0))], draw=lambda: 0.0, intensity=1, manual=False).start()
    shell.exits("a")
    assert shell.end is None
    assert "a" in shell.living


def test_a_child_that_is_terminated_before_the_turn_of_its_restart_comes_stays_down():
    shell = PlayingShell([pausing("a")], strategy=Strategy.REST_FOR_ONE).start()
    shell.slow.add("b")
    shell.exits("a")
    shell.start_child(worker("b"))
    answers = shell.terminate_child("a")
    shell.clock.advance(1)
    shell.comes_up("b")
    assert answers[0].error is None
    assert shell.status("a") == "stopped"
    assert list(shell.living) == ["b"]
