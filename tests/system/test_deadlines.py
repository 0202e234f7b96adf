"""Deadlines of runs and limits of waiting, on real processes. All that hangs, hangs for good: no clock decides."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors import DeadlineExceeded, DispatchError, InvalidOption, PipeError, QueueTimeout, Retry, Skip
from tests.helpers.patience import TooLate, all_were_finished, ever_longer, in_ample_time
from tests.system.running import a_system
from tests.system.waiting import eventually, wait_for_end

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

FOREVER_S = 3600.0

# A deadline that nobody has to wait for long.
SOON_S = 0.5

# No batch is put behind one that hangs.
ONE_BY_ONE = {"batch_size": 1, "timeout_s": FOREVER_S, "queue_timeout_s": FOREVER_S}


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(pools={"default": 2, "single": 1}) as running:
        yield running


def hang():
    threading.Event().wait(FOREVER_S)


def hang_on_minus(payloads):
    if any(payload < 0 for payload in payloads):
        hang()
    return payloads


def say_who_and_hang(payloads):
    """What is no path passes."""
    if payloads[0].startswith("/"):
        Path(payloads[0]).write_text(str(os.getpid()))
        hang()
    return payloads


def said(note):
    return note.exists() and note.read_text()


def sleep_for(payloads):
    time.sleep(sum(payloads))
    return payloads


def same(payloads):
    return payloads


class Hanging(slither.Pipe):
    @slither.local
    def first(item, ctx):
        return item.payload

    work = slither.worker(hang_on_minus, **ONE_BY_ONE)


class Impatient(slither.Pipe):
    work = slither.worker(same, pool="single", queue_timeout_s=0.1)


class Echo(slither.Pipe):
    @slither.local
    def only(item, ctx):
        return item.payload


@pytest.fixture
def busy(system, tmp_path):
    """The one worker of the pool "single" is at work for somebody else."""
    note = tmp_path / "pid"
    options = {"pool": "single", "timeout_s": FOREVER_S, "on_error": "skip"}
    other = threading.Thread(target=system.dispatch, args=([str(note)], say_who_and_hang), kwargs=options)
    other.start()
    eventually(lambda: note.exists() and note.read_text(), "the worker has begun")
    yield
    os.kill(int(note.read_text()), signal.SIGKILL)
    other.join()


def test_a_dispatch_ends_at_its_deadline_with_what_was_finished_behind_the_slow_batch(system):
    @in_ample_time
    def check(limit):
        with pytest.raises(DispatchError) as caught:
            system.dispatch([1, -1, 2, 3], hang_on_minus, deadline_s=limit, **ONE_BY_ONE)
        error = caught.value
        all_were_finished([1, 2, 3], error.partial_results)
        text = f"the dispatch failed, 3 items are in partial_results: the run took longer than deadline_s={limit:g}"
        assert str(error) == text
        assert isinstance(error.reason, DeadlineExceeded)
        assert isinstance(error.reason, TimeoutError)
        assert error.batch_ref == 0
        assert [item.payload for item in error.partial_results] == [1, 2, 3]


@pytest.mark.failure
@pytest.mark.parametrize("policy", ["skip", Skip(isolate=True), Retry(then="skip")])
def test_no_policy_outlives_the_deadline(system, policy):
    with pytest.raises(DispatchError, match=r"deadline_s=0\.5"):
        system.dispatch([-1], hang_on_minus, deadline_s=SOON_S, timeout_s=FOREVER_S, on_error=policy)


def test_a_run_that_is_quicker_ends_as_ever(system):
    assert [item.payload for item in system.dispatch([1, 2], same, deadline_s=FOREVER_S)] == [1, 2]


def test_the_worker_that_was_at_it_is_killed_and_replaced(system, tmp_path):
    note = tmp_path / "pid"
    for limit in ever_longer(SOON_S):
        with pytest.raises(DispatchError, match="deadline_s"):
            system.dispatch([str(note)], say_who_and_hang, pool="single", deadline_s=limit, timeout_s=FOREVER_S)
        if note.exists() and note.read_text():  # else the worker has not even begun by then
            break
    wait_for_end(int(note.read_text()))
    assert [item.payload for item in system.dispatch([1], same, pool="single")] == [1]


def test_the_work_of_a_stream_ends_at_the_deadline_also_while_nobody_asks(system, tmp_path):
    @in_ample_time
    def check(limit):
        note = tmp_path / f"pid {limit}"
        options = {"batch_size": 1, "pool": "single", "deadline_s": limit, "timeout_s": FOREVER_S}
        system.call_batch([0], sleep_for, pool="single")  # its worker is up: an earlier test had it killed
        late = time.monotonic() + limit
        with system.stream(["first", str(note)], say_who_and_hang, **options) as stream:
            assert next(stream).payload == "first"
            eventually(lambda: said(note) or time.monotonic() > late, "the second batch has begun, or it is late")
            if not said(note):
                raise TooLate("the second batch had not begun by then")
            wait_for_end(int(said(note)))
            with pytest.raises(DispatchError, match=f"deadline_s={limit:g}"):
                next(stream)


def test_a_stream_that_was_done_in_time_may_be_read_later(system):
    payloads = [0.2, 0, 0]  # so slow that the source has come to its end before the first result is there

    @in_ample_time
    def check(limit):
        late = time.monotonic() + limit + 0.6  # with the time for last words
        with system.stream(payloads, sleep_for, batch_size=3, deadline_s=limit) as stream:
            assert next(stream).payload == 0.2
            eventually(lambda: time.monotonic() > late, "the deadline is over")
            assert [item.payload for item in stream] == [0, 0]


def test_a_pipe_ends_at_its_deadline_wherever_its_items_are(system):
    system.start_pipe(Hanging)

    @in_ample_time
    def check(limit):
        with pytest.raises(PipeError) as caught:
            system.run_pipe(Hanging, [1, -1, 2], deadline_s=limit)
        error = caught.value
        all_were_finished([1, 2], error.partial_results["default"])
        text = f"pipe Hanging failed, 2 items are in partial_results: the run took longer than deadline_s={limit:g}"
        assert str(error) == text
        assert error.stage == ""
        assert [item.payload for item in error.partial_results["default"]] == [1, 2]


def test_a_pipe_without_workers_ends_at_its_deadline_too_though_it_never_pauses(system):
    with pytest.raises(PipeError, match="deadline_s"):
        for _ in system.stream_pipe(Echo, itertools.count(), deadline_s=SOON_S):
            pass


@pytest.mark.parametrize("call", ["dispatch", "stream"])
def test_a_deadline_that_is_none_is_refused(system, call):
    with pytest.raises(InvalidOption, match=rf"^{call}: deadline_s is 0; allowed: None, or a finite number of seconds"):
        getattr(system, call)([1], same, deadline_s=0)


def test_a_deadline_of_a_pipe_that_is_none_is_refused(system):
    with pytest.raises(InvalidOption, match=r"^pipe run: deadline_s is -1; allowed"):
        system.run_pipe(Echo, [1], deadline_s=-1)


@pytest.mark.usefixtures("busy")
def test_a_batch_that_finds_no_worker_in_time_ends_the_run_and_other_runs_go_on(system):
    with pytest.raises(DispatchError) as caught:
        system.dispatch([1, 2], same, batch_size=1, pool="single", queue_timeout_s=0.1)
    reason = caught.value.reason
    assert isinstance(reason, QueueTimeout)
    assert (
        str(reason) == "the batch waited longer than queue_timeout_s=0.1, and pool 'single' had no worker for its run"
    )
    assert [item.payload for item in system.dispatch([1], same)] == [1]


@pytest.mark.usefixtures("busy")
def test_under_skip_batches_that_found_no_worker_are_skipped_without_an_attempt(system):
    results = system.dispatch([1, 2], same, batch_size=1, pool="single", queue_timeout_s=0.1, on_error="skip")
    assert results == []
    assert [(item.payload, item.meta["attempts"]) for item in results.skipped] == [(1, 0), (2, 0)]


@pytest.mark.usefixtures("busy")
def test_a_stage_may_have_such_a_limit_too(system):
    with pytest.raises(PipeError) as caught:
        system.run_pipe(Impatient, [1])
    assert (caught.value.stage, type(caught.value.reason)) == ("work", QueueTimeout)


def test_one_s_own_batches_are_waited_for(system):
    """The limit is for a pool that others hold: a run that keeps its worker busy waits for itself."""
    slow = [0.05] * 6
    options = {"batch_size": 1, "pool": "single", "queue_timeout_s": 0.1}
    assert len(system.dispatch(slow, sleep_for, **options)) == 6


def test_a_limit_of_waiting_that_is_none_is_refused(system):
    with pytest.raises(InvalidOption, match=r"^dispatch: queue_timeout_s is 0; allowed: a finite number"):
        system.dispatch([1], same, queue_timeout_s=0)
