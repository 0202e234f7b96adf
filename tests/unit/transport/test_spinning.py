"""Spinning goes on while it pays, and costs next to nothing where it does not."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest

from slither_actors.transport import spinning as spinning_module
from slither_actors.transport.spinning import Spinning
from tests.unit.transport.hubs import MakeHub, inbox_of


class Peer:
    """Answers at the given look, and counts them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.looks = 0

    def look(self, timeout: int) -> list[int]:
        assert timeout == 0, "who looks does not sleep"
        self.looks += 1
        return [self.looks] if self.looks == self.at else []


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})


def limit(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(spinning_module, "SPIN_S", seconds)


def test_what_comes_within_its_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 60.0)
    peer = Peer(at=1000)
    assert Spinning(peer.look).found() == [1000]


def test_what_comes_later_is_left_to_who_sleeps() -> None:
    peer = Peer(at=10**9)
    assert not Spinning(peer.look).found()
    assert peer.looks > 1


def test_each_time_in_vain_doubles_how_often_it_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, -1.0)
    peer = Peer(at=0)
    spinning = Spinning(peer.look)
    tried = []
    for wait in range(400):
        before = peer.looks
        spinning.found()
        if peer.looks > before:
            tried.append(wait)
    skipped = [later - sooner - 1 for sooner, later in itertools.pairwise(tried)]
    assert skipped == [1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64]


def test_what_paid_once_is_tried_each_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, -1.0)
    answers: list[Any] = [[], [], [1], [2], []]
    looks: list[int] = []
    spinning = Spinning(lambda timeout: looks.append(timeout) or answers.pop(0))
    found = [spinning.found() for _ in range(9)]
    # in vain; one skipped; in vain; two skipped; it pays, twice; in vain; one skipped as at the beginning
    assert found == [[], None, [], None, None, [1], [2], [], None]


def test_on_a_single_processor_it_is_never_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    peer = Peer(at=1)
    spinning = Spinning(peer.look)
    assert [spinning.found() for _ in range(100)] == [None] * 100
    assert not peer.looks


def test_a_hub_that_spins_hears_what_any_hub_hears(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 60.0)
    here, there = make_hub(), make_hub()
    here.wait = Spinning(here.wait).wait
    for number in range(3):
        there.send(here.address, number)
        while len(here.inbox) <= number:
            here.poll(None)
    assert inbox_of(here) == [0, 1, 2]
    here.wake()
    here.poll(None)


def test_a_hub_that_spins_keeps_its_limits(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, -1.0)
    here = make_hub()
    here.wait = Spinning(here.wait).wait
    here.poll(0.001)
    limit(monkeypatch, 600.0)
    here.poll(0)
    here.poll(0)
    assert not here.inbox
