"""What a dispatcher does with a run whose stage has a rate limit: batches wait, and nobody is kept waiting for them."""

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun
from slither_actors.dispatch._rate_table import RateTable
from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.dispatch.messages import Batch, Failed, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import QueueTimeout
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.policy import Retry
from slither_actors.workers.messages import LeaseRequest, LeaseReturned, RunBatch
from slither_actors.workers.parcel import pack_items
from tests.unit.dispatch.test_time_limits import BOOM, ONE, POOL, SERVICE, SUPERVISOR, TWO


class Bench:
    """A core with a worker or two, the time, and runs of one stage with a limit of 1 item per second."""

    def __init__(self, *workers: Ref, burst: int = 2) -> None:
        self.now = 0.0
        self.ticket = RateTicket("P-1/stage", 1.0, burst)
        self.rates = RateTable(lambda: self.now)
        self.core = DispatchCore("stage", self.new_run)
        self.core.pool_up(POOL)
        self.core.supervisor_up(SUPERVISOR)
        for worker in workers:
            self.core.granted(worker, 0.0)
        self.fed: dict[str, int] = {}
        self.spare: list[Ref] = []
        self.returned: list[Ref] = []

    def new_run(self, *args) -> DispatchRun:
        """As a dispatcher makes them."""
        run = DispatchRun(*args)
        run.pace = self.rates.join(run.plan.rate) if run.plan.rate is not None else None
        return run

    def open(self, run: str = "r", *, paced: bool = True, **options) -> None:
        out = OutPort(2, SERVICE, 8, 1)
        made = DispatchOptions(batch_size=2, **options)
        rate = self.ticket if paced else None
        self.core.open_run(run, DispatchPlan((InPort(1, SERVICE, 8),), out, out, None, made, rate=rate))

    def feed(self, run: str = "r", items: int = 2) -> None:
        seq = self.fed[run] = self.fed.get(run, 0) + 1
        self.core.batch(run, Batch(run, 1, seq, (pack_items(Item.wrap_many(range(items))),), ()), self.now)
        self.answer()

    def answer(self) -> None:
        """As the pool does."""
        for returned in self.taken(LeaseReturned):
            self.returned.append(returned.worker)
            self.spare.append(returned.worker)
        for request in self.taken(LeaseRequest):
            for worker in [self.spare.pop() for _ in range(min(request.want, len(self.spare)))]:
                self.core.granted(worker, self.now)
            self.core.answered(request.want, self.now)

    def taken(self, kind: type) -> list:
        found = [message for _, message in self.core.outbox if isinstance(message, kind)]
        self.core.outbox[:] = [one for one in self.core.outbox if one[1] not in found]
        return found

    def until(self, end: float) -> list[tuple[float, str]]:
        """What is sent to workers until then, all of which is done in no time: when, and of which run."""
        sent = []
        while True:
            self.answer()
            for message in self.taken(RunBatch):
                sent.append((self.now, message.run))
                for worker in (ONE, TWO):
                    self.core.done(worker.address, message.number, (), self.now)
            if any(isinstance(message, RunBatch | LeaseRequest | LeaseReturned) for _, message in self.core.outbox):
                continue
            if self.core.earliest > end:
                self.now = end
                return sent
            self.now = max(self.now, self.core.earliest)
            self.core.expire(self.now)


def test_batches_go_when_the_rate_lets_all_of_their_items_go_and_not_sooner() -> None:
    bench = Bench(ONE)
    bench.open()
    for _ in range(3):
        bench.feed()
    assert bench.until(10.0) == [(0.0, "r"), (2.0, "r"), (4.0, "r")]


def test_runs_of_one_stage_share_its_rate_and_others_are_not_held_up() -> None:
    bench = Bench(ONE, TWO)
    bench.open("first")
    bench.open("second")
    bench.open("free", paced=False)
    for run in ("first", "second", "free", "free", "free"):
        bench.feed(run)
    sent = bench.until(10.0)
    assert [when for when, run in sent if run == "free"] == [0.0] * 3
    assert [when for when, run in sent if run != "free"] == [0.0, 2.0]


def test_another_attempt_counts_again() -> None:
    bench = Bench(ONE)
    bench.open(on_error=Retry(max_attempts=2, backoff_s=0.0, jitter=0.0))
    bench.feed()
    (first,) = bench.taken(RunBatch)
    bench.core.failed(ONE.address, first.number, BOOM, False, 0.0)
    assert [when for when, _ in bench.until(10.0)] == [2.0]


def test_a_batch_that_the_rate_holds_back_does_not_run_out_of_patience() -> None:
    bench = Bench(ONE)
    bench.open(queue_timeout_s=0.5)
    for _ in range(3):
        bench.feed()
    assert [when for when, _ in bench.until(10.0)] == [0.0, 2.0, 4.0]
    assert not bench.taken(Failed)


def test_one_that_finds_no_worker_when_its_time_has_come_does() -> None:
    bench = Bench()
    bench.open(queue_timeout_s=0.5)
    bench.rates.join(bench.ticket).take(2)
    bench.feed()
    bench.until(2.4)
    assert not bench.taken(Failed)
    bench.until(2.6)
    (failed,) = bench.taken(Failed)
    assert isinstance(failed.error, QueueTimeout)


def test_workers_are_not_kept_from_others_while_the_rate_holds_all_back() -> None:
    bench = Bench(ONE, burst=2)
    bench.ticket = RateTicket("P-1/stage", 0.01, 2)
    bench.open()
    bench.feed()
    bench.feed()
    bench.until(60.0)
    assert bench.returned == [ONE]


def test_a_rate_that_is_raised_lets_what_waits_go() -> None:
    bench = Bench(ONE)
    bench.open()
    bench.feed()
    bench.feed()
    assert len(bench.until(1.0)) == 1
    bench.rates.change(RateTicket("P-1/stage", 1000.0, 2, version=1))
    bench.core.expire(bench.now)
    assert [run for _, run in bench.until(1.01)] == ["r"]
