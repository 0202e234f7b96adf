"""A core of sessions, a book of leases and some workers, driven at random: where a session's batches run, and what is
left of it in the end."""

from __future__ import annotations

from collections import defaultdict, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors._code import Code
from slither_actors.dispatch._dispatch_run import DispatchPlan, SessionPart
from slither_actors.dispatch._session_core import SessionCore
from slither_actors.dispatch.messages import Batch, Failed, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import RemoteError, SessionLost, WorkerBusy, WorkerCrashed
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.policy import Skip
from slither_actors.workers._leases import LeaseBook
from slither_actors.workers.messages import (
    EndRun,
    EndSession,
    Job,
    LeaseGranted,
    LeaseRecalled,
    LeaseRequest,
    LeaseReturned,
    RunBatch,
    WorkerEmpty,
    WorkerRequest,
    WorkerRetires,
    WorkerTaken,
)
from slither_actors.workers.parcel import pack_items, unpack_items
from slither_actors.workers.sessions import SessionTicket

pytestmark = pytest.mark.thorough

WIDE = 1 << 40
CORE, RIVAL, SERVICE, POOL = "core", "rival", "service", "pool"
STOP = Code.of("os:getpid")
MODES = ("wait", "wait", "hint", "fail_fast")
BOOM = RemoteError("ValueError", "boom", "", ())


class Worker:
    def __init__(self, ref):
        self.ref = ref
        self.inbox = deque()
        self.running = None
        self.jobs = {}
        self.states = {}  # what it ran, by key of the session
        self.tickets = []


class Sessions(RuleBasedStateMachine):
    @initialize(workers=st.integers(1, 3))
    def begin(self, workers):
        self.now = 0.0
        self.core = SessionCore("default", 100)
        self.book = LeaseBook(self._lives_in)
        self.retiring = set()
        self.empty = deque()  # those that retire, and are to end
        self.to_pool = deque()
        self.to_core = deque()  # of the pool
        self.workers = {}
        self.births = 0
        self.rivals = set()  # workers that another holder has
        self.wants = 0
        self.tickets = {}  # open handles
        self.runs = {}  # run -> (id, items in the order in which they were sent)
        self.answers = defaultdict(list)  # run -> numbers of items that were answered
        self.ended = {}  # run -> why
        self.ran = defaultdict(list)  # session and token -> (epoch, worker, item)
        self.sent = 0
        self.core.pool_up(POOL)
        for number in range(workers):
            self._birth(f"worker-{number}")

    # -- messages

    def _birth(self, name):
        self.births += 1
        ref = Ref(name, self.births, f"/{name}/{self.births}", self.births)
        self.workers[ref.address] = Worker(ref)
        self.book.worker_up(ref)
        self._tell(self.book.vacated(ref, ""))
        self.core.worker_up(ref, self.now)
        self._carry_out()

    def _tell(self, actions):
        for to, message in actions:
            if to == CORE:
                self.to_core.append(message)
            elif isinstance(message, WorkerEmpty):
                self.empty.append(message.worker)
            elif isinstance(message, LeaseGranted):
                self.rivals.add(message.worker)

    def _carry_out(self):
        outbox, self.core.outbox = self.core.outbox, []
        for to, message in outbox:
            if to == POOL:
                self.to_pool.append(message)
            elif to == SERVICE:
                self._answer(message)
            elif to in self.workers:
                self.workers[to].inbox.append(message)
            elif isinstance(message, RunBatch):
                self.core.undelivered(to, message.number, self.now)
                self._carry_out()

    def _answer(self, message):
        if isinstance(message, Failed):
            for batch in message.finished:
                self._answer(batch)
            self.ended[message.run] = message.error
        elif isinstance(message, Batch):
            ids = [item.payload for item in unpack_items(message.parcels)]
            for end in message.ends:
                ids += [item.payload for item in unpack_items(end.parcels)]
                assert isinstance(end.error, SessionLost | WorkerBusy | WorkerCrashed | RemoteError)
            self.answers[message.run] += ids

    # -- what users do

    @rule(number=st.integers(0, 5), mode=st.sampled_from(MODES), rebuild=st.booleans(), hook=st.booleans())
    def open_session(self, number, mode, rebuild, hook):
        name = f"s{number}"
        if name not in self.tickets:
            ticket = SessionTicket(name, 0, mode, rebuild, 1e6, None, STOP if hook else None)
            self.tickets[name] = ticket.with_token(self.core.begin_session(ticket, self.now))
            self._open_run(name)

    def _open_run(self, name):
        run = f"{name}-{len(self.runs)}"
        back = OutPort(2, SERVICE, WIDE, 1)
        inputs = (InPort(1, SERVICE, WIDE, Origin(None, Skip()), back=2),)
        # every other run has a strategy, whose batches have lanes and weights
        limit = None if len(self.runs) % 2 else 2.0
        options = DispatchOptions(batch_size=1, on_error=Skip(), max_in_flight_weight=limit)
        part = SessionPart(self.tickets[name], None, True)
        self.core.enter_run(
            run, DispatchPlan(inputs, back, back, Job(Code.of("a:b"), None), options, session=part), 0.0
        )
        self.runs[run] = (name, [])
        self._carry_out()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), count=st.integers(1, 4))
    def send(self, data, count):
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        run = data.draw(st.sampled_from(sorted(run for run, (whose, _) in self.runs.items() if whose == name)))
        for _ in range(count):
            if run in self.ended:
                return
            self.sent += 1
            items = self.runs[run][1]
            items.append(self.sent)
            parcels = (pack_items([Item.wrap(self.sent)]),)
            tag = None if int(run.partition("-")[2]) % 2 else (self.sent % 3, 1.0, len(items), None)
            batch = Batch(run, 1, len(items), parcels, (), tag=tag)
            self.core.batch(self.core.keys.consumer(run, 1), batch, self.now)
            self._carry_out()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def another_run(self, data):
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        try:
            self._open_run(name)
        except SessionLost:
            assert not self.tickets[name].rebuild or self.tickets[name].mode != "hint"

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def close_session(self, data):
        self._close(data.draw(st.sampled_from(sorted(self.tickets))))

    def _close(self, name):
        for run in [run for run, (whose, _) in self.runs.items() if whose == name and run not in self.ended]:
            self.core.leave_run(run, self.now)
            self.ended[run] = None
        self.core.end_session(self.tickets.pop(name), self.now, lambda: None)
        self._carry_out()

    # -- what happens

    @precondition(lambda self: self.to_pool)
    @rule()
    def pool_hears(self):
        message = self.to_pool.popleft()
        if isinstance(message, WorkerRequest):
            self._tell(self.book.request_worker(CORE, message.worker))
        elif isinstance(message, LeaseReturned):
            self._tell(self.book.give_back(CORE, message.worker))
        elif isinstance(message, LeaseRequest):
            self._tell(self.book.request(CORE, message.want))

    @precondition(lambda self: self.to_core)
    @rule()
    def core_hears(self):
        message = self.to_core.popleft()
        if isinstance(message, LeaseGranted):
            self.core.granted(message.worker, self.now)
        elif isinstance(message, LeaseRecalled):
            self.core.recalled(message.worker)
        elif isinstance(message, WorkerTaken):
            self.core.taken(message.worker, self.now)
        elif isinstance(message, WorkerRetires):
            self.core.worker_retires(message.worker, self.now)
        self._carry_out()

    @rule(want=st.integers(0, 2))
    def rival_wants(self, want):
        self._tell(self.book.request(RIVAL, want))

    @precondition(lambda self: self.rivals)
    @rule()
    def rival_returns(self):
        worker = min(self.rivals, key=lambda ref: ref.address)
        self.rivals.discard(worker)
        self._tell(self.book.give_back(RIVAL, worker))

    @rule(data=st.data(), fails=st.booleans())
    def worker_goes_on(self, data, fails):
        self._step(self.workers[data.draw(st.sampled_from(sorted(self.workers)))], fails)

    @rule(steps=st.integers(1, 8))
    def all_go_on(self, steps):
        for _ in range(steps):
            if self.to_pool:
                self.pool_hears()
            if self.to_core:
                self.core_hears()
            for worker in list(self.workers.values()):
                self._step(worker)
            if self.empty:
                self.empty_worker_ends()

    def _step(self, worker, fails=False):
        """Begins what is next, or ends what it runs."""
        if worker.running is None and worker.inbox:
            message = worker.inbox.popleft()
            if isinstance(message, RunBatch):
                self._begin(worker, message)
            elif isinstance(message, EndSession):
                worker.states.pop(message.key, None)
                if message.number:
                    worker.running = message
            elif isinstance(message, EndRun):
                worker.jobs.pop(message.run, None)
        elif worker.running is not None:
            done, worker.running = worker.running, None
            if isinstance(done, RunBatch) and fails:
                self.core.failed(worker.ref.address, done.number, BOOM, False, self.now)
            else:
                parcels = done.parcels if isinstance(done, RunBatch) else ()
                self.core.done(worker.ref.address, done.number, parcels, self.now)
            self._carry_out()

    def _begin(self, worker, message):
        worker.running = message
        if message.job is not None:
            worker.jobs[message.run] = message.job.session
        ticket = worker.jobs[message.run]
        worker.states.setdefault(ticket.key, []).append(message.number)
        worker.tickets.append(ticket)
        session = self.core._open[message.number]
        (item,) = unpack_items(message.parcels)
        self.ran[ticket.key, message.run].append((session.epoch, worker.ref, item.payload, ticket.mode))

    @precondition(lambda self: len(self.workers) < 4 and {w.ref for w in self.workers.values()} - self.retiring)
    @rule(data=st.data())
    def worker_retires(self, data):
        """Its successor is up before it is asked to go."""
        refs = {worker.ref for worker in self.workers.values()} - self.retiring
        ref = data.draw(st.sampled_from(sorted(refs, key=lambda ref: ref.address)))
        self._birth(f"worker-{self.births}-new")
        self.retiring.add(ref)
        self._tell(self.book.staff(self.retiring))

    @precondition(lambda self: self.empty)
    @rule()
    def empty_worker_ends(self):
        ref = self.empty.popleft()
        if ref.address not in self.workers:
            return  # it died
        worker = self.workers.pop(ref.address)
        assert worker.running is None
        self.retiring.discard(ref)
        self._tell(self.book.worker_down(ref))
        lost = set(self.ended)
        self.core.worker_down(ref, 0, "", self.now)
        self._carry_out()
        assert set(self.ended) == lost, "nothing is lost with a worker that retires"

    def _lives_in(self, ref):
        worker = self.workers.get(ref.address)
        if worker is None:
            return False
        tickets = {ticket.key: ticket for ticket in worker.tickets}
        return worker.running is not None or any(not tickets[key].may_move for key in worker.states)

    @rule(data=st.data())
    def worker_dies(self, data):
        address = data.draw(st.sampled_from(sorted(self.workers)))
        worker = self.workers.pop(address)
        self.rivals.discard(worker.ref)
        retired = worker.ref in self.retiring
        self.retiring.discard(worker.ref)
        number = worker.running.number if worker.running is not None else 0
        self._tell(self.book.worker_down(worker.ref))
        self.core.worker_down(worker.ref, number, "SIGKILL", self.now)
        self._carry_out()
        if not retired:
            self._birth(worker.ref.name)

    @rule(by=st.floats(0.01, 1.0))
    def time_passes(self, by):
        self.now += by
        if self.core.earliest <= self.now:
            self.core.expire(self.now)
            self._carry_out()

    # -- what always holds

    @invariant()
    def one_incarnation_per_epoch(self):
        places = defaultdict(set)
        for (key, _), rows in self.ran.items():
            for epoch, ref, _, mode in rows:
                if mode != "hint":
                    places[key, epoch].add(ref)
        assert all(len(refs) == 1 for refs in places.values())

    @invariant()
    def in_order_and_once(self):
        for rows in self.ran.values():
            items = [item for _, _, item, mode in rows if mode != "hint"]
            assert items == sorted(set(items))
        for run, answers in self.answers.items():
            assert answers == self.runs[run][1][: len(answers)]

    @invariant()
    def one_at_a_time(self):
        open_of = defaultdict(int)
        for worker in getattr(self, "workers", {}).values():
            for message in (worker.running, *worker.inbox):
                if isinstance(message, RunBatch):
                    session = self.core._open.get(message.number)
                    if session is not None:
                        open_of[session] += 1
        assert all(count == 1 for count in open_of.values())

    def _settle(self):
        for _ in range(2000):
            if self.to_pool:
                self.pool_hears()
            elif self.to_core:
                self.core_hears()
            elif self.rivals:
                self.rival_returns()
            elif busy := [w for w in self.workers.values() if w.running is not None or w.inbox]:
                self._step(busy[0])
            elif self.empty:
                self.empty_worker_ends()
            elif self.book.has_resting and (found := self.book.look()):
                self._tell(found)
            else:
                return
        raise AssertionError("it never comes to rest")

    def teardown(self):
        if not hasattr(self, "core"):
            return
        self._tell(self.book.request(RIVAL, 0))
        self._settle()
        for run, (_, items) in self.runs.items():
            assert run in self.ended or self.answers[run] == items, run
        for name in list(self.tickets):
            self._close(name)
        self._settle()
        self.now += 10.0
        self.core.expire(self.now)
        self.now += 10.0
        self.core.expire(self.now)
        self._carry_out()
        self._settle()
        core = self.core
        assert not core._open
        assert not core._session_of
        assert not core._runs
        assert not core._lines
        assert not core._lines._standing
        assert len(core._table) == 0
        assert not any(core._table._pinned.values())
        assert len(core._desk) == 0
        assert CORE not in self.book._held.values()
        assert not self.retiring, "all that retire leave in the end"
        assert not core._table._retiring
        for worker in self.workers.values():
            assert not worker.states, "a state is left behind"
            assert not worker.jobs, "a run is left behind"


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=120, stateful_step_count=60, deadline=None)
