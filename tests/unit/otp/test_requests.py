"""Refusals of a supervisor in the words of its callers."""

from __future__ import annotations

from slither_actors.errors import ChildRefused
from slither_actors.otp._actions import Reply
from slither_actors.otp._requests import Request, Requests
from slither_actors.otp.server import Caller
from tests.unit.otp.playing_shell import PlayingShell, worker


def refusal(shell: PlayingShell) -> ChildRefused:
    requests = Requests(shell.core, "sup", lambda child_id, incarnation: None)
    caller = Caller("/run/me", 1)
    replies = shell.core.start_child(worker("b"), shell.clock.now, Request(caller, "b"))
    (reply,) = [action for action in replies if isinstance(action, Reply)]
    error = requests.reply(reply)[2]
    assert isinstance(error, ChildRefused)
    return error


def test_the_advice_to_who_adds_a_child_that_is_there_fits_what_that_is_doing() -> None:
    shell = PlayingShell([worker("a"), worker("b")], intensity=99).start()
    shell.terminate_child("b")
    stopped = refusal(shell)
    shell.restart_child("b")
    shell.broken["b"] = 500
    shell.holds_retries = True
    shell.exits("b")
    restarting = refusal(shell)

    assert (stopped.why, restarting.why) == ("already_present", "already_present")
    assert "restart_child starts it" in stopped.hint
    assert restarting.hint == "it is being restarted: terminate_child ends that"
