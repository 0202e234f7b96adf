"""Supervision on real processes. Numbers in docstrings: the list in docs/supervision.md."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from slither_actors.errors import ChildRefused, InvalidSpec, StartError
from slither_actors.otp import (
    Backoff,
    ChildSpec,
    ExitReason,
    Ref,
    Restart,
    Strategy,
    Supervisor,
    SupervisorHandle,
    SupervisorOptions,
)
from tests.system.family import Clinging, Deserter, Diarist, Greeter, Kin, Shop, Stepwise, Survivor, Unwilling
from tests.system.leaves import Leaf
from tests.system.trees import LIMIT_S, PATIENT, Tree, child, lines
from tests.system.waiting import eventually, wait_for_end

pytestmark = pytest.mark.system


class Branch:
    """A supervisor below the guests of a tree, and calls to it."""

    def __init__(self, tree: Tree, ref: Ref) -> None:
        self.tree = tree
        self.ref = ref
        self.api = SupervisorHandle(ref, lambda to, request, limit_s: tree.endpoint.call(ref.address, request, limit_s))

    def child(self, child_id: str) -> Ref:
        return self.tree.ref(f"{self.ref.name}/{child_id}")

    def pids(self) -> dict[str, int]:
        below = f"{self.ref.name}/"
        return {
            name.removeprefix(below): info.ref.pid
            for name, info in self.tree.processes().items()
            if name.startswith(below) and info.alive
        }

    def statuses(self) -> dict[str, str]:
        return {info.child_id: info.status.value for info in reversed(self.api.which_children())}

    def kill(self, child_id: str) -> None:
        os.kill(self.child(child_id).pid, signal.SIGKILL)


def branch(tree: Tree, *specs: ChildSpec, **options: Any) -> Branch:
    return Branch(
        tree, tree.start("branch", Supervisor, SupervisorOptions(**PATIENT | options), specs, type="supervisor")
    )


def guests(tree: Tree) -> SupervisorHandle:
    return Branch(tree, tree.ref("guests")).api


def own(name: str, cls: type, *args: Any, **options: Any) -> ChildSpec:
    return child(name, cls, *args, **{"restart": Restart.TEMPORARY} | options)


def ask(tree: Tree, ref: Ref, *request: Any) -> Any:
    return tree.endpoint.call(ref.address, request, LIMIT_S, ref.name)


# Start


def test_an_empty_supervisor_starts_and_stops_with_shutdown(tree: Tree) -> None:
    """1"""
    tree.subscribe("guests/")
    empty = branch(tree)

    guests(tree).terminate_child(empty.ref.name.rpartition("/")[2])

    assert tree.end_of(empty.ref).kind == "shutdown"


def test_a_supervisor_of_ones_own_makes_its_plan_in_its_own_process(tree: Tree) -> None:
    """25: what `init` of a child returns is passed through to its supervisor"""
    shop = Branch(tree, tree.start("shop", Shop, "open", 2, type="supervisor"))
    before = shop.pids()
    assert list(before) == ["clerk-0", "clerk-1"]
    assert tree.endpoint.call(shop.ref.address, "infos", LIMIT_S) == [{"pid": pid} for pid in before.values()]

    shop.kill("clerk-1")

    eventually(lambda: len(shop.pids().keys()) == 2 and not set(shop.pids().values()) & set(before.values()), "new")


def test_a_supervisor_that_says_ignore_is_no_failure(tree: Tree) -> None:
    """2"""
    assert guests(tree).start_child(own("closed", Shop, "ignore", type="supervisor")) is None
    assert "guests/closed" not in tree.processes()


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("rubbish", r"init of Shop: answer is 42; allowed: \(SupervisorOptions, "),
        ("half", "init of Shop: answer is "),
        ("twins", "'clerk-1'; allowed: one child per id"),
        ("raise", "Told: in init"),
    ],
)
def test_a_supervisor_whose_init_answers_rubbish_or_raises_does_not_start(tree: Tree, how: str, text: str) -> None:
    """7, 8"""
    with pytest.raises(StartError, match=text):
        guests(tree).start_child(own("shop", Shop, how, type="supervisor"))


def test_children_that_do_not_want_to_run_cost_nothing(tree: Tree, tmp_path: Path) -> None:
    """3, 4, 5"""
    flag = tmp_path / "flag"
    specs = child("a", Leaf), child("b", Unwilling), own("c", Unwilling), child("d", Unwilling, str(flag))
    some = branch(tree, *specs, intensity=0)
    assert some.statuses() == {"a": "running", "b": "stopped", "d": "running"}
    assert some.api.count_children().active == 2

    assert some.api.start_child(child("e", Unwilling)) is None
    assert some.api.start_child(own("f", Unwilling)) is None

    assert list(some.statuses()) == ["a", "b", "d", "e"]
    some.api.terminate_child("d")
    flag.touch()
    assert some.api.restart_child("d") is None
    flag.unlink()
    ref = some.api.restart_child("d")
    assert ref == some.child("d")


# Stop


def test_who_clings_is_killed_at_its_time_limit_and_who_is_to_be_killed_at_once_is(tree: Tree, diary: Path) -> None:
    """18, 19, 22"""
    tree.subscribe("guests/")
    some = branch(
        tree,
        child("polite", Leaf, str(diary)),
        child("clinging", Clinging, shutdown_s=0.2),
        child("at-once", Leaf, str(diary), shutdown_s=0),
        child("silent", Deserter),
    )
    ends = {name: some.child(name) for name in ("polite", "clinging", "at-once", "silent")}

    for name in ends:
        some.api.terminate_child(name)

    kinds = {name: str(tree.end_of(ref)) for name, ref in ends.items()}
    assert kinds == {
        "polite": "shutdown",
        "clinging": "killed: SIGKILL",
        "at-once": "killed: SIGKILL",
        "silent": "crash: exit code 0",
    }
    assert lines(diary) == ["terminate shutdown"]


def test_children_stop_in_reverse_start_order_whatever_their_ids_sort_like(tree: Tree, diary: Path) -> None:
    """20"""
    names = ["m", "z", "a", "k"]
    some = branch(tree, *(child(name, Diarist, str(diary)) for name in names), strategy=Strategy.REST_FOR_ONE)

    some.kill("z")
    eventually(lambda: lines(diary) == ["k", "a"] and len(some.pids()) == 4, "those behind it are back")
    guests(tree).terminate_child(some.ref.name.rpartition("/")[2])

    assert lines(diary) == ["k", "a", "k", "a", "z", "m"]


# Children of a template


def test_a_template_makes_children_that_are_met_by_their_ref(tree: Tree) -> None:
    """24"""
    some = branch(tree, child("hello", Greeter, "hello"), dynamic=True)
    ann, bob = some.api.start_child(("Ann",)), some.api.start_child(("Bob",))
    assert ann is not None
    assert bob is not None
    assert ask(tree, ann) == "hello Ann"
    assert tree.endpoint.call(bob.address, 1, LIMIT_S) == "hello Bob"
    assert some.statuses() == {"hello-1": "running", "hello-2": "running"}

    def refused(act: Any, *args: Any) -> str:
        with pytest.raises(ChildRefused) as caught:
            act(*args)
        return caught.value.why

    assert refused(some.api.terminate_child, "hello-1") == "simple_one_for_one"
    assert refused(some.api.start_child, child("x", Leaf)) == "simple_one_for_one"
    foreign = tree.start("foreign", Leaf)
    assert refused(some.api.terminate_child, foreign) == "not_found"
    assert refused(guests(tree).terminate_child, foreign) == "not_found"
    assert refused(guests(tree).start_child, ("x",)) == "invalid_child_spec"
    some.api.terminate_child(ann)
    some.api.terminate_child(ann)
    assert list(some.statuses()) == ["hello-2"]
    some.kill("hello-2")
    eventually(lambda: some.pids().get("hello-2") not in (None, bob.pid), "it is back")
    some.api.terminate_child(bob)
    assert tree.endpoint.call(some.child("hello-2").address, 1, LIMIT_S) == "hello Bob"


def test_many_children_come_and_go(tree: Tree) -> None:
    """57"""
    some = branch(tree, child("one", Leaf), dynamic=True)
    for _ in range(30):
        assert some.api.start_child(()) is not None
    assert some.api.count_children().active == 30
    pids = some.pids().values()

    guests(tree).terminate_child(some.ref.name.rpartition("/")[2])

    for pid in pids:
        wait_for_end(pid)


def test_one_id_under_two_supervisors_is_two_processes(tree: Tree) -> None:
    """16"""
    one, other = branch(tree, child("a", Leaf)), branch(tree, child("a", Leaf))
    assert one.child("a").pid != other.child("a").pid
    with pytest.raises(ChildRefused) as caught:
        one.api.start_child(child("a", Leaf))
    assert (caught.value.why, caught.value.running) == ("already_started", one.child("a"))


# Restarts


@pytest.mark.parametrize(
    ("strategy", "renewed"),
    [(Strategy.ONE_FOR_ONE, "b"), (Strategy.REST_FOR_ONE, "bc"), (Strategy.ONE_FOR_ALL, "abc")],
)
def test_each_strategy_renews_whom_it_says_and_no_one_else(tree: Tree, strategy: Strategy, renewed: str) -> None:
    """38, 39, 40"""
    some = branch(tree, *(child(name, Leaf) for name in "abc"), strategy=strategy)
    before = some.pids()

    some.kill("b")

    def up_again() -> dict[str, int] | None:
        now = some.pids()
        return now if now.keys() == before.keys() and now["b"] != before["b"] else None

    after = eventually(up_again, "all of them are up")
    assert after is not None
    assert {name for name in "abc" if after[name] != before[name]} == set(renewed)
    for name in renewed:
        wait_for_end(before[name])


def test_a_death_that_nobody_announced_brings_a_transient_child_back_and_a_normal_end_does_not(tree: Tree) -> None:
    """28, 34, 58"""
    some = branch(tree, child("a", Leaf, restart=Restart.TRANSIENT))
    first = some.child("a")
    tree.endpoint.post(first.address, _call("vanish", 0))
    eventually(lambda: some.pids().get("a") not in (None, first.pid), "it is back")

    assert ask(tree, some.child("a"), "stop", "normal", "done") == "stopping"

    eventually(lambda: some.statuses() == {"a": "stopped"}, "it stays down")


def _call(*request: Any) -> Any:
    from slither_actors._codec import encode
    from slither_actors.otp.messages import Call

    return Call(900_001, encode(request))


def test_a_branch_that_spends_its_budget_renews_its_sibling_and_additions_are_gone(tree: Tree) -> None:
    """47"""

    def below(name: str) -> ChildSpec:
        options = SupervisorOptions(intensity=1, period_s=60.0)
        return child(name, Supervisor, options, (child("leaf", Leaf),), type="supervisor")

    some = branch(tree, below("one"), below("two"), strategy=Strategy.ONE_FOR_ALL)
    Branch(tree, some.child("two")).api.start_child(child("added", Leaf))
    before = some.pids()
    assert before.keys() == {"one", "one/leaf", "two", "two/leaf", "two/added"}

    some.kill("one/leaf")
    eventually(lambda: some.pids().get("one/leaf") not in (None, before["one/leaf"]), "the worker is back")
    after = some.pids()
    assert {name for name in before if after[name] != before[name]} == {"one/leaf"}
    some.kill("one/leaf")

    eventually(lambda: some.pids().keys() == before.keys() - {"two/added"}, "both branches are back")
    assert not set(some.pids().values()) & set(after.values())


def test_a_child_with_backoff_comes_back_after_its_pause(tree: Tree) -> None:
    """61"""
    some = branch(tree, child("a", Leaf, backoff=Backoff(min_s=0.3, jitter=0.0)))
    first, before = some.child("a"), time.monotonic()

    some.kill("a")
    eventually(lambda: some.statuses() == {"a": "restarting"}, "it waits")
    eventually(lambda: some.pids().get("a") not in (None, first.pid), "it is back")

    assert time.monotonic() - before >= 0.3


def test_options_and_specs_change_while_it_runs(tree: Tree) -> None:
    """56"""
    some = branch(tree, child("a", Leaf), child("b", Leaf))
    before = some.pids()
    changed = SupervisorOptions(**PATIENT, strategy=Strategy.ONE_FOR_ALL, revive_stopped=False)

    some.api.change(changed, [child("b", Leaf, restart=Restart.TRANSIENT), child("c", Leaf)])

    assert some.pids() == before
    assert some.statuses() == {"a": "running", "b": "running", "c": "stopped"}
    assert some.api.get_childspec("b").restart is Restart.TRANSIENT
    with pytest.raises(InvalidSpec, match="dynamic"):
        some.api.change(SupervisorOptions(dynamic=True))
    some.kill("a")
    eventually(lambda: len(some.pids()) == 2 and not set(some.pids().values()) & set(before.values()), "both")


# Links


def linked(tree: Tree, cls: type, **options: Any) -> tuple[Ref, Ref]:
    one, other = tree.start("kin", cls, **options), tree.start("kin", Kin)
    tree.subscribe("guests/")
    ask(tree, one, "link", other)
    return one, other


def test_who_is_linked_with_a_process_that_is_killed_ends_too_whoever_asked_for_it(tree: Tree) -> None:
    for victim in (0, 1):
        pair = linked(tree, Kin)
        os.kill(pair[victim].pid, signal.SIGKILL)
        reason = tree.end_of(pair[1 - victim])
        assert (reason.kind, reason.text) == ("killed", f"linked with {pair[victim]}, which ended: killed: SIGKILL")


def test_a_normal_end_harms_nobody_who_is_linked(tree: Tree) -> None:
    one, other = linked(tree, Kin)
    ask(tree, other, "stop", "normal", "done")
    assert tree.end_of(other) == ExitReason("normal", "done")
    assert ask(tree, one, "echo", 1) == 1


def test_who_handles_exits_lives_on_and_hears_of_each_once(tree: Tree) -> None:
    one, other = linked(tree, Survivor)
    ask(tree, one, "link", other)
    ask(tree, one, "link", one)
    guests(tree).terminate_child(other.name.rpartition("/")[2])
    ask(tree, one, "link", other)
    ask(tree, one, "link", "guests/nobody")
    eventually(lambda: len(ask(tree, one, "seen")) == 3, "all are heard of")
    assert ask(tree, one, "seen") == [f"{other.name} shutdown", f"{other.name} unknown", "guests/nobody unknown"]


def test_a_link_that_was_ended_means_nothing_any_more(tree: Tree) -> None:
    one, other = linked(tree, Survivor)
    ask(tree, other, "unlink", one)
    os.kill(other.pid, signal.SIGKILL)
    tree.end_of(other)
    one, other = linked(tree, Survivor)
    assert "LinkEnded" not in ask(tree, one, "unlink_when_it_is_dead", other)
    assert ask(tree, one, "seen") == []


def test_a_supervisor_takes_no_notice_of_links(tree: Tree) -> None:
    some = branch(tree, child("a", Kin))
    one = tree.start("kin", Kin)
    ask(tree, one, "link", some.ref)
    os.kill(one.pid, signal.SIGKILL)
    assert some.statuses() == {"a": "running"}
    ask(tree, some.child("a"), "unlink", some.ref)
    some.api.terminate_child("a")


# Continuing


def test_what_a_server_continues_with_comes_before_all_that_has_arrived(tree: Tree) -> None:
    ref = tree.start("stepwise", Stepwise)
    assert ask(tree, ref, "seen") == ["set up", "and more", "at the end"]
    tree.endpoint.post(ref.address, _call("go_on", "later"))
    assert ask(tree, ref, "seen")[3:] == ["later"]


def test_what_handle_continue_raises_is_a_crash(tree: Tree) -> None:
    tree.subscribe("guests/")
    ref = tree.start("stepwise", Stepwise)
    ask(tree, ref, "go_on", "break")
    reason = tree.end_of(ref)
    assert reason.kind == "crash"
    assert "Told: on the way" in reason.text
