"""A started pipe stays warm: runs start no process, go side by side, and one that nobody uses stops by itself."""

from __future__ import annotations

import itertools
import os
import threading

import pytest

import slither_actors as slither
from slither_actors.transport.process import descendants
from tests.helpers import jobs
from tests.helpers.gates import Gate, passed
from tests.system.running import processes
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT_S = 30.0


class Line(slither.Pipe):
    first = slither.local(lambda item, ctx: (os.getpid(), count(ctx), item.payload))
    work = slither.worker(jobs.same, batch_size=8)


def count(ctx):
    ctx.state["count"] = ctx.state.get("count", 0) + 1
    return ctx.state["count"]


def of_the_pipe(system):
    return any("Line" in name for name in processes(system))


def payloads(items):
    return [item.payload for item in items]


def test_a_second_run_of_a_started_pipe_starts_no_process(system):
    """By the word of the kernel: what this process, and whoever came of it, has started."""
    running = system.start_pipe(Line)
    before = set(descendants(os.getpid()))
    stage = {pid for pid, _, _ in payloads(system.run_pipe(Line, range(20)).default)}
    with system.stream_pipe(Line, itertools.count()) as stream:
        stage |= {next(stream).payload[0] for _ in range(20)}
    stage |= {running.submit(number).result(LIMIT_S).payload[0] for number in range(20)}
    assert len(stage) == 1
    assert stage < before
    assert set(descendants(os.getpid())) == before
    system.stop_pipe(Line)


def test_many_runs_at_once_have_a_state_and_credit_of_their_own(system):
    """The first is not taken from, so it stands still with all its credit used; the others do not."""
    running = system.start_pipe(Line)
    still = system.stream_pipe(Line, itertools.count())
    assert next(still).payload[1:] == (1, 0)
    wanted = [(number + 1, number) for number in range(300)]
    results = {}

    def run(name):
        results[name] = [payload[1:] for payload in payloads(system.run_pipe(Line, range(300)).default)]

    threads = [threading.Thread(target=run, args=[name]) for name in range(3)]
    for thread in threads:
        thread.start()
    futures = [running.submit(number) for number in range(300)]
    assert sorted(future.result(LIMIT_S).payload[1:] for future in futures) == wanted
    for thread in threads:
        thread.join(LIMIT_S)
    assert results == dict.fromkeys(range(3), wanted)
    assert [item.payload[1:] for item in itertools.islice(still, 299)] == wanted[1:]
    still.close()
    system.stop_pipe(Line)


def a_long_batch(system, running, by, gate):
    """At a worker until the gate opens; returns what waits for it."""
    if by == "a pipe":
        return running.submit(gate.path).result
    thread = threading.Thread(target=lambda: system.dispatch([gate.path], at_a_gate, timeout_s=LIMIT_S))
    thread.start()
    return thread.join


def at_a_gate(payloads):
    for payload in payloads:
        passed(payload)
    return payloads


class Slow(slither.Pipe):
    work = slither.worker(at_a_gate, timeout_s=LIMIT_S)


@pytest.mark.parametrize("by", ["a pipe", "a dispatch"])
def test_a_long_batch_elsewhere_holds_up_nobody_while_a_worker_idles(system, tmp_path, by):
    """Who is at it had been given both workers, and that which is busy may be the one that it is asked for."""
    with system.start_pipe(Slow) as slow, system.start_pipe(Line) as line:
        for number in range(4):  # the older of the leases is at work, or the newer one
            gate = Gate(tmp_path / str(number))
            end = a_long_batch(system, slow, by, gate)
            gate.await_reached()
            assert line.submit(number).result(LIMIT_S).payload[2] == number
            gate.open()
            end(LIMIT_S)


@pytest.mark.parametrize("used_by", ["nobody", "a run", "an item"])
def test_a_started_pipe_that_idles_for_long_enough_stops_and_starts_again(system, used_by):
    running = system.start_pipe(Line, idle_stop_s=0.2)
    if used_by == "a run":
        assert len(system.run_pipe(Line, [1]).default) == 1
    elif used_by == "an item":
        assert running.submit(1).result(LIMIT_S).payload[1:] == (1, 1)
    eventually(lambda: not of_the_pipe(system), "it is stopped")
    assert running.submit(2).result(LIMIT_S).payload[1:] == (1, 2), "a run of its own"
    assert of_the_pipe(system)
    eventually(lambda: not of_the_pipe(system), "it is stopped again")
    assert running.accounting.abandoned == 0
    running.stop()


class Held(slither.Pipe):
    @slither.local
    def first(item):
        passed(item.payload)
        return item


def test_a_pipe_with_an_item_under_way_does_not_idle(system, tmp_path):
    gate = Gate(tmp_path / "gate")
    running = system.start_pipe(Held, idle_stop_s=0.05)
    future = running.submit(gate.path)
    gate.await_reached()
    other = system.start_pipe(Line, idle_stop_s=0.05)
    eventually(lambda: not of_the_pipe(system), "another one that idles is stopped meanwhile")
    assert any("Held" in name for name in processes(system))
    gate.open()
    assert future.result(LIMIT_S).payload == gate.path
    running.stop()
    other.stop()


def test_of_several_wishes_the_longest_holds(system):
    system.start_pipe(Line, idle_stop_s=0.05)
    kept = system.start_pipe(Line)
    other = system.start_pipe(Held, idle_stop_s=0.05)
    eventually(lambda: not any("Held" in name for name in processes(system)), "another one is stopped")
    assert of_the_pipe(system)
    kept.stop()
    other.stop()
