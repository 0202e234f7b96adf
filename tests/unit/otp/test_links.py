"""Who shares whose fate, as the registry's directory keeps it."""

from __future__ import annotations

import pytest

from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import Down, LinkEnded
from slither_actors.otp.ref import Ref
from slither_actors.otp.registry import Directory

CRASH = ExitReason("crash", "ValueError: boom")


def ref(name: str, incarnation: int = 1) -> Ref:
    return Ref(name, incarnation, f"/run/{name}.{incarnation}", 1000 + incarnation)


def directory_of(*names: str) -> Directory:
    directory = Directory(lambda address: address == "/run/unheard-of")
    for name in names:
        directory.up(ref(name), "worker")
    return directory


def told(directory: Directory, name: str) -> dict[str, tuple[Ref, ExitReason]]:
    """Who hears that one is dead, and of what."""
    news = directory.down(Down(ref(name), CRASH))
    return {who: (end.ref, end.reason) for who, end in news if isinstance(end, LinkEnded)}


@pytest.mark.parametrize("to", ["b", ref("b"), ref("b").address])
@pytest.mark.parametrize("dead", ["a", "b"])
def test_each_of_two_hears_of_the_end_of_the_other_once(to: str | Ref, dead: str) -> None:
    directory = directory_of("a", "b", "c")
    for _ in range(2):
        assert directory.link(ref("a").address, to) == []
    other = {"a": "b", "b": "a"}[dead]
    assert told(directory, dead) == {ref(other).address: (ref(dead), CRASH)}
    assert told(directory, other) == {}


def test_whoever_is_linked_with_several_ends_each_link() -> None:
    directory = directory_of("a", "b", "c")
    for name in "bc":
        directory.link(ref("a").address, name)
    assert told(directory, "a").keys() == {ref("b").address, ref("c").address}


@pytest.mark.parametrize("to", ["nobody", ref("nobody"), "/run/nobody.1", "b"])
def test_a_link_with_the_dead_ends_at_once(to: str | Ref) -> None:
    directory = directory_of("a", "b")
    directory.down(Down(ref("b"), CRASH))
    [(who, end)] = directory.link(ref("a").address, to)
    assert isinstance(end, LinkEnded)
    assert (who, end.reason.kind) == (ref("a").address, "unknown")
    assert told(directory, "a") == {}


def test_a_link_with_one_who_lives_but_is_not_entered_yet_waits_for_the_end() -> None:
    directory = directory_of("a")
    unheard = Ref("late", 1, "/run/unheard-of", 7)
    assert directory.link(ref("a").address, unheard.address) == []
    directory.up(unheard, "worker")
    [(who, end)] = directory.down(Down(unheard, CRASH))
    assert isinstance(end, LinkEnded)
    assert who == ref("a").address


def test_a_link_with_oneself_is_none() -> None:
    directory = directory_of("a")
    assert directory.link(ref("a").address, "a") == []
    assert told(directory, "a") == {}


@pytest.mark.parametrize("who_ends_it", ["a", "b"])
def test_a_link_that_either_has_ended_is_none(who_ends_it: str) -> None:
    directory = directory_of("a", "b", "c")
    directory.link(ref("a").address, "b")
    directory.link(ref("a").address, "c")
    other = {"a": "b", "b": "a"}[who_ends_it]
    assert directory.unlink(ref(who_ends_it).address, other) == ref(other).address
    assert told(directory, "b") == {}
    assert told(directory, "a").keys() == {ref("c").address}


def test_ending_a_link_that_never_was_does_no_harm() -> None:
    directory = directory_of("a", "b")
    assert directory.unlink(ref("a").address, ref("b")) == ref("b").address
    assert told(directory, "b") == {}


def test_a_link_ends_when_the_supervisor_above_dies() -> None:
    directory = directory_of("a", "sup", "sup/b", "sup/c")
    directory.link(ref("a").address, "sup/b")
    directory.link(ref("sup/b").address, "sup/c")
    news = directory.down(Down(ref("sup"), CRASH))
    assert (ref("a").address, ref("sup/b")) in [(who, end.ref) for who, end in news if isinstance(end, LinkEnded)]


def test_the_next_incarnation_is_linked_with_nobody() -> None:
    directory = directory_of("a", "b")
    directory.link(ref("a").address, "b")
    told(directory, "b")
    directory.up(ref("b", 2), "worker")
    assert directory.down(Down(ref("b", 2), CRASH)) == []
