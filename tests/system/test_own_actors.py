"""Your own actors: under the name of their child spec, spoken to from the service, started and stopped by hand."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Any

import pytest

import slither_actors as slither
from slither_actors import (
    CallTimeout,
    ChildRefused,
    InvalidOption,
    NoProcess,
    NotPicklable,
    StartError,
    SystemDown,
)
from slither_actors.otp import ChildSpec, Restart, Supervisor, SupervisorOptions
from tests.helpers.patience import AT_ONCE_S
from tests.system.leaves import FailingInit
from tests.system.peers import Add, Refused, Tally
from tests.system.running import a_system, nothing_left_behind, processes
from tests.system.waiting import eventually

pytestmark = pytest.mark.system

INNER = (SupervisorOptions(dynamic=True),)


@pytest.fixture(scope="module")
def system(base):
    with nothing_left_behind(base):
        children = [
            ChildSpec("tally", Tally, (10,)),
            ChildSpec("inner", Supervisor, INNER, type="supervisor"),
        ]
        with a_system(pools={"default": 1}, children=children) as running:
            yield running


@pytest.fixture
def children(system):
    """The supervisor of one's own actors, with only those children that the others need."""
    handle = system.supervisor("children")
    yield handle
    for info in handle.which_children():
        if info.child_id not in ("tally", "inner"):
            with contextlib.suppress(ChildRefused):  # a temporary one is forgotten at once
                handle.terminate_child(info.child_id)
                handle.delete_child(info.child_id)


def why(act: Any, *args: Any) -> str:
    with pytest.raises(ChildRefused) as caught:
        act(*args)
    return caught.value.why


def test_the_service_calls_and_casts_by_name_by_ref_and_by_address(system):
    ref = system.whereis("children/tally")
    before = system.call("children/tally", "total")
    for number, to in enumerate(("children/tally", ref, ref.address), 1):
        system.cast(to, Add(1))
        assert system.call(to, "total") == before + number


def test_the_service_gets_the_errors_of_an_actor_as_they_are(system):
    with pytest.raises(Refused, match="not today"):
        system.call("children/tally", "refuse")
    with pytest.raises(NotPicklable, match=r"the request to children/tally \(lock\)"):
        system.call("children/tally", threading.Lock())
    with pytest.raises(InvalidOption, match="to is None"):
        system.call(None, "total")


def test_a_name_that_nobody_has_is_known_at_once(system):
    before = time.monotonic()
    with pytest.raises(NoProcess, match="children/nobody"):
        system.call("children/nobody", "total", 60.0)
    system.cast("children/nobody", Add(1))
    assert system.whereis("children/nobody") is None
    assert time.monotonic() - before < AT_ONCE_S


def test_an_actor_that_does_not_answer_is_a_timeout_with_its_name(system, children):
    ref = children.start_child(ChildSpec("slow", Tally, restart=Restart.TEMPORARY))
    with pytest.raises(CallTimeout, match=r"children/slow did not answer within 0\.1 s"):
        system.call(ref, "sleep", 0.1)
    os.kill(ref.pid, signal.SIGKILL)


def test_an_actor_that_is_killed_comes_back_under_its_name(system, children):
    first = children.start_child(ChildSpec("phoenix", Tally, (3,)))
    os.kill(first.pid, signal.SIGKILL)

    eventually(lambda: system.whereis("children/phoenix") not in (None, first), "it is back")

    assert system.call("children/phoenix", "total") == 3
    node = processes(system)["children/phoenix"]
    assert (node["restarts"], node["last_exit"]) == (1, "killed: SIGKILL")


def test_a_full_cycle_of_calls_to_a_supervisor(system, children):
    spec = ChildSpec("a", Tally, (7,), restart=Restart.TRANSIENT)
    before = children.count_children()

    first = children.start_child(spec)
    assert system.whereis("children/a") == first
    assert why(children.start_child, spec) == "already_started"
    assert why(children.restart_child, "a") == "running"
    assert why(children.delete_child, "a") == "running"
    newest = children.which_children()[0]
    assert (newest.child_id, newest.incarnation, newest.status.value) == ("a", first.incarnation, "running")
    counts = children.count_children()
    assert (counts.specs, counts.active, counts.workers) == (before.specs + 1, before.active + 1, before.workers + 1)
    kept = children.get_childspec("a")
    assert (kept.id, kept.args, kept.restart, kept.start.path) == ("a", (7,), spec.restart, "tests.system.peers:Tally")

    children.terminate_child("a")
    assert system.whereis("children/a") is None
    assert children.which_children()[0].status.value == "stopped"
    assert why(children.start_child, spec) == "already_present"
    second = children.restart_child("a")
    assert second != first
    assert system.call("children/a", "total") == 7

    children.terminate_child("a")
    children.delete_child("a")
    assert "a" not in [node["name"] for node in own(system)["children"]]
    for act in (children.restart_child, children.delete_child, children.terminate_child, children.get_childspec):
        assert why(act, "a") == "not_found"


def own(system: slither.System) -> dict[str, Any]:
    return next(node for node in system.topology()["children"] if node["name"] == "children")


def test_a_refusal_says_which_child_and_what_to_do(children):
    with pytest.raises(ChildRefused, match=r"child children/tally: running \(it runs: terminate_child stops it\)"):
        children.delete_child("tally")


def test_calls_of_supervisors_never_reach_the_handler_of_an_actor(system):
    tally = system.supervisor("children/tally")
    before = system.whereis("children/tally")
    for ask in (
        tally.which_children,
        lambda: tally.start_child(ChildSpec("a", Tally)),
        lambda: tally.delete_child("a"),
    ):
        with pytest.raises(slither.InvalidOption, match=r"supervisor: to is 'children/tally', which is no supervisor"):
            ask()
    assert system.whereis("children/tally") == before


@pytest.mark.parametrize("timeout_s", [None, "5", True, -1, float("nan"), float("inf")])
def test_a_time_limit_that_is_none_is_refused(system, timeout_s):
    for ask in (lambda: system.call("children/tally", "total", timeout_s), lambda: system.supervisor("x", timeout_s)):
        with pytest.raises(slither.InvalidOption, match=r"timeout_s is .*; allowed: a number of seconds, 0 or more"):
            ask()


def test_a_dynamic_supervisor_keeps_no_specs_and_takes_no_restarts(system):
    inner = system.supervisor("children/inner")
    ref = inner.start_child(ChildSpec("guest", Tally))
    assert why(inner.restart_child, "guest") == why(inner.delete_child, "guest") == "simple_one_for_one"

    inner.terminate_child("guest")

    assert why(inner.terminate_child, "guest") == "not_found"
    assert inner.which_children() == ()
    assert inner.count_children().specs == 0
    assert ref.name not in processes(system)


@pytest.mark.parametrize(
    ("args", "options", "text"),
    [
        (("raise",), {}, "Told: in init"),
        (("hang",), {"start_timeout_s": 0.3}, r"not up after 0\.3 s \(its start_timeout_s\)"),
    ],
)
def test_a_child_that_does_not_come_up_is_not_added(children, args, options, text):
    with pytest.raises(StartError, match=rf"children/bad did not start: [\s\S]*{text}"):
        children.start_child(ChildSpec("bad", FailingInit, args, **options))
    assert why(children.get_childspec, "bad") == "not_found"


def test_a_class_that_no_child_can_import_is_a_failed_start_and_harms_no_supervisor(system, children):
    before = system.whereis("children")
    for path, text in (("no_such_module:Actor", "there is no module"), ("nonsense", "a path has the form")):
        with pytest.raises(StartError, match=text):
            children.start_child(ChildSpec("bad", path))
    assert system.whereis("children") == before


@pytest.mark.parametrize(("act", "argument"), [("start_child", "tally"), ("terminate_child", ["a"])])
def test_what_is_no_spec_and_no_id_is_refused_before_it_leaves(children, act, argument):
    with pytest.raises(InvalidOption):
        getattr(children, act)(argument)


def test_a_stopped_pipe_and_its_stages_are_forgotten_whatever_ended_them(system):
    class Fragile(slither.Pipe):
        work = slither.local(lambda item: item)

    system.start_pipe(Fragile)
    name = next(name for name in processes(system) if name.endswith("/work"))
    os.kill(processes(system)[name]["pid"], signal.SIGKILL)
    eventually(lambda: processes(system).get(name, {}).get("restarts") == 1, "the stage is back")
    assert processes(system)[name]["last_exit"] == "killed: SIGKILL"

    system.stop_pipe(Fragile)

    pipes = next(node for node in system.topology()["children"] if node["name"] == "pipes")
    assert pipes["children"] == []


def test_a_stopped_system_says_so_to_all_calls(base):
    with nothing_left_behind(base), a_system(pools={"default": 1}) as system:
        system.stop()
        for use in (
            lambda: system.call("children/a", 1),
            lambda: system.cast("children/a", 1),
            lambda: system.whereis("children/a"),
            lambda: system.supervisor("children").which_children(),
        ):
            with pytest.raises(SystemDown, match="stopped"):
                use()


def test_a_request_that_nobody_handles_is_refused_by_name(system):
    with pytest.raises(InvalidOption) as caught:
        system.call("children/inner", Add(1))
    text = str(caught.value)
    assert text.startswith("call of children/inner: request is of type Add; allowed: what the handle_call of its class")
    assert "Supervisor" in text
