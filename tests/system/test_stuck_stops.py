"""A stop never hangs, whoever is stuck: at the deadline it is killed, named, and nothing is left."""

from __future__ import annotations

import os
import signal
import time

import pytest

import slither_actors as slither
from slither_actors.otp import ChildSpec, Server
from tests.helpers import jobs
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, pid_of
from tests.system.test_drain import Taker
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.thorough, pytest.mark.usefixtures("tidy_each")]

LIMIT_S = 0.5
# What a loaded machine may need beyond the limit; a stop that hangs never returns at all.
GRACE_S = 30.0


class Deaf(Server):
    """Ignores whoever wants it to end."""

    def init(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def terminate(self, reason):
        time.sleep(60)


class Lingering(slither.Store):
    rows = slither.Table()

    def load(self, tables):
        if os.path.exists(os.environ["LINGER"]):
            open(os.environ["LINGER"] + ".in", "w").close()
            time.sleep(60)


class Hanging(slither.Pipe):
    @slither.local
    def hang(item, ctx):
        open(item.payload, "w").close()
        time.sleep(60)


def spin(payloads):
    open(payloads[0], "w").close()
    while True:
        pass


def deaf_spin(payloads):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return jobs.touch_and_hang(payloads)


def blocked_in_c(payloads):
    import ctypes

    open(payloads[0], "w").close()
    ctypes.PyDLL(None).sleep(60)  # with the interpreter's lock held


def stops_in_time(system, *names):
    """Stop, and see that it took no longer than it may and that these were killed."""
    began = time.monotonic()
    report = system.stop(LIMIT_S)
    assert time.monotonic() - began < LIMIT_S + GRACE_S
    assert set(names) <= set(report.killed), report
    assert not report.complete
    return report


@pytest.mark.parametrize("job", [spin, deaf_spin, blocked_in_c])
def test_a_worker_that_is_stuck(tmp_path, job):
    flag = tmp_path / "flag"
    with a_system(pools={"default": 1}) as system:
        taker = Taker(lambda: system.dispatch([str(flag)], job))
        eventually(flag.exists, "it is stuck")
        report = stops_in_time(system)
    taker.join(PATIENCE_S)
    assert report.runs[0].places == {"pools/default/workers/worker-1": report.abandoned.ids}
    assert isinstance(taker.error, slither.DispatchError)


def test_a_stage_that_is_stuck(tmp_path):
    flag = tmp_path / "flag"
    with a_system(pools={"default": 1}) as system:
        taker = Taker(lambda: system.run_pipe(Hanging, [str(flag)]))
        eventually(flag.exists, "it is stuck")
        report = stops_in_time(system, "pipes/Hanging-1/hang")
    taker.join(PATIENCE_S)
    assert report.runs[0].places == {"pipes/Hanging-1/hang": report.abandoned.ids}


@pytest.mark.parametrize("name", ["pools/default/workers/worker-1", "pools/default/workers", "pools", "root", "host"])
def test_a_process_that_is_halted_by_a_signal(name):
    with a_system(pools={"default": 1}, config={"stopped_limit_s": None}) as system:
        above = {"host": system._client._host.pid, "root": system.topology()["pid"]}
        os.kill(above.get(name) or pid_of(system, name), signal.SIGSTOP)
        stops_in_time(system, name)


def test_one_of_your_own_that_does_not_end():
    with a_system(pools={"default": 1}, children=[ChildSpec("deaf", Deaf, shutdown_s=None)]) as system:
        stops_in_time(system, "children/deaf")


def test_one_that_its_supervisor_kills_long_before_the_limit():
    with a_system(pools={"default": 1}, children=[ChildSpec("deaf", Deaf, shutdown_s=0.5)]) as system:
        report = system.stop(60)
    assert (report.killed, report.complete) == (("children/deaf",), False)


@pytest.mark.parametrize("name", ["root", "host"])
def test_a_tree_that_dies_during_the_drain(tmp_path, name):
    flag = tmp_path / "flag"
    with a_system(pools={"default": 1}) as system:
        taker = Taker(lambda: system.dispatch([str(flag)], jobs.touch_and_hang))
        eventually(flag.exists, "it is under way")
        pid = {"host": system._client._host.pid, "root": system.topology()["pid"]}[name]
        stopper = Taker(lambda: system.stop(60))
        eventually(lambda: system._client.state == "stopping", "it drains")
        os.kill(pid, signal.SIGKILL)
        stopper.join(PATIENCE_S)
    taker.join(PATIENCE_S)
    assert (stopper.result.killed, stopper.result.complete) == ((name,), False)


def test_a_store_that_is_loading(monkeypatch, tmp_path):
    flag = tmp_path / "flag"
    monkeypatch.setenv("LINGER", str(flag))
    with a_system(pools={"default": 1}, stores=[Lingering]) as system:
        flag.touch()
        taker = Taker(lambda: system.store(Lingering).reload())
        eventually((tmp_path / "flag.in").exists, "it loads")
        stops_in_time(system, "stores/Lingering")
    taker.join(PATIENCE_S)
    assert isinstance(taker.error, slither.SlitherError)
