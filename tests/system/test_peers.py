"""Calls, casts and monitors between actors."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from slither_actors.errors import CallTimeout, InvalidOption, NoProcess, NotDecodable, NotPicklable
from slither_actors.otp import ExitReason, Ref
from slither_actors.otp.messages import CountChildren, LogLine, Shutdown
from tests.system.leaves import Leaf, Unreadable
from tests.system.peers import Add, Refused, Tally
from tests.system.trees import LIMIT_S, Tree, child, supervisor
from tests.system.waiting import eventually, wait_for_end

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def anna(shared: Tree) -> Ref:
    return shared.start("anna", Tally)


@pytest.fixture
def ben(tree: Tree) -> Ref:
    tree.subscribe("guests/")
    return tree.start("ben", Tally, 10)


def ask(tree: Tree, ref: Ref, request: Any, timeout_s: float = LIMIT_S) -> Any:
    return tree.endpoint.call(ref.address, request, timeout_s, ref.name)


def ends(tree: Tree, ref: Ref, count: int) -> list[tuple[str, str]]:
    """The ends that an actor has heard of, as soon as there are so many."""
    eventually(lambda: len(ask(tree, ref, "ends")) >= count, f"{count} ends are heard of")
    heard: list[tuple[str, str]] = ask(tree, ref, "ends")
    return heard


def test_an_actor_calls_another_by_name_by_ref_and_by_address(tree: Tree, anna: Ref, ben: Ref) -> None:
    for to in (ben.name, ben, ben.address):
        assert ask(tree, anna, ("call", to, "total")) == 10


def test_a_typed_error_of_the_callee_arrives_as_that_error(tree: Tree, anna: Ref, ben: Ref) -> None:
    with pytest.raises(Refused, match="not today"):
        ask(tree, anna, ("call", ben, "refuse"))


def test_what_was_cast_before_a_call_is_handled_before_it(tree: Tree, anna: Ref, ben: Ref) -> None:
    assert ask(tree, anna, ("cast and call", ben.name, 200)) == list(range(11, 211))


def test_what_arrives_during_a_call_is_handled_after_it_in_its_order(tree: Tree, ben: Ref) -> None:
    other = tree.start("other", Tally, 3)

    assert ask(tree, other, ("call while others talk", ben)) == (10, 3)
    assert ask(tree, other, "total") == 6


@pytest.mark.parametrize("to", ["guests/nobody", Ref("guests/nobody", 1, "/run/nobody", 1), "/run/nobody"])
def test_a_call_to_nobody_fails_at_once(tree: Tree, anna: Ref, to: Any) -> None:
    before = time.monotonic()
    with pytest.raises(NoProcess, match="nobody"):
        ask(tree, anna, ("call", to, "total", 60.0))
    assert time.monotonic() - before < LIMIT_S


def test_a_callee_that_is_killed_during_the_call_is_known_at_once(tree: Tree, anna: Ref, ben: Ref) -> None:
    killer = threading.Timer(0.1, os.kill, (ben.pid, signal.SIGKILL))
    killer.start()

    before = time.monotonic()
    with pytest.raises(NoProcess, match=ben.name):
        ask(tree, anna, ("call", ben, "sleep", 60.0))
    assert time.monotonic() - before < LIMIT_S
    killer.join()


def test_a_call_that_takes_too_long_says_so_and_its_answer_is_nobody_s(tree: Tree, anna: Ref) -> None:
    slow = tree.start("slow", Leaf)
    for number in range(3):
        with pytest.raises(CallTimeout, match=r"guests/slow\d+ did not answer within 0\.001 s"):
            ask(tree, anna, ("call", slow, ("echo_slowly", "late"), 0.001))
        assert ask(tree, anna, ("call", slow, ("echo", number))) == number
    assert not [line for line in tree.drain() if isinstance(line, LogLine) and "ignores" in line.text]


def test_a_time_limit_of_a_call_that_is_none_is_refused(tree: Tree, anna: Ref, ben: Ref) -> None:
    with pytest.raises(InvalidOption, match="call: timeout_s is None; allowed: a number of seconds, 0 or more"):
        ask(tree, anna, ("call", ben, "total", None))


@pytest.mark.parametrize("to", ["name", "address"])
def test_a_call_to_oneself_is_refused(tree: Tree, anna: Ref, to: str) -> None:
    with pytest.raises(InvalidOption, match="another process: this one cannot answer while it waits"):
        ask(tree, anna, ("call", getattr(anna, to), "total"))


@pytest.mark.parametrize("verb", ["call", "cast", "monitor"])
def test_something_that_means_no_process_is_refused(tree: Tree, anna: Ref, verb: str) -> None:
    with pytest.raises(InvalidOption, match="to is 42; allowed: a registered name"):
        ask(tree, anna, (verb, 42, "total")[: 2 if verb == "monitor" else 3])


def test_a_request_or_an_answer_that_cannot_travel_is_told_to_the_caller(tree: Tree, anna: Ref, ben: Ref) -> None:
    with pytest.raises(NotPicklable, match=r"the answer of guests/ben\d+ \(lock\)"):
        ask(tree, anna, ("call", ben, "unsendable"))
    with pytest.raises(NotDecodable, match=r"the request to guests/ben\d+ .*no such message class here"):
        ask(tree, ben, Unreadable())
    with pytest.raises(NotPicklable, match=r"the request to guests/ben\d+ \(lock\)"):
        ask(tree, ben, threading.Lock())


def test_a_cast_to_the_dead_is_no_error(tree: Tree, anna: Ref, ben: Ref) -> None:
    os.kill(ben.pid, signal.SIGKILL)
    wait_for_end(ben.pid)

    for to in (ben.name, ben, ben.address, "guests/nobody"):
        assert ask(tree, anna, ("cast", to, Add(1))) is None
    assert ask(tree, anna, "total") == 0


def test_a_cast_that_cannot_be_read_or_is_not_handled_is_logged_and_nobody_dies(tree: Tree, anna: Ref) -> None:
    ask(tree, anna, ("cast", anna, "nonsense"))
    assert tree.wait_for(LogLine, lambda line: "ignores a cast of str" in line.text)
    from slither_actors._codec import encode
    from slither_actors.otp.messages import Cast

    tree.endpoint.post(anna.address, Cast(encode(Unreadable())))
    assert tree.wait_for(LogLine, lambda line: "no such message class here" in line.text)
    assert ask(tree, anna, "total") == 0


def test_each_monitor_of_a_process_that_is_killed_is_called_once(tree: Tree, anna: Ref, ben: Ref) -> None:
    watcher = tree.start("watcher", Tally)
    for to in (ben.name, ben, ben.address):
        ask(tree, watcher, ("monitor", to))

    os.kill(ben.pid, signal.SIGKILL)

    assert ends(tree, watcher, 3) == [(ben.name, "killed: SIGKILL")] * 3
    other = tree.start("other", Tally)
    ask(tree, watcher, ("monitor", other))
    ask(tree, other, "leave")
    assert ends(tree, watcher, 4)[3:] == [(other.name, "normal: done")]


def test_a_monitor_of_the_dead_is_called_at_once(tree: Tree, ben: Ref) -> None:
    tree.endpoint.post(ben.address, Shutdown())
    tree.end_of(ben)
    watcher = tree.start("watcher", Tally)

    for to in (ben, "guests/never"):
        ask(tree, watcher, ("monitor", to))

    assert ends(tree, watcher, 2) == [
        (ben.name, "unknown: there is no such process"),
        ("guests/never", "unknown: there is no such process"),
    ]


def test_a_cancelled_monitor_is_never_called(tree: Tree, ben: Ref) -> None:
    watcher, other = tree.start("watcher", Tally), tree.start("other", Tally)
    ask(tree, watcher, ("monitor", ben))
    ask(tree, watcher, "cancel")
    ask(tree, watcher, ("monitor", other))

    for ref in (ben, other):
        os.kill(ref.pid, signal.SIGKILL)
        tree.end_of(ref)

    assert ends(tree, watcher, 1) == [(other.name, "killed: SIGKILL")]


def test_a_monitor_hears_of_the_end_of_a_whole_branch(make_tree: Any) -> None:
    tree = make_tree(supervisor("guests", dynamic=True), supervisor("sup", child("a", Tally)))
    watcher = tree.start("watcher", Tally)
    ask(tree, watcher, ("monitor", "sup/a"))

    os.kill(tree.ref("sup").pid, signal.SIGKILL)

    [(name, reason)] = ends(tree, watcher, 1)
    assert name == "sup/a"
    assert reason.startswith("killed")


def test_an_actor_that_was_made_by_hand_cannot_call() -> None:
    for use in (lambda: Tally().call("a", 1), lambda: Tally().cast("a", 1), lambda: Tally().monitor("a")):
        with pytest.raises(NoProcess, match="not running as an actor"):
            use()


def test_an_answer_of_a_supervisor_waits_until_the_registry_knows_what_it_tells(tree: Tree, ben: Ref) -> None:
    guests, registry = tree.ref("guests"), tree.ref("registry")
    os.kill(registry.pid, signal.SIGSTOP)
    try:
        with pytest.raises(CallTimeout):
            ask(tree, guests, CountChildren(), 0.2)
    finally:
        os.kill(registry.pid, signal.SIGCONT)
    assert ask(tree, guests, CountChildren()).specs > 0


def test_what_was_forgotten_by_its_supervisor_is_forgotten_by_the_registry(tree: Tree, ben: Ref) -> None:
    os.kill(ben.pid, signal.SIGKILL)
    assert tree.end_of(ben) == ExitReason("killed", "SIGKILL")

    eventually(lambda: ben.name not in tree.processes(), "it is forgotten")
