"""Runs beside each other on one dispatcher: none starves, and none keeps workers that it may not use."""

from collections import Counter

import pytest

from slither_actors import KeyPartition, Skip
from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._desk import TURN_BATCHES
from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch._patience import IDLE_S
from slither_actors.dispatch.messages import Batch, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.testing._faults import Faults
from slither_actors.testing._play import playing
from slither_actors.workers.messages import LeaseRequest, LeaseReturned, RunBatch
from slither_actors.workers.parcel import pack_items

WORKERS = [Ref(f"worker-{number}", 1, f"/w{number}", number) for number in range(1, 5)]


def same(payloads):
    return payloads


class Bench:
    """A dispatcher with runs whose batches have tags."""

    def __init__(self, workers=4):
        self.core = DispatchCore()
        self.core.pool_up("/pool")
        self.workers = WORKERS[:workers]
        self.seqs = Counter()

    def open(self, run, **options):
        out = OutPort(2, "/service", 99, 1)
        policy = Skip(isolate=True)
        given = InPort(1, "/service", 99, Origin(None, policy))
        self.core.open_run(run, DispatchPlan((given,), out, out, None, DispatchOptions(on_error=policy, **options)))

    def feed(self, run, *tags, size=1, now=0.0):
        for lane, weight in tags:
            self.seqs[run] += 1
            seq = self.seqs[run]
            parcel = pack_items([Item.wrap(number) for number in range(size)])
            self.core.batch(run, Batch(run, 1, seq, (parcel,), (), tag=(lane, weight, seq, None)), now)

    def grant(self):
        for worker in self.workers:
            self.core.granted(worker, 0.0)
        self.core.answered(self.core._wanted, 0.0)

    def sent(self, kind):
        return [message for _, message in self.core.outbox if isinstance(message, kind)]

    def finish(self, address):
        """Its worker is done with the first batch that it has."""
        (number,) = [task.number for ref, task in self.core._desk.running() if ref.address == address]
        self.core.done(address, number, (), 0.0)

    def at_work(self):
        return [task.run for _, task in self.core._desk.running()]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_with_keys_takes_turns_with_one_that_puts_its_batches_behind_others(workers):
    bench = Bench(workers)
    bench.open("plain", max_in_flight=99)
    bench.feed("plain", *[(0, 0.0)] * 80)
    bench.grant()
    bench.open("keyed", max_in_flight=99)
    bench.feed("keyed", *[(lane, 0.0) for lane in range(1, 41)])
    bench.grant()
    began = []
    for _ in range(40 // workers):
        for worker in bench.workers:
            bench.finish(worker.address)
        began += bench.at_work()
    share = began[2 * workers :].count("keyed") / len(began[2 * workers :])
    assert 0.4 <= share <= 0.6


def test_a_run_with_keys_ends_beside_one_that_does_not():
    with playing(3, Faults(workers=2, seconds=1.0), Config()) as play:
        plain = play.dispatch(iter(range(200)), Code.of(same), DispatchOptions(batch_size=1))
        keyed = play.dispatch(
            range(12), Code.of(same), DispatchOptions(strategy=KeyPartition(lambda item: item.payload % 2, max_size=1))
        )
        play.go()
        assert [len(run.got) for run in (plain, keyed)] == [200, 12]
        executions = play.report().executions
    end = max(place for place, one in enumerate(executions) if one.run == keyed.name)
    assert end < 60, f"{end - 11} batches of the other run went before its last one"


def test_what_waits_for_credit_by_weight_keeps_no_worker():
    bench = Bench()
    bench.open("r", max_in_flight=8, max_in_flight_weight=10.0)
    bench.feed("r", *[(0, 6.0)] * 5)
    bench.grant()
    assert len(bench.sent(RunBatch)) == 1
    assert bench.core._runs["r"].wanted == 1
    bench.core.expire(IDLE_S)
    assert bench.sent(LeaseRequest)[-1].want == 1
    assert len(bench.sent(LeaseReturned)) == 3
    ((worker, _),) = bench.core._desk.running()
    for done in range(2, 6):
        bench.finish(worker.address)
        assert len(bench.sent(RunBatch)) == done
    assert len(bench.sent(LeaseReturned)) == 3


def test_workers_that_other_runs_want_stay():
    bench = Bench()
    bench.open("r", max_in_flight=8, max_in_flight_weight=10.0)
    bench.open("plain", max_in_flight=2)
    bench.feed("r", *[(0, 6.0)] * 5)
    bench.feed("plain", (0, 0.0))
    bench.grant()
    bench.core.expire(IDLE_S)
    assert bench.sent(LeaseRequest)[-1].want == 3
    assert len(bench.sent(LeaseReturned)) == 1


def test_who_gives_up_a_worker_for_others_says_that_it_has_no_use_for_it():
    """Else it would get it back when its turn comes, though it has nothing to do: workers would go round and round."""
    bench = Bench(1)
    bench.open("r", max_in_flight=8)
    bench.feed("r", (0, 0.0))
    bench.grant()
    assert [request.want for request in bench.sent(LeaseRequest)] == [8]
    bench.core.recalled(WORKERS[0])
    bench.finish("/w1")
    assert [(lease.worker, lease.want) for lease in bench.sent(LeaseReturned)] == [(WORKERS[0], 0)]
    bench.feed("r", (0, 0.0))
    assert [request.want for request in bench.sent(LeaseRequest)] == [8, 8]


@pytest.mark.parametrize("first", [0, 1])
def test_a_batch_that_comes_late_goes_to_whoever_is_free_first(first):
    """One that had been put behind the other would wait for the end of that, beside a worker that does nothing."""
    bench = Bench(2)
    bench.open("long")
    bench.feed("long", (0, 0.0), (0, 0.0))
    bench.grant()
    bench.open("late")
    bench.feed("late", (0, 0.0), now=1.0)
    assert bench.at_work() == ["long", "long"]
    bench.finish(WORKERS[first].address)
    assert {ref: task.run for ref, task in bench.core._desk.running()}[WORKERS[first]] == "late"


@pytest.mark.parametrize("recalled", [0, 1])
def test_who_has_a_worker_to_spare_gives_that_one_whichever_was_recalled(recalled):
    bench = Bench(2)
    bench.open("r", max_in_flight=8)
    bench.feed("r", (0, 0.0))
    bench.grant()
    ((busy, _),) = bench.core._desk.running()
    (idle,) = set(WORKERS[:2]) - {busy}
    bench.core.recalled(WORKERS[recalled], turn=True)
    (lease,) = bench.sent(LeaseReturned)
    assert (lease.worker, lease.instead) == (idle, busy if busy == WORKERS[recalled] else None)


def test_who_has_had_its_turn_stays_in_line_for_what_is_left():
    bench = Bench(1)
    bench.open("r", max_in_flight=99)
    bench.feed("r", *[(0, 0.0)] * (TURN_BATCHES + 1))
    bench.grant()
    bench.core.recalled(WORKERS[0], turn=True)
    for _ in range(TURN_BATCHES):
        bench.finish("/w1")
    assert [(lease.worker, lease.want) for lease in bench.sent(LeaseReturned)] == [(WORKERS[0], None)]
    assert len(bench.core._runs["r"].waiting) == 1


def test_parts_of_a_batch_share_its_weight():
    bench = Bench(2)
    bench.open("r", max_in_flight=8, max_in_flight_weight=10.0)
    bench.feed("r", (0, 9.0), size=3)
    bench.grant()
    ((worker, task),) = bench.core._desk.running()
    error = RemoteError("ValueError", "boom", "", ("builtins.ValueError",))
    bench.core.failed(worker.address, task.number, error, False, 0.0)
    assert [task.weight for _, task in bench.core._desk.running()] == [3.0, 6.0]
