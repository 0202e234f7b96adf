"""The worker's handlers, called by hand: no process, no socket."""

import pickle
from collections import deque
from types import SimpleNamespace

import pytest

from slither_actors import Context, InvalidOutcome, NotDecodable, NotImportable, RemoteError
from slither_actors._code import Code
from slither_actors._codec import encode
from slither_actors.context import SealedContext
from slither_actors.errors import SendQueueFull
from slither_actors.item import Item
from slither_actors.otp.child import ExitReason
from slither_actors.otp.ref import Ref
from slither_actors.workers.executor import code_of
from slither_actors.workers.messages import (
    BatchDone,
    BatchFailed,
    EndRun,
    EndSession,
    Job,
    OnceDone,
    RunBatch,
    RunOnce,
    Vacate,
)
from slither_actors.workers.parcel import pack_items, unpack_items
from slither_actors.workers.process import Worker
from slither_actors.workers.sessions import SessionStates, SessionTicket
from tests.helpers import jobs

SEALED = SealedContext.of(Context())


class Notes:
    """In place of the page."""

    def __init__(self):
        self.numbers = []

    def running(self, number):
        self.numbers.append(number)

    def items(self, ids):
        self.ids = list(ids)

    def sessions(self, count):
        self.rooted = count


class Bench(Worker):
    """A worker whose answers are kept."""

    def __init__(self):
        self.answers = []
        self._page = Notes()
        self._works = {}
        self._dispatchers = set()
        self._dead = deque()
        self.monitored = []
        self._sessions = SessionStates()
        transport = SimpleNamespace(hub=SimpleNamespace(pending=0))
        self._life = SimpleNamespace(transport=transport, after_arrivals=lambda address, action: action())
        self._adapter = None

    def monitor(self, to):
        self.monitored.append(to)

    def post(self, to, message):
        self.answers.append(pickle.loads(pickle.dumps(message)))

    def run(self, payloads, executor=None, run="r", number=1, sender="dispatcher", session=None):
        return self.run_parcels([payloads], executor, run, number, sender, session)

    def run_parcels(self, parts, executor=None, run="r", number=1, sender="dispatcher", session=None, parcel_size=0):
        context = SealedContext.of(Context(run_id=run))
        job = Job(code_of(executor), context, session, parcel_size) if executor is not None else None
        parcels = tuple(pack_items(Item.wrap_many(payloads)) for payloads in parts)
        self._on_run_batch(RunBatch(number, run, job, parcels), sender)
        return self.answers[-1]


@pytest.fixture
def bench():
    return Bench()


def test_a_batch_comes_back_with_its_number_and_the_page_says_when_it_runs(bench):
    done = bench.run([1, 2], jobs.double, number=77)
    assert isinstance(done, BatchDone)
    assert done.number == 77
    assert [item.payload for item in unpack_items(done.parcels)] == [2, 4]
    assert bench._page.numbers == [77, 0]
    assert done.seconds >= 0


def test_the_job_is_told_once_and_the_state_lives_as_long_as_the_run(bench):
    def count():
        return unpack_items(bench.answers[-1].parcels)[0].payload[1]

    bench.run([1], jobs.counted)
    bench.run([1])
    assert count() == 2
    bench.run([1], jobs.counted, run="other")
    assert count() == 1, "each run has a state of its own"
    bench._on_end_run(EndRun("r"), "dispatcher")
    assert list(bench._works) == [("dispatcher", "other")]
    bench._on_end_run(EndRun("never seen"), "dispatcher")


def test_two_dispatchers_of_one_run_each_have_a_function_and_a_state_of_their_own(bench):
    """As two worker stages of one pipe on one pool have."""

    def result(executor, sender):
        return unpack_items(bench.run([3], executor, sender=sender).parcels)[0].payload

    assert result(jobs.double, "first") == 6
    assert result(jobs.counted, "second")[1] == 1
    assert result(None, "first") == 6
    assert result(None, "second")[1] == 2
    bench._on_end_run(EndRun("r"), "first")
    assert result(None, "second")[1] == 3, "the end of one is not the end of the other"


def test_the_runs_of_a_dead_dispatcher_are_forgotten_and_those_of_others_kept(bench):
    bench.run([1], jobs.counted, run="theirs")
    bench._on_vacate(Vacate("somebody else"), "pool")
    assert list(bench._works) == [("dispatcher", "theirs")]
    bench._on_vacate(Vacate("dispatcher"), "pool")
    assert list(bench._works) == []
    assert [answer.holder for answer in bench.answers[1:]] == ["somebody else", "dispatcher"]


@pytest.mark.parametrize("known", [True, False])
def test_a_worker_hears_by_itself_of_the_end_of_those_it_keeps_something_for(bench, known):
    bench.run([1], jobs.counted, run="a")
    bench.run([1], jobs.counted, session=SessionTicket("s", 1))
    bench.run([1], jobs.counted, run="b", sender="another")
    assert bench.monitored == ["dispatcher", "another"]

    ref = Ref("pools/default/dispatcher", 1, "dispatcher", 7) if known else Ref("dispatcher", 0, "", 0)
    bench.handle_down(ref, ExitReason("killed"))
    assert list(bench._works) == [("another", "b")]
    assert len(bench._sessions) == 0
    bench.run([1], jobs.counted, run="c", sender="its successor")
    assert bench.monitored == ["dispatcher", "another", "its successor"]


@pytest.mark.parametrize("executor", [None, jobs.counted])
def test_what_a_dispatcher_sends_after_its_death_was_told_is_nobodys(bench, executor):
    """It dies with its supervisor, which others hear before it does."""
    bench.run([1], jobs.counted)
    bench.handle_down(Ref("pipes/P-1/work", 1, "dispatcher", 7), ExitReason("killed"))
    answered = len(bench.answers)
    bench.run([2], executor, number=2)
    assert (len(bench.answers), list(bench._works), bench._page.numbers) == (answered, [], [1, 0])


@pytest.mark.parametrize("mishap", ["raise", "exit", "too few", "none", "lock"])
def test_whatever_user_code_does_short_of_dying_is_a_failed_batch(bench, mishap):
    failed = bench.run([mishap], jobs.mishaps)
    assert isinstance(failed, BatchFailed)
    assert not failed.fatal
    assert bench._page.numbers == [1, 0], "whoever dies now has not died of this batch"
    assert isinstance(bench.run([1]), BatchDone), "the run goes on"


def test_the_error_carries_the_users_traceback_alone(bench):
    error = bench.run(["raise"], jobs.mishaps).error
    assert isinstance(error, RemoteError)
    assert "ValueError: boom" in error.traceback
    assert "jobs.py" in error.traceback
    assert "process.py" not in error.traceback


def test_an_unpicklable_result_is_told_by_its_place_and_type(bench):
    error = bench.run([1, 2], lambda payloads: [1, __import__("threading").Lock()]).error
    assert isinstance(error, InvalidOutcome)
    assert "result 1 (lock)" in str(error)


@pytest.mark.failure
def test_results_that_the_queue_does_not_take_are_a_failed_batch_that_says_what_to_do(bench):
    keep = bench.post

    def full(to, message):
        if isinstance(message, BatchDone):
            raise SendQueueFull(to, 2000, 1000)
        keep(to, message)

    bench.post = full
    failed = bench.run([1], jobs.double)
    assert isinstance(failed, BatchFailed)
    assert isinstance(failed.error, InvalidOutcome)
    assert "use a smaller batch_size" in str(failed.error)


def test_an_executor_that_cannot_be_made_fails_every_batch_with_the_same_reason(bench):
    first, second = bench.run([1], jobs.Broken), bench.run([1])
    assert str(first.error) == str(second.error) == "FileNotFoundError: no model"
    assert not first.fatal


def test_code_that_cannot_be_imported_is_fatal_for_the_run(bench):
    first, second = bench.run([1], "os:no_such_thing"), bench.run([1])
    assert first.fatal
    assert second.fatal
    assert isinstance(first.error, NotImportable)


def nothing_there():
    raise ModuleNotFoundError("no tenants here")


class Foreign:
    """Its class is missing in the worker."""

    def __reduce__(self):
        return nothing_there, ()


def test_a_context_that_cannot_be_read_here_is_fatal_for_the_run_and_said_at_once(bench):
    sealed = SealedContext(encode(Context(metadata={"tenant": Foreign()})), None)
    bench._on_run_batch(RunBatch(1, "r", Job(code_of(jobs.same), sealed), (pack_items(Item.wrap_many([1])),)), "d")
    bench._on_run_once(RunOnce(5, code_of(nothing_there, once=True), sealed), "service")
    failed, once = bench.answers
    assert failed.fatal
    for error in (failed.error, once.error):
        assert isinstance(error, NotDecodable)
        assert "metadata" in str(error)
        assert "no tenants here" in str(error)


def test_a_batch_of_several_parcels_is_one_batch_to_user_code(bench):
    done = bench.run_parcels([[1, 2], [3], [4, 5]], lambda payloads: [[*payloads]] * len(payloads))
    assert [item.payload for item in unpack_items(done.parcels)] == [[1, 2, 3, 4, 5]] * 5
    assert len(done.parcels) == 1


def test_what_cannot_be_read_of_several_parcels_is_reported_beside_the_rest(bench):
    parts = [[1, Foreign()], [Foreign()], [4, 5]]
    done = bench.run_parcels(parts, lambda payloads: [[*payloads]] * len(payloads))
    assert [item.payload for item in unpack_items(done.parcels)] == [[1, 4, 5]] * 3
    assert [len(loss.items()) for loss in done.losses] == [1, 1]


def test_results_come_in_parcels_of_the_size_that_the_next_stage_takes(bench):
    done = bench.run_parcels([[1, 2, 3], [4, 5]], jobs.double, parcel_size=2)
    payloads = [[item.payload for item in unpack_items([parcel])] for parcel in done.parcels]
    assert payloads == [[2, 4], [6, 8], [10]]
    assert {parcel[2] for parcel in done.parcels} == {0}


@pytest.mark.parametrize("given", [[1, Foreign(), 3], [Foreign(), Foreign()]])
def test_items_that_cannot_be_read_are_reported_beside_the_results_of_the_others(bench, given):
    done = bench.run(given, lambda payloads: [(len(payloads), payload) for payload in payloads])
    whole = [payload for payload in given if isinstance(payload, int)]
    assert [item.payload for item in unpack_items(done.parcels)] == [(len(whole), payload) for payload in whole]
    (loss,) = done.losses
    assert len(loss.items()) == len(given) - len(whole)
    assert "no tenants here" in str(loss.error)


def test_an_error_class_of_the_users_own_can_be_sent(bench):
    assert str(bench.run([1], jobs.raises_own_error).error) == "OwnError: mine"


@pytest.mark.parametrize(("function", "text"), [(lambda: 1 / 0, "ZeroDivisionError"), ("os:no_such_thing", "os")])
def test_a_call_for_each_worker_answers_with_its_error(bench, function, text):
    bench._on_run_once(RunOnce(5, code_of(function, once=True), SEALED), "service")
    (answer,) = bench.answers
    assert isinstance(answer, OnceDone)
    assert answer.number == 5
    assert text in str(answer.error)


def raise_own():
    raise jobs.OwnError("mine")


def test_a_call_for_each_worker_can_raise_a_class_of_the_users_own(bench):
    bench._on_run_once(RunOnce(5, code_of(raise_own, once=True), SEALED), "service")
    assert str(bench.answers[0].error) == "OwnError: mine"


def test_runs_of_a_session_share_a_state_until_it_ends(bench):
    ticket = SessionTicket("s", 7, start=Code.of_value(lambda ctx: None, "start"))

    def count():
        return unpack_items(bench.answers[-1].parcels)[0].payload[1]

    bench.run([1], jobs.counted, run="elsewhere")
    bench.run([1], jobs.counted, run="a", session=ticket)
    bench._on_end_run(EndRun("a"), "dispatcher")
    bench.run([1], jobs.counted, run="b", session=ticket)
    assert count() == 2
    bench.run([1], jobs.counted, run="c", session=ticket.with_token(8))
    assert count() == 1, "what began anew has a state of its own"
    bench._on_end_session(EndSession(5, ticket.key), "dispatcher")
    assert bench.answers[-1].number == 5
    bench._on_end_session(EndSession(0, ticket.with_token(8).key), "dispatcher")
    assert len(bench._sessions) == 0
    assert bench._page.numbers[-1] == 0


def test_the_page_says_how_many_sessions_would_be_lost_with_the_worker(bench):
    bench.run([1], jobs.counted, run="a", session=SessionTicket("a", 1))
    bench.run([1], jobs.counted, run="b", session=SessionTicket("b", 2))
    assert bench._page.rooted == 2
    bench.run([1], jobs.counted, run="c", session=SessionTicket("c", 3, "hint"))
    bench.run([1], jobs.counted, run="d", session=SessionTicket("d", 4, rebuild=True))
    assert bench._page.rooted == 2, "those move"
    bench._on_end_session(EndSession(0, SessionTicket("a", 1).key), "dispatcher")
    assert bench._page.rooted == 1
    bench._on_vacate(Vacate("dispatcher"), "pool")
    assert bench._page.rooted == 0


def test_the_sessions_of_a_dead_dispatcher_are_forgotten(bench):
    bench.run([1], jobs.counted, session=SessionTicket("s", 1))
    bench._on_vacate(Vacate("another"), "pool")
    assert len(bench._sessions) == 1
    bench._on_vacate(Vacate("dispatcher"), "pool")
    assert len(bench._sessions) == 0


def test_a_start_hook_that_raises_fails_the_batch_and_is_called_again(bench):
    ticket = SessionTicket("s", 1, start=Code.of_value(lambda ctx: 1 / 0, "start"))
    for job in (jobs.counted, None):
        failed = bench.run([1], job, session=ticket)
        assert (failed.fatal, failed.error.type_name) == (False, "ZeroDivisionError")


def test_a_stop_hook_that_raises_is_logged(bench, caplog):
    ticket = SessionTicket("s", 1, stop=Code.of_value(lambda ctx: 1 / 0, "stop"))
    bench.run([1], jobs.counted, session=ticket)
    bench._on_end_session(EndSession(5, ticket.key), "dispatcher")
    assert "session_stop failed" in caplog.text
    assert bench.answers[-1].number == 5
