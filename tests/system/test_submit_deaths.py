"""A process dies on the way of items that were submitted: each future ends, what waited goes on, and the next works."""

from __future__ import annotations

import contextlib
import os
import threading

import attrs
import pytest

import slither_actors as slither
from slither_actors import CallTimeout, NoProcess, PipeError, SessionLost, StageDown, WorkerCrashed
from tests.helpers.gates import Gate, passed
from tests.system.running import a_system, kill, processes
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.failure, pytest.mark.usefixtures("tidy")]

LIMIT_S = 30.0

# What may befall whoever waits when a process dies, by docs/failures.md.
TYPED = (StageDown, WorkerCrashed, SessionLost, NoProcess, CallTimeout)

thorough = pytest.mark.thorough


@pytest.fixture
def system(tidy):
    """A system of its own for each test, since each kills something."""
    with a_system() as running:
        yield running


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


class Line(slither.Pipe):
    """Whoever is to die is at work at that moment, or has something on its way."""

    @slither.local
    def first(item):
        if isinstance(item.payload, dict) and item.payload["at"] == "first":
            passed(item.payload["gate"])
        return item

    work = slither.worker("tests.system.test_submit_deaths:at_work", batch_size=1, max_in_flight=1)

    @slither.local
    def last(item):
        if isinstance(item.payload, dict) and item.payload["at"] == "last":
            passed(item.payload["gate"])
        return item


def at_work(payloads):
    for payload in payloads:
        if isinstance(payload, dict) and payload["at"] == "work":
            passed(payload["gate"])
    return payloads


def victim_of(system, victim):
    if victim == "pipe":
        return next(name for name in processes(system) if name.endswith("/work")).rpartition("/")[0]
    return victim


def is_typed(error):
    return isinstance(error.reason if isinstance(error, PipeError) else error, TYPED)


def works_again(running, limit_s=LIMIT_S):
    """An item comes through, as soon as the tree is itself again; returns how many did not."""
    failed = []

    def tried():
        try:
            return running.submit("again").result(LIMIT_S).payload == "again"
        except slither.SlitherError as error:
            failed.append(error)
            return False

    eventually(tried, "items come through again")
    assert all(map(is_typed, failed)), failed[:3]
    return len(failed)


@pytest.mark.parametrize(
    ("victim", "at"),
    [
        ("first", "first"),
        ("work", "work"),
        ("pools/default", "work"),
        pytest.param("last", "last", marks=thorough),
        pytest.param("pipe", "first", marks=thorough),
        pytest.param("pipes", "work", marks=thorough),
        pytest.param("pools/default/leases", "work", marks=thorough),
        pytest.param("pools/default/workers", "work", marks=thorough),
        pytest.param("pools", "work", marks=thorough),
        pytest.param("registry", "work", marks=thorough),
    ],
)
def test_who_dies_takes_no_more_along_than_was_under_way(system, gate, victim, at):
    running = system.start_pipe(Line, max_queued=1000)
    stream = system.stream_pipe(Line, range(10**9))
    taken = [next(stream)]
    futures = [running.submit({"at": at, "gate": gate.path}), *(running.submit(number) for number in range(120))]
    gate.await_reached()
    kill(system, victim_of(system, victim))
    gate.open()
    said = [future.exception(LIMIT_S) for future in futures]
    assert all(error is None or is_typed(error) for error in said), [e for e in said if e is not None][:3]
    assert all(future.result().payload == n - 1 for n, future in enumerate(futures) if n and said[n] is None)
    lost = [error for error in said if error is not None]
    if victim in ("first", "work", "last"):
        assert isinstance(said[0], PipeError)
        assert isinstance(said[0].reason, StageDown)
        assert (said[0].pipe, said[0].stage) == ("Line", victim)
        assert said[-1] is None, "what waited goes on"
    failed = works_again(running)
    with contextlib.suppress(PipeError, NoProcess):  # if what died was on its way too
        taken += [next(stream) for _ in range(50)]
    stream.close()
    assert stream.accounting.abandoned >= 0
    assert stream.accounting.outputs >= len(taken)
    counts = running.accounting
    assert counts.outputs == len(said) - len(lost) + 1
    assert counts.skipped + counts.abandoned <= len(lost) + failed, "the others were never under way"
    assert not running._feeder.submissions.under_way
    assert system.run_pipe(Line, range(50)).accounting.abandoned == 0
    assert running.stop().complete


def test_a_worker_that_dies_costs_its_own_item_alone(system, gate):
    running = system.start_pipe(Line)
    futures = [running.submit({"at": "work", "gate": gate.path}), *(running.submit(number) for number in range(50))]
    gate.await_reached()
    pids = {node["pid"] for name, node in processes(system).items() if "/worker-" in name}
    for pid in pids:
        os.kill(pid, 9)
    gate.open()
    error = futures[0].exception(LIMIT_S)
    assert isinstance(error, PipeError)
    assert isinstance(error.reason, WorkerCrashed)
    said = [future.exception(LIMIT_S) for future in futures[1:]]
    assert all(one is None or is_typed(one) for one in said)
    works_again(running)
    counts = running.accounting
    assert counts.abandoned == 0, "no run ended"


def test_a_stage_that_dies_of_one_item_again_and_again_lets_the_others_through(system):
    class Deadly(slither.Pipe):
        @slither.local
        def step(item):
            if item.payload == "die":
                os._exit(3)
            return item

    running = system.start_pipe(Deadly)
    for turn in range(2):
        error = running.submit("die").exception(LIMIT_S)
        assert isinstance(error, PipeError)
        assert "exit code 3" in str(error.reason)
        assert running.submit(turn).result(LIMIT_S).payload == turn


def test_what_had_come_out_before_the_death_is_told(system, gate):
    class Parts(slither.Pipe):
        parts = slither.local(lambda item: item.payload, many=True)

        @slither.local
        def last(item):
            if isinstance(item.payload, dict):
                passed(item.payload["gate"])
            return item

    running = system.start_pipe(Parts)
    future = running.submit([*range(100), {"gate": gate.path}])
    gate.await_reached()
    kill(system, "last")
    error = future.exception(LIMIT_S)
    assert isinstance(error, PipeError)
    known = [item.payload for item in error.partial_results["default"]]
    assert known == list(range(len(known)))


def test_a_pipe_that_does_not_come_up_again_tells_each_who_waits(system, tmp_path):
    fuel = tmp_path / "fuel"
    fuel.touch()

    class Fragile(slither.Stage):
        @attrs.frozen
        class Options:
            fuel: str

        def setup(self, ctx):
            os.unlink(self.options.fuel)

        def handle_item(self, item, ctx):
            return item

    class Once(slither.Pipe):
        step = slither.stage(Fragile, fuel=str(fuel))

    running = system.start_pipe(Once)
    assert running.submit(1).result(LIMIT_S).payload == 1
    kill(system, "step")
    for number in range(2):
        error = running.submit(number).exception(LIMIT_S)
        assert isinstance(error, slither.StartError) or is_typed(error)
    fuel.touch()
    works_again(running)


def test_a_drain_in_which_a_stage_dies_ends_all_the_same(system, gate):
    running = system.start_pipe(Line, max_queued=1000)
    futures = [running.submit({"at": "first", "gate": gate.path}), *(running.submit(number) for number in range(120))]
    gate.await_reached()
    reports = []
    stopping = threading.Thread(target=lambda: reports.append(running.stop()))
    stopping.start()
    eventually(lambda: running._feeder.submissions.refuses, "the drain has begun")
    kill(system, "first")
    stopping.join(LIMIT_S)
    assert all(future.done() for future in futures)
    assert all(is_typed(future.exception()) for future in futures if future.exception() is not None)
    assert isinstance(futures[0].exception().reason, StageDown)
    assert reports[0].runs_finished + reports[0].runs_ended == 1


def test_when_the_system_dies_all_who_wait_are_told(tidy, gate):
    with a_system() as system:
        running = system.start_pipe(Line)
        futures = [running.submit({"at": "work", "gate": gate.path}), *(running.submit(number) for number in range(50))]
        gate.await_reached()
        os.kill(system.topology()["pid"], 9)
        errors = [future.exception(LIMIT_S) for future in futures]
        gate.open()
        assert all(error is None or isinstance(error, slither.SystemDown | PipeError) for error in errors)
        assert isinstance(errors[0], slither.SystemDown | PipeError)
        eventually(lambda: raises_down(running), "the handle says that the system is down")


def raises_down(running):
    try:
        running.submit(1)
    except slither.SystemDown:
        return True
    return False
