"""Chaos on a system that runs: whom it hits, whom it does not, and that it leaves nobody stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors.errors import SystemNotFound
from slither_actors.testing import Chaos
from slither_actors.testing._chaos_roles import Process
from slither_actors.testing._chaos_system import SeenSystem
from slither_actors.transport import running
from tests.helpers import jobs
from tests.system.running import a_system, pid_of, processes
from tests.system.waiting import eventually, wait_for_end

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("chaos")]

LIMIT_S = 45.0


@pytest.fixture(scope="module")
def system(tidy: None):
    # Whoever looks at those that are stopped may take long.
    with a_system(name="chaotic", config={"stopped_limit_s": None}) as running_system:
        yield running_system


def stopped(system):
    return [one.name for one in running.processes(running.find(system.name), with_pss=False) if one.state == "stopped"]


def works(system):
    results = system.dispatch(range(20), jobs.double, batch_size=2, on_error="skip")
    return len(results) + results.skipped.total == 20


def begin(*words):
    """`slither chaos` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "slither_actors", "chaos", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_it_sees_is_the_tree_and_neither_host_nor_admin_nor_programs_of_users(system):
    (program,) = {item.payload for item in system.dispatch([None], start_a_program)}
    found = running.find(system.name)
    with SeenSystem(found) as seen:
        assert {process.name: process.pid for process in seen.look()} == {
            "root": system.topology()["pid"],
            **{name: node["pid"] for name, node in processes(system).items()},
        }
        for name, pid in (("host", found.host), ("pools", program), ("pools", os.getpid()), ("registry", 2**22 - 1)):
            assert seen.grip(Process(name, pid)) is None
    os.kill(program, signal.SIGKILL)
    wait_for_end(program)


def start_a_program(payloads):
    return [subprocess.Popen(["sleep", "60"]).pid]


def test_a_label_that_stands_for_nobody_of_the_tree_is_not_believed(system):
    found = running.find(system.name)
    for pid in (os.getpid(), found.host, 2**22 - 1):
        label = found.directory / f"{pid}.name"
        label.symlink_to("1:pools/default/workers/worker-9")
        try:
            with SeenSystem(found) as seen:
                assert pid not in {process.pid for process in seen.look()}
                assert seen.grip(Process("pools/default/workers/worker-9", pid)) is None
        finally:
            label.unlink()


def test_a_grip_is_never_on_another_process_of_the_number(system):
    with SeenSystem(running.find(system.name)) as seen:
        (worker,) = [process for process in seen.look() if process.name == "pools/default/workers/worker-2"]
        assert seen.grip(Process("pools/default/workers/worker-1", worker.pid)) is None
        grip = seen.grip(worker)
        assert grip.send(signal.SIGKILL)
        wait_for_end(worker.pid)
        eventually(lambda: not Path(f"/proc/{worker.pid}").exists(), "it is reaped")
        assert not grip.send(signal.SIGCONT)
        assert seen.grip(worker) is None
        grip.release()


def test_in_a_test_it_hits_lets_go_and_tells(system):
    with Chaos(system, seed=5, rate=20.0, targets=("workers",), longest_stop_s=60.0) as chaos:
        eventually(lambda: len(chaos.report.hits) >= 4, "it hits")
        eventually(lambda: stopped(system), "somebody is stopped")
    report = chaos.report
    assert stopped(system) == []
    assert (report.seed, report.alive, report.missing) == (5, True, ())
    assert {hit.role for hit in report.hits} == {"workers"}
    for hit in report.hits:
        assert (hit.back_after_s is not None) is hit.lost
        assert hit.lost or hit.kind != "kill"
    assert works(system)


def test_an_error_in_its_block_has_the_seed_and_leaves_nobody_stopped(system):
    chaos = Chaos(system, seed=6, rate=50.0, kinds=("stop",), targets=("pools",), longest_stop_s=60.0)

    def fail_under_it():
        with chaos:
            eventually(lambda: stopped(system), "somebody is stopped")
            raise LookupError("of the test")

    with pytest.raises(LookupError) as caught:
        fail_under_it()
    assert caught.value.__notes__[0].startswith("chaos with seed 6, ")
    assert stopped(system) == []


def test_from_a_shell_it_runs_for_its_time_and_the_system_works_afterwards(system):
    # No kills: it does not know of those that the tests before have made, and spends no budget of its own alone.
    words = ["--rate", "5", "--kinds", "stop,slow", "--targets", "workers", "--json"]
    chaos = begin("chaotic", "--seed", "3", "--duration", "1", *words)
    done = False
    while not done:
        done = chaos.poll() is not None
        assert works(system)
    out, err = chaos.communicate()
    found = json.loads(out)
    assert (chaos.returncode, err.splitlines()[0]) == (0, "chaos on chaotic with seed 3 for 1 s; Ctrl-C ends it")
    assert found["seconds"] >= 1.0
    assert found["alive"]
    assert found["hits"]


def test_ctrl_c_ends_it_with_its_report_and_nobody_stays_stopped(system):
    chaos = begin("chaotic", "--rate", "50", "--kinds", "stop", "--targets", "stores,workers", "--longest-stop", "60")
    eventually(lambda: len(stopped(system)) == 2, "both workers are stopped")
    chaos.send_signal(signal.SIGINT)
    out, _ = chaos.communicate(timeout=LIMIT_S)
    assert chaos.returncode == 130
    assert out.endswith("the system lives\n")
    assert stopped(system) == []
    assert works(system)


def test_where_budgets_are_spent_the_system_ends_and_says_why(base):
    with a_system(pools={}) as short:
        with Chaos(short, rate=200.0, kinds=("kill",), targets=("registry",), spare_budgets=False) as chaos:
            eventually(lambda: not chaos.report.alive, "the system is gone")
        with pytest.raises(slither.SystemDown) as caught:
            pid_of(short, "registry")
    assert caught.value.causes
    assert {hit.name for hit in chaos.report.hits} == {"registry"}
    assert len({hit.pid for hit in chaos.report.hits}) == len(chaos.report.hits) == 4


def test_a_system_that_does_not_run_is_refused_with_those_that_do(system):
    with pytest.raises(SystemNotFound) as caught:
        Chaos("nobody")
    assert "chaotic" in caught.value.running
