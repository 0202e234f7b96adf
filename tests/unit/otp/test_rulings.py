"""What becomes of a child that ended, and by which rule, as the core tells it for reports."""

import pytest

from slither_actors.otp import Backoff
from slither_actors.otp._rulings import Fate, Ruling
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import CRASH, NORMAL, PlayingShell, worker, workers


def test_a_restart_names_its_rule():
    shell = PlayingShell(workers("ab")).start()
    shell.exits("a")

    assert shell.rulings == [Ruling("a", 1, Fate.RESTARTED, "permanent, one_for_one")]


def test_a_death_that_is_charged_elsewhere_is_told_as_such():
    shell = PlayingShell(workers("a")).start()
    shell.exits("a", charge=False)

    (ruling,) = shell.rulings
    assert ruling.rule == "permanent, one_for_one; not counted as a restart"


@pytest.mark.parametrize(
    ("strategy", "together"),
    [(Strategy.ONE_FOR_ONE, ()), (Strategy.REST_FOR_ONE, ("c",)), (Strategy.ONE_FOR_ALL, ("c", "a"))],
)
def test_those_that_hang_together_with_the_dead_are_named_in_the_order_of_their_stop(strategy, together):
    shell = PlayingShell(workers("abc"), strategy=strategy).start()
    shell.exits("b")

    (ruling,) = shell.rulings
    assert (ruling.fate, ruling.together) == (Fate.RESTARTED, together)


def test_a_restart_that_is_one_too_many_is_told_with_the_budget():
    shell = PlayingShell(workers("a"), intensity=1, period_s=5).start()
    shell.exits("a")
    shell.exits("a")

    assert [ruling.fate for ruling in shell.rulings] == [Fate.RESTARTED, Fate.GAVE_UP]
    assert shell.rulings[-1].rule == "more than 1 restarts within 5 s"
    assert shell.rulings[-1].incarnation == 2


@pytest.mark.parametrize(("restart", "reason"), [(Restart.TEMPORARY, CRASH), (Restart.TRANSIENT, NORMAL)])
def test_one_that_does_not_come_back_is_told_with_its_restart_type(restart, reason):
    shell = PlayingShell([worker("a", restart=restart)]).start()
    shell.exits("a", reason)

    assert shell.rulings == [Ruling("a", 1, Fate.NOT_RESTARTED, restart.value)]


def test_a_pause_is_told_once_and_the_restart_behind_it_not_again():
    steady = Backoff(min_s=2.0, max_s=2.0, jitter=0.0)
    shell = PlayingShell([worker("a", backoff=steady)]).start()
    shell.exits("a")
    shell.clock.advance(2.0)

    assert "a" in shell.living
    assert shell.rulings == [
        Ruling("a", 1, Fate.RESTARTED_LATER, "permanent, one_for_one; its backoff: in 2 s"),
    ]


def test_a_quarantine_is_told_with_its_length():
    shell = PlayingShell(workers("a"), pause_s=lambda *death: 30.0).start()
    shell.exits("a")

    (ruling,) = shell.rulings
    assert (ruling.fate, ruling.rule) == (
        Fate.RESTARTED_LATER,
        "permanent, one_for_one; quarantine: in 30 s",
    )


def test_one_whose_turn_came_too_late_is_told_to_be_back_with_its_group():
    shell = PlayingShell(workers("abc"), strategy=Strategy.REST_FOR_ONE, intensity=99).start()
    shell.slow.add("c")
    shell.exits("c")  # which takes its time to come back, and holds up the others
    shell.exits("a")
    shell.exits("b")
    shell.slow.clear()
    shell.comes_up("c")

    assert sorted(shell.living) == ["a", "b", "c"]
    assert [(ruling.child_id, ruling.incarnation, ruling.rule) for ruling in shell.rulings] == [
        ("c", 3, "permanent, rest_for_one"),
        ("a", 1, "permanent, rest_for_one"),
        ("b", 2, "together with another child of its group"),
    ]


def test_each_death_of_a_running_child_is_ruled_about_once():
    shell = PlayingShell(workers("abc"), strategy=Strategy.REST_FOR_ONE, intensity=99).start()
    for child_id in "abcabcc":
        shell.exits(child_id)

    ruled = [(ruling.child_id, ruling.incarnation) for ruling in shell.rulings]
    assert [child_id for child_id, _ in ruled] == list("abcabcc")
    assert len(set(ruled)) == len(ruled)
