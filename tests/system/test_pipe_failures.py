"""Pipes whose processes are killed: a run ends with a typed error or completes, and the next run works."""

from __future__ import annotations

import functools
import itertools
import os
import re
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

import slither_actors as slither
from slither_actors import NoProcess, PipeError, StageDown, StartError, SystemDown, WorkerCrashed
from slither_actors.dispatch import _opening
from slither_actors.otp import SupervisorOptions
from slither_actors.pipe import plan
from slither_actors.system import pipes as system_pipes
from slither_actors.system.client import Client
from tests.helpers import jobs, pipes
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, kill, pid_of, processes, restarted
from tests.system.test_drain import Taker
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


@pytest.fixture
def system(tidy):
    """A system of its own for each test, since each kills something."""
    with a_system() as running:
        yield running


class Line(slither.Pipe):
    first = slither.local(lambda item: item)
    work = slither.worker(jobs.same, batch_size=8, max_in_flight=4)
    last = slither.stage(pipes.Acting)


def payloads(items):
    return [item.payload for item in items]


def works(system):
    """Whether a run comes through whole."""
    return payloads(system.run_pipe(Line, range(100)).default) == list(range(100))


def begun(system):
    """An endless run whose first results have come."""
    stream = system.stream_pipe(Line, itertools.count())
    assert payloads(itertools.islice(stream, 100)) == list(range(100))
    return stream


@pytest.mark.parametrize("stage", ["first", "work", "last"])
def test_a_stage_that_is_killed_ends_the_run_with_its_name_and_the_next_run_works(system, stage):
    stream = begun(system)
    old = kill(system, stage)
    with pytest.raises(PipeError) as caught:
        list(stream)
    assert caught.value.pipe == "Line"
    assert caught.value.stage == stage
    assert isinstance(caught.value.reason, StageDown)
    assert caught.value.reason.name.endswith(f"/{stage}")
    assert "SIGKILL" in str(caught.value)
    assert works(system)
    assert pid_of(system, stage) != old


def test_stages_before_the_killed_one_keep_their_processes(system):
    works(system)
    before = {stage: pid_of(system, stage) for stage in ("first", "work", "last")}
    kill(system, "work")
    assert works(system)
    after = {stage: pid_of(system, stage) for stage in ("first", "work", "last")}
    assert [stage for stage in before if before[stage] == after[stage]] == ["first"]


def test_all_runs_through_a_killed_stage_end_and_others_do_not_notice(system):
    class Other(slither.Pipe):
        work = slither.worker(jobs.same)

    streams, other = [begun(system), begun(system)], system.stream_pipe(Other, range(8_000))
    assert next(other).payload == 0
    kill(system, "last")
    for stream in streams:
        with pytest.raises(PipeError):
            list(stream)
    assert payloads(other) == list(range(1, 8_000))


def test_a_stage_whose_code_makes_its_process_exit_is_down_too(system):
    class Leaving(slither.Pipe):
        step = slither.local(lambda item: pipes.act(item.payload))

    with pytest.raises(PipeError) as caught:
        system.run_pipe(Leaving, [1, "_exit"])
    assert isinstance(caught.value.reason, StageDown)
    assert "exit code 3" in str(caught.value)
    assert payloads(system.run_pipe(Leaving, [1]).default) == [1]


def test_a_killed_worker_costs_its_batch_and_nothing_else(system):
    class Skipping(slither.Pipe):
        work = slither.worker(jobs.mishaps, batch_size=1, on_error="skip")

    outputs = system.run_pipe(Skipping, [word for number in range(12) for word in ("kill", number)])
    assert payloads(outputs.default) == list(range(12))
    assert all(isinstance(item.meta["error"], WorkerCrashed) for item in outputs.skipped)
    assert outputs.skipped.total == 12


def ends_or_goes_on(stream, count):
    """Whether a run ends with a typed error, or goes on to give this many more results in order."""
    try:
        more = payloads(itertools.islice(stream, count))
    except PipeError as error:
        return isinstance(error.reason, StageDown | WorkerCrashed)
    finally:
        stream.close()
    return more == list(range(100, 100 + count))


@pytest.mark.parametrize("victim", ["pools/default/leases", "pools/default/workers", "pools/default"])
def test_when_a_part_of_the_pool_dies_the_run_ends_or_goes_on_and_the_next_one_works(system, victim):
    stream = begun(system)
    old = kill(system, victim)
    assert ends_or_goes_on(stream, 4_000)
    restarted(system, victim, old)
    assert works(system)
    assert len(system.dispatch(range(100), jobs.double)) == 100


@pytest.mark.parametrize("victim", ["pipe", "pipes", "registry"])
def test_when_something_above_a_pipe_dies_the_run_ends_and_a_later_call_works(system, victim):
    stream = begun(system)
    name = {"pipe": next(n for n in processes(system) if n.endswith("/work")).rpartition("/")[0]}.get(victim, victim)
    kill(system, name)
    with pytest.raises((PipeError, NoProcess)):
        list(stream)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            assert works(system)
            break
        except (NoProcess, PipeError, slither.CallTimeout):
            assert time.monotonic() < deadline, "it does not come back"
    assert len(system.dispatch(range(100), jobs.double)) == 100


def test_a_kept_pipe_is_there_again_after_all_pipes_were_forgotten(system):
    system.start_pipe(Line)
    old = kill(system, "pipes")
    restarted(system, "pipes", old)
    assert works(system)
    system.stop_pipe(Line)
    assert not any("Line" in name for name in processes(system))


class Stuck(slither.Pipe):
    work = slither.worker(jobs.touch_and_hang, batch_size=1)


def test_stopping_a_pipe_ends_its_open_runs_with_an_error(system, tmp_path):
    flag = tmp_path / "flag"
    taker = Taker(lambda: system.run_pipe(Stuck, [str(flag)]))
    eventually(flag.exists, "it is under way")
    report = system.stop_pipe(Stuck, drain=False)
    taker.join(PATIENCE_S)
    assert (report.pipe, report.runs_finished, report.runs_ended) == ("Stuck", 0, 1)
    assert isinstance(taker.error, PipeError)
    assert isinstance(taker.error.reason, StageDown)
    assert works(system)


def test_stopping_a_pipe_loses_nothing_of_a_run_that_is_open(system):
    stream = system.stream_pipe(Line, range(3000))
    taken = [next(stream).payload]
    report = system.stop_pipe(Line)
    taken += [item.payload for item in stream]
    (run,) = report.runs
    assert taken == list(range(run.pulled))
    assert (report.runs_finished, report.runs_ended, run.outcome, run.finished) == (1, 0, "drained", run.pulled)
    assert stream.drained
    eventually(lambda: not any("Line" in name for name in processes(system)), "its processes are gone")


class Fragile(slither.Stage):
    """Comes up only when there is a file, and removes it."""

    @attrs.frozen
    class Options:
        file: str

    def setup(self, ctx):
        os.unlink(self.options.file)

    def handle_item(self, item, ctx):
        return item


def test_a_stage_that_does_not_come_back_is_an_error_with_its_reason_and_others_work(system, tmp_path, monkeypatch):
    # However slow its starts are, so many that fail are too many, and are waited for.
    monkeypatch.setattr(plan, "SupervisorOptions", functools.partial(SupervisorOptions, period_s=3600.0))
    monkeypatch.setattr(system_pipes, "RESTART_LIMIT_S", PATIENCE_S)

    class Once(slither.Pipe):
        step = slither.stage(Fragile, file=str(tmp_path / "fuel"))

    (tmp_path / "fuel").write_text("")
    assert payloads(system.run_pipe(Once, [1]).default) == [1]
    kill(system, "step")
    with pytest.raises(StartError) as caught:
        system.run_pipe(Once, [1])
    assert "step" in str(caught.value)
    assert "FileNotFoundError" in str(caught.value)
    assert works(system)
    (tmp_path / "fuel").write_text("")
    assert payloads(system.run_pipe(Once, [1]).default) == [1], "once it can start again it does"


def test_when_the_root_is_killed_every_call_says_that_the_system_is_down(system):
    stream = begun(system)
    os.kill(system.topology()["pid"], signal.SIGKILL)
    with pytest.raises(SystemDown):
        list(stream)
    with pytest.raises(SystemDown):
        works(system)
    with pytest.raises(SystemDown):
        system.statistics()
    system.stop()


def test_a_call_between_the_death_of_the_host_and_the_news_of_it_says_that_the_system_is_down(monkeypatch):
    monkeypatch.setattr(Client, "_note_down", lambda self, causes: None)  # the news never come
    with a_system() as system:
        host = system._client._host
        os.kill(host.pid, signal.SIGKILL)
        shutil.rmtree(host.directory)
        for endpoint in system._client._endpoints._idle:
            endpoint.close()
        system._client._endpoints._idle.clear()
        with pytest.raises(SystemDown, match="the host process died"):
            system.statistics()


def test_a_pipe_that_nobody_uses_is_stopped_after_its_time(system, monkeypatch):
    monkeypatch.setattr(system_pipes, "IDLE_S", 0.2)
    assert works(system)
    eventually(lambda: not any("Line" in name for name in processes(system)), "it is stopped")
    assert works(system)


def test_a_run_waits_for_a_stage_that_is_busy_with_another_one_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(_opening, "_OPEN_LIMIT_S", 0.1)
    begun, go_on = str(tmp_path / "begun"), str(tmp_path / "go on")

    class Slow(slither.Pipe):
        @slither.local
        def look(item):
            if item.payload == "slow":
                open(begun, "w").close()
                deadline = time.monotonic() + PATIENCE_S
                while not os.path.exists(go_on) and time.monotonic() < deadline:
                    time.sleep(0.01)
            return item

    with a_system() as system, ThreadPoolExecutor(1) as pool:
        first = pool.submit(system.run_pipe, Slow, ["slow"])
        eventually(lambda: os.path.exists(begun), "the stage is busy")
        threading.Timer(0.5, lambda: open(go_on, "w").close()).start()
        second = system.run_pipe(Slow, ["quick"])
        assert [item.payload for item in (*first.result().default, *second.default)] == ["slow", "quick"]
    assert re.search(r"a run waits for pipes/Slow-1/look, which is busy with an item; stop_pipe\(\)", caplog.text)
