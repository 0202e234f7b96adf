"""Children that do not want to run. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pytest

from slither_actors.otp._actions import ApiError, Stopped
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import CRASH, PlayingShell, worker, workers

STRATEGIES = pytest.mark.parametrize("strategy", list(Strategy))
KEPT = pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TRANSIENT])


def ignoring(specs=(), which=(), **options):
    shell = PlayingShell(specs, **options)
    shell.ignoring.update(which)
    return shell.start()


@STRATEGIES
@KEPT
def test_a_child_that_does_not_want_to_run_keeps_its_place_without_a_process(strategy, restart):
    """3"""
    shell = ignoring([worker("a"), worker("b", restart=restart), worker("c")], "b", strategy=strategy, intensity=0)
    assert shell.logged("start", "kill") == ["start a", "start b", "start c"]
    assert shell.is_up
    assert shell.ids == ["a", "b", "c"]
    assert shell.status("b") == "stopped"
    counts = shell.core.count_children()
    assert (counts.specs, counts.active) == (3, 2)


def test_of_children_that_start_at_once_one_may_not_want_to_run():
    shell = ignoring(workers("abc"), "b", parallel_start=True)
    assert shell.is_up
    assert set(shell.living) == {"a", "c"}


def test_one_child_specs_and_no_process():
    """3"""
    counts = ignoring(workers("a"), "a").core.count_children()
    assert (counts.specs, counts.active) == (1, 0)


@STRATEGIES
def test_a_temporary_child_that_does_not_want_to_run_is_forgotten(strategy):
    """4"""
    shell = ignoring([worker("a"), worker("b", restart=Restart.TEMPORARY), worker("c")], "b", strategy=strategy)
    assert shell.ids == ["a", "c"]
    assert shell.forgotten == ["b"]
    assert shell.is_up


@STRATEGIES
def test_a_child_that_a_call_adds_and_that_does_not_want_to_run_is_kept_unless_it_is_temporary(strategy):
    """5"""
    shell = ignoring(workers("a"), "bc", strategy=strategy)
    (kept,) = shell.start_child(worker("b"))
    assert (kept.value, kept.error) == (None, None)
    (gone,) = shell.start_child(worker("c", restart=Restart.TEMPORARY))
    assert (gone.value, gone.error) == (None, None)
    assert shell.ids == ["a", "b"]
    assert shell.start_child(worker("b"))[0].error is ApiError.ALREADY_PRESENT
    (again,) = shell.restart_child("b")
    assert (again.value, again.error) == (None, None)
    shell.ignoring.clear()
    assert shell.restart_child("b")[0].value == shell.incarnation("b")


@pytest.mark.parametrize("restart", list(Restart))
def test_under_a_dynamic_supervisor_it_is_forgotten_and_the_supervisor_stops_without_error(restart):
    """6"""
    shell = ignoring([worker("t", restart=restart)], dynamic=True)
    shell.ignoring.add("t-1")
    (reply,) = shell.start_more("x")
    assert (reply.value, reply.error) == (None, None)
    assert shell.ids == []
    assert shell.start_more("y")[0].value == shell.incarnation("t-2")
    shell.stop()
    assert shell.end == Stopped()


def test_a_dynamic_child_that_does_not_want_to_be_restarted_is_forgotten():
    """46"""
    shell = ignoring([worker("t")], dynamic=True)
    shell.start_more()
    shell.ignoring.add("t-1")
    shell.exits("t-1")
    assert shell.ids == []
    assert shell.forgotten == ["t-1"]
    assert shell.restarted == []


def test_a_child_that_does_not_want_to_be_restarted_stays_down_and_costs_no_further_restart():
    shell = ignoring(workers("a"), intensity=1)
    shell.ignoring.add("a")
    shell.exits("a")
    assert shell.status("a") == "stopped"
    assert shell.retries == 0
    assert shell.end is None


def test_what_the_news_of_a_past_start_says_is_ignored():
    shell = ignoring(workers("a"))
    for child_id, incarnation in (("a", shell.incarnation("a")), ("a", 77), ("nobody", 1)):
        assert shell.core.child_ignored(child_id, incarnation, 0.0) == []
    shell.exits("a")
    assert shell.status("a") == "running", "it crashed, whatever was said after it was up"


def test_a_supervisor_that_stops_meanwhile_kills_a_child_that_is_leaving():
    shell = PlayingShell(workers("a"), manual=True).start()
    process = shell.living["a"]
    shell.core.child_ignored("a", process.incarnation, 0.0)
    shell.stop()
    assert shell.logged("kill") == ["kill a"]
    shell.exits("a", CRASH)
    assert shell.end == Stopped()


def test_a_later_start_that_fails_is_a_failure_though_the_child_had_not_wanted_to_run_before():
    shell = ignoring(workers("a"), "a")
    shell.ignoring.clear()
    shell.broken["a"] = 1
    assert shell.restart_child("a")[0].error is not None
    assert shell.restart_child("a")[0].value == shell.incarnation("a")


@pytest.mark.parametrize("how", ["stopped by hand", "ended normally", "did not want to run", "could not be restarted"])
def test_a_group_restart_leaves_out_who_is_not_wanted_if_the_supervisor_is_told_so(how):
    from tests.unit.otp.playing_shell import NORMAL

    specs = [worker("a"), worker("b", restart=Restart.TRANSIENT), worker("c")]
    shell = ignoring(
        specs,
        "b" if how == "did not want to run" else "",
        strategy=Strategy.ONE_FOR_ALL,
        revive_stopped=False,
        intensity=9,
    )
    if how in ("stopped by hand", "could not be restarted"):
        shell.terminate_child("b")
    elif how == "ended normally":
        shell.exits("b", NORMAL)
    if how == "could not be restarted":
        shell.broken["b"] = 1
        shell.restart_child("b")
    shell.ignoring.clear()
    shell.broken["c"] = 1  # so the group is stopped and started twice
    shell.exits("a")
    assert set(shell.living) == {"a", "c"}
    shell.restart_child("b")
    shell.exits("a")
    assert set(shell.living) == {"a", "b", "c"}
