"""Calls to a supervisor's core. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import gc
import weakref

import pytest

from slither_actors.otp._actions import ApiError, Stopped
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import BROKEN, CRASH, NORMAL, UNANNOUNCED, PlayingShell, worker, workers

STRATEGIES = pytest.mark.parametrize("strategy", list(Strategy))


def error_of(answers):
    """The error of a call that has been answered, once."""
    (reply,) = answers
    return reply.error


def value_of(answers):
    """The value of a call that has succeeded."""
    assert error_of(answers) is None
    return answers[0].value


def test_start_child_adds_the_child_behind_all_others_and_answers_its_incarnation():
    shell = PlayingShell(workers("ab")).start()
    assert value_of(shell.start_child(worker("c"))) == shell.incarnation("c")
    assert shell.ids == ["a", "b", "c"]


@STRATEGIES
def test_a_child_that_cannot_start_by_a_call_is_not_added_and_harms_nobody(strategy):
    """9, at start_child"""
    shell = PlayingShell(workers("ab"), strategy=strategy, intensity=0).start()
    before = shell.incarnations()
    shell.broken["c"] = 1
    assert error_of(shell.start_child(worker("c"))) == BROKEN
    assert shell.ids == ["a", "b"]
    assert shell.incarnations() == before
    assert value_of(shell.start_child(worker("c"))) == shell.incarnation("c")


@STRATEGIES
def test_a_child_that_cannot_start_by_restart_child_stays_stopped_and_harms_nobody(strategy):
    """9, at restart_child"""
    shell = PlayingShell(workers("ab"), strategy=strategy, intensity=0).start()
    shell.terminate_child("b")
    before = shell.incarnations()
    shell.broken["b"] = 1
    assert error_of(shell.restart_child("b")) == BROKEN
    assert shell.status("b") == "stopped"
    assert shell.incarnations() == before
    assert shell.end is None


@STRATEGIES
def test_a_full_cycle_of_calls_answers_what_otp_answers(strategy):
    """23"""
    shell = PlayingShell(workers("ab"), strategy=strategy).start()
    first = shell.incarnation("b")
    assert error_of(shell.start_child(worker("b"))) is ApiError.ALREADY_STARTED
    assert error_of(shell.restart_child("b")) is ApiError.RUNNING
    assert error_of(shell.delete_child("b")) is ApiError.RUNNING
    assert value_of(shell.terminate_child("b")) is None
    assert "b" not in shell.living
    assert shell.core.get_childspec("b") == worker("b")
    assert value_of(shell.terminate_child("b")) is None
    assert error_of(shell.start_child(worker("b"))) is ApiError.ALREADY_PRESENT
    assert value_of(shell.restart_child("b")) == shell.incarnation("b") != first
    assert value_of(shell.terminate_child("b")) is None
    assert value_of(shell.delete_child("b")) is None
    for call in (shell.terminate_child, shell.restart_child, shell.delete_child):
        assert error_of(call("b")) is ApiError.NOT_FOUND
    assert shell.core.get_childspec("b") is ApiError.NOT_FOUND
    assert shell.incarnations().keys() == {"a"}


def test_already_started_says_which_incarnation_runs():
    shell = PlayingShell(workers("a")).start()
    (reply,) = shell.start_child(worker("a"))
    assert (reply.error, reply.value) == (ApiError.ALREADY_STARTED, shell.incarnation("a"))


def test_a_new_child_under_the_id_of_a_deleted_one_gets_an_incarnation_never_seen():
    shell = PlayingShell(workers("a")).start()
    first = shell.incarnation("a")
    shell.terminate_child("a")
    shell.delete_child("a")
    shell.start_child(worker("a"))
    assert shell.incarnation("a") > first


def test_a_dynamic_supervisor_forgets_terminated_children_and_refuses_restart_and_delete():
    """24"""
    shell = PlayingShell(dynamic=True).start()
    shell.start_child(worker("a"))
    for call in (shell.restart_child, shell.delete_child):
        assert error_of(call("a")) is ApiError.SIMPLE_ONE_FOR_ONE
        assert error_of(call("nobody")) is ApiError.SIMPLE_ONE_FOR_ONE
    assert error_of(shell.terminate_child("nobody")) is ApiError.NOT_FOUND
    assert error_of(shell.terminate_child("a")) is None
    assert shell.ids == []
    assert error_of(shell.terminate_child("a")) is ApiError.NOT_FOUND
    assert error_of(shell.start_child(worker("a"))) is None


def test_which_children_lists_the_newest_first():
    """26"""
    shell = PlayingShell(workers("ba")).start()
    shell.start_child(worker("c", type="supervisor"))
    shell.terminate_child("a")
    shown = [(info.child_id, info.incarnation, info.status.value, info.type) for info in shell.core.which_children()]
    assert shown == [
        ("c", shell.incarnation("c"), "running", "supervisor"),
        ("a", None, "stopped", "worker"),
        ("b", shell.incarnation("b"), "running", "worker"),
    ]


@pytest.mark.parametrize("dynamic", [False, True])
def test_count_children_is_right_with_two_thousand_some_of_them_dead_or_restarting(dynamic):
    """26"""
    shell = PlayingShell(dynamic=dynamic, intensity=1_000).start()
    for number in range(2_000):
        kind = "supervisor" if number % 4 == 0 else "worker"
        restart = Restart.TRANSIENT if number < 300 else Restart.PERMANENT
        shell.start_child(worker(f"w{number}", type=kind, restart=restart))
    for number in range(200):
        shell.exits(f"w{number}", NORMAL)
    shell.holds_retries = True
    for number in range(200, 300):
        shell.broken[f"w{number}"] = 1
        shell.exits(f"w{number}", CRASH)
    counts = shell.core.count_children()
    specs = 1_800 if dynamic else 2_000
    assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (
        specs,
        1_700,
        specs // 4,
        specs - specs // 4,
    )
    shell.holds_retries = False
    shell.retry()
    assert shell.core.count_children().active == 1_800


class _Large:
    """An argument that can be seen to be freed."""


def test_no_arguments_of_a_temporary_child_are_kept_while_it_runs_and_no_spec_after_it():
    """37"""
    shell = PlayingShell(dynamic=True).start()
    argument = _Large()
    freed = weakref.ref(argument)
    shell.start_child(worker("a", args=(argument,), restart=Restart.TEMPORARY))
    shell.living["a"].spec = None  # the pretended process has used it
    del argument
    gc.collect()
    assert freed() is None
    assert shell.core.get_childspec("a").args == ()
    shell.exits("a")
    assert shell.core.get_childspec("a") is ApiError.NOT_FOUND
    assert shell.core.which_children() == ()


def test_the_arguments_of_a_permanent_child_are_kept():
    shell = PlayingShell([worker("a", args=(1,))]).start()
    shell.exits("a")
    assert shell.living["a"].spec.args == (1,)


def stuck(strategy, **options):
    """A supervisor whose child "b" fails to come back, caught between two attempts."""
    shell = PlayingShell(workers("abc"), strategy=strategy, intensity=1_000, **options).start()
    shell.broken["b"] = 500
    shell.holds_retries = True
    shell.exits("b")
    for _ in range(3):
        shell.retry()
    assert shell.retries == 1
    return shell


@STRATEGIES
def test_while_a_child_is_stuck_restarting_calls_see_that(strategy):
    """45"""
    shell = stuck(strategy)
    assert error_of(shell.start_child(worker("b"))) is ApiError.ALREADY_PRESENT
    assert error_of(shell.restart_child("b")) is ApiError.RESTARTING
    assert error_of(shell.delete_child("b")) is ApiError.RESTARTING
    assert shell.status("b") == "restarting"


@STRATEGIES
def test_terminate_child_ends_the_attempts_to_restart_it(strategy):
    """45"""
    shell = stuck(strategy)
    assert error_of(shell.terminate_child("b")) is None
    shell.logged()
    shell.retry()
    assert shell.logged() == []
    assert shell.status("b") == "stopped"
    shell.broken.clear()
    assert error_of(shell.restart_child("b")) is None
    assert shell.status("b") == "running"


@STRATEGIES
def test_a_supervisor_whose_child_is_stuck_restarting_can_be_stopped(strategy):
    """45"""
    shell = stuck(strategy)
    shell.stop()
    assert shell.end == Stopped()
    shell.retry()
    assert not shell.living


def test_a_call_for_a_child_that_is_being_stopped_waits_until_it_is_gone():
    shell = PlayingShell(workers("a")).start()
    shell.stubborn = {"a"}
    first = shell.terminate_child("a")
    second = shell.restart_child("a")
    assert first == second == []
    shell.clock.advance(5)
    assert error_of(first) is None
    assert value_of(second) == shell.incarnation("a")


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_calls_during_a_group_restart_wait_and_are_carried_out_in_their_order(strategy):
    shell = PlayingShell(workers("abc"), strategy=strategy).start()
    shell.slow = {"b"}
    shell.exits("a")
    answers = [shell.terminate_child("c"), shell.delete_child("c"), shell.start_child(worker("c"))]
    assert answers == [[], [], []]
    shell.comes_up("b")
    assert [error_of(answer) for answer in answers] == [None, None, None]
    assert set(shell.living) == {"a", "b", "c"}


def test_a_child_is_reported_forgotten_when_its_spec_is_gone_and_not_before():
    shell = PlayingShell([worker("a"), worker("b", restart=Restart.TEMPORARY), worker("c")]).start()
    shell.exits("a")
    shell.terminate_child("c")
    assert shell.forgotten == []
    shell.exits("b")
    shell.delete_child("c")
    shell.broken["d"] = 1
    shell.start_child(worker("d"))
    assert shell.forgotten == ["b", "c", "d"]


def test_under_one_for_one_a_slow_start_holds_up_nobody_else():
    shell = PlayingShell(workers("abc")).start()
    shell.slow = {"a"}
    shell.exits("a")
    shell.exits("b")
    assert shell.status("a") == "starting"
    assert shell.status("b") == "running"
    assert error_of(shell.terminate_child("c")) is None


def test_a_child_that_is_started_twice_at_a_time_is_started_once():
    shell = PlayingShell(dynamic=True).start()
    shell.slow = {"a"}
    first, second = shell.start_child(worker("a")), shell.start_child(worker("a"))
    shell.comes_up("a")
    assert value_of(first) == shell.incarnation("a")
    assert error_of(second) is ApiError.ALREADY_STARTED


def test_ten_thousand_waiting_calls_are_answered_without_end_of_stack():
    shell = PlayingShell(workers("ab"), strategy=Strategy.ONE_FOR_ALL).start()
    shell.slow = {"b"}
    shell.exits("a")
    answers = [shell.terminate_child("nobody") for _ in range(5_000)]
    answers += [shell.restart_child("a") for _ in range(5_000)]
    shell.comes_up("b")
    assert {error_of(answer) for answer in answers} == {ApiError.NOT_FOUND, ApiError.RUNNING}


@STRATEGIES
def test_a_child_that_ends_without_a_word_while_it_is_stopped_is_stopped(strategy):
    """22"""
    shell = PlayingShell(workers("ab"), strategy=strategy, intensity=0, manual=True)
    shell.start()
    for child_id in "ab":
        shell.comes_up(child_id)
    answers = shell.terminate_child("b")
    shell.exits("b", UNANNOUNCED)
    assert error_of(answers) is None
    assert shell.status("b") == "stopped"
    assert shell.end is None


def test_a_child_that_dies_while_its_termination_waits_is_not_restarted():
    shell = PlayingShell(workers("a"), strategy=Strategy.REST_FOR_ONE).start()
    shell.slow.add("b")
    shell.start_child(worker("b"))
    answers = shell.terminate_child("a")
    shell.exits("a")
    shell.comes_up("b")
    assert error_of(answers) is None
    assert shell.status("a") == "stopped"
    assert list(shell.living) == ["b"]
