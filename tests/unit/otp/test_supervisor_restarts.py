"""Restarts by a supervisor's core. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pytest

from slither_actors.otp._actions import Cause, GiveUp, Restarted
from slither_actors.otp.child import ChildSpec, ExitReason, Restart, Strategy, SupervisorOptions
from tests.unit.otp.playing_shell import (
    BROKEN,
    CRASH,
    KILLED,
    NORMAL,
    SHUTDOWN,
    UNANNOUNCED,
    PlayingShell,
    Tree,
    worker,
    workers,
)

STRATEGIES = pytest.mark.parametrize("strategy", list(Strategy))
GROUP_STRATEGIES = pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
RESTARTS = pytest.mark.parametrize("restart", list(Restart))


def after_exit(restart, reason):
    """What has become of a child after one exit: "new process", "kept stopped" or "forgotten"."""
    shell = PlayingShell([worker("a", restart=restart)], intensity=1).start()
    first = shell.incarnation("a")
    shell.exits("a", reason)
    if "a" in shell.living:
        assert shell.incarnation("a") > first
        return "new process"
    return "kept stopped" if "a" in shell.ids else "forgotten"


@RESTARTS
def test_after_a_normal_exit_only_a_permanent_child_comes_back(restart):
    """27-29"""
    expected = {"PERMANENT": "new process", "TRANSIENT": "kept stopped", "TEMPORARY": "forgotten"}
    assert after_exit(restart, NORMAL) == expected[restart.name]


@RESTARTS
@pytest.mark.parametrize("reason", [SHUTDOWN, ExitReason("shutdown", "for maintenance")])
def test_after_a_shutdown_exit_only_a_permanent_child_comes_back(restart, reason):
    """30-32"""
    expected = {"PERMANENT": "new process", "TRANSIENT": "kept stopped", "TEMPORARY": "forgotten"}
    assert after_exit(restart, reason) == expected[restart.name]


@RESTARTS
@pytest.mark.parametrize("reason", [CRASH, KILLED])
def test_after_an_abnormal_exit_all_but_a_temporary_child_come_back(restart, reason):
    """33-35"""
    expected = {"PERMANENT": "new process", "TRANSIENT": "new process", "TEMPORARY": "forgotten"}
    assert after_exit(restart, reason) == expected[restart.name]


def test_an_exit_without_announcement_is_abnormal():
    """58"""
    assert after_exit(Restart.TRANSIENT, UNANNOUNCED) == "new process"


@GROUP_STRATEGIES
def test_a_temporary_sibling_hit_by_a_group_restart_is_stopped_and_forgotten(strategy):
    """36"""
    shell = PlayingShell([worker("a"), worker("t", restart=Restart.TEMPORARY), worker("b")], strategy=strategy).start()
    shell.logged()
    shell.exits("a")
    assert shell.logged("stop", "start") == ["stop b", "stop t", "start a", "start b"]
    assert shell.ids == ["a", "b"]
    assert shell.end is None


@GROUP_STRATEGIES
def test_a_group_restart_also_starts_children_that_had_ended_normally_or_were_stopped_by_a_call(strategy):
    specs = [worker("a"), worker("done", restart=Restart.TRANSIENT), worker("called")]
    shell = PlayingShell(specs, strategy=strategy).start()
    shell.exits("done", NORMAL)
    shell.terminate_child("called")
    assert set(shell.living) == {"a"}
    shell.exits("a")
    assert set(shell.living) == {"a", "done", "called"}


def test_one_for_one_gives_only_the_failed_child_a_new_process_and_ends_beyond_the_intensity():
    """38"""
    shell = PlayingShell(workers("abc"), intensity=2).start()
    before = shell.incarnations()
    shell.exits("b")
    shell.exits("b")
    after = shell.incarnations()
    assert after["b"] > before["b"]
    assert {**after, "b": 0} == {**before, "b": 0}
    shell.logged()
    shell.exits("b", KILLED)
    assert shell.logged() == ["exit b", "stop c", "exit c", "stop a", "exit a"]
    assert isinstance(shell.end, GiveUp)


def test_one_for_all_gives_every_child_a_new_process_and_none_of_the_old_lives_on():
    """39"""
    shell = PlayingShell(workers("abc"), strategy=Strategy.ONE_FOR_ALL).start()
    before = shell.incarnations()
    shell.logged()
    shell.exits("b")
    assert shell.logged("stop", "start") == ["stop c", "stop a", "start a", "start b", "start c"]
    assert min(shell.incarnations().values()) > max(before.values())


def test_rest_for_one_keeps_the_earlier_children_and_renews_the_later():
    """40"""
    shell = PlayingShell(workers("abcd"), strategy=Strategy.REST_FOR_ONE).start()
    before = shell.incarnations()
    shell.exits("b")
    after = shell.incarnations()
    assert after["a"] == before["a"]
    assert min(after[child_id] for child_id in "bcd") > max(before.values())


@STRATEGIES
def test_crashes_spaced_wider_than_the_period_never_exhaust_the_budget(strategy):
    """41"""
    shell = PlayingShell(workers("ab"), strategy=strategy, intensity=1, period_s=5).start()
    for _ in range(50):
        shell.exits("b")
        shell.clock.advance(5.01)
    assert shell.end is None


def test_the_far_edge_of_the_period_still_counts():
    shell = PlayingShell(workers("a"), intensity=1, period_s=5).start()
    shell.exits("a")
    shell.clock.advance(5)
    shell.exits("a")
    assert isinstance(shell.end, GiveUp)


def test_intensity_zero_gives_up_at_the_first_crash_but_not_at_an_exit_that_needs_no_restart():
    shell = PlayingShell([worker("a"), worker("t", restart=Restart.TEMPORARY)], intensity=0).start()
    shell.exits("t")
    assert shell.end is None
    shell.exits("a")
    assert isinstance(shell.end, GiveUp)


def test_the_budget_is_one_for_all_children_and_the_causes_are_told_oldest_first():
    shell = PlayingShell(workers("abc"), intensity=2, period_s=10).start()
    shell.exits("c", NORMAL)
    shell.clock.advance(11)
    shell.exits("a", CRASH)
    shell.exits("b", NORMAL)
    shell.exits("c", KILLED)
    assert shell.end == GiveUp(
        ExitReason("shutdown", "more than 2 restarts within 10 s"),
        (Cause("a", CRASH), Cause("b", NORMAL), Cause("c", KILLED)),
    )


@STRATEGIES
def test_a_death_that_is_charged_elsewhere_is_restarted_but_not_out_of_the_budget(strategy):
    shell = PlayingShell(workers("ab"), strategy=strategy, intensity=0).start()
    for _ in range(100):
        shell.exits("a", KILLED, charge=False)
    assert set(shell.living) == {"a", "b"}
    shell.exits("a", KILLED)
    assert isinstance(shell.end, GiveUp)


@STRATEGIES
def test_a_child_that_fails_to_come_back_escalates_and_its_siblings_are_stopped(strategy):
    """42"""
    shell = PlayingShell(workers("abc"), strategy=strategy, intensity=3).start()
    shell.broken["b"] = 1_000
    shell.exits("b")
    assert isinstance(shell.end, GiveUp)
    assert shell.end.causes == (Cause("b", CRASH), *[Cause("b", BROKEN)] * 3)
    assert shell.broken["b"] == 1_000 - 3  # every attempt was charged


def test_of_several_failed_attempts_each_is_charged_for_its_own_reason():
    shell = PlayingShell(workers("a"), intensity=2).start()
    shell.slow = {"a"}
    shell.exits("a")
    shell.cannot_start("a")
    shell.exits("a", KILLED)
    assert shell.end.causes == (Cause("a", CRASH), Cause("a", BROKEN), Cause("a", KILLED))


def test_one_for_all_stops_what_it_has_restarted_and_retries_the_group_when_a_later_child_fails_to_start():
    """43"""
    shell = PlayingShell(workers("abc"), strategy=Strategy.ONE_FOR_ALL).start()
    shell.broken["b"] = 1
    shell.logged()
    shell.exits("a")
    assert shell.logged("stop", "start") == [
        *("stop c", "stop b", "start a", "start b"),
        *("stop a", "start a", "start b", "start c"),
    ]


def test_rest_for_one_keeps_what_it_has_restarted_and_retries_from_the_child_that_failed_to_start():
    """44"""
    shell = PlayingShell(workers("abcd"), strategy=Strategy.REST_FOR_ONE).start()
    shell.broken["c"] = 1
    shell.logged()
    shell.exits("b")
    assert shell.logged("stop", "start") == [
        *("stop d", "stop c", "start b", "start c"),
        *("start c", "start d"),
    ]


@STRATEGIES
def test_after_a_failed_restart_the_core_asks_once_to_be_called_again(strategy):
    shell = PlayingShell(workers("ab"), strategy=strategy).start()
    shell.holds_retries = True
    shell.broken["a"] = 1
    shell.exits("a")
    assert (shell.retries, shell.status("a")) == (1, "restarting")
    shell.retry()
    assert (shell.retries, shell.status("a")) == (0, "running")
    shell.retry()
    assert set(shell.living) == {"a", "b"}


def test_several_children_that_fail_to_come_back_are_retried_together():
    shell = PlayingShell(workers("abc"), intensity=10).start()
    shell.holds_retries = True
    shell.broken.update(a=1, b=1)
    shell.exits("a")
    shell.exits("b")
    assert shell.retries == 1
    shell.retry()
    assert set(shell.living) == {"a", "b", "c"}


def test_a_child_that_another_retry_has_started_is_not_retried_again():
    shell = PlayingShell(workers("abc"), strategy=Strategy.REST_FOR_ONE, intensity=10).start()
    shell.holds_retries = True
    shell.broken["b"] = 1
    shell.exits("b")
    shell.restart_child("c")
    shell.broken["c"] = 1
    shell.exits("c")
    assert [shell.status(child_id) for child_id in "bc"] == ["restarting", "restarting"]
    shell.logged()
    shell.retry()
    assert shell.logged("start") == ["start b", "start c"]


@GROUP_STRATEGIES
def test_deaths_of_members_during_a_group_restart_cost_no_further_restart(strategy):
    shell = PlayingShell(workers("abc"), strategy=strategy, intensity=1).start()
    shell.stubborn = {"c"}
    shell.exits("a")
    shell.exits("b")
    shell.stubborn.clear()
    shell.exits("c")
    assert set(shell.living) == {"a", "b", "c"}
    assert shell.end is None


@GROUP_STRATEGIES
def test_a_member_that_dies_after_its_own_restart_is_restarted_again_when_the_group_is_up(strategy):
    shell = PlayingShell(workers("abc"), strategy=strategy, intensity=2).start()
    shell.slow = shell.stubborn = {"c"}
    shell.exits("a")
    shell.exits("b", NORMAL)  # a bystander: the restart of the group replaces it anyhow
    shell.exits("c")
    shell.exits("b", KILLED)
    assert shell.status("b") == "exited"
    shell.slow = shell.stubborn = set()
    shell.comes_up("c")
    assert set(shell.living) == {"a", "b", "c"}
    assert [report.cause for report in shell.restarted if report.child_id == "b"] == [CRASH, KILLED]


def test_a_dynamic_worker_that_ends_by_itself_after_a_restart_is_forgotten():
    """46"""
    shell = PlayingShell(dynamic=True).start()
    shell.start_child(worker("a", restart=Restart.TRANSIENT))
    shell.exits("a", CRASH)
    assert shell.ids == ["a"]
    shell.exits("a", NORMAL)
    assert shell.ids == []
    shell.stop()
    assert shell.end is not None


def test_each_restarted_child_is_reported_with_its_old_incarnation_and_the_cause():
    shell = PlayingShell(workers("abc"), strategy=Strategy.REST_FOR_ONE).start()
    old = shell.incarnations()
    shell.exits("b", KILLED)
    assert shell.restarted == [Restarted("b", old["b"], KILLED), Restarted("c", old["c"], KILLED)]


def branch(branch_id, *, intensity, **options):
    """A supervisor of one worker, as a child."""
    tree = Tree(SupervisorOptions(intensity=intensity), (worker("w"),))
    return ChildSpec(branch_id, tree, type="supervisor", **options)


def two_branches():
    """A one_for_all parent of two supervisors, each with one worker and a budget of one restart."""
    return PlayingShell(
        [branch("left", intensity=1), branch("right", intensity=1)], strategy=Strategy.ONE_FOR_ALL
    ).start()


def test_in_a_tree_a_crash_of_a_worker_restarts_only_that_worker():
    """47"""
    top = two_branches()
    branches = top.incarnations()
    left, right = top.living["left"].below, top.living["right"].below
    untouched = right.incarnations()
    left.exits("w")
    assert left.incarnation("w") == 2
    assert top.incarnations() == branches
    assert right.incarnations() == untouched


def test_in_a_tree_a_branch_whose_budget_is_spent_restarts_both_and_dynamic_additions_are_gone():
    """47"""
    top = two_branches()
    branches = top.incarnations()
    left, right = top.living["left"].below, top.living["right"].below
    right.start_child(worker("added"))
    left.exits("w")
    left.exits("w")
    assert isinstance(left.end, GiveUp)
    assert not left.living
    assert not right.living
    assert min(top.incarnations().values()) > max(branches.values())
    assert top.living["right"].below.ids == ["w"]
    assert top.end is None


def test_in_a_tree_a_killed_supervisor_in_the_middle_comes_back_with_fresh_workers_and_no_doubles():
    """48"""
    top = two_branches()
    left = top.living["left"].below
    top.exits("left", KILLED)
    assert left.is_dead
    assert not left.living
    assert top.living["left"].below.ids == ["w"]
    assert set(top.living) == {"left", "right"}


def test_in_a_tree_a_branch_that_gives_up_for_good_takes_the_parent_with_it():
    top = two_branches()
    while top.end is None:
        top.living["left"].below.exits("w")
    assert isinstance(top.end, GiveUp)
    assert [cause.child_id for cause in top.end.causes] == ["left"] * 4
    assert not top.living


def test_a_transient_supervisor_that_gives_up_stays_down():
    top = PlayingShell([branch("sub", intensity=0, restart=Restart.TRANSIENT)]).start()
    top.living["sub"].below.exits("w")
    assert top.ids == ["sub"]
    assert not top.living
    assert top.end is None


@GROUP_STRATEGIES
def test_whoever_is_stopped_with_a_child_that_ended_is_told_of_that_exit(strategy):
    shell = PlayingShell(workers("abc"), strategy=strategy, intensity=1).start()
    shell.exits("a")
    assert shell.stopped_for == [("c", Cause("a", CRASH)), ("b", Cause("a", CRASH))]


def test_those_that_a_supervisor_stops_when_it_gives_up_are_told_of_the_exit_that_was_too_many():
    shell = PlayingShell(workers("ab"), intensity=1).start()
    shell.exits("b", KILLED)
    shell.exits("b", CRASH)
    assert shell.stopped_for == [("a", Cause("b", CRASH))]


def test_those_that_are_stopped_on_demand_are_told_of_no_exit():
    shell = PlayingShell(workers("ab")).start()
    shell.stop()
    assert shell.stopped_for == [("b", None), ("a", None)]
