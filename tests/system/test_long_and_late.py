"""Times beyond what the kernel counts, kills that come too late, and what is left by those who leave early."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import slither_actors as slither
from tests.helpers import jobs
from tests.system.running import a_system, kill, nothing_left_behind, pid_of
from tests.system.waiting import eventually, wait_for_end

pytestmark = pytest.mark.system

YEARS_S = 3_000_000_000.0


@pytest.fixture(scope="module")
def system(base):
    with nothing_left_behind(base), a_system() as running:
        yield running


def hang():
    time.sleep(60)


@pytest.mark.parametrize("timeout_s", [3_000_000, YEARS_S, float(sys.maxsize), 1e300])
def test_a_timeout_beyond_what_the_kernel_counts_is_a_long_one(system, timeout_s):
    before = pid_of(system, "pools/default/dispatcher")
    assert len(system.dispatch(range(10), jobs.double, timeout_s=timeout_s)) == 10
    assert len(system.call_each(os.getpid, timeout_s=timeout_s)) == 2
    assert pid_of(system, "pools/default/dispatcher") == before


@pytest.mark.parametrize("option", ["batch_size", "max_in_flight"])
def test_a_size_beyond_all_memory_is_refused_by_name(system, option):
    with pytest.raises(slither.InvalidOption, match=f"{option} is .*at most {sys.maxsize}"):
        system.dispatch([1], jobs.double, **{option: 10**19})


def test_workers_that_hang_in_a_call_to_each_are_killed_and_nobody_is_blamed(base):
    with nothing_left_behind(base), a_system(pools={"default": 5}) as system:
        before = set(system.call_each(os.getpid))
        with pytest.raises(slither.CallTimeout):
            system.call_each(hang, timeout_s=0.3)
        assert len(system.dispatch(range(50), jobs.double, batch_size=1)) == 50
        eventually(lambda: not before & set(system.call_each(os.getpid)), "all are new")


def test_a_call_to_each_waits_for_workers_that_are_being_restarted(system):
    for _ in range(3):
        wait_for_end(kill(system, "workers/worker-1"))
        assert len(set(system.call_each(os.getpid))) == 2


def test_a_kill_that_comes_too_late_hits_no_later_batch(system):
    """Batches of one run that end just when their time does, and those of another one, which has time, right behind
    them on the same workers."""
    limit = 0.1
    naps = [limit * (0.9 + number / 20) for number in range(20)]
    options = {"batch_size": 1, "timeout_s": limit, "on_error": "skip"}
    with ThreadPoolExecutor(1) as other:
        late = other.submit(system.dispatch, naps, jobs.nap, **options)
        while not late.done():
            assert len(system.dispatch([0.004] * 8, jobs.nap, batch_size=1)) == 8
    assert {type(item.meta["error"]) for item in late.result().skipped} == {slither.BatchTimeout}


def test_results_of_later_stages_are_kept_when_an_earlier_one_halts(system, tmp_path):
    pulling, passed = tmp_path / "pulling", tmp_path / "passed"

    class Halting(slither.Pipe):
        @slither.local
        def first(item, ctx):
            if item.payload == 40:
                eventually(pulling.exists, "the source is at work, and hears nothing")
                raise ValueError("forty")
            return item

        @slither.local
        def last(item, ctx):
            if item.payload == 31:
                eventually(pulling.exists, "the source is at work, and hears nothing")
                time.sleep(0.2)  # the failure is told before the results are there
                passed.touch()
            return item

    def source():
        yield from range(64)
        pulling.touch()
        eventually(passed.exists, "the first batch is through")
        time.sleep(1.0)  # until its results have left, of a machine that stalls too

    with pytest.raises(slither.PipeError) as caught:
        system.run_pipe(Halting, source())
    partial = caught.value.partial_results["default"]
    assert [item.payload for item in partial] == list(range(len(partial)))
    assert len(partial) >= 32, "what had gone through before the failure"


def test_streams_that_are_left_early_leave_no_large_memory_with_the_senders(system):
    def large(payloads):
        return [bytearray(1 << 20) for _ in payloads]

    dispatcher = pid_of(system, "pools/default/dispatcher")
    streams = [system.stream(range(1000), large, batch_size=1) for _ in range(4)]
    for stream in streams:
        next(stream)
    for stream in streams:
        stream.close()

    def held():
        links = []
        for fd in os.listdir(f"/proc/{dispatcher}/fd"):
            try:
                links.append(os.readlink(f"/proc/{dispatcher}/fd/{fd}"))
            except OSError:
                pass
        return sum("memfd:slither" in link for link in links)

    eventually(lambda: held() == 0, "the dispatcher holds segments for nobody")
