"""Deaths are explained: in the service, from another process, and in the error of a system that gave up."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import slither_actors as slither
from slither_actors import Incident, System
from slither_actors.otp import Caller, ChildSpec, Restart, Server, Supervisor, SupervisorOptions
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, kill, pid_of, restarted
from tests.system.waiting import eventually

pytestmark = pytest.mark.system

WORKER = "pools/default/workers/worker-1"
LIMIT_S = PATIENCE_S


class Crew(Server):
    """Crashes, leaves or hangs, as it is asked to."""

    def handle_call(self, request: Any, caller: Caller) -> Any:
        print("asked for", type(request).__name__, file=sys.stderr)
        return request.happen()


class Crash:
    """A kind of request."""

    def happen(self) -> None:
        raise KeyError("no such thing")


class Leave:
    """Another one."""

    def happen(self) -> None:
        os._exit(7)


def fall(payloads: list[int]) -> list[int]:
    """Die in the manner of a C library, with its words where those go."""
    os.write(2, b"library: heap is corrupt\n")
    if 13 in payloads:
        ctypes.string_at(0)
    return payloads


def hang(payloads: list[int]) -> list[int]:
    time.sleep(600)
    return payloads


@pytest.fixture(scope="module")
def system(tidy: None) -> Iterator[System]:
    troupe = (SupervisorOptions(intensity=0), (ChildSpec("crew", Crew),))
    children = [
        ChildSpec("crew", Crew),
        ChildSpec("guest", Crew, restart=Restart.TEMPORARY),
        ChildSpec("troupe", Supervisor, troupe, type="supervisor"),
    ]
    with a_system(pools={"default": 1}, children=children) as running:
        yield running


@pytest.fixture
def mishap(tidy: None) -> Iterator[System]:
    """A system that has had one, and whose processes may be stopped for as long as other programs look at them."""
    children = [ChildSpec("crew", Crew)]
    with a_system(pools={"default": 1}, children=children, config={"stopped_limit_s": None}) as running:
        restarted(running, WORKER, kill(running, WORKER))
        newest(running, WORKER, 0)
        yield running


def newest(system: System, name: str, before: int) -> Incident:
    """The first incident of a process behind those that were known before."""

    def look() -> Incident | None:
        return next((one for one in system.incidents()[before:] if one.name == name), None)

    found = eventually(look, f"the end of {name} is written down")
    assert found is not None
    return found


def slither_says(*argv: str) -> tuple[int, str, str]:
    command = [sys.executable, "-P", "-m", "slither_actors", *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_batch_that_kills_its_worker_is_told_with_its_items_and_last_words(system: System) -> None:
    before = len(system.incidents())
    items = [slither.Item(1000 + place, place) for place in (12, 13, 14)]
    with pytest.raises(slither.DispatchError) as caught:
        system.dispatch(items, fall, batch_size=3)

    # what is known of a death is written down before the run hears of it, and the error carries it
    incident = system.incidents()[before]
    assert caught.value.reason.__notes__ == [str(incident)]

    assert (incident.name, incident.kind, incident.exit) == (WORKER, "killed", "SIGSEGV")
    assert (incident.handling, incident.items, incident.item_count) == ("RunBatch", (1012, 1013, 1014), 3)
    assert incident.batch > 0
    assert incident.last_lines[-1] == "library: heap is corrupt"
    assert (incident.outcome, incident.rule) == ("restarted", "permanent, one_for_one; not counted as a restart")
    assert incident.peak_bytes > 5_000_000
    assert not incident.ordered


def test_what_the_system_killed_is_told_with_the_reason(system: System) -> None:
    before = len(system.incidents())
    with pytest.raises(slither.DispatchError):
        system.dispatch([1], hang, timeout_s=0.3)

    incident = newest(system, WORKER, before)

    assert incident.ordered
    assert incident.reason == "a batch took longer than 0.3 s"
    assert incident.exit == "SIGKILL"
    assert "sent the signal" not in incident.circumstances


def test_a_signal_from_outside_is_told_as_one_that_nobody_here_sent(system: System) -> None:
    before = len(system.incidents())
    old = kill(system, "pools/default/leases")
    incident = newest(system, "pools/default/leases", before)

    assert (incident.pid, incident.exit, incident.handling) == (old, "SIGKILL", "")
    if not incident.out_of_memory:  # some other process may have been killed for that just now
        assert "nothing in this system had sent the signal" in incident.circumstances
    assert incident.together == ("pools/default/dispatcher",)
    restarted(system, "pools/default/leases", old)


def test_a_crash_is_told_with_its_traceback_and_the_request_it_was_at(system: System) -> None:
    before = len(system.incidents())
    with pytest.raises(slither.NoProcess):
        system.call("children/crew", Crash(), timeout_s=LIMIT_S)

    incident = newest(system, "children/crew", before)

    assert (incident.kind, incident.handling) == ("crash", "Crash")
    assert incident.reason.startswith("Traceback")
    assert incident.summary == "crash: KeyError: 'no such thing'"
    assert incident.last_lines[0] == "asked for Crash"


def test_one_that_is_not_started_again_is_told_too(system: System) -> None:
    before = len(system.incidents())
    with pytest.raises(slither.NoProcess):
        system.call("children/guest", Leave(), timeout_s=LIMIT_S)

    incident = newest(system, "children/guest", before)

    assert (incident.exit, incident.outcome, incident.rule) == ("exit code 7", "not restarted", "temporary")


def test_another_process_sees_all_of_it_also_while_the_tree_hangs(mishap: System) -> None:
    system = mishap
    stopped = [pid_of(system, "pools/default/workers"), pid_of(system, "registry")]
    known = system.incidents()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        code, out, _ = slither_says("status", system.name, "--json")
        status = json.loads(out)
        assert code == 0
        assert (status["name"], status["service"]) == (system.name, os.getpid())
        assert status["pools"] == {"default": 1}
        assert status["states"]["stopped"] == 2
        assert status["incidents"] == len(known) == 1

        code, out, _ = slither_says("incidents", system.name, "--json")
        assert code == 0
        told = json.loads(out)
        assert told["total"] == len(known)
        assert [one["pid"] for one in told["incidents"]] == [one.pid for one in known]

        code, out, _ = slither_says("ps", "--json")
        (mine,) = [one for one in json.loads(out)["systems"] if one["name"] == system.name]
        by_name = {process["name"]: process for process in mine["processes"]}
        assert {"host", "admin", "root", "registry", WORKER, "children/crew"} <= by_name.keys()
        assert by_name["registry"]["state"] == "stopped"
        assert by_name[WORKER]["parent"] == by_name["pools/default/workers"]["pid"] == stopped[0]
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_name_that_nobody_has_is_told_with_those_that_run(system: System) -> None:
    code, out, err = slither_says("status", "nobody")

    assert (code, out) == (1, "")
    assert err.startswith("slither: SystemNotFound: no system called 'nobody' is running; running now: ")
    assert system.name in err


def test_a_budget_that_is_spent_is_explained_by_what_spent_it(system: System) -> None:
    before = len(system.incidents())
    with pytest.raises(slither.NoProcess):
        system.call("children/troupe/crew", Crash(), timeout_s=LIMIT_S)

    incident = newest(system, "children/troupe", before)

    assert (incident.kind, incident.outcome, incident.rule) == ("shutdown", "restarted", "permanent, one_for_one")
    lines = incident.reason.splitlines()
    assert lines[0].startswith("children/troupe/crew: crash: Traceback")
    assert any("while it handled Crash" in line for line in lines)
    assert "    | asked for Crash" in lines
    assert lines[-1] == "children/troupe/crew: crash: KeyError: 'no such thing'"
    first = newest(system, "children/troupe/crew", before)
    assert (first.outcome, first.rule) == ("gave up", "more than 0 restarts within 5 s")


@pytest.mark.usefixtures("tidy")
def test_when_a_system_is_down_its_incidents_are_known_still() -> None:
    with a_system(pools={"default": 1}) as system:
        old = kill(system, "pools/default/workers/worker-1")
        incident = newest(system, WORKER, 0)
        assert incident.pid == old
        os.kill(system.topology()["pid"], signal.SIGKILL)

        def down() -> bool:
            try:
                system.topology()
            except slither.SystemDown:
                return True
            except slither.NoProcess:  # so much is known first
                return False
            return False

        eventually(down, "the service knows that the tree is gone")
        assert system.incidents() == (incident,)
    assert system.incidents() == (incident,)
