"""The registry without its actor: names, deaths, subscribers."""

from __future__ import annotations

import pytest

from slither_actors.errors import NoProcess
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import Down, Up, WatchEnded
from slither_actors.otp.ref import Ref
from slither_actors.otp.registry import Directory

CRASH = ExitReason("crash", "boom")
NORMAL = ExitReason("normal")


def ref(name: str, incarnation: int = 1) -> Ref:
    return Ref(name, incarnation, f"/run/{name}.{incarnation}", 100 + incarnation)


def facts(news: list[tuple[str, Up | Down | WatchEnded]]) -> list[tuple[str, str, str]]:
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


@pytest.mark.parametrize("reason", [NORMAL, CRASH])
def test_a_dead_process_is_kept_until_its_supervisor_has_forgotten_it(reason: ExitReason) -> None:
    directory = Directory()
    directory.up(ref("a"), "worker")
    directory.up(ref("ab"), "worker")

    directory.down(Down(ref("a"), reason))
    assert [(info.alive, info.last_exit) for info in directory.processes()] == [(False, reason), (True, None)]

    assert directory.forget("a") == []
    assert [info.ref for info in directory.processes()] == [ref("ab")]
    assert directory.forget("never") == []


def test_with_a_supervisor_all_below_it_is_forgotten_and_who_still_lived_is_told_dead() -> None:
    directory = Directory()
    directory.subscribe("/run/me", "")
    for name in ("sup", "sup/a", "sup/b"):
        directory.up(ref(name), "worker")
    directory.down(Down(ref("sup/a"), CRASH))

    assert facts(directory.forget("sup")) == [("/run/me", "Down", "sup/b#1")]
    assert directory.processes() == ()


def test_a_supervisor_that_is_up_again_has_nothing_dead_below_it() -> None:
    directory = Directory()
    for name in ("sup", "sup/a", "sup/dynamic", "other"):
        directory.up(ref(name), "worker")
    directory.down(Down(ref("other"), CRASH))
    directory.down(Down(ref("sup"), CRASH))
    directory.up(ref("sup/a", 2), "worker")
    assert [info.alive for info in directory.processes()] == [False, True, False, False]

    directory.up(ref("sup", 2), "supervisor")

    assert {info.ref.name: info.restarts for info in directory.processes()} == {"sup": 1, "sup/a": 1, "other": 0}


def test_every_watch_ends_once_with_the_reason() -> None:
    directory = Directory()
    directory.up(ref("a"), "worker")
    by = {1: "a", 2: ref("a"), 3: ref("a").address}
    for number, to in by.items():
        assert directory.watch("/run/me", number, to) == []
    directory.watch("/run/you", 1, "a")

    news = directory.down(Down(ref("a"), CRASH))

    assert [(who, end.number, end.ref, end.reason) for who, end in news if isinstance(end, WatchEnded)] == [
        ("/run/me", 1, ref("a"), CRASH),
        ("/run/me", 2, ref("a"), CRASH),
        ("/run/me", 3, ref("a"), CRASH),
        ("/run/you", 1, ref("a"), CRASH),
    ]
    directory.up(ref("a", 2), "worker")
    assert directory.down(Down(ref("a", 2), CRASH)) == []


def test_a_watch_that_was_given_up_and_those_of_the_dead_never_end() -> None:
    directory = Directory()
    for name in ("a", "b"):
        directory.up(ref(name), "worker")
    directory.watch("/run/me", 1, "a")
    directory.watch(ref("b").address, 1, "a")

    directory.unwatch("/run/me", 1)
    directory.unwatch("/run/me", 7)
    directory.down(Down(ref("b"), CRASH))

    assert directory.down(Down(ref("a"), CRASH)) == []


def test_a_watch_ends_when_the_supervisor_above_dies() -> None:
    directory = Directory()
    for name in ("sup", "sup/a"):
        directory.up(ref(name), "worker")
    directory.watch("/run/me", 1, "sup/a")

    [(who, end)] = directory.down(Down(ref("sup"), CRASH))

    assert isinstance(end, WatchEnded)
    assert (who, end.ref, end.reason.kind) == ("/run/me", ref("sup/a"), "killed")


@pytest.mark.parametrize("to", ["a", "never", ref("a"), ref("a", 2), ref("a").address, "/run/nobody"])
def test_a_watch_over_the_dead_ends_at_once(to: str | Ref) -> None:
    directory = Directory(lambda address: False)
    directory.up(ref("a"), "worker")
    directory.down(Down(ref("a"), CRASH))

    [(who, end)] = directory.watch("/run/me", 5, to)

    assert isinstance(end, WatchEnded)
    assert (who, end.number, end.reason.kind) == ("/run/me", 5, "unknown")
    if isinstance(to, Ref):
        assert end.ref == to


def test_a_watch_over_one_who_lives_but_is_not_entered_yet_waits_for_the_end() -> None:
    directory = Directory(lambda address: address == ref("a").address)
    assert directory.watch("/run/me", 5, ref("a")) == []
    directory.up(ref("a"), "worker")

    [(who, end)] = directory.down(Down(ref("a"), CRASH))

    assert isinstance(end, WatchEnded)
    assert (who, end.number) == ("/run/me", 5)


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

    assert facts(directory.subscribe("/run/me", "pool/")) == [("/run/me", "Up", "pool/1#1")]


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


def test_a_death_is_known_still_when_the_name_is_another_ones_or_nobodys() -> None:
    directory = Directory()
    for name in ("sup", "sup/a", "sup/b"):
        directory.up(ref(name), "worker")
    assert directory.end_of(ref("sup/a")) == (False, None, None)
    directory.down(Down(ref("sup/a"), CRASH, "finding"))
    directory.forget("sup")
    directory.up(ref("sup", 2), "supervisor")
    directory.up(ref("sup/a", 2), "worker")

    assert directory.end_of(ref("sup/a")) == (True, CRASH, "finding")
    assert directory.end_of(ref("sup/b")) == (True, ExitReason("killed", "its supervisor sup died"), None)
    assert directory.end_of(ref("sup/a", 2)) == (False, None, None)
    assert directory.end_of(ref("never")) == (True, None, None), "a registry that was restarted knows no more"


def test_only_the_newest_deaths_are_remembered() -> None:
    directory = Directory()
    for incarnation in range(300):
        directory.up(ref("a", incarnation), "worker")
        directory.down(Down(ref("a", incarnation), CRASH))

    assert directory.end_of(ref("a", 0)) == (True, None, None)
    assert directory.end_of(ref("a", 299 - 255)) == (True, CRASH, None)
