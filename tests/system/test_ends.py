"""How starts that fail, and ends, are told."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slither_actors._codec import encode
from slither_actors.errors import NoProcess, SlitherError, StartError, SystemDown
from slither_actors.otp.child import Restart
from slither_actors.otp.messages import Call, Down, Shutdown, TreeDown, Up
from tests.system.leaves import FailingInit, Leaf
from tests.system.trees import LIMIT_S, Tree, child, lines, supervisor
from tests.system.waiting import eventually, living, wait_for_end

pytestmark = pytest.mark.system

MakeTree = Callable[..., Tree]


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        (("segfault",), "killed", r"SIGSEGV"),
        (("vanish", 3), "crash", r"exit code 3"),
        (("vanish", 0), "crash", r"exit code 0"),
        (("raise",), "crash", r"Traceback[\s\S]*Told: as you wish"),
        (("leave_by_sys_exit",), "crash", r"SystemExit: 4"),
    ],
)
def test_a_death_is_told_once_with_its_reason(
    tree: Tree, diary: Path, request_: tuple[Any, ...], kind: str, text: str
) -> None:
    tree.subscribe("guests/")
    ref = tree.start("dying", Leaf, str(diary))

    before = time.monotonic()
    with pytest.raises(NoProcess):
        tree.endpoint.call(ref.address, request_, LIMIT_S)
    assert time.monotonic() - before < LIMIT_S
    reason = tree.end_of(ref)

    assert reason.kind == kind
    assert re.search(text, reason.text)
    tree.call("sup/one", "echo", 1)  # a second report would have come before this answer
    assert not [message for message in tree.drain() if isinstance(message, Down) and message.ref == ref]
    assert not living({ref.pid})


@pytest.mark.parametrize("request_", ["raise", "leave_by_sys_exit"])
def test_a_handler_that_raises_runs_exactly_once_and_terminate_after_it(tree: Tree, diary: Path, request_: str) -> None:
    tree.subscribe("guests/")
    ref = tree.start("raising", Leaf, str(diary))

    with pytest.raises(NoProcess):
        tree.endpoint.call(ref.address, (request_,), LIMIT_S)
    tree.end_of(ref)

    assert lines(diary) == ["raise", "terminate crash"]


def test_a_refusal_is_an_answer_and_no_death(tree: Tree) -> None:
    with pytest.raises(SlitherError, match="not me"):
        tree.call("sup/one", "refuse")

    assert tree.call("sup/one", "echo", "alive") == "alive"


def test_an_end_of_ones_own_accord_is_told_with_its_reason(tree: Tree, diary: Path) -> None:
    tree.subscribe("guests/")
    ref = tree.start("leaving", Leaf, str(diary))

    assert tree.endpoint.call(ref.address, ("stop", "normal", "done"), LIMIT_S) == "stopping"

    reason = tree.end_of(ref)
    assert (reason.kind, reason.text) == ("normal", "done")
    assert lines(diary) == ["terminate normal"]
    eventually(lambda: ref.name not in tree.processes(), "it is forgotten")


def test_after_its_end_a_server_handles_nothing_that_had_arrived_before(tree: Tree, diary: Path) -> None:
    tree.subscribe("guests/")
    ref = tree.start("leaving", Leaf, str(diary))

    tree.endpoint.post(ref.address, Call(900_001, encode(("stop", "shutdown", ""))))
    for number in range(20):
        tree.endpoint.post(ref.address, Call(900_002 + number, encode(("raise",))))

    assert tree.end_of(ref).kind == "shutdown"
    assert lines(diary) == ["terminate shutdown"]


def test_a_shutdown_lets_a_process_clean_up(tree: Tree, diary: Path) -> None:
    tree.subscribe("guests/")
    ref = tree.start("asked", Leaf, str(diary))

    tree.endpoint.post(ref.address, Shutdown())

    assert tree.end_of(ref).kind == "shutdown"
    assert lines(diary) == ["terminate shutdown"]


def test_news_come_behind_what_the_dead_had_said(make_tree: MakeTree) -> None:
    tree = make_tree(supervisor("sup", child("one", Leaf)))
    tree.subscribe("")
    first = tree.ref("sup/one")
    assert tree.wait_for(Up, lambda message: message.ref == first)

    tree.endpoint.post(first.address, Call(900_000, encode(("stop", "crash", "on purpose"))))
    tree.wait_for(Down, lambda message: message.ref == first)
    second = tree.wait_for(Up, lambda message: message.ref.name == "sup/one").ref

    assert second.incarnation > first.incarnation
    assert second.pid != first.pid
    assert second.address != first.address
    info = tree.processes()["sup/one"]
    assert (info.ref, info.restarts, info.last_exit.kind) == (second, 1, "crash")  # type: ignore[union-attr]


def test_the_dead_leave_no_socket_behind(tree: Tree, diary: Path) -> None:
    tree.subscribe("guests/")
    for request in (("segfault",), ("stop", "normal", "")):
        ref = tree.start("passing", Leaf)
        tree.endpoint.post(ref.address, Call(900_000, encode(request)))
        tree.end_of(ref)
    for how in ("vanish", "segfault", "raise"):
        with pytest.raises(StartError):
            tree.start("stillborn", FailingInit, how, str(diary))

    pids = {str(info.ref.pid) for info in tree.processes().values()} | {str(os.getpid()), str(tree.host.pid)}

    def left() -> set[str]:
        return {path.name for path in tree.directory.iterdir() if path.name.partition(".")[0] not in pids}

    eventually(
        lambda: left() == {"admin", "cookie", "incidents", "incidents.unwritten", "lock"},
        f"sockets of the dead are gone: {left()}",
    )


@pytest.mark.parametrize(
    ("how", "options", "text"),
    [
        ("constructor", {}, r"Told: in the constructor"),
        ("raise", {}, r"Traceback[\s\S]*Told: in init"),
        ("sys_exit", {}, r"SystemExit: 7"),
        ("vanish", {}, r"exit code 5"),
        ("segfault", {}, r"SIGSEGV"),
        ("hang", {"start_timeout_s": 0.3}, r"not up after 0\.3 s"),
    ],
)
def test_a_failed_start_is_told_to_who_asked_and_happens_once(
    tree: Tree, diary: Path, how: str, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(StartError) as caught:
        tree.start("stillborn", FailingInit, how, str(diary), **options)

    assert re.search(text, str(caught.value))
    assert "guests/stillborn" in str(caught.value)
    assert lines(diary) == ([] if how == "constructor" else ["init"])
    guest = tree.start("alive", Leaf)  # the supervisor is none the worse
    assert tree.endpoint.call(guest.address, ("stop", "normal", ""), LIMIT_S) == "stopping"


def test_a_class_that_cannot_be_imported_is_a_failed_start(tree: Tree) -> None:
    import attrs

    from slither_actors._code import Code
    from slither_actors.otp.messages import StartChild

    spec = attrs.evolve(child("missing", Leaf, restart=Restart.TEMPORARY), start=Code.of("no_such_module:Leaf"))
    with pytest.raises(StartError, match="no module 'no_such_module'"):
        tree.endpoint.call(tree.ref("guests").address, StartChild(spec), LIMIT_S)


def test_a_tree_whose_child_does_not_come_up_says_which_and_why_and_is_gone(base: Path) -> None:
    from slither_actors.otp.messages import StartFailed
    from tests.system.conftest import unique_name

    tree = Tree(unique_name(), (supervisor("sup", child("bad", FailingInit, "raise")),))
    try:
        answer = tree.wait_for(StartFailed, lambda message: message.name == "")

        assert "sup/bad" in answer.error
        assert "Told: in init" in answer.error
        wait_for_end(tree.host.pid)
        assert not tree.directory.exists()
    finally:
        tree.end()


def test_a_spent_budget_ends_the_tree_with_its_causes(make_tree: MakeTree) -> None:
    tree = make_tree(supervisor("sup", child("one", Leaf), intensity=1), intensity=0)
    tree.subscribe("sup/one")
    for _ in range(2):
        ref = tree.wait_for(Up, lambda message: message.ref.name == "sup/one").ref
        tree.endpoint.post(ref.address, Call(900_000, encode(("vanish", 9))))

    causes = tree.wait_for(TreeDown).causes

    assert "sup" in causes[-1]
    assert "exit code 9" in "\n".join(causes)
    assert "(process " in causes[-1].splitlines()[-1]
    wait_for_end(tree.host.pid)
    tree.drain_until_down()
    with pytest.raises(SystemDown):
        tree.endpoint.receive(LIMIT_S)
    with pytest.raises(SystemDown):
        tree.call("sup/one", "echo", 1)
