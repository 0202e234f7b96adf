"""The pool's actor, made by hand: whom it tells what when a process ends."""

from types import SimpleNamespace

import pytest

from slither_actors.errors import PoolQuarantined
from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import Down, KillProcess, Up
from slither_actors.otp.ref import Ref
from slither_actors.workers._page import Figures
from slither_actors.workers.messages import (
    FIRST_BATCH,
    LeaseRequest,
    LeaseReturned,
    Staffing,
    Vacate,
    Vacated,
    WorkersClaimed,
)
from slither_actors.workers.pool import Pool

WORKERS = Ref("pools/default/workers", 1, "/run/workers", 10)
WORKER = Ref("pools/default/workers/worker-1", 1, "/run/worker", 11)
DISPATCHER = Ref("pools/default/dispatcher", 1, "/run/dispatcher", 12)
STRANGER = Ref("children/tally", 1, "/run/tally", 13)


class RecordingPool(Pool):
    def __init__(self):
        super().__init__("pools/default/workers/")
        self.posted = []
        self.timers = []
        self.page = Figures()
        self._life = SimpleNamespace(incarnation=1)

    def post(self, to, message):
        self.posted.append((to, message))

    def _page(self, worker):
        return self.page

    def start_timer(self, delay_s, action):
        timer = SimpleNamespace(action=action, cancel=lambda: self.timers.remove(timer))
        self.timers.append(timer)
        return timer

    def kills(self):
        return [(to, news.ref, news.only) for to, news in self.posted if isinstance(news, KillProcess)]

    def vacates(self):
        found = [(to, message.holder) for to, message in self.posted if isinstance(message, Vacate)]
        self.posted.clear()
        return found


def test_workers_are_told_of_the_deaths_of_those_who_leased_them_and_of_no_others():
    pool = RecordingPool()
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool._on_vacated(Vacated(""), WORKER.address)
    pool._on_request(LeaseRequest(1), DISPATCHER.address)
    assert pool.vacates() == [(WORKER.address, "")]

    pool._on_down(Down(STRANGER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == []

    pool._on_down(Down(DISPATCHER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == [(WORKER.address, DISPATCHER.address)]
    pool._on_down(Down(DISPATCHER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == []


@pytest.mark.parametrize(("answered", "claimed"), [(False, False), (True, False), (False, True)])
def test_a_new_pool_frees_by_force_what_does_not_answer_and_nobody_claims(answered, claimed):
    pool = RecordingPool()
    pool._on_up(Up(WORKERS, "supervisor"), "/run/registry")
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    if answered:
        pool._on_vacated(Vacated(""), WORKER.address)
        assert pool.timers == [], "nothing is waited for"
    if claimed:
        pool._on_claimed(WorkersClaimed((WORKER,)), DISPATCHER.address)
    for timer in pool.timers:
        timer.action()
    assert pool.kills() == ([] if answered or claimed else [(WORKERS.address, WORKER, 0)])


def test_only_the_batch_that_nobody_claims_is_killed():
    pool = RecordingPool()
    pool._on_up(Up(WORKERS, "supervisor"), "/run/registry")
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool.page = Figures(number=FIRST_BATCH + 7)
    pool.timers[0].action()
    assert pool.kills() == [(WORKERS.address, WORKER, FIRST_BATCH + 7)]


def test_a_call_on_each_worker_is_left_to_whoever_made_it():
    pool = RecordingPool()
    pool._on_up(Up(WORKERS, "supervisor"), "/run/registry")
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool.page = Figures(number=7)
    pool.timers.pop().action()
    assert pool.kills() == []
    pool.page = Figures(number=FIRST_BATCH)  # it was over, and what came behind it hangs
    pool.timers.pop().action()
    assert pool.kills() == [(WORKERS.address, WORKER, FIRST_BATCH)]


def test_nobody_waits_for_an_answer_of_the_dead():
    pool = RecordingPool()
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool._on_down(Down(WORKER, ExitReason("crash")), "/run/registry")
    assert pool.timers == []


def test_a_worker_whose_claimant_dies_is_told_of_it():
    pool = RecordingPool()
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool._on_claimed(WorkersClaimed((WORKER,)), DISPATCHER.address)
    pool.posted.clear()
    pool._on_down(Down(DISPATCHER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == [(WORKER.address, DISPATCHER.address)]
    assert len(pool.timers) == 1
    pool._on_vacated(Vacated(""), WORKER.address)
    assert len(pool.timers) == 1, "what it does for the dead is not over"
    pool._on_vacated(Vacated(DISPATCHER.address), WORKER.address)
    assert pool.timers == []


REFUSAL = PoolQuarantined("default", 1, "killed: SIGSEGV")


class Timed(RecordingPool):
    """Its timers run when the test says so."""

    def __init__(self, lived_in=()):
        super().__init__()
        self.lived_in = set(lived_in)

    def ring(self):
        due, self.timers = self.timers, []
        for timer in due:
            timer.action()

    def _lives_in(self, worker):
        return worker in self.lived_in

    def take(self):
        found, self.posted = self.posted, []
        parts = ("worker", "want", "error")
        return [(to, type(news).__name__, *(getattr(news, p) for p in parts if hasattr(news, p))) for to, news in found]


def a_pool(lived_in=()):
    pool = Timed(lived_in)
    pool._on_up(Up(WORKERS, "supervisor"), "/run/registry")
    assert pool.take() == [(WORKERS.address, "WatchStaff")]
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool._on_vacated(Vacated(""), WORKER.address)
    pool.take()
    return pool


def test_the_supervisor_hears_when_one_that_retires_is_empty():
    pool = a_pool()
    pool._on_request(LeaseRequest(1), DISPATCHER.address)
    pool.take()
    pool._on_staffing(Staffing((WORKER,), (), None), WORKERS.address)
    assert pool.take() == [(DISPATCHER.address, "LeaseRecalled", WORKER)]
    pool._on_returned(LeaseReturned(WORKER), DISPATCHER.address)
    assert pool.take() == [(WORKERS.address, "WorkerEmpty", WORKER)]
    assert pool.timers == []


def test_one_that_something_lives_in_is_looked_at_until_that_is_over():
    pool = a_pool([WORKER])
    pool._on_staffing(Staffing((WORKER,), (), None), WORKERS.address)
    pool.ring()
    assert pool.take() == []
    pool.lived_in.clear()
    pool.ring()
    assert pool.take() == [(WORKERS.address, "WorkerEmpty", WORKER)]
    pool.ring()
    assert pool.timers == []


def test_a_request_is_answered_after_a_while_though_a_worker_is_missing():
    pool = a_pool()
    pool._on_down(Down(WORKER, ExitReason("crash")), "/run/registry")
    pool._on_request(LeaseRequest(1), DISPATCHER.address)
    pool._on_request(LeaseRequest(2), DISPATCHER.address)
    assert pool.take() == []
    assert len(pool.timers) == 1
    pool.ring()
    assert pool.take() == [(DISPATCHER.address, "LeaseAnswer", 2)]
    assert pool.timers == []


def test_who_asks_a_pool_in_quarantine_is_refused():
    pool = a_pool()
    pool._on_down(Down(WORKER, ExitReason("crash")), "/run/registry")
    pool._on_staffing(Staffing((), (WORKER.name,), REFUSAL), WORKERS.address)
    pool._on_request(LeaseRequest(1), DISPATCHER.address)
    assert pool.take() == [(DISPATCHER.address, "LeaseRefused", REFUSAL)]
