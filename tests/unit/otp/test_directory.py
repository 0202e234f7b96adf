"""The registry without its actor: names, deaths, subscribers."""

from __future__ import annotations

import pytest

from slither_actors.errors import NoProcess
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import Down, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.registry import Directory

CRASH = ExitReason("crash", "boom")
NORMAL = ExitReason("normal")


def ref(name: str, incarnation: int = 1) -> Ref:
    return Ref(name, incarnation, f"/run/{name}.{incarnation}", 100 + incarnation)


def facts(news: list[tuple[str, Up]] | list[tuple[str, Down]]) -> list[tuple[str, str, str]]:
    return [(address, type(message).__name__, str(message.ref)) for address, message in news]


def test_a_name_leads_to_the_newest_incarnation() -> None:
    directory = Directory()
    directory.up(ref("a"), "worker")
    directory.down(Down(ref("a"), CRASH))
    directory.up(ref("a", 2), "worker")

    assert directory.where_is("a") == ref("a", 2)
    [info] = directory.processes()
    assert (info.restarts, info.last_exit, info.alive, info.kind) == (1, CRASH, True, "worker")


def test_a_name_that_never_was_or_is_down_leads_nowhere() -> None:
    directory = Directory()
    directory.up(ref("a"), "worker")
    directory.down(Down(ref("a"), CRASH))

    for name in ("a", "b"):
        with pytest.raises(NoProcess, match=repr(name)):
            directory.where_is(name)
    assert [info.alive for info in directory.processes()] == [False]


def test_a_process_that_was_done_is_forgotten() -> None:
    directory = Directory()
    directory.up(ref("a"), "worker")

    directory.down(Down(ref("a"), NORMAL))

    assert directory.processes() == ()


def test_a_late_death_does_not_touch_the_next_incarnation() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "")
    directory.up(ref("a"), "worker")
    directory.up(ref("a", 2), "worker")

    assert directory.down(Down(ref("a"), CRASH)) == []
    assert directory.where_is("a") == ref("a", 2)


def test_a_death_is_told_once() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "")
    directory.up(ref("a"), "worker")

    assert facts(directory.down(Down(ref("a"), CRASH))) == [("/run/me", "Down", "a#1")]
    assert directory.down(Down(ref("a"), CRASH)) == []


def test_subscribers_hear_of_their_names_only() -> None:
    directory = Directory()
    directory.subscribe("/run/all", "")
    directory.subscribe("/run/pool", "pool/")

    assert facts(directory.up(ref("pool/1"), "worker")) == [
        ("/run/all", "Up", "pool/1#1"),
        ("/run/pool", "Up", "pool/1#1"),
    ]
    assert facts(directory.up(ref("store"), "worker")) == [("/run/all", "Up", "store#1")]


def test_a_subscriber_begins_with_those_that_run() -> None:
    directory = Directory()
    directory.up(ref("pool/1"), "worker")
    directory.up(ref("pool/2"), "worker")
    directory.down(Down(ref("pool/2"), CRASH))
    directory.up(ref("store"), "worker")

    assert [str(news.ref) for news in directory.subscribe("/run/me", "pool/")] == ["pool/1#1"]


def test_a_second_subscription_does_not_end_the_first() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "pool/")
    directory.subscribe("/run/me", "store")

    assert len(directory.up(ref("pool/1"), "worker")) == 1
    assert len(directory.up(ref("store"), "worker")) == 1


def test_a_dead_subscriber_is_told_nothing() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "")
    directory.unsubscribe("/run/me")
    directory.unsubscribe("/run/never")

    assert directory.up(ref("a"), "worker") == []


def test_the_death_of_a_supervisor_is_that_of_all_below_it() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "")
    for name, kind in (("sup", "supervisor"), ("sup/a", "worker"), ("sup/b/c", "worker"), ("super", "worker")):
        directory.up(ref(name), kind)

    news = directory.down(Down(ref("sup"), ExitReason("killed", "SIGKILL")))

    assert {str(message.ref) for _, message in news} == {"sup#1", "sup/a#1", "sup/b/c#1"}
    assert [info.ref.name for info in directory.processes() if info.alive] == ["super"]


def test_what_was_found_out_about_a_death_is_passed_on() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "")
    directory.up(ref("a"), "worker")

    [(_, news)] = directory.down(Down(ref("a"), CRASH, "finding"))

    assert (news.reason, news.finding) == (CRASH, "finding")
