"""What user code may do to its worker, and what the user hears of it."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import slither_actors as slither
from slither_actors import (
    BatchTimeout,
    DispatchError,
    InvalidOutcome,
    RemoteError,
    ResultCountMismatch,
    StageDown,
    SystemDown,
    WorkerCrashed,
)
from slither_actors.otp import SupervisorOptions
from slither_actors.workers import pool
from tests.helpers import jobs
from tests.helpers.patience import AT_ONCE_S, TooLate, ever_longer, in_ample_time, is_late, none_is_late
from tests.system.running import a_system, kill, pid_of, restarted
from tests.system.waiting import eventually, living

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

# (what the payload makes the worker do, the error, what its text says)
MISHAPS = [
    ("raise", RemoteError, "ValueError: boom"),
    ("kill", WorkerCrashed, "SIGKILL"),
    ("segfault", WorkerCrashed, "SIGSEGV"),
    ("_exit", WorkerCrashed, "exit code 3"),
    ("exit", RemoteError, "SystemExit: 4"),
    ("hang", BatchTimeout, "timeout_s="),
    ("too few", ResultCountMismatch, "got 4 items and gave 3 results"),
    ("too many", ResultCountMismatch, "got 4 items and gave 5 results"),
    ("none", InvalidOutcome, "not a NoneType"),
    ("text", InvalidOutcome, "not a str"),
    ("lock", InvalidOutcome, "(lock) cannot be sent back"),
]
EACH = pytest.mark.parametrize(("mishap", "error", "text"), MISHAPS, ids=[mishap for mishap, _, _ in MISHAPS])


def payloads(items):
    return [item.payload for item in items]


def slow_or_mishap(values):
    return jobs.mishaps(values) if values == ["raise"] else jobs.run_slow(values)


@EACH
def test_under_skip_the_batch_is_skipped_and_all_others_come(system, mishap, error, text):
    given = [*range(40), mishap, *range(41, 80)]

    @in_ample_time
    def check(limit_s):
        results = system.dispatch(given, jobs.mishaps, batch_size=4, on_error="skip", timeout_s=limit_s)
        none_is_late(results.skipped, but=[mishap, 41, 42, 43] if error is BatchTimeout else ())
        assert payloads(results) == [*range(40), *range(44, 80)]
        assert payloads(results.skipped) == [mishap, 41, 42, 43]
        for item in results.skipped:
            assert type(item.meta["error"]) is error
            assert text in str(item.meta["error"])
            assert item.meta["attempts"] == 1
        assert results.skipped.total + len(results) == len(given)


@EACH
def test_under_halt_the_error_says_why_and_keeps_what_was_finished(system, mishap, error, text):
    given = [*range(40), mishap, *range(41, 2000)]

    @in_ample_time
    def check(limit_s):
        with pytest.raises(DispatchError) as caught:
            system.dispatch(given, jobs.mishaps, batch_size=4, timeout_s=limit_s)
        halted = caught.value
        if is_late(halted) and (error is not BatchTimeout or halted.batch_ref != 11):
            raise TooLate(halted)
        assert type(halted.reason) is error
        assert text in str(halted.reason)
        assert halted.__cause__ is halted.reason
        assert halted.batch_ref == 11
        finished = payloads(halted.partial_results)
        assert finished == sorted(finished), "in order, with gaps"
        assert not {mishap, 41, 42, 43} & set(finished)
        assert {0, 1, 2, 3} <= set(finished), "what was needed to get there"

    assert payloads(system.dispatch([1], jobs.double)) == [2]


@EACH
def test_one_ready_batch_raises_the_error_itself(system, mishap, error, text):

    @in_ample_time
    def check(limit_s):
        with pytest.raises(error, match=re.escape(text)):
            system.call_batch([mishap, 1, 2, 3], jobs.mishaps, timeout_s=limit_s)


def test_the_remote_traceback_is_shown_with_the_error(system):
    with pytest.raises(DispatchError) as caught:
        system.dispatch(["raise"], jobs.mishaps)
    assert 'raise ValueError("boom")' in caught.value.reason.traceback
    assert "slither_actors" not in caught.value.reason.traceback


def test_a_halt_hands_over_what_stood_behind_a_slow_batch(system):
    given = [jobs.Slow(60, "slow"), 1, 2, 3, "raise"]
    with pytest.raises(DispatchError) as caught:
        system.dispatch(given, slow_or_mishap, batch_size=1, max_in_flight=5)
    finished = set(payloads(caught.value.partial_results))
    assert "slow" not in finished
    assert {2, 3} <= finished or {1, 3} <= finished or {1, 2} <= finished, "all but what waited behind the slow one"


def test_a_call_to_each_that_waits_behind_a_batch_of_an_ended_run_is_not_lost_with_its_worker(system):
    """What such a batch still does is ended by the end of its worker."""
    pids = system.call_each(os.getpid)
    with pytest.raises(DispatchError):
        system.dispatch([jobs.Slow(60, 1), "raise"], slow_or_mishap, batch_size=1, max_in_flight=2)

    now = system.call_each(os.getpid)

    assert len(now) == 2
    assert len(set(pids) & set(now)) == 1, "one has died, and its successor was asked"


def test_workers_that_die_of_a_call_to_each_are_called_once(system, tmp_path):
    def die(note=str(tmp_path / "calls")):
        with open(note, "a") as calls:
            calls.write("x")
        os._exit(3)

    system.call_each(os.getpid)  # nobody is at work on what another test has left
    with pytest.raises(WorkerCrashed, match="exit code 3"):
        system.call_each(functools.partial(die))
    assert (tmp_path / "calls").read_text() == "xx"


def test_a_dozen_crashes_exhaust_no_budget(tidy, monkeypatch):
    # Of three within an hour instead of five seconds, so that it would be spent however slow they are.
    monkeypatch.setattr(pool, "SupervisorOptions", functools.partial(SupervisorOptions, period_s=3600.0))
    with a_system() as system:
        crash_and_work_on(system)


def crash_and_work_on(system):
    before = system.statistics()["restarts"]
    ways = itertools.cycle(["kill", "_exit", "segfault"])
    given = [word for number in range(15) for word in (next(ways), number)]
    results = system.dispatch(given, jobs.mishaps, batch_size=1, on_error="skip")
    assert payloads(results) == list(range(15))
    assert results.skipped.total == 15
    eventually(lambda: system.statistics()["restarts"] >= before + 15, "each crash is one restart")
    assert len(set(system.call_each(os.getpid))) == 2


@pytest.mark.failure
def test_batches_that_wait_behind_a_crash_are_unharmed(system):
    given = ["kill", *range(30)]
    results = system.dispatch(given, jobs.mishaps, batch_size=1, max_in_flight=16, on_error="skip")
    assert payloads(results) == list(range(30))
    assert payloads(results.skipped) == ["kill"]


def test_a_killed_worker_is_replaced_within_a_fifth_of_a_second(system):
    before = system.call_each(os.getpid)
    (crash,) = system.dispatch(["kill"], jobs.mishaps, on_error="skip").skipped
    old = crash.meta["error"].pid
    assert old in before

    def replaced():
        try:
            return old not in system.call_each(os.getpid) and len(system.call_each(os.getpid)) == 2
        except slither.SlitherError:
            return False

    eventually(replaced, "a new worker answers")


@pytest.mark.failure
def test_the_grandchildren_of_a_killed_worker_die_with_it(system, tmp_path):
    note = tmp_path / "pid"

    def breed(values):
        import subprocess

        child = subprocess.Popen(["sleep", "60"])
        note.write_text(str(child.pid))
        time.sleep(60)

    for limit in ever_longer(0.5):
        with pytest.raises(BatchTimeout):
            system.call_batch([1], breed, timeout_s=limit)
        if note.exists() and note.read_text():  # else the worker has not come to it by then
            break
    eventually(lambda: not os.path.exists(f"/proc/{note.read_text()}"), "the grandchild is dead")


def fork_and_end(payloads):
    def end_one():
        child = multiprocessing.get_context("fork").Process(target=signal.pause)
        child.start()
        child.terminate()
        child.join(AT_ONCE_S)
        code = child.exitcode
        child.kill()
        return code

    return [end_one() for _ in payloads]


def test_what_a_worker_forks_can_be_ended_by_a_signal(system):
    """As `multiprocessing.Pool` does; its block would never end."""
    assert payloads(system.dispatch(range(5), fork_and_end)) == [-signal.SIGTERM] * 5


def start_program(payloads):
    return [subprocess.Popen(["sleep", "60"]).pid for _ in payloads]


def test_the_programs_of_workers_die_with_a_host_that_is_killed(tidy):
    with a_system() as system:
        (program,) = payloads(system.dispatch([1], start_program))
        os.kill(system._client._host.pid, signal.SIGKILL)
        eventually(lambda: not living({program}), "the program is gone, without anybody's doing")
        with pytest.raises(SystemDown):
            system.dispatch([1], jobs.double)


def test_on_end_sees_every_item_as_it_leaves(system):
    seen = []
    given = [word for number in range(5) for word in ("raise", number)]
    system.dispatch(
        given, jobs.mishaps, batch_size=1, on_error="skip", on_end=lambda item, end: seen.append((item.payload, end))
    )
    assert seen == [("raise", "skipped")] * 5


@pytest.mark.failure
def test_what_on_end_raises_comes_through_and_ends_the_run(system):
    def complain(item, end):
        raise LookupError(item.payload)

    def endless():
        nonlocal closed
        try:
            yield from itertools.cycle([1, "raise"])
        finally:
            closed = True

    closed = False
    with pytest.raises(LookupError, match="raise"):
        system.dispatch(endless(), jobs.mishaps, batch_size=1, on_error="skip", on_end=complain)
    assert closed
    assert payloads(system.dispatch([1], jobs.double)) == [2]


def test_an_executor_that_cannot_be_made_says_so_for_every_batch(system):
    results = system.dispatch(range(20), jobs.Broken, batch_size=2, on_error="skip")
    assert results == []
    assert {str(item.meta["error"]) for item in results.skipped} == {"FileNotFoundError: no model"}


def test_an_error_class_of_the_users_own_arrives_as_text(system):
    with pytest.raises(DispatchError) as caught:
        system.dispatch([1], jobs.raises_own_error)
    assert str(caught.value.reason) == "OwnError: mine"


def test_a_payload_that_no_worker_can_read_follows_the_policy_or_is_an_error(system):
    with pytest.raises((DispatchError, OSError), match="unreadable"):
        system.dispatch([Unreadable()], jobs.same)
    assert payloads(system.dispatch([1], jobs.double)) == [2]


class Unreadable:
    """Can be encoded, and not decoded."""

    def __reduce__(self):
        return _explode, ()


def _explode():
    raise OSError("unreadable")


@pytest.fixture
def own_system(tidy):
    """A system that may be maltreated."""
    with a_system() as running:
        yield running


@pytest.mark.failure
def test_a_dispatcher_that_dies_ends_its_runs_with_an_error_and_the_next_run_works(own_system):
    stream = own_system.stream(range(100_000), jobs.double, batch_size=4)
    first = [next(stream).payload for _ in range(10)]
    assert first == [2 * n for n in range(10)]
    old = kill(own_system, "pools/default/dispatcher")
    with pytest.raises(DispatchError) as caught:
        list(stream)
    assert isinstance(caught.value.reason, StageDown)
    assert "pools/default/dispatcher" in str(caught.value)
    assert "SIGKILL" in str(caught.value)
    assert payloads(own_system.dispatch(range(10), jobs.double)) == [2 * n for n in range(10)]
    assert pid_of(own_system, "pools/default/dispatcher") != old


@pytest.mark.failure
@pytest.mark.parametrize("culprit", ["dispatcher", "leases"])
def test_a_worker_that_sleeps_for_a_dead_dispatcher_is_not_waited_for(own_system, culprit, tmp_path):
    flags = [tmp_path / "one", tmp_path / "other"]

    def kill_when_both_sleep():
        eventually(lambda: all(flag.exists() for flag in flags), "both workers sleep")
        kill(own_system, f"pools/default/{culprit}")

    feed = itertools.chain(map(str, flags), itertools.repeat(3))
    stream = own_system.stream(feed, jobs.touch_and_hang, batch_size=1, max_in_flight=2, ordering="as_completed")
    killer = threading.Thread(target=kill_when_both_sleep)
    killer.start()
    with pytest.raises(DispatchError):
        next(stream)
    killer.join()
    began = time.monotonic()
    assert payloads(own_system.dispatch(range(10), jobs.double)) == [2 * n for n in range(10)]
    assert time.monotonic() - began < AT_ONCE_S


def ends_or_completes(stream, count):
    """Whether a run whose first result was taken ends with a typed error, or has all its results."""
    try:
        return payloads(stream) == [2 * n for n in range(1, count)]
    except DispatchError as error:
        return isinstance(error.reason, StageDown | WorkerCrashed)


@pytest.mark.failure
def test_when_the_leases_die_a_call_ends_with_an_error_or_completes_and_the_next_one_works(own_system):
    stream = own_system.stream(range(2000), jobs.double, batch_size=4)
    next(stream)
    old = kill(own_system, "pools/default/leases")
    assert ends_or_completes(stream, 2000)
    restarted(own_system, "pools/default/leases", old)
    assert len(own_system.dispatch(range(100), jobs.double)) == 100


@pytest.mark.failure
def test_when_the_supervisor_of_the_workers_dies_the_next_run_works(own_system):
    stream = own_system.stream(range(2000), jobs.double, batch_size=4)
    next(stream)
    old = kill(own_system, "pools/default/workers")
    assert ends_or_completes(stream, 2000)
    restarted(own_system, "pools/default/workers", old)
    assert len(own_system.dispatch(range(100), jobs.double)) == 100


@pytest.mark.failure
def test_an_idle_worker_that_dies_is_replaced_and_no_batch_is_blamed(own_system):
    old = kill(own_system, "worker-1")
    restarted(own_system, "worker-1", old)
    results = own_system.dispatch(range(100), jobs.double, batch_size=1)
    assert len(results) == 100
    assert results.skipped.total == 0
