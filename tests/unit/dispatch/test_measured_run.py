"""What a dispatcher reports of the batches of a run that somebody listens to."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from slither_actors import telemetry
from slither_actors._code import Code
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun
from slither_actors.dispatch._measured_run import MeasuredRun, new_run
from slither_actors.dispatch.messages import Batch, Complete, Failed, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.policy import Retry, Skip
from slither_actors.telemetry import Interest
from slither_actors.workers.messages import Job, LeaseRequest, RunBatch
from slither_actors.workers.parcel import pack_items, size

SERVICE, POOL = "/run/service", "/run/pool"
ONE = Ref("workers/worker-1", 1, "/run/w1", 1001)
BOOM = RemoteError("ValueError", "4711 is no good", "", ("builtins.ValueError", "builtins.Exception"))
BOTH = (telemetry.BATCH, telemetry.STAGE)


class Heard:
    """What is reported, and how much of it was flushed."""

    def __init__(self) -> None:
        self.events: list[telemetry.Event] = []
        self.flushed = 0

    def add(self, name: telemetry.Name, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.events.append(telemetry.Event(name, measurements, metadata))

    def flush(self) -> None:
        self.flushed = len(self.events)

    def of(self, prefix: telemetry.Name) -> list[telemetry.Event]:
        return [event for event in self.events if event.name[:-1] == prefix]


def plan_of(interest: tuple[telemetry.Name, ...] = BOTH, **options: Any) -> DispatchPlan:
    context = SealedContext.of(Context("Score", "predict", "s-1", "r"))
    job = Job(Code.of("math:fabs"), attrs.evolve(context, interest=Interest(1, interest)))
    made = DispatchOptions(batch_size=2, **options)
    out = OutPort(2, SERVICE, 8, 2)
    return DispatchPlan((InPort(1, SERVICE, 8, Origin(None, made.on_error)),), out, out, job, made)


class Bench:
    """A core with one worker, and a run of which everything is heard."""

    def __init__(self, stage: str | None = "predict", **options: Any) -> None:
        self.heard = Heard()
        self.core = DispatchCore(stage, lambda *args: new_run(self.heard, *args))  # type: ignore[arg-type]
        self.core.pool_up(POOL)
        self.core.granted(ONE, 0.0)
        self.core.open_run("r", plan_of(**options))
        self.fed = 0

    def feed(self, now: float, *payloads: Any) -> None:
        self.fed += 1
        self.arrived = (pack_items(Item.wrap_many(payloads)),)
        self.core.batch("r", Batch("r", 1, self.fed, self.arrived, ()), now)
        for _, request in self.sent(LeaseRequest, keep_others=True):
            self.core.answered(request.want, now)

    def sent(self, kind: type, *, keep_others: bool = False) -> list[tuple[str, Any]]:
        found = [(to, message) for to, message in self.core.outbox if isinstance(message, kind)]
        self.core.outbox[:] = [one for one in self.core.outbox if keep_others and one not in found]
        return found

    def running(self) -> int:
        return int(self.sent(RunBatch)[-1][1].number)


def test_a_batch_that_a_worker_has_run_says_how_long_it_waited_and_ran() -> None:
    bench = Bench()
    bench.feed(1.0, "a", "b")
    number = bench.running()
    result = (pack_items([Item.wrap("x" * 1000)]),)
    bench.core.done(ONE.address, number, result, 5.0, seconds=1.5)

    (event,) = bench.heard.of(telemetry.BATCH)
    assert event.name[-1] == "stop"
    sizes = {"bytes_in": size(bench.arrived), "bytes_out": size(result)}
    assert event.measurements == {
        **sizes,
        "time_s": 1.0,
        "duration_s": 4.0,
        "queue_s": 2.5,
        "run_s": 1.5,
        "items_in": 2,
        "items_out": 1,
        "attempt": 1,
    }
    about = {"run": "r", "session": "s-1", "pipe": "Score", "stage": "predict", "pool": "default", "outcome": "ok"}
    assert event.metadata == {**about, "worker": ONE.name, "batch": number, "batch_ref": 1}


def test_each_attempt_is_told_and_the_stage_is_done_once_with_all_of_them() -> None:
    bench = Bench(on_error=Retry(max_attempts=2, backoff_s=1.0, jitter=0.0, then="skip"))
    bench.feed(0.0, "a", "b")
    first = bench.running()
    bench.core.failed(ONE.address, first, BOOM, False, 2.0, 0.5)
    bench.core.expire(3.0)
    second = bench.running()
    bench.core.failed(ONE.address, second, BOOM, False, 10.0, 6.0)

    told = [
        (event.name[-1], event.metadata["verdict"], event.measurements["attempt"], event.metadata["batch"])
        for event in bench.heard.of(telemetry.BATCH)
    ]
    assert told == [("exception", "retry", 1, first), ("exception", "dead", 2, second)]
    # The pause before another attempt is none that a batch waits for a worker.
    assert [event.measurements["queue_s"] for event in bench.heard.of(telemetry.BATCH)] == [1.5, 1.0]
    (whole,) = bench.heard.of(telemetry.STAGE)
    assert whole.name[-1] == "stop"
    assert whole.metadata["outcome"] == "error"
    assert whole.measurements == {
        "bytes_in": size(bench.arrived),
        "time_s": 0.0,
        "duration_s": 10.0,
        "queue_s": 1.5,
        "run_s": 6.5,
        "items_in": 2,
        "items_out": 0,
        "attempt": 2,
    }


def test_what_user_code_said_is_not_told_since_it_may_quote_an_item() -> None:
    bench = Bench(on_error="skip")
    bench.feed(0.0, "4711")
    bench.core.failed(ONE.address, bench.running(), BOOM, False, 2.0, 0.5)
    assert {event.metadata["error_type"] for event in bench.heard.events} == {"ValueError"}
    assert "4711" not in repr(bench.heard.events)


@pytest.mark.parametrize("fatal", [False, True])
def test_what_halts_the_run_is_told_before_its_end(fatal: bool) -> None:
    bench = Bench(on_error=Skip() if fatal else "halt")
    bench.feed(0.0, "a")
    bench.core.failed(ONE.address, bench.running(), BOOM, fatal, 2.0, 0.5)
    assert bench.sent(Failed)
    assert [event.name for event in bench.heard.events] == [
        (*telemetry.BATCH, "exception"),
        (*telemetry.STAGE, "exception"),
    ]
    assert bench.heard.events[0].metadata["verdict"] == "halt"
    assert bench.heard.flushed == 2


def test_all_is_flushed_before_a_run_is_complete() -> None:
    bench = Bench()
    bench.feed(0.0, "a")
    bench.core.done(ONE.address, bench.running(), (), 1.0, seconds=0.1)
    assert bench.heard.flushed == 0
    bench.core.complete("r", 1, 1)
    assert bench.sent(Complete)
    assert bench.heard.flushed == 2


def test_a_worker_that_died_cannot_say_how_long_it_ran() -> None:
    """What is known then is when the batch before it was done."""
    bench = Bench(on_error="skip")
    bench.feed(0.0, "a")
    first = bench.running()
    bench.feed(0.0, "b")
    second = bench.running()
    bench.core.done(ONE.address, first, (), 3.0, seconds=2.0)
    bench.core.worker_down(ONE, second, "SIGKILL", 5.0)
    died = bench.heard.of(telemetry.BATCH)[-1]
    assert died.metadata["error_type"] == "WorkerCrashed"
    assert (died.measurements["queue_s"], died.measurements["run_s"]) == (3.0, 2.0)


def test_a_batch_that_nobody_began_is_told_once_when_somebody_has_run_it() -> None:
    bench = Bench(stage=None)
    bench.feed(0.0, "a")
    first = bench.running()
    bench.feed(0.0, "b")
    bench.running()
    bench.core.worker_down(ONE, 0, "SIGKILL", 1.0)  # it had begun with neither
    assert bench.heard.events == []
    two = Ref("workers/worker-1", 2, "/run/w2", 1002)
    bench.core.granted(two, 2.0)
    again = bench.sent(RunBatch)[0][1].number
    assert again > first
    bench.core.done(two.address, again, (), 3.0, seconds=0.5)
    (event,) = bench.heard.events
    assert event.measurements["attempt"] == 1
    assert event.measurements["queue_s"] == pytest.approx(1.5)  # since it came back


def test_the_parts_of_a_batch_are_attempts_of_their_own_and_one_batch_of_the_stage() -> None:
    bench = Bench(on_error=Skip(isolate=True))
    bench.feed(0.0, "a", "b")
    bench.core.failed(ONE.address, bench.running(), BOOM, False, 1.0, 1.0)
    left, right = (message.number for _, message in bench.sent(RunBatch))
    bench.core.done(ONE.address, left, (pack_items([Item.wrap("x")]),), 2.0, seconds=1.0)
    assert bench.heard.of(telemetry.STAGE) == []
    bench.core.failed(ONE.address, right, BOOM, False, 3.0, 1.0)
    verdicts = [event.metadata.get("verdict") for event in bench.heard.of(telemetry.BATCH)]
    assert verdicts == ["split", None, "skipped"]
    (whole,) = bench.heard.of(telemetry.STAGE)
    counts = {name: whole.measurements[name] for name in ("items_in", "items_out", "run_s", "duration_s")}
    assert counts == {"items_in": 2, "items_out": 1, "run_s": 3.0, "duration_s": 3.0}


def test_a_batch_that_never_ran_is_one_of_the_stage_alone() -> None:
    bench = Bench(on_error="skip", queue_timeout_s=5.0)
    bench.core.recalled(ONE)
    bench.feed(0.0, "a")
    bench.core.expire(5.0)
    (event,) = bench.heard.events
    assert event.name == (*telemetry.STAGE, "stop")
    assert event.metadata["error_type"] == "QueueTimeout"
    assert (event.measurements["attempt"], event.measurements["queue_s"]) == (0, 5.0)


def test_one_that_came_back_unbegun_and_then_waited_too_long_has_no_attempt() -> None:
    bench = Bench(on_error="skip", queue_timeout_s=5.0)
    bench.feed(0.0, "a")
    bench.core.worker_down(ONE, 0, "SIGKILL", 1.0)
    bench.core.expire(6.0)
    assert [event.name for event in bench.heard.events] == [(*telemetry.STAGE, "stop")]


@pytest.mark.parametrize(
    ("interest", "stage", "measured"),
    [
        ((), "predict", False),
        ((telemetry.STORE_WRITE,), "predict", False),
        ((telemetry.STAGE,), None, False),
        ((telemetry.STAGE,), "predict", True),
        ((telemetry.BATCH,), None, True),
    ],
)
def test_a_run_that_nobody_listens_to_is_a_plain_one(
    interest: tuple[telemetry.Name, ...], stage: str | None, measured: bool
) -> None:
    run = new_run(Heard(), "r", plan_of(interest), stage)  # type: ignore[arg-type]
    assert type(run) is (MeasuredRun if measured else DispatchRun)
    assert type(new_run(None, "r", plan_of(interest), stage)) is DispatchRun


@pytest.mark.parametrize("interest", [(telemetry.BATCH,), (telemetry.STAGE,)])
def test_only_what_is_listened_to_is_told(interest: tuple[telemetry.Name, ...]) -> None:
    bench = Bench(interest=interest)
    bench.feed(0.0, "a")
    bench.core.done(ONE.address, bench.running(), (), 1.0, seconds=0.1)
    assert {event.name[:-1] for event in bench.heard.events} == set(interest)


def test_what_is_known_of_batches_that_are_over_is_forgotten() -> None:
    bench = Bench()
    run: Any = bench.core._runs["r"]
    for now in range(8):
        bench.feed(now, "a")
        bench.core.done(ONE.address, bench.running(), (), now + 0.5, seconds=0.1)
    assert len(bench.heard.events) == 16
    assert (run._workers, run._wholes) == ({}, {})
