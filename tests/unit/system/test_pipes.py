"""Which pipes run: started once, whoever asks, and stopped when nobody wants them. The tree is played."""

import gc
import threading
import time

import pytest

import slither_actors as slither
from slither_actors import ChildRefused, DispatchConfig, InvalidOption, NoProcess, StartError, UnknownPool
from slither_actors.config import SessionConfig
from slither_actors.dispatch.drain import DrainReport
from slither_actors.otp.messages import StartChild, TerminateChild
from slither_actors.system import pipes as module
from slither_actors.system._open_runs import OpenRuns
from slither_actors.system._sessions import Sessions
from slither_actors.system.pipes import Pipes
from slither_actors.workers.pool_options import PoolOptions
from tests.helpers.patience import PATIENCE_S


class First(slither.Pipe):
    step = slither.local(lambda item: item)


class Second(slither.Pipe):
    step = slither.local(lambda item: item)


class Tree:
    """In place of the client."""

    def __init__(self):
        self.children = []
        self.calls = []
        self.failures = []
        self.supervisors = 0
        self.refuses = False
        self.gate = threading.Event()
        self.gate.set()
        self.runs = OpenRuns()
        self.settling = []
        self.joining = []

    def call(self, name, request, timeout_s):
        if name == "root":
            assert isinstance(request, StartChild)
            assert request.spec.id == "pipes"
            self.supervisors += 1
            if self.refuses:
                raise ChildRefused("pipes", "already_started", "")
            return
        assert name == "pipes"
        assert self.supervisors, "nobody is there to ask"
        if isinstance(request, StartChild):
            self.calls.append(("start", request.spec.id))
            assert self.gate.wait(PATIENCE_S)
            if self.failures:
                raise self.failures.pop(0)
            self.children.append(request.spec.id)
        else:
            assert isinstance(request, TerminateChild)
            self.calls.append(("stop", request.child_id))
            self.children.remove(request.child_id)

    def resolve(self, names, limit_s=0.0):
        if not all(name.split("/")[1] in self.children for name in names):
            raise NoProcess(names[0])
        return tuple(names)


@pytest.fixture
def tree():
    return Tree()


@pytest.fixture
def pipes(tree):
    return Pipes(tree, {"default": PoolOptions(1)}, DispatchConfig(), Sessions(tree, SessionConfig()))


def test_a_pipe_is_started_by_the_first_run_and_serves_the_next_ones(pipes, tree):
    first, second = pipes.begin(First), pipes.begin(First)
    assert first is second
    assert tree.children == ["First-1"]
    assert first.names == ("pipes/First-1/step",)
    assert pipes.statistics() == {"First": {"runs": 2, "kept": False}}


@pytest.mark.parametrize("refuses", [False, True])
def test_the_supervisor_of_pipes_is_started_once_by_the_first_one(pipes, tree, refuses):
    tree.refuses = refuses
    assert not tree.supervisors
    pipes.start(First)
    pipes.start(Second)
    assert tree.supervisors == 1
    assert tree.children == ["First-1", "Second-2"]


def test_many_threads_start_it_once(pipes, tree):
    tree.gate.clear()
    threads = [threading.Thread(target=pipes.begin, args=[First]) for _ in range(6)]
    for thread in threads:
        thread.start()
    tree.gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert tree.calls == [("start", "First-1")]
    assert pipes.statistics()["First"]["runs"] == 6


def test_none_waits_for_the_start_of_another(pipes, tree):
    tree.gate.clear()
    slow = threading.Thread(target=pipes.begin, args=[First])
    slow.start()
    while not tree.calls:
        time.sleep(0.001)
    assert pipes.statistics()["First"]["runs"] == 1, "figures can be had meanwhile"
    pipes._running[Second] = running = module.RunningPipe(Second, "Second-9", up=True)
    assert pipes.begin(Second) is running
    pipes.end(running)
    tree.gate.set()
    slow.join(PATIENCE_S)


def test_a_failed_start_leaves_nothing_and_the_next_one_tries_again(pipes, tree):
    tree.failures.append(StartError("pipes/First-1", "no model"))
    with pytest.raises(StartError, match="no model"):
        pipes.begin(First)
    assert pipes.statistics() == {}
    assert pipes.begin(First).child_id == "First-2"
    assert pipes.statistics()["First"]["runs"] == 1


def test_an_unknown_pool_is_found_before_anything_starts(pipes, tree):
    class Gpu(slither.Pipe):
        work = slither.worker("m:f", pool="gpu")

    with pytest.raises(UnknownPool):
        pipes.begin(Gpu)
    assert tree.calls == []


def test_what_is_kept_stays_and_what_idles_goes(pipes, tree, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    pipes.start(First)
    running = pipes.begin(Second)
    time.sleep(0.001)
    pipes.stop_idle()
    assert tree.children == ["First-1", "Second-2"], "one is kept, one is in use"
    pipes.end(running)
    time.sleep(0.001)
    pipes.stop_idle()
    assert tree.children == ["First-1"]
    assert pipes.stop(First, 0.0).runs_ended == 0
    assert pipes.stop(First, 0.0) == DrainReport("First", 0, 0, 0.0)
    assert tree.children == []


class Stopping(threading.Thread):
    """Stops a pipe in a thread of its own, which has begun to wait when this is made."""

    def __init__(self, pipes, timeout_s=PATIENCE_S):
        super().__init__(daemon=True)
        self.pipes, self.timeout_s, self.report = pipes, timeout_s, None
        self.start()
        while First in pipes._running or First not in pipes._leaving:
            time.sleep(0.001)

    def run(self):
        self.report = self.pipes.stop(First, self.timeout_s)


def test_a_pipe_that_is_drained_stops_with_its_last_run(pipes, tree):
    first, second = pipes.begin(First), pipes.begin(First)
    stopping = Stopping(pipes)
    pipes.end(first)
    assert tree.children == ["First-1"]
    pipes.end(second)
    stopping.join(PATIENCE_S)
    assert tree.children == []
    assert (stopping.report.pipe, stopping.report.runs_finished, stopping.report.runs_ended) == ("First", 2, 0)
    assert 0 < stopping.report.duration_s < PATIENCE_S


@pytest.mark.parametrize("timeout_s", [0, 0.01])
def test_runs_that_take_longer_are_counted_as_ended(pipes, tree, timeout_s):
    pipes.begin(First)
    report = pipes.stop(First, timeout_s)
    assert (report.runs_finished, report.runs_ended) == (0, 1)
    assert report.duration_s >= timeout_s
    assert tree.children == []


def test_a_run_that_begins_while_a_pipe_is_drained_starts_it_anew_and_is_not_waited_for(pipes, tree):
    old = pipes.begin(First)
    stopping = Stopping(pipes)
    new = pipes.begin(First)
    assert (old.child_id, new.child_id) == ("First-1", "First-2")
    pipes.end(old)
    stopping.join(PATIENCE_S)
    assert tree.children == ["First-2"]
    assert stopping.report.runs_finished == 1


def test_who_drains_a_pipe_twice_drains_it_once(pipes, tree):
    run = pipes.begin(First)
    both = [Stopping(pipes), Stopping(pipes)]
    pipes.end(run)
    for stopping in both:
        stopping.join(PATIENCE_S)
    assert tree.calls == [("start", "First-1"), ("stop", "First-1")]
    assert pipes.stop(First, 5.0).runs_finished == 0


def test_a_second_stop_may_be_in_more_of_a_hurry(pipes, tree):
    pipes.begin(First)
    stopping = Stopping(pipes, 0.2)
    assert pipes.stop(First, 0.0).runs_ended == 1
    assert tree.children == []
    stopping.join(PATIENCE_S)
    assert stopping.report.runs_ended == 1


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "5", None])
def test_a_time_that_is_none_is_refused_before_anything_stops(pipes, tree, wrong):
    pipes.start(First)
    with pytest.raises(InvalidOption, match="timeout_s"):
        pipes.stop(First, wrong)
    assert tree.children == ["First-1"]


def test_nothing_idles_before_its_time(pipes, tree):
    pipes.end(pipes.begin(First))
    pipes.stop_idle()
    assert tree.children == ["First-1"]


def test_an_idle_pipe_that_cannot_be_stopped_harms_nobody(pipes, tree, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    pipes.end(pipes.begin(First))
    tree.call = lambda *args: (_ for _ in ()).throw(NoProcess("pipes"))
    time.sleep(0.001)
    pipes.stop_idle()


def test_a_pipe_that_was_forgotten_by_its_supervisor_is_started_again(pipes, tree):
    running = pipes.begin(First)
    tree.children.clear()
    assert pipes.refs(running) == running.names
    assert tree.children == ["First-1"]


def test_one_that_is_being_restarted_is_waited_for(pipes, tree):
    running = pipes.begin(First)
    tree.children.clear()
    tree.failures = [ChildRefused("pipes/First-1", "restarting", ""), NoProcess("pipes")]
    assert pipes.refs(running) == running.names


def test_one_that_is_killed_while_it_starts_again_gets_another_chance(pipes, tree):
    running = pipes.begin(First)
    tree.children.clear()
    tree.failures = [StartError("pipes/First-1", "SIGKILL")] * 2
    assert pipes.refs(running) == running.names


def test_one_that_cannot_start_again_is_an_error_soon(pipes, tree):
    running = pipes.begin(First)
    tree.children.clear()
    tree.failures = [StartError("pipes/First-1", "no model")] * 3
    with pytest.raises(StartError, match="no model"):
        pipes.refs(running)


def test_a_run_may_end_while_the_garbage_collector_runs_within_a_call(pipes):
    """As an abandoned stream does."""

    class Abandoned:
        def __init__(self):
            self.itself = self

        def __del__(self):
            pipes.end(running)

    running = pipes.begin(First)
    Abandoned()
    with pipes._lock:
        gc.collect()
    assert pipes.statistics()["First"]["runs"] == 0
