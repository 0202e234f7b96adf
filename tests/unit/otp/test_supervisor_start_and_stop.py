"""Start and stop of a supervisor's core. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pytest

from slither_actors.otp._actions import ApiError, Cause, StartFailed, Stopped
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import BROKEN, CRASH, KILLED, UNANNOUNCED, PlayingShell, worker, workers

STRATEGIES = pytest.mark.parametrize("strategy", list(Strategy))


def test_an_empty_supervisor_starts_and_stops_cleanly():
    """1"""
    shell = PlayingShell().start()
    assert shell.is_up
    shell.stop()
    assert shell.end == Stopped()


def test_a_supervisor_that_was_never_started_stops_at_once_and_stays_down():
    shell = PlayingShell(workers("ab"))
    shell.stop()
    assert shell.end == Stopped()
    shell.start()
    assert not shell.living


def test_only_the_first_start_and_the_first_stop_count():
    shell = PlayingShell(workers("ab")).start().start()
    assert shell.logged() == ["start a", "start b"]
    shell.stop()
    shell.stop()
    assert shell.logged("stop") == ["stop b", "stop a"]


@STRATEGIES
@pytest.mark.parametrize("how", ["says so", "dies"])
def test_a_child_that_cannot_start_ends_the_start_and_those_before_it_stop_in_reverse(strategy, how):
    """9, at the start of the supervisor"""
    shell = PlayingShell(workers("abcd"), strategy=strategy)
    shell.slow = {"c"}
    shell.start()
    if how == "says so":
        shell.cannot_start("c")
        reason = BROKEN
    else:
        shell.exits("c", UNANNOUNCED)
        reason = UNANNOUNCED
    assert shell.end == StartFailed("c", reason)
    assert not shell.is_up
    assert shell.logged("start", "stop") == ["start a", "start b", "start c", "stop b", "stop a"]
    assert shell.stopped_for == [("b", Cause("c", reason)), ("a", Cause("c", reason))]


def test_a_child_that_says_it_cannot_start_is_killed_and_its_exit_is_awaited():
    shell = PlayingShell(workers("ab"), manual=True).start()
    shell.comes_up("a")
    shell.cannot_start("b")
    assert shell.logged() == ["start a", "start b", "kill b"]
    shell.exits("b")
    assert shell.logged() == ["exit b", "stop a"]
    shell.exits("a")
    assert shell.end == StartFailed("b", BROKEN)


def test_a_child_that_sleeps_beyond_its_shutdown_time_is_killed_while_others_end_politely():
    """18"""
    shell = PlayingShell([worker("a"), worker("sleeper", shutdown_s=0.5), worker("c")]).start()
    shell.stubborn = {"sleeper"}
    shell.logged()
    shell.stop()
    shell.clock.advance(0.49)
    assert shell.logged() == ["stop c", "exit c", "stop sleeper"]
    shell.clock.advance(0.02)
    assert shell.logged() == ["kill sleeper", "exit sleeper", "stop a", "exit a"]
    assert shell.end == Stopped()


def test_a_child_with_no_shutdown_time_is_killed_at_once():
    """19"""
    shell = PlayingShell([worker("a", shutdown_s=0)]).start()
    shell.logged()
    shell.stop()
    assert shell.logged() == ["kill a", "exit a"]


def test_a_child_with_unlimited_shutdown_time_is_waited_for():
    shell = PlayingShell([worker("a", shutdown_s=None)]).start()
    shell.stubborn = {"a"}
    shell.stop()
    shell.clock.advance(1_000_000)
    assert shell.end is None
    shell.exits("a")
    assert shell.end == Stopped()


@STRATEGIES
def test_children_start_in_listed_order_and_stop_in_exact_reverse_whatever_their_ids_sort_like(strategy):
    """20"""
    shell = PlayingShell(workers("qazwsx"), strategy=strategy).start()
    assert shell.logged() == [f"start {child_id}" for child_id in "qazwsx"]
    shell.stop()
    assert shell.logged("stop") == [f"stop {child_id}" for child_id in "xswzaq"]


def test_rest_for_one_stops_the_later_ones_in_reverse_and_starts_them_in_order():
    """20, the partial stop"""
    shell = PlayingShell(workers("qazwsx"), strategy=Strategy.REST_FOR_ONE).start()
    shell.logged()
    shell.exits("z")
    assert shell.logged("stop", "start") == [*(f"stop {c}" for c in "xsw"), *(f"start {c}" for c in "zwsx")]


def test_one_child_starts_only_after_the_one_before_it_is_up():
    shell = PlayingShell(workers("abc"))
    shell.slow = {"b"}
    shell.start()
    assert shell.logged() == ["start a", "start b"]
    shell.comes_up("b")
    assert shell.logged() == ["start c"]
    assert shell.is_up


def test_one_child_is_stopped_only_after_the_one_behind_it_is_gone():
    shell = PlayingShell(workers("abc")).start()
    shell.stubborn = {"b"}
    shell.logged()
    shell.stop()
    assert shell.logged("stop") == ["stop c", "stop b"]
    shell.exits("b")
    assert shell.logged("stop") == ["stop a"]


def test_a_dynamic_supervisor_stops_its_children_all_at_once_under_one_time_limit():
    """21"""
    shell = PlayingShell(dynamic=True).start()
    for number in range(20):
        shell.start_child(worker(f"w{number}", shutdown_s=0.5))
    shell.stubborn = {f"w{number}" for number in range(0, 20, 2)}
    shell.stop()
    assert len(shell.living) == 10
    shell.clock.advance(0.5)
    assert shell.end == Stopped()
    assert len(shell.logged("kill")) == 10


def test_parallel_start_begins_all_at_once_and_reports_when_the_last_one_is_up():
    shell = PlayingShell(workers("abc"), parallel_start=True)
    shell.slow = {"a", "b", "c"}
    shell.start()
    assert shell.logged() == ["start a", "start b", "start c"]
    for child_id in "cab":
        assert not shell.is_up
        shell.comes_up(child_id)
    assert shell.is_up


def test_a_failure_in_a_parallel_start_kills_those_that_still_start_and_stops_the_others_in_reverse():
    shell = PlayingShell(workers("abcd"), parallel_start=True)
    shell.slow = {"b", "c", "d"}
    shell.start()
    shell.comes_up("b")
    shell.logged()
    shell.cannot_start("d")
    assert shell.logged("stop", "kill") == ["kill d", "kill c", "stop b", "stop a"]
    assert shell.end == StartFailed("d", BROKEN)


@pytest.mark.parametrize("parallel_start", [False, True])
def test_a_stop_during_the_start_ends_it_and_kills_the_child_that_does_not_listen_yet(parallel_start):
    shell = PlayingShell(workers("abc"), parallel_start=parallel_start)
    shell.slow = {"b"}
    shell.start()
    shell.logged()
    shell.stop()
    assert shell.logged("kill") == ["kill b"]
    assert shell.end == Stopped()
    assert not shell.is_up


def test_a_start_that_comes_too_late_is_ignored():
    shell = PlayingShell(workers("ab"), manual=True).start()
    shell.cannot_start("a")
    shell.comes_up("a")
    assert shell.logged() == ["start a", "kill a"]
    shell.exits("a")
    assert shell.end == StartFailed("a", BROKEN)


@STRATEGIES
def test_a_child_that_dies_while_a_later_one_starts_is_restarted_when_all_are_up(strategy):
    shell = PlayingShell(workers("ab"), strategy=strategy)
    shell.slow = {"b"}
    shell.start()
    shell.exits("a")
    assert shell.status("a") == "exited"
    assert shell.logged() == ["start a", "start b", "exit a"]
    shell.slow.clear()
    shell.comes_up("b")
    assert shell.logged("start")[0] == "start a"
    assert set(shell.living) == {"a", "b"}


def test_a_child_that_is_dead_already_when_its_turn_to_stop_comes_is_passed_over():
    shell = PlayingShell([worker("a"), worker("b", restart=Restart.TEMPORARY), worker("c")]).start()
    shell.stubborn = {"c"}
    shell.stop()
    shell.exits("b")
    shell.logged()
    shell.exits("c")
    assert shell.logged("stop") == ["stop a"]
    assert shell.end == Stopped()


def test_a_temporary_child_that_a_call_is_stopping_may_end_before_its_turn_comes():
    shell = PlayingShell([worker("t", restart=Restart.TEMPORARY), worker("b")]).start()
    shell.stubborn = {"t", "b"}
    shell.terminate_child("t")
    shell.stop()
    shell.exits("t")
    assert shell.ids == ["b"]
    shell.exits("b")
    assert shell.end == Stopped()


def test_a_shutdown_timer_that_fires_after_the_exit_kills_nobody():
    shell = PlayingShell(workers("ab"), intensity=0).start()
    old = shell.incarnation("a")
    shell.terminate_child("a")
    shell.restart_child("a")
    shell.logged()
    shell.clock.advance(60)
    shell.stop_time_is_over("a", old)
    shell.stop_time_is_over("a", shell.incarnation("a"))
    assert shell.logged() == []
    assert shell.incarnation("a") != old


def test_events_of_unknown_children_and_of_past_incarnations_are_ignored():
    shell = PlayingShell(workers("a")).start()
    old = shell.incarnation("a")
    shell.exits("a")
    core, now = shell.core, shell.clock.now
    for child_id, incarnation in (("a", old), ("nobody", 1)):
        assert core.child_started(child_id, incarnation, now) == []
        assert core.child_start_failed(child_id, incarnation, BROKEN, now) == []
        assert core.child_exited(child_id, incarnation, CRASH, now) == []
        assert core.child_stop_timeout(child_id, incarnation) == []
    assert shell.status("a") == "running"


def test_a_call_to_a_supervisor_that_ends_is_refused_and_open_ones_are_answered():
    shell = PlayingShell(workers("ab"))
    shell.slow = {"b"}
    shell.stubborn = {"a"}
    early = shell.terminate_child("a")
    shell.start()
    waiting = shell.start_child(worker("c"))
    assert early == waiting == []
    shell.stop()
    late = shell.delete_child("a")
    for answers in (early, waiting, late):
        assert [reply.error for reply in answers] == [ApiError.SHUTDOWN]
    shell.exits("a")
    assert shell.end == Stopped()
    assert shell.restart_child("a")[0].error is ApiError.SHUTDOWN


@STRATEGIES
@pytest.mark.parametrize("count", [10, 2_000])
def test_each_of_two_thousand_children_takes_no_more_steps_than_each_of_ten(strategy, count):
    """57"""
    shell = PlayingShell(workers(f"w{number}" for number in range(count)), strategy=strategy).start()
    assert len(shell.logged()) == count
    shell.stop()
    assert len(shell.logged()) == 2 * count


@pytest.mark.parametrize("count", [10, 2_000])
def test_each_of_two_thousand_dynamic_children_takes_no_more_steps_than_each_of_ten(count):
    """57"""
    shell = PlayingShell(dynamic=True, intensity=count).start()
    for number in range(count):
        shell.start_child(worker(f"w{number}"))
    for number in range(count):
        shell.exits(f"w{number}")
    assert len(shell.logged()) == 3 * count
    shell.stop()
    assert len(shell.logged()) == 2 * count


def test_a_stop_while_a_child_that_cannot_start_is_being_killed_waits_for_its_end():
    shell = PlayingShell(workers("ab"), manual=True).start()
    shell.cannot_start("a")
    shell.stop()
    assert shell.end is None
    shell.exits("a", KILLED)
    assert shell.end == Stopped()


@pytest.mark.parametrize("parallel_stop", [False, True])
def test_a_parallel_stop_asks_all_at_once(parallel_stop):
    shell = PlayingShell(workers("abc"), parallel_stop=parallel_stop)
    shell.stubborn = {"a", "b", "c"}
    shell.start()
    shell.stop()
    assert shell.logged("stop") == (["stop c", "stop b", "stop a"] if parallel_stop else ["stop c"])
