"""Waiting for one peer alone, and what becomes of everything else meanwhile."""

from __future__ import annotations

import os
import threading
import time

from slither_actors.transport import awaiting as awaiting_module
from slither_actors.transport import spinning as spinning_module
from slither_actors.transport.awaiting import Awaiting
from tests.helpers.patience import PATIENCE_S
from tests.unit.transport.hubs import MakeHub, inbox_of, pump


def test_what_the_peer_sends_is_read(make_hub: MakeHub) -> None:
    here, there, other = make_hub(), make_hub(), make_hub()
    awaiting = Awaiting(here)
    there.send(here.address, "hello")
    other.send(here.address, "me too")
    pump(here, until=lambda: len(here.inbox) == 2)
    here.inbox.clear()

    for number in range(3):
        there.send(here.address, number)
        awaiting.receive(there.address)
    there.send(here.address, b"x" * 100_000)
    awaiting.receive(there.address)

    assert inbox_of(here) == [0, 1, 2, b"x" * 100_000]


def test_each_time_another_peer_may_be_meant(make_hub: MakeHub) -> None:
    here, there, other = make_hub(), make_hub(), make_hub()
    awaiting = Awaiting(here)
    for peer in (there, other):
        peer.send(here.address, "hello")
    pump(here, until=lambda: len(here.inbox) == 2)
    here.inbox.clear()

    for peer in (there, other, there):
        peer.send(here.address, peer.address)
        awaiting.receive(peer.address)

    assert inbox_of(here) == [there.address, other.address, there.address]


def test_a_peer_that_has_no_line_to_here_is_not_waited_for(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    awaiting = Awaiting(here)
    awaiting.receive(there.address)
    assert not here.inbox


def test_the_waiting_has_an_end(make_hub: MakeHub, monkeypatch) -> None:
    """So others are heard, and a deadline is kept."""
    monkeypatch.setattr(awaiting_module, "AWAIT_S", 0.01)
    here, there, other = make_hub(), make_hub(), make_hub()
    awaiting = Awaiting(here)
    there.send(here.address, "hello")
    pump(here, until=lambda: here.inbox)
    here.inbox.clear()

    awaiting.receive(there.address)
    assert not here.inbox

    other.send(here.address, "me too")
    pump(here, until=lambda: here.inbox)
    assert inbox_of(here) == ["me too"]


def test_the_end_of_the_peer_ends_the_waiting_and_is_told_as_ever(make_hub: MakeHub, monkeypatch) -> None:
    monkeypatch.setattr(awaiting_module, "AWAIT_S", 60.0)
    here, there = make_hub(), make_hub()
    awaiting = Awaiting(here)
    gone: list[str] = []
    here.on_hang_up = gone.append
    here.send(there.address, "hello")
    there.poll(1.0)
    there.send(here.address, "hello")
    pump(here, until=lambda: here.inbox)
    here.inbox.clear()

    began = time.monotonic()
    end = threading.Timer(0.01, there.close)
    end.start()
    awaiting.receive(there.address)
    end.join()
    assert time.monotonic() - began < 30.0
    pump(here, until=lambda: gone)
    assert gone == [there.address]
    awaiting.receive(there.address)


def test_an_answer_that_comes_at_once_is_looked_for(make_hub: MakeHub, monkeypatch) -> None:
    """Not slept for: that would be over before it comes."""
    monkeypatch.setattr(awaiting_module, "AWAIT_S", 0.001)
    monkeypatch.setattr(spinning_module, "SPIN_S", PATIENCE_S)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    here, there = make_hub(), make_hub()
    there.send(here.address, "hello")
    pump(here, until=lambda: here.inbox)
    here.inbox.clear()

    answer = threading.Timer(0.1, there.send, (here.address, "answer"))
    answer.start()
    Awaiting(here).receive(there.address)
    answer.join()
    assert inbox_of(here) == ["answer"]
