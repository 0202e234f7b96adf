"""Queues have a limit: what goes beyond it is an error of the run that did, and of no other one."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from contextlib import ExitStack, contextmanager

import pytest

import slither_actors as slither
from slither_actors.errors import SendQueueFull
from tests.helpers import jobs
from tests.system.running import a_system, pid_of

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT = 500_000
LARGE = 400_000  # bytes of a result; eight of them are under way


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(config={"queue_limit_bytes": LIMIT, "stopped_limit_s": None}) as running:
        yield running


@pytest.fixture
def unharmed(system):
    """Nobody dies of it, and another run goes on meanwhile."""
    names = ("pools/default/dispatcher", "pools/default/workers/worker-1", "pools/default/workers/worker-2")
    before = [pid_of(system, name) for name in names]
    with system.stream(itertools.count(), jobs.same, batch_size=1) as other:
        assert next(other).payload == 0
        yield
        assert [item.payload for item in itertools.islice(other, 100)] == list(range(1, 101))
    assert [pid_of(system, name) for name in names] == before


def inflate(payloads):
    return [b"x" * size for size in payloads]


def deflate(payloads):
    return [len(payload) for payload in payloads]


def taken_slowly(stream):
    """What a consumer gets that is more and more slowly, so slower than workers on any machine, and the error at the
    end."""
    taken = []
    with pytest.raises(slither.SlitherError) as caught:
        taken.extend(item for item in itertools.islice(stream, 200) if not threading.Event().wait(len(taken) * 0.02))
    return taken, caught.value


@pytest.mark.failure
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_results_too_large_for_a_slow_consumer_end_their_run_and_keep_what_was_on_its_way(system, unharmed, ordering):
    stream = system.stream(itertools.repeat(LARGE), inflate, batch_size=1, ordering=ordering)
    taken, error = taken_slowly(stream)
    assert isinstance(error, slither.DispatchError)
    assert isinstance(error.reason, SendQueueFull)
    assert error.reason.limit == LIMIT
    assert "use a smaller batch_size or max_in_flight" in str(error)
    assert len(taken) >= 2, "what was on its way has come"
    assert all(len(item.payload) == LARGE for item in taken)


def test_with_fewer_batches_in_flight_the_same_results_fit(system):
    with system.stream(itertools.repeat(LARGE), inflate, batch_size=1, max_in_flight=1) as stream:
        next(stream)
        threading.Event().wait(0.3)
        assert len(list(itertools.islice(stream, 20))) == 20


def test_a_single_result_may_be_larger_than_the_limit(system):
    (item,) = system.dispatch([3 * LIMIT], inflate)
    assert len(item.payload) == 3 * LIMIT


@contextmanager
def paused(system, name):
    """A process that reads nothing for a while."""
    pid = pid_of(system, name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.failure
def test_inputs_that_are_fed_faster_than_they_are_read_end_their_run(system, unharmed):
    stream = system.stream(itertools.repeat(b"x" * LARGE), deflate, batch_size=1)
    with paused(system, "pools/default/dispatcher"), pytest.raises(slither.DispatchError) as caught:
        next(stream)
    assert isinstance(caught.value.reason, SendQueueFull)
    assert caught.value.batch_ref > 2


@pytest.mark.failure
def test_batches_that_a_worker_does_not_read_end_their_run(system, unharmed):
    options = {"batch_size": 1, "max_in_flight": 4}
    with ExitStack() as stack:
        for number in (1, 2):
            stack.enter_context(paused(system, f"pools/default/workers/worker-{number}"))
        with pytest.raises(slither.DispatchError) as caught:
            system.dispatch([b"x" * 3 * LIMIT] * 8, deflate, **options)
    assert isinstance(caught.value.reason, SendQueueFull)
