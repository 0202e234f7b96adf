"""The promises that hold on Thespian's TCP base too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from thespian.actors import ActorTypeDispatcher

import slither_actors as slither
from slither_actors.otp import ChildSpec, Server
from tests.helpers import jobs
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, kill, nothing_left_behind, processes, restarted
from tests.system.waiting import eventually, marked

pytestmark = [pytest.mark.system, pytest.mark.thorough]

TCP = {"base": "tcp", "trusted_network": True}
LIMIT_S = PATIENCE_S

SERVICE = """
import sys, slither_actors as slither
system = slither.start(pools={"default": 2}, base="tcp", trusted_network=True)
print("up", flush=True)
sys.stdin.read()
"""


class Words(slither.Pipe):
    @slither.local
    def shout(item, ctx):
        if item.payload == "bad":
            raise ValueError("bad word")
        return item.payload.upper()

    twice = slither.worker(jobs.double, batch_size=2)
    route = slither.router((lambda item: item.payload.startswith("A"), "a"))
    outputs = ("a",)
    on_error = {"shout": "skip"}


class Echo(ActorTypeDispatcher):
    def receiveMsg_str(self, message, sender):
        self.send(sender, message.upper())


class Slow(Server):
    def handle_call(self, request, caller):
        request.touch()
        time.sleep(0.3)
        return request


class Calling(Server):
    """Makes the file it is told to; two names are for a call out of a timer, at its beginning and behind its end."""

    def handle_cast(self, request):
        if isinstance(request, Path):
            request.touch()
            return

        called, answered = request
        self.start_timer(0.0, lambda: self.call("children/slow", called).with_name(answered).touch())


@pytest.fixture(scope="module")
def system(base):
    with nothing_left_behind(base), a_system(**TCP) as running:
        yield running


@pytest.fixture
def apart(monkeypatch):
    """A folder for run directories, away from that of the module's system, in which processes come and go."""
    path = Path(tempfile.mkdtemp(prefix="sl-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def ports_of(pids):
    """TCP ports that these processes listen on."""
    found = set()
    for pid in pids:
        process = psutil.Process(pid)
        look = getattr(process, "net_connections", None) or process.connections
        found |= {each.laddr.port for each in look(kind="tcp") if each.status == psutil.CONN_LISTEN}
    return found


def test_it_is_refused_unless_the_network_is_trusted():
    with pytest.raises(slither.InvalidOption, match=r"trusted_network.*True"):
        slither.start(base="tcp")
    with pytest.raises(slither.InvalidOption, match=r'"unix" or "tcp"'):
        slither.start(base="udp", trusted_network=True)


def test_only_this_base_listens_on_ports(base, system):
    with a_system() as on_unix:
        assert not ports_of(node["pid"] for node in processes(on_unix).values())
    assert len(ports_of(node["pid"] for node in processes(system).values())) == len(processes(system))


def test_results_come_back_in_order(system):
    assert [item.payload for item in system.dispatch(range(500), jobs.double, batch_size=7)] == [*range(0, 1000, 2)]
    stream = system.stream(iter(range(10**9)), jobs.double, batch_size=5)
    assert [next(stream).payload for _ in range(100)] == [*range(0, 200, 2)]
    stream.close()


def test_a_pipe_routes_and_skips(system):
    outputs = system.run_pipe(Words, ["ab", "bad", "cd", "ad"])
    assert [item.payload for item in outputs.a] == ["ABAB", "ADAD"]
    assert [item.payload for item in outputs.default] == ["CDCD"]
    assert [item.payload for item in outputs.skipped] == ["bad"]


def test_every_worker_is_asked_once(system):
    assert len(set(system.call_each(os.getpid))) == 2


@pytest.mark.parametrize("end", ["_exit", "kill", "segfault"])
def test_a_dying_worker_takes_only_its_batch_along(system, end):
    results = system.dispatch([1, 2, end, 4, 5, 6], jobs.mishaps, batch_size=2, on_error="skip")
    assert [item.payload for item in results] == [1, 2, 5, 6]
    assert [item.payload for item in results.skipped] == [end, 4]


def test_a_hanging_worker_is_killed(system):
    with pytest.raises(slither.DispatchError) as caught:
        system.dispatch(["hang"], jobs.mishaps, timeout_s=0.3)
    assert isinstance(caught.value.reason, slither.BatchTimeout)


def test_a_killed_dispatcher_comes_back(system):
    old = kill(system, "dispatcher")
    restarted(system, "pools/default/dispatcher", old)
    assert len(system.dispatch(range(10), jobs.double)) == 10


def test_thespians_own_actors_live_beside_ours(system):
    thespian = system.actor_system
    echo = thespian.createActor(Echo)
    assert thespian.ask(echo, "hello", timedelta(seconds=LIMIT_S)) == "HELLO"


def test_what_arrives_during_a_call_out_of_a_timer_is_handled_at_once(apart):
    """Nothing else comes that would have the loop look into the inbox."""
    children = [ChildSpec("caller", Calling), ChildSpec("slow", Slow)]
    with a_system(children=children, pools={"default": 1}, **TCP) as running:
        called, done = apart / "called", apart / "done"
        running.cast("children/caller", (called, "answered"))
        eventually(called.exists, "the call is under way")
        running.cast("children/caller", done)
        eventually(done.exists, "the cast is handled")
        assert (apart / "answered").exists()


def test_two_systems_do_not_meet(base, system):
    with a_system(**TCP) as other:
        assert not set(other.call_each(os.getpid)) & set(system.call_each(os.getpid))


@pytest.mark.parametrize("victim", ["host", "root"])
def test_when_one_of_those_above_is_killed_nothing_is_left(apart, victim):
    with nothing_left_behind(apart), a_system(**TCP) as running:
        os.kill(running._client._host.pid if victim == "host" else running.topology()["pid"], signal.SIGKILL)
        with pytest.raises(slither.SystemDown):
            eventually(lambda: running.dispatch([1], jobs.double) and False, "the system is down")


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_service_is_killed_nothing_is_left(apart, signum):
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "up\n"
        assert len(marked(str(apart))) > 8
        service.send_signal(signum)
    eventually(lambda: not marked(str(apart)), "the tree is gone")
