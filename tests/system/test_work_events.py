"""What a system reports of the work that goes through it, and of the processes that do it, heard in the service: each
end says whether it worked, how long it waited and how long it ran."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import slither_actors as slither
from slither_actors import PoolOptions, Quarantine, Recycle, Retry, telemetry
from slither_actors.logs import JsonLines
from slither_actors.otp import SupervisorOptions
from slither_actors.telemetry import Captured, Event
from slither_actors.workers import pool
from tests.helpers import jobs
from tests.system.running import a_system, kill, pid_of, restarted
from tests.system.waiting import eventually, living

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT_S = 30.0
WORKER = "pools/default/workers/worker-1"
STOP, EXCEPTION = (*telemetry.BATCH, "stop"), (*telemetry.BATCH, "exception")


def fail_odd(payloads: list[int]) -> list[int]:
    if any(payload % 2 for payload in payloads):
        raise ValueError("odd")
    return payloads


def die_of_five(payloads: list[Any], ctx: slither.Context) -> list[Any]:
    ctx.state["begun"] = True
    if 5 in payloads:
        os.kill(os.getpid(), signal.SIGKILL)
    return payloads


def say(payloads: list[Any]) -> list[Any]:
    logging.getLogger("shop").warning("said in a worker")
    return payloads


def say_here(item: slither.Item, ctx: slither.Context) -> Any:
    logging.getLogger("shop").warning("said in a stage")
    return item.payload


class Mixed(slither.Pipe):
    local = slither.local(lambda item: item.payload)
    work = slither.worker(fail_odd, batch_size=1, on_error=Retry(max_attempts=2, backoff_s=0.001, then="skip"))
    route = slither.router((lambda item: item.payload > 4, "large"))
    outputs = ["large"]


class Halting(slither.Pipe):
    first = slither.local(lambda item: 1 // item.payload)


class Saying(slither.Pipe):
    here = slither.local(say_here)
    there = slither.worker(say)


@pytest.fixture(scope="module")
def system(tidy: None) -> Iterator[slither.System]:
    pools = {
        "default": 1,
        "worn": PoolOptions(1, recycle=Recycle(batches=1)),
        "weak": PoolOptions(1, quarantine=Quarantine(crashes=1, within_s=600, pause_s=600, longest_s=600)),
    }
    with a_system(pools=pools) as running:
        yield running


def awaited(events: Captured, name: telemetry.Name, **about: Any) -> Event:
    """The first event of this name with these metadata."""

    def look() -> list[Event]:
        return [event for event in events.named(name) if about.items() <= event.metadata.items()]

    return eventually(look, f"no {'.'.join(name)} with {about}")[0]


def of(system: slither.System, events: Captured) -> Captured:
    """Those of one system."""
    return Captured(event for event in events if event.metadata["system"] == system.name)


def check_times(event: Event) -> None:
    """How long it took in all is how long it waited and how long it ran."""
    measured = event.measurements
    assert measured["queue_s"] >= 0
    assert measured["run_s"] > 0
    assert measured["duration_s"] == pytest.approx(measured["queue_s"] + measured["run_s"])


# -- batches


def test_each_batch_is_reported_before_its_run_is_over(system: slither.System) -> None:
    with telemetry.capture("slither.dispatch") as events:
        system.dispatch(range(10), jobs.double, batch_size=4)
        at_the_end = list(events)
    *_, run = at_the_end
    batches = events.named(telemetry.BATCH)
    assert run.name == (*telemetry.DISPATCH_RUN, "stop")
    assert {event.name for event in batches} == {STOP}
    assert [event.measurements["items_in"] for event in batches] == [4, 4, 2]
    assert [event.measurements["items_out"] for event in batches] == [4, 4, 2]
    assert [event.metadata["batch_ref"] for event in batches] == [1, 2, 3]
    assert len({event.metadata["batch"] for event in batches}) == 3
    for event in [*batches, run]:
        check_times(event)
        assert event.metadata["outcome"] == "ok"
        assert (event.metadata["run"], event.metadata["system"]) == (run.metadata["run"], system.name)
    assert {event.metadata["worker"] for event in batches} == {WORKER}


def test_a_batch_that_fails_says_so_at_each_attempt(system: slither.System) -> None:
    with telemetry.capture(telemetry.BATCH) as events:
        policy = Retry(max_attempts=2, backoff_s=0.001, then="skip")
        system.dispatch([0, 1], fail_odd, batch_size=1, on_error=policy)
    failed = [event for event in events if event.name == EXCEPTION]
    assert [event.measurements["attempt"] for event in failed] == [1, 2]
    assert [event.metadata["verdict"] for event in failed] == ["retry", "dead"]
    for event in failed:
        check_times(event)
        assert (event.metadata["outcome"], event.metadata["error_type"]) == ("error", "ValueError")
    assert [event.metadata["outcome"] for event in events if event.name == STOP] == ["ok"]


def test_what_ends_a_run_is_reported_too(system: slither.System) -> None:
    with telemetry.capture("slither") as events, pytest.raises(slither.DispatchError):
        system.dispatch([1], fail_odd)
    assert events.one(telemetry.BATCH).metadata["verdict"] == "halt"
    run = events.one((*telemetry.DISPATCH_RUN, "stop"))
    assert (run.metadata["outcome"], run.measurements["items_out"]) == ("error", 0)


def test_a_batch_that_kills_its_worker_or_is_over_its_time(system: slither.System) -> None:
    """With the end of the worker, and the next one's begin."""
    with telemetry.capture("slither") as events:
        system.dispatch(["kill"], jobs.mishaps, on_error="skip")
        system.dispatch(["hang"], jobs.mishaps, on_error="skip", timeout_s=0.3)
        assert [event.metadata["error_type"] for event in events.named(EXCEPTION)] == ["WorkerCrashed", "BatchTimeout"]
        killed, late = events.named(EXCEPTION)
        assert late.measurements["run_s"] >= 0.3
        check_times(killed)
        ended = awaited(events, (*telemetry.WORKER, "stop"), worker=killed.metadata["worker"])
        begun = awaited(events, (*telemetry.WORKER, "start"), worker=WORKER)
        again = awaited(events, (*telemetry.SUPERVISOR, "restart"), process=WORKER)
    assert (ended.metadata["worker"], ended.metadata["reason"], ended.metadata["outcome"]) == (
        WORKER,
        "killed",
        "error",
    )
    assert "SIGKILL" in ended.metadata["error"]
    assert ended.measurements["batches"] > 0
    assert begun.metadata["pid"] != ended.metadata["pid"]
    assert 0 < begun.measurements["duration_s"] < ended.measurements["duration_s"] + LIMIT_S
    assert again.metadata["supervisor"] == "pools/default/workers"
    assert again.metadata["reason"] == "killed"
    assert 0 < again.measurements["away_s"] < LIMIT_S


def test_a_handler_that_raises_harms_no_work_and_is_detached(
    system: slither.System, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Any, measurements: Any, metadata: Any) -> None:
        raise RuntimeError("broken handler")

    telemetry.attach("broken", telemetry.BATCH, broken)
    with telemetry.capture(telemetry.BATCH) as events:
        assert len(system.dispatch(range(4), jobs.same, batch_size=1)) == 4
    assert telemetry.detach("broken") is False
    assert len(events) == 4
    told = [record.getMessage() for record in caplog.records if "detached" in record.getMessage()]
    assert told == ["telemetry handler 'broken' raised and is detached"]


# -- stages


def test_each_stage_reports_its_batches_whatever_it_is(system: slither.System) -> None:
    with telemetry.capture("slither") as events:
        system.run_pipe(Mixed, [2, 4, 5, 6], session_id="s-1")
    run = events.one((*telemetry.PIPE_RUN, "stop"))
    check_times(run)
    stages = events.named(telemetry.STAGE)
    assert all(events.index(event) < events.index(run) for event in stages)
    for event in stages:
        assert event.name[-1] == "stop"
        about = {name: event.metadata[name] for name in ("system", "pipe", "run", "session")}
        assert about == {"system": system.name, "pipe": "Mixed", "run": run.metadata["run"], "session": "s-1"}
        assert event.measurements["duration_s"] >= event.measurements["queue_s"] >= 0
        assert event.measurements["duration_s"] >= event.measurements["run_s"] > 0
    sums = {
        name: tuple(
            sum(event.measurements[items] for event in stages if event.metadata["stage"] == name)
            for items in ("items_in", "items_out")
        )
        for name in ("local", "work", "route")
    }
    assert sums == {"local": (4, 4), "work": (4, 3), "route": (3, 3)}
    (failed,) = (event for event in stages if event.metadata["outcome"] == "error")
    assert (failed.metadata["stage"], failed.metadata["error_type"], failed.measurements["attempt"]) == (
        "work",
        "ValueError",
        2,
    )
    batches = events.named(telemetry.BATCH)
    assert {(event.metadata["pipe"], event.metadata["stage"]) for event in batches} == {("Mixed", "work")}
    assert len(batches) == 5


def test_a_stage_that_halts_the_run_says_so(system: slither.System) -> None:
    with telemetry.capture("slither.pipe") as events, pytest.raises(slither.PipeError):
        system.run_pipe(Halting, [0])
    halted = events.one(telemetry.STAGE)
    assert halted.name[-1] == "exception"
    assert (halted.metadata["stage"], halted.metadata["error_type"]) == ("first", "ZeroDivisionError")
    assert halted.measurements["items_in"] == 1
    assert events[-1].metadata["outcome"] == "error"


def test_who_listens_when_a_run_begins_is_what_counts(system: slither.System) -> None:
    with telemetry.capture(telemetry.STAGE) as events:
        system.run_pipe(Mixed, [2])
    assert {event.name[:-1] for event in events} == {telemetry.STAGE}
    stream = system.stream_pipe(Mixed, [2])
    with telemetry.capture("slither") as late:
        assert [item.payload for item in stream] == [2]
    assert late.named(telemetry.STAGE) == late.named(telemetry.BATCH) == []
    assert late.one(telemetry.PIPE_RUN).name[-1] == "stop"


def test_a_stream_of_few_batches_is_heard_of_while_it_goes_on(system: slither.System) -> None:
    go_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert go_on.wait(LIMIT_S), "nothing was heard of the first batch"
        yield 2

    telemetry.attach("first", telemetry.BATCH, lambda *event: go_on.set())
    try:
        assert len(list(system.stream(source(), jobs.same, batch_size=1))) == 2
    finally:
        telemetry.detach("first")


# -- sessions


@pytest.mark.parametrize("on_loss", ["error", "rebuild"])
def test_a_session_that_loses_its_worker_says_what_becomes_of_it(system: slither.System, on_loss: Any) -> None:
    with telemetry.capture(telemetry.SESSION) as events, system.session("mine", on_loss=on_loss) as session:
        session.dispatch([1], die_of_five)
        if on_loss == "rebuild":
            session.dispatch([5], die_of_five, on_error="skip")
        else:
            lost(session)
    mine = [event for event in events if event.metadata["session"] == "mine"]
    end, outcome = ("rebuild", "ok") if on_loss == "rebuild" else ("lost", "lost")
    assert [event.name[-1] for event in mine] == ["start", end, "stop"]
    _, loss, stop = mine
    assert loss.metadata == {"system": system.name, "pool": "default", "session": "mine", "worker": WORKER}
    assert loss.measurements == {"losses": 1}
    assert stop.metadata == {"system": system.name, "session": "mine", "outcome": outcome}
    assert stop.measurements["losses"] == 1
    assert stop.measurements["duration_s"] > 0


def lost(session: slither.Session) -> None:
    with pytest.raises(slither.DispatchError):
        session.dispatch([5], die_of_five)


def test_the_calls_of_a_session_are_batches_that_are_heard_before_its_end(system: slither.System) -> None:
    with telemetry.capture("slither") as events, system.session("calls") as session:
        assert session.submit(2, jobs.double).result(LIMIT_S) == 4
    call = events.one(telemetry.BATCH)
    assert (call.metadata["session"], call.measurements["items_in"]) == ("calls", 1)
    assert events.index(call) < events.index(events.one((*telemetry.SESSION, "stop")))


def test_a_session_that_is_left_by_an_error_says_so(system: slither.System) -> None:
    with telemetry.capture((*telemetry.SESSION, "stop")) as events:
        with suppress(ZeroDivisionError), system.session("left"):
            raise ZeroDivisionError
        with system.session("fine"):
            pass
    assert [event.metadata["outcome"] for event in events] == ["error", "ok"]


# -- workers and supervisors


def test_a_worker_that_is_worn_out_and_one_that_keeps_dying(system: slither.System) -> None:
    with telemetry.capture(telemetry.WORKER) as events:
        system.dispatch([1], jobs.same, pool="worn")
        worn = awaited(events, (*telemetry.WORKER, "recycle"), pool="worn")
        assert worn.metadata["worker"] == "pools/worn/workers/worker-1"
        assert worn.metadata["reason"] == "it has run 1 batches"
        stopped = awaited(events, (*telemetry.WORKER, "stop"), pool="worn")
        assert (stopped.metadata["outcome"], stopped.metadata["reason"]) == ("ok", "shutdown")
        assert "error" not in stopped.metadata
        kill(system, "pools/weak/workers/worker-1")
        kept_down = awaited(events, (*telemetry.WORKER, "quarantine"), pool="weak")
    assert kept_down.measurements == {"pause_s": 600}
    assert kept_down.metadata["worker"] == "pools/weak/workers/worker-1"


@pytest.mark.timeout(300)
def test_a_system_reports_its_workers_from_its_start_to_its_end(
    system: slither.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A budget for an hour instead of five seconds is spent however slow the restarts are.
    monkeypatch.setattr(pool, "SupervisorOptions", functools.partial(SupervisorOptions, period_s=3600.0))
    with telemetry.capture("slither") as events:
        with a_system(pools={"default": 2}) as running:
            assert [event.name for event in of(running, events)] == [(*telemetry.WORKER, "start")] * 2
            dispatcher = pid_of(running, "pools/default/dispatcher")
            while living({dispatcher}):  # until the supervisor of the workers has given up, and all others with it
                worker = kill(running, "workers/worker-1")
                restarted(running, "workers/worker-1", worker)
            about = {"system": running.name, "supervisor": "pools/default/workers"}
            gave_up = awaited(events, (*telemetry.SUPERVISOR, "give_up"), **about)
            about = {"system": running.name, "process": "pools/default/dispatcher"}
            awaited(events, (*telemetry.SUPERVISOR, "restart"), **about)
        by_system = {event.metadata["system"] for event in events}
    assert gave_up.metadata["process"] == WORKER
    assert by_system <= {running.name, system.name}, "the other one may have to restart what an earlier test has killed"
    starts, stops = (of(running, events).named((*telemetry.WORKER, end)) for end in ("start", "stop"))
    last = {event.metadata["pid"] for event in stops if event.metadata["reason"] == "shutdown"}
    assert last <= {event.metadata["pid"] for event in starts}
    assert len(last) >= 2, "those that were there at the end have ended in order"


# -- logs


def test_records_of_user_code_say_what_they_are_about(system: slither.System, caplog: pytest.LogCaptureFixture) -> None:
    with telemetry.capture("slither") as events:
        system.run_pipe(Saying, [1], session_id="s-2")

    def record(text: str) -> logging.LogRecord:
        return eventually(lambda: [one for one in caplog.records if one.message == text], f"no {text!r}")[0]

    batch = events.one(telemetry.BATCH).metadata
    common = {"system": system.name, "run": batch["run"], "pipe": "Saying", "session": "s-2"}
    there: Any = record("said in a worker")
    assert there.slither == common | {"process": WORKER, "stage": "there", "batch": batch["batch"]}
    here: Any = record("said in a stage")
    assert here.slither.pop("process").endswith("/here")
    assert here.slither == common | {"stage": "here"}


CANARY = "canary-5318008"


class Fragile(slither.Pipe):
    on_error = {"*": "skip"}
    here = slither.local(lambda item: 1 // 0 if item.payload.endswith("0") else item.payload)
    work = slither.worker(jobs.mishaps, batch_size=1, timeout_s=20.0, on_error=Retry(max_attempts=2, backoff_s=0.01))
    route = slither.router((lambda item: item.payload.missing, "large"))
    outputs = ["large"]


@pytest.mark.timeout(300)
def test_payloads_are_in_no_event_and_in_no_record(caplog: pytest.LogCaptureFixture) -> None:
    """Of runs that fail, are retried, and lose their workers; with all that anybody may hear of them."""
    caplog.set_level(logging.DEBUG)
    payloads = [f"{CANARY}-{number}" for number in range(6)]
    with telemetry.capture() as events, a_system(pools={"default": 1}) as running:
        with suppress(slither.PipeError):
            running.run_pipe(Fragile, payloads, session_id="s")
        for policy in ("skip", Retry(max_attempts=2, backoff_s=0.001, then="skip"), "halt"):
            with suppress(slither.DispatchError):
                running.dispatch(payloads, quote_and_die, batch_size=2, on_error=policy)
        awaited(events, (*telemetry.SUPERVISOR, "restart"), process=WORKER)
    assert {event.metadata["error_type"] for event in events.named(EXCEPTION)} >= {"ValueError", "WorkerCrashed"}
    assert {event.metadata["error_type"] for event in events.named(telemetry.STAGE) if "error_type" in event.metadata}
    lines = [JsonLines().format(record) + repr(vars(record)) for record in caplog.records]
    assert any("was restarted" in line for line in lines)
    assert not [event for event in events if CANARY in repr(event)]
    assert not [line for line in lines if CANARY in line]


def quote_and_die(payloads: list[str]) -> list[str]:
    if payloads[0].endswith("2"):
        raise ValueError(f"cannot use {payloads[0]}")
    if payloads[0].endswith("4"):
        os.kill(os.getpid(), signal.SIGKILL)
    return payloads
