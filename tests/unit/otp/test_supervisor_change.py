"""Options and specs that change at run time. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pytest

from slither_actors.errors import InvalidSpec
from slither_actors.otp._actions import ApiError, GiveUp
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import CRASH, NORMAL, PlayingShell, worker, workers

STRATEGIES = pytest.mark.parametrize("strategy", list(Strategy))


def ok(answers):
    (reply,) = answers
    assert reply.error is None


@STRATEGIES
def test_a_new_strategy_counts_from_the_next_crash(strategy):
    """56"""
    shell = PlayingShell(workers("abc"), intensity=9).start()
    ok(shell.change(strategy=strategy))
    before = shell.incarnations()
    shell.exits("b")
    renewed = {child for child, number in shell.incarnations().items() if number != before[child]}
    assert (
        renewed
        == {Strategy.ONE_FOR_ONE: set("b"), Strategy.ONE_FOR_ALL: set("abc"), Strategy.REST_FOR_ONE: set("bc")}[
            strategy
        ]
    )


def test_a_new_budget_counts_what_was_charged_before():
    """56"""
    shell = PlayingShell(workers("a"), intensity=9, period_s=5).start()
    for _ in range(3):
        shell.exits("a")
    ok(shell.change(intensity=3))
    shell.exits("a")
    assert isinstance(shell.end, GiveUp)


def test_a_new_period_counts():
    """56"""
    shell = PlayingShell(workers("a"), intensity=1, period_s=100).start()
    shell.exits("a")
    ok(shell.change(intensity=1, period_s=1.0))
    shell.clock.advance(2)
    shell.exits("a")
    assert shell.end is None


def test_a_known_child_runs_on_and_its_new_spec_counts_from_now():
    """56"""
    shell = PlayingShell(workers("ab")).start()
    before = shell.incarnations()
    ok(shell.change([worker("b", restart=Restart.TRANSIENT)]))
    assert shell.incarnations() == before
    assert shell.core.get_childspec("b").restart is Restart.TRANSIENT
    shell.exits("b", NORMAL)
    assert shell.status("b") == "stopped"


def test_a_new_child_is_added_behind_the_others_and_not_started_and_missing_ones_stay():
    """56"""
    shell = PlayingShell(workers("ab")).start()
    shell.logged()
    ok(shell.change([worker("c"), worker("a")]))
    assert shell.logged() == []
    assert shell.ids == ["a", "b", "c"]
    assert shell.status("c") == "stopped"
    ok(shell.restart_child("c"))
    assert "c" in shell.living


def test_a_new_child_is_started_with_its_group_unless_that_is_not_wanted():
    for revive in (True, False):
        shell = PlayingShell(workers("ab"), strategy=Strategy.ONE_FOR_ALL, revive_stopped=revive).start()
        ok(shell.change([worker("c")]))
        shell.exits("a")
        assert ("c" in shell.living) is revive


@pytest.mark.parametrize(
    ("options", "specs", "why"),
    [
        ({"dynamic": True}, [], "invalid_dynamic"),
        ({}, [worker("a"), worker("a")], "duplicate_child_name"),
        ({}, ["a"], "invalid_child_spec"),
    ],
)
def test_a_bad_change_leaves_all_as_it_was(options, specs, why):
    """56"""
    shell = PlayingShell(workers("ab"), intensity=1).start()
    with pytest.raises(InvalidSpec) as caught:
        shell.change(specs, **{"intensity": 9} | options)
    assert caught.value.why == why
    assert shell.ids == ["a", "b"]
    for _ in range(2):
        shell.exits("a")
    assert isinstance(shell.end, GiveUp)


def test_a_template_may_be_replaced_and_counts_for_the_next_child():
    """56"""
    shell = PlayingShell([worker("t")], dynamic=True).start()
    shell.start_more()
    ok(shell.change([worker("u", restart=Restart.TEMPORARY)]))
    (reply,) = shell.start_more()
    assert reply.child_id == "u-2"
    assert shell.core.get_childspec("u-2").restart is Restart.TEMPORARY
    assert shell.core.get_childspec("t-1").restart is Restart.PERMANENT
    with pytest.raises(InvalidSpec, match="one template"):
        shell.change(workers("xy"))
    ok(shell.change(intensity=0))
    assert shell.start_more()[0].child_id == "u-3"


def test_a_dynamic_supervisor_without_a_template_gets_none():
    shell = PlayingShell(dynamic=True).start()
    with pytest.raises(InvalidSpec, match="without a template"):
        shell.change(workers("t"))
    ok(shell.change(intensity=0))


def test_a_change_waits_until_nothing_is_under_way_and_what_comes_later_waits_for_it():
    """56"""
    shell = PlayingShell(workers("ab"), intensity=9).start()
    shell.slow.update("abc")
    shell.exits("a")
    waiting = shell.start_child(worker("a"))
    change = shell.change(strategy=Strategy.ONE_FOR_ALL)
    later = shell.start_child(worker("c"))
    shell.exits("b", CRASH)
    assert (waiting, change, later) == ([], [], [])
    assert "c" not in shell.living
    shell.comes_up("a")
    assert waiting[0].error is ApiError.ALREADY_STARTED
    ok(change)
    assert "c" in shell.living
    shell.comes_up("c")
    ok(later)
    shell.slow.clear()
    shell.comes_up("b") if "b" in shell.living and not shell.living["b"].is_up else None


def test_a_change_during_the_start_waits_for_its_end():
    shell = PlayingShell(workers("ab"))
    shell.slow.update("ab")
    shell.start()
    change = shell.change(strategy=Strategy.REST_FOR_ONE)
    shell.comes_up("a")
    assert change == []
    shell.comes_up("b")
    ok(change)


def test_several_changes_come_one_after_the_other():
    shell = PlayingShell(workers("a"), intensity=9)
    shell.slow.add("a")
    shell.start()
    changes = [shell.change(intensity=5), shell.change(intensity=0)]
    shell.comes_up("a")
    for change in changes:
        ok(change)
    shell.exits("a")
    assert isinstance(shell.end, GiveUp)


def test_a_change_that_waits_when_the_supervisor_ends_is_refused():
    shell = PlayingShell(workers("a"), intensity=0).start()
    shell.slow.add("b")
    shell.start_child(worker("b"))
    change = shell.change(intensity=5)
    shell.stop()
    assert change[0].error is ApiError.SHUTDOWN
    assert shell.change(intensity=5)[0].error is ApiError.SHUTDOWN


def test_in_a_dynamic_supervisor_known_children_run_on():
    shell = PlayingShell(dynamic=True).start()
    shell.start_child(worker("a"))
    before = shell.incarnations()
    ok(shell.change(intensity=7))
    assert shell.incarnations() == before
