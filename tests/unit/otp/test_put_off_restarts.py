"""Restarts that are not charged, at once or after a pause, as whoever is asked says."""

from slither_actors.otp._actions import GiveUp
from tests.unit.otp.playing_shell import CRASH, PlayingShell, workers


def a_shell(*pauses, **options):
    """The pauses are those of the deaths to come."""
    left = list(pauses)
    return PlayingShell(workers("ab"), pause_s=lambda *death: left.pop(0), **options).start()


def test_a_death_without_a_pause_is_restarted_at_once_and_spends_nothing():
    shell = a_shell(0.0, 0.0, 0.0, intensity=0)
    for _ in range(3):
        shell.exits("a")
        assert "a" in shell.living
    assert shell.end is None


def test_a_death_with_a_pause_is_restarted_after_it_and_others_live_on():
    shell = a_shell(5.0, intensity=0)
    shell.exits("a")
    shell.clock.advance(4.9)
    assert set(shell.living) == {"b"}
    assert shell.core.which_children()[-1].incarnation is None
    shell.clock.advance(0.2)
    assert set(shell.living) == {"a", "b"}
    assert shell.end is None


def test_a_retry_of_another_child_does_not_shorten_a_pause():
    shell = a_shell(5.0, 0.0, 0.0, intensity=0)
    shell.exits("a")
    shell.broken["b"] = 1
    shell.exits("b")
    shell.retry()
    assert set(shell.living) == {"b"}


def test_a_start_that_fails_after_the_pause_is_asked_about_again():
    shell = a_shell(5.0, 7.0, intensity=0)
    shell.broken["a"] = 1
    shell.exits("a")
    shell.clock.advance(5.0)
    shell.retry()
    assert set(shell.living) == {"b"}
    shell.clock.advance(6.9)
    assert set(shell.living) == {"b"}
    shell.clock.advance(0.2)
    assert set(shell.living) == {"a", "b"}


def test_a_child_whose_restart_is_put_off_can_be_terminated_and_stays_down():
    shell = a_shell(5.0)
    shell.exits("a")
    shell.terminate_child("a")
    shell.clock.advance(6.0)
    assert set(shell.living) == {"b"}


def test_a_supervisor_that_stops_meanwhile_restarts_nothing():
    shell = a_shell(5.0)
    shell.exits("a")
    shell.stop()
    shell.clock.advance(6.0)
    assert not shell.living


def test_where_nobody_says_so_a_death_is_charged():
    shell = a_shell(None, None, intensity=1)
    shell.exits("a", CRASH)
    shell.exits("a", CRASH)
    assert isinstance(shell.end, GiveUp)


def test_a_death_that_is_charged_elsewhere_is_not_asked_about():
    shell = a_shell(intensity=0)
    shell.exits("a", charge=False)
    assert "a" in shell.living
