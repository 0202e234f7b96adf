"""How long a run may take, and how long its batches may wait: decided by the dispatcher, at its own time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch._patience import CANCEL_GRACE_S
from slither_actors.dispatch.messages import Batch, Failed, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import DeadlineExceeded, InvalidOption, QueueTimeout, RemoteError
from slither_actors.item import Item
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.policy import Retry, Skip
from slither_actors.workers.messages import LeaseRequest, RunBatch
from slither_actors.workers.parcel import pack_items

ONE, TWO = (Ref(f"workers/worker-{number}", 1, f"/run/w{number}", 1000 + number) for number in (1, 2))
SERVICE, POOL, SUPERVISOR = "/run/service", "/run/pool", "/run/supervisor"
BOOM = RemoteError("ValueError", "boom", "", ("builtins.ValueError", "builtins.Exception"))


TO_SERVICE = OutPort(2, SERVICE, 8, 1)


class Bench:
    """A core with some workers, and the time."""

    def __init__(self, *workers: Ref) -> None:
        self.core = DispatchCore()
        self.core.pool_up(POOL)
        self.core.supervisor_up(SUPERVISOR)
        for worker in workers:
            self.core.granted(worker, 0.0)
        self.fed = 0

    def open(self, deadline: Deadline | None = None, run: str = "r", out: OutPort = TO_SERVICE, **options: Any) -> None:
        made = DispatchOptions(batch_size=1, **options)
        plan = DispatchPlan((InPort(1, SERVICE, 8),), out, out, None, made, deadline or Deadline())  # type: ignore[arg-type]
        self.core.open_run(run, plan)

    def feed(self, now: float, run: str = "r", seq: int = 0) -> None:
        self.fed += 1
        self.core.batch(run, Batch(run, 1, seq or self.fed, (pack_items([Item.wrap(self.fed)]),), ()), now)
        for _, request in self.sent(LeaseRequest, keep_others=True):
            self.core.answered(request.want, now)  # no more workers are to be had

    def sent(self, kind: type, *, keep_others: bool = False) -> list[tuple[str, Any]]:
        found = [(to, message) for to, message in self.core.outbox if isinstance(message, kind)]
        self.core.outbox[:] = [one for one in self.core.outbox if keep_others and one not in found]
        return found

    def running(self) -> int:
        """The number of the batch that was sent to a worker last."""
        ((_, message),) = self.sent(RunBatch)
        number: int = message.number
        return number


# -- the deadline of a run


def test_at_its_deadline_a_run_ends_with_all_that_is_finished_also_behind_a_slower_batch() -> None:
    bench = Bench(ONE, TWO)
    bench.open(Deadline(5.0, 5.0))
    bench.feed(0.0)
    bench.running()
    bench.feed(0.0)
    second = bench.running()
    done = (pack_items([Item.wrap("second")]),)
    bench.core.done(TWO.address, second, done, 1.0)
    bench.core.expire(4.9)
    assert bench.sent(Failed) == []
    assert bench.core.earliest == 5.0

    bench.core.expire(5.0)
    ((to, failure),) = bench.sent(Failed)
    assert to == SERVICE
    assert isinstance(failure.error, DeadlineExceeded)
    assert failure.error.deadline_s == 5.0
    assert failure.batch_ref == 0
    assert [batch.parcels for batch in failure.finished] == [done]


def test_what_runs_at_the_deadline_is_killed_at_once_and_not_after_a_grace() -> None:
    bench = Bench(ONE)
    bench.open(Deadline(5.0, 5.0))
    bench.feed(0.0)
    number = bench.running()
    bench.core.expire(5.0)
    ((to, kill),) = bench.sent(KillProcess)
    assert (to, kill.ref, kill.only, kill.why) == (SUPERVISOR, ONE, number, "its run is over")


def test_a_run_that_is_cancelled_leaves_its_batch_a_grace() -> None:
    bench = Bench(ONE)
    bench.open(timeout_s=100.0)
    bench.feed(0.0)
    bench.running()
    bench.core.close_run("r", 2.0)
    bench.core.expire(2.0 + CANCEL_GRACE_S / 2)
    assert bench.sent(KillProcess) == []
    assert bench.core.earliest == 2.0 + CANCEL_GRACE_S
    bench.core.expire(2.0 + CANCEL_GRACE_S)
    assert len(bench.sent(KillProcess)) == 1


def test_a_deadline_is_minded_from_the_first_moment_also_where_nothing_else_happens() -> None:
    bench = Bench()
    bench.open(Deadline(5.0, 5.0))
    assert bench.core.earliest == 5.0


def test_other_runs_outlive_the_deadline_of_one() -> None:
    bench = Bench(ONE)
    bench.open(Deadline(5.0, 5.0))
    bench.open(run="other")
    bench.feed(0.0, "other")
    number = bench.running()
    bench.core.expire(5.0)
    ((_, failure),) = bench.sent(Failed)
    assert failure.run == "r"
    bench.core.done(ONE.address, number, (), 6.0)
    assert [batch.run for _, batch in bench.sent(Batch)] == ["other"]


@pytest.mark.parametrize("wrong", [0, -1, True, "5", math.nan, math.inf])
def test_a_deadline_is_a_number_of_seconds(wrong: object) -> None:
    with pytest.raises(InvalidOption, match=r"dispatch: deadline_s is .*; allowed: None, or a finite number"):
        Deadline.of("dispatch", wrong)


def test_without_one_a_run_may_take_for_ever() -> None:
    assert Deadline.of("dispatch", None) == Deadline(math.inf, math.inf)


# -- how long a batch waits


def test_a_batch_that_finds_no_worker_in_time_ends_the_run() -> None:
    bench = Bench()
    bench.open(queue_timeout_s=2.0)
    bench.feed(1.0)
    assert bench.core.earliest == 3.0
    bench.core.expire(2.9)
    assert bench.sent(Failed) == []
    bench.core.expire(3.0)
    ((_, failure),) = bench.sent(Failed)
    assert isinstance(failure.error, QueueTimeout)
    assert (failure.error.queue_timeout_s, failure.error.pool, failure.batch_ref) == (2.0, "default", 1)


@pytest.mark.parametrize("policy", [Skip(), Skip(isolate=True), Retry(then="skip")])
def test_under_skip_only_those_go_that_waited_too_long_and_no_attempt_is_charged(policy: Any) -> None:
    bench = Bench()
    bench.open(queue_timeout_s=2.0, on_error=policy)
    bench.feed(1.0)
    bench.feed(2.0)
    bench.core.expire(3.0)
    ((_, batch),) = bench.sent(Batch)
    ((kind, attempts, error),) = [(ends.kind, ends.attempts, ends.error) for ends in batch.ends]
    assert (kind, attempts) == ("skipped", 0)
    assert isinstance(error, QueueTimeout)
    assert bench.core.earliest == 4.0
    bench.core.granted(ONE, 3.5)
    bench.core.answered(8, 3.5)
    assert len(bench.sent(RunBatch)) == 1


def test_while_a_batch_of_the_run_is_with_a_worker_the_others_wait_for_that() -> None:
    bench = Bench(ONE)
    bench.open(queue_timeout_s=2.0, timeout_s=100.0)
    bench.feed(0.0)
    first = bench.running()
    bench.feed(0.0)
    assert bench.sent(RunBatch) == [], "it would wait at a busy worker, where nobody can take it back"
    bench.core.expire(50.0)
    assert bench.sent(Failed) == []
    bench.core.done(ONE.address, first, (), 60.0)
    assert len(bench.sent(RunBatch)) == 1


def test_the_patience_begins_anew_when_the_last_worker_is_lost() -> None:
    bench = Bench(ONE)
    bench.open(queue_timeout_s=2.0, timeout_s=100.0)
    bench.feed(0.0)
    first = bench.running()
    bench.feed(0.0)
    bench.core.recalled(ONE)
    bench.core.done(ONE.address, first, (), 60.0)
    bench.core.expire(61.9)
    assert bench.sent(Failed) == []
    assert bench.core.earliest == 62.0
    bench.core.expire(62.0)
    assert [type(failure.error) for _, failure in bench.sent(Failed)] == [QueueTimeout]


def test_without_a_limit_batches_wait_for_ever_and_also_behind_others() -> None:
    bench = Bench(ONE)
    bench.open(timeout_s=1e9)
    bench.feed(0.0)
    bench.feed(0.0)
    assert len(bench.sent(RunBatch)) == 2
    bench.feed(0.0)
    bench.core.expire(1e8)
    assert bench.sent(Failed) == []


def test_an_attempt_that_waits_after_a_failure_has_the_whole_time_again() -> None:
    bench = Bench(ONE)
    bench.open(queue_timeout_s=2.0, on_error=Retry(backoff_s=10.0, jitter=0.0))
    bench.feed(0.0)
    first = bench.running()
    bench.core.recalled(ONE)
    bench.core.failed(ONE.address, first, BOOM, False, 1.0)
    bench.core.expire(11.0)
    assert bench.sent(Failed) == []
    assert bench.core.earliest == 13.0


def test_a_run_with_a_limit_of_waiting_gets_its_turn_beside_one_that_has_none() -> None:
    bench = Bench(ONE)
    bench.open(run="greedy", timeout_s=1e9)
    for seq in (1, 2, 3, 4):
        bench.feed(0.0, "greedy", seq)
    bench.open(run="patient", queue_timeout_s=5.0)
    bench.feed(0.0, "patient", 1)
    numbers = [message.number for _, message in bench.sent(RunBatch)]
    ran = ["greedy", "greedy"]
    while "patient" not in ran and len(ran) < 6:
        bench.core.done(ONE.address, numbers.pop(0), (), 1.0)
        for _, message in bench.sent(RunBatch):
            ran.append(message.run)
            numbers.append(message.number)
    assert ran[:3] == ["greedy"] * 3
    assert ran[3] == "patient"


# -- batches for the next stage that are not full


def test_what_is_no_whole_batch_yet_goes_on_in_time_while_workers_are_busy_with_others() -> None:
    bench = Bench(ONE, TWO)
    bench.open(run="other", timeout_s=1e9)
    bench.feed(0.0, "other")
    bench.running()
    bench.core.expire(0.5)
    bench.open(out=OutPort(2, SERVICE, 8, 10, wants_full=True, max_wait_s=3.0), timeout_s=1e9)
    bench.feed(0.5, seq=1)
    bench.core.done(TWO.address, bench.running(), (pack_items([Item.wrap("one")]),), 1.0)
    assert bench.core.earliest == 4.0
    bench.core.expire(3.9)
    assert bench.sent(Batch) == []
    assert bench.core.earliest == 4.0
    bench.core.expire(4.0)
    assert len(bench.sent(Batch)) == 1
    assert bench.core.earliest == 1e9
