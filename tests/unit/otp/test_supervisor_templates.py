"""Dynamic supervisors with a template. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pickle

import pytest

from slither_actors._codec import encode
from slither_actors.otp._actions import ApiError, Stopped
from slither_actors.otp.child import ChildSpec, Restart
from tests.unit.otp.playing_shell import KILLED, NORMAL, PlayingShell, worker


def dynamic(**options):
    return PlayingShell([worker("t", **options)], dynamic=True, intensity=99).start()


def started(shell, *args):
    (reply,) = shell.start_more(*args)
    assert reply.error is None
    return reply.child_id, reply.value


def test_each_child_has_the_template_s_arguments_and_then_its_own_and_an_id_that_is_used_once():
    shell = PlayingShell([ChildSpec("t", "start", ("common",))], dynamic=True).start()
    assert shell.living == {}
    assert started(shell, 1, 2) == ("t-1", shell.incarnation("t-1"))
    shell.terminate_child("t-1", shell.incarnation("t-1"))
    assert started(shell)[0] == "t-2"
    assert started(shell, 3)[0] == "t-3"
    assert [shell.living[one].spec.args.open("args") for one in ("t-2", "t-3")] == [("common",), ("common", 3)]


def test_arguments_may_have_travelled_and_travel_on_unread():
    template = pickle.loads(pickle.dumps(ChildSpec("t", dict, (1,))))
    shell = PlayingShell([template], dynamic=True).start()
    shell._feed(shell.core.start_more(encode((2, 3)), 0.0, []))
    spec = shell.living["t-1"].spec
    assert pickle.loads(pickle.dumps(spec)).args.open("args") == (1, 2, 3)
    assert spec.sealed().args is spec.args


def test_where_there_is_a_template_no_other_spec_is_taken_and_where_there_is_none_no_arguments_alone():
    assert dynamic().start_child(worker("x"))[0].error is ApiError.SIMPLE_ONE_FOR_ONE
    for shell in (PlayingShell(dynamic=True).start(), PlayingShell([worker("t")]).start()):
        assert shell.start_more("x")[0].error is ApiError.INVALID_CHILD_SPEC


def test_a_child_of_a_template_is_terminated_by_incarnation_and_not_by_id():
    """24"""
    shell = dynamic()
    child, first = started(shell)
    assert shell.terminate_child(child)[0].error is ApiError.SIMPLE_ONE_FOR_ONE
    assert shell.restart_child(child)[0].error is ApiError.SIMPLE_ONE_FOR_ONE
    assert shell.delete_child(child)[0].error is ApiError.SIMPLE_ONE_FOR_ONE
    shell.exits(child)
    assert shell.terminate_child(child, first)[0].error is None
    assert shell.incarnation(child) > first, "only the dead one was meant"
    assert shell.terminate_child(child, shell.incarnation(child))[0].error is None
    assert shell.ids == []
    assert shell.terminate_child(child, first)[0].error is None


def test_elsewhere_no_child_is_terminated_by_incarnation():
    """24"""
    for shell in (PlayingShell([worker("a")]).start(), PlayingShell(dynamic=True).start()):
        shell.start_child(worker("a"))
        assert shell.terminate_child("a", shell.incarnation("a"))[0].error is ApiError.NOT_FOUND
        assert "a" in shell.living


def test_a_child_that_cannot_come_back_is_given_up_by_its_last_incarnation():
    shell = dynamic()
    child, first = started(shell)
    shell.holds_retries = True
    shell.broken[child] = 1
    shell.exits(child)
    assert shell.status(child) == "restarting"
    assert shell.terminate_child(child, first)[0].error is None
    assert shell.ids == []


def test_a_child_of_a_template_that_does_not_come_up_is_forgotten():
    """9"""
    shell = dynamic()
    shell.broken["t-1"] = 1
    (reply,) = shell.start_more()
    assert (reply.child_id, reply.error.kind) == ("t-1", "start_failed")
    assert shell.ids == []


@pytest.mark.parametrize("restart", list(Restart))
def test_children_of_a_template_are_restarted_as_it_says(restart):
    shell = dynamic(restart=restart)
    child, _ = started(shell)
    shell.exits(child, KILLED)
    assert (child in shell.living) is (restart is not Restart.TEMPORARY)
    if child in shell.living:
        shell.exits(child, NORMAL)
        assert (child in shell.living) is (restart is Restart.PERMANENT)
        assert (child in shell.ids) is (restart is Restart.PERMANENT)


def test_children_of_a_template_stop_at_once_under_one_time_limit():
    """21"""
    shell = dynamic(shutdown_s=2.0)
    names = [started(shell)[0] for _ in range(5)]
    shell.stubborn.update(names)
    shell.stop()
    shell.clock.advance(1.9)
    assert shell.end is None
    shell.clock.advance(0.1)
    assert shell.end == Stopped()
