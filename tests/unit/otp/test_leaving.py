"""A server that is on its way out."""

import contextlib
import threading
import time

import pytest
from thespian.actors import ActorExitRequest, ChildActorExited

from slither_actors._codec import encode
from slither_actors.otp._life import Life
from slither_actors.otp._thespian import swallow
from slither_actors.otp.messages import Call
from slither_actors.otp.server import Server
from slither_actors.transport.hub import Undelivered
from slither_actors.transport.unix import _Failed
from tests.unit.transport.hubs import exit_code, fork


@pytest.mark.parametrize("message", [Call(1, encode("x")), Undelivered("/run/x/1", "x"), "anything"])
def test_it_hears_nothing_more_of_what_is_ours(message):
    assert swallow(message, "/run/x/2")


@pytest.mark.parametrize("message", [ActorExitRequest(), ChildActorExited(None), _Failed(None)])
def test_thespian_still_hears_what_it_waits_for(message):
    """Without the last one it waits for ever for a child that is dead already, and the stop takes its whole limit."""
    assert not swallow(message, "/run/x/2")
    assert not Server._receive(object.__new__(Server), message, "/run/x/2"), "nor is it lost before"


def test_a_process_that_wants_to_end_does_so_whatever_thespian_waits_for():
    def wait_for_ever():
        object.__new__(Life).end_for_sure(0.05)
        return time.sleep(60)

    assert exit_code(fork(wait_for_ever)) == 1


def test_a_process_without_memory_for_a_thread_ends_at_once(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    def end():
        with contextlib.suppress(RuntimeError):
            object.__new__(Life).end_for_sure()
        return "lives on"

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert exit_code(fork(end)) == 1
