"""Pools that change while they work: workers are recycled, come and go, and are kept down when they keep dying."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import slither_actors as slither
from slither_actors import (
    DispatchError,
    InvalidOption,
    PipeError,
    PoolOptions,
    PoolQuarantined,
    Quarantine,
    Recycle,
    SessionLost,
    StartError,
    UnknownPool,
)
from tests.helpers import adapters, jobs
from tests.system.running import a_system, kill, processes, restarted
from tests.system.waiting import eventually, wait_for_end

pytestmark = [pytest.mark.thorough, pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT_S = 30.0

kept = []


def grow_fat(payloads):
    kept.append(bytearray(os.urandom(1) * 200_000_000))
    return [os.getpid() for _ in payloads]


def where(payloads, ctx):
    """Counts within the session, and says where."""
    ctx.state["count"] = ctx.state.get("count", 0) + 1
    return [(os.getpid(), ctx.state["count"]) for _ in payloads]


@pytest.fixture(scope="module")
def system(base, tmp_path_factory):
    marker = str(tmp_path_factory.mktemp("cold") / "marker")
    pools = {
        "default": 2,
        "worn": PoolOptions(2, recycle=Recycle(batches=5, jitter=0.0)),
        "aged": PoolOptions(2, recycle=Recycle(age_s=0.2)),
        "fat": PoolOptions(1, recycle=Recycle(rss_mb=150)),
        "weak": PoolOptions(2, quarantine=Quarantine(crashes=2, within_s=600, pause_s=600, longest_s=600)),
        "brief": PoolOptions(1, quarantine=Quarantine(crashes=1, within_s=600, pause_s=0.2)),
        "cold": PoolOptions(1, warm_up=adapters.fail_the_second_time, environment={"MARKER": marker}),
    }
    with a_system(pools=pools) as running:
        yield running


def figures(system, pool, **wanted):
    found = system.statistics()["pools"][pool]
    return found if wanted.items() <= found.items() else None


def settled(system, pool, size):
    return eventually(lambda: figures(system, pool, size=size, up=size, retiring=0), f"{pool} has {size} workers")


def pids(system, pool):
    return system.call_each("os:getpid", pool=pool)


# -- recycling


def test_workers_are_recycled_one_at_a_time_and_the_pool_never_has_fewer_than_its_size(system):
    seen = set()

    def enough():
        results = system.dispatch(range(20), jobs.pids, pool="worn", batch_size=1)
        assert len(results) == 20
        seen.update(item.payload for item in results)
        now = figures(system, "worn")
        assert now["up"] - now["retiring"] >= 2, "the replacement is ready first"
        assert now["up"] <= 3
        assert now["retiring"] <= 1
        return now["recycled"] >= 3

    eventually(enough, "three were recycled")
    assert len(seen) >= 4
    assert figures(system, "worn")["restarts"] == 0, "nobody died"
    assert len(pids(system, "worn")) == 2


def test_a_worker_that_has_grown_fat_is_recycled(system):
    (item,) = system.dispatch([1], grow_fat, pool="fat")
    wait_for_end(item.payload)
    assert figures(system, "fat")["recycled"] >= 1
    assert pids(system, "fat") != [item.payload]


def test_a_worker_is_recycled_by_age_but_not_one_with_a_session_that_would_be_lost(system):
    with system.session() as session:
        ((home, _),) = [item.payload for item in session.dispatch([1], where, pool="aged")]
        before = figures(system, "aged")["recycled"]
        eventually(lambda: figures(system, "aged")["recycled"] >= before + 2, "the others grow old")
        ((there, count),) = [item.payload for item in session.dispatch([1], where, pool="aged")]
        assert (there, count) == (home, 2)
    wait_for_end(home)


def test_a_session_that_may_move_does_when_its_worker_is_recycled(system):
    with system.session(mode="hint") as session:
        ((home, _),) = [item.payload for item in session.dispatch([1], where, pool="aged")]
        wait_for_end(home)
        ((there, count),) = [item.payload for item in session.dispatch([1], where, pool="aged")]
        assert there != home
        assert count == 1


# -- resizing


def test_a_pool_grows_and_shrinks_while_it_works(system, tmp_path):
    go = tmp_path / "go"

    def wait(payloads):
        eventually(go.exists, "the test has looked")
        return payloads

    system.resize_pool("default", 4)
    assert figures(system, "default", size=4, up=4), "new workers are up when it returns"
    assert len(set(pids(system, "default"))) == 4
    with ThreadPoolExecutor() as threads:
        run = threads.submit(system.dispatch, range(4), wait, batch_size=1)
        try:
            eventually(lambda: figures(system, "default", leased=4), "all are at work")
            system.resize_pool("default", 1)
            assert figures(system, "default", size=1, up=4, retiring=3), "they finish what they have"
        finally:
            go.touch()
        assert [item.payload for item in run.result(LIMIT_S)] == [0, 1, 2, 3]
    settled(system, "default", 1)
    assert len(pids(system, "default")) == 1
    assert len(system.dispatch(range(10), jobs.pids, batch_size=1)) == 10


def test_those_with_sessions_are_the_last_to_go_and_end_when_the_sessions_do(system):
    system.resize_pool("default", 2)
    with system.session() as one, system.session() as other:
        homes = [session.call_batch([1], where)[0].payload[0] for session in (one, other)]
        assert len(set(homes)) == 2
        system.resize_pool("default", 3)
        system.resize_pool("default", 2)
        settled(system, "default", 2)
        assert set(pids(system, "default")) == set(homes), "the one without a session went"

        system.resize_pool("default", 1)
        eventually(lambda: figures(system, "default", retiring=1, up=2), "it waits for its session")
        (stays,) = pids(system, "default")
        again = [session.call_batch([1], where)[0].payload for session in (one, other)]
        assert again == [(home, 2) for home in homes], "both go on"
        with system.session() as late:
            assert late.call_batch([1], where)[0].payload == (stays, 1), "nothing begins in one that retires"
    (goes,) = set(homes) - {stays}
    wait_for_end(goes)
    settled(system, "default", 1)


def test_a_pool_that_cannot_grow_keeps_its_size(system):
    with pytest.raises(StartError, match=r"(?s)pools/cold/workers/worker-.*cold again"):
        system.resize_pool("cold", 3)
    settled(system, "cold", 1)
    assert len(pids(system, "cold")) == 1


def test_a_size_outlives_the_supervisor_of_the_workers(system):
    system.resize_pool("default", 3)
    old = kill(system, "pools/default/workers")
    restarted(system, "pools/default/workers", old)
    settled(system, "default", 3)
    assert len(pids(system, "default")) == 3


def test_one_that_retires_does_so_also_when_the_process_of_the_leases_is_new(system, tmp_path):
    go = tmp_path / "go"

    def wait(payloads):
        eventually(go.exists, "the test has looked")
        return payloads

    class Waiting(slither.Pipe):
        hold = slither.worker(wait, batch_size=1)

    system.resize_pool("default", 2)
    settled(system, "default", 2)
    with ThreadPoolExecutor() as threads:
        run = threads.submit(system.run_pipe, Waiting, range(2))
        try:
            eventually(lambda: figures(system, "default", leased=2), "both are at work")
            system.resize_pool("default", 1)
            restarted(system, "pools/default/leases", kill(system, "pools/default/leases"))
        finally:
            go.touch()
        assert len(run.result(LIMIT_S).default) == 2
    settled(system, "default", 1)


def test_one_that_dies_while_it_retires_is_not_restarted(system, tmp_path):
    go = tmp_path / "go"

    def wait(payloads):
        eventually(go.exists, "the test has looked")
        return payloads

    system.resize_pool("default", 2)
    settled(system, "default", 2)
    with ThreadPoolExecutor() as threads:
        run = threads.submit(system.dispatch, range(2), wait, batch_size=1, on_error="skip")
        try:
            eventually(lambda: figures(system, "default", leased=2), "both are at work")
            before = figures(system, "default")["restarts"]
            system.resize_pool("default", 1)
            names = [name for name in processes(system) if name.startswith("pools/default/workers/")]
            newest = max(names, key=lambda name: int(name.rpartition("-")[2]))
            wait_for_end(kill(system, newest))
        finally:
            go.touch()
        results = run.result(LIMIT_S)
        assert len(results) + len(results.skipped) == 2
    assert settled(system, "default", 1)["restarts"] == before


@pytest.mark.parametrize("size", [0, 513, True, 1.5, "2"])
def test_a_size_that_cannot_be_is_refused(system, size):
    with pytest.raises(InvalidOption, match=r"resize_pool: size is .*1 to 512"):
        system.resize_pool("default", size)


def test_an_unknown_pool_cannot_be_resized(system):
    with pytest.raises(UnknownPool, match="gpu"):
        system.resize_pool("gpu", 2)
    with pytest.raises(InvalidOption, match="timeout_s"):
        system.resize_pool("default", 2, timeout_s=-1)


# -- quarantine


def die_twice(system, pool, worker):
    name = f"pools/{pool}/workers/{worker}"
    restarted(system, name, kill(system, name))
    wait_for_end(kill(system, name))


def test_a_pool_goes_on_without_those_in_quarantine_and_says_so_when_all_are(system):
    with system.session() as session:
        die_twice(system, "weak", "worker-1")
        eventually(lambda: figures(system, "weak", quarantined=1, up=1), "one is in quarantine")
        assert len(pids(system, "weak")) == 1
        assert len(system.dispatch(range(4), jobs.pids, pool="weak", batch_size=1)) == 4

        # a death under a batch does not count, and that is over a moment after its results are here
        eventually(lambda: figures(system, "weak", idle=1, leased=0), "nobody has the other one")
        die_twice(system, "weak", "worker-2")
        eventually(lambda: figures(system, "weak", quarantined=2), "both are")
        words = r"pool 'weak' has no worker: all 2 of it are in quarantine.*SIGKILL"
        with pytest.raises(PoolQuarantined, match=words):
            pids(system, "weak")
        with pytest.raises(DispatchError, match=words) as caught:
            system.dispatch(range(4), jobs.pids, pool="weak", on_error="skip")
        assert isinstance(caught.value.reason, PoolQuarantined)
        with pytest.raises(PoolQuarantined, match=words):
            system.call_batch([1], jobs.pids, pool="weak")
        with pytest.raises(PoolQuarantined, match=words):
            session.submit(1, where, pool="weak").result(LIMIT_S)

        class Weak(slither.Pipe):
            find = slither.worker(jobs.pids, pool="weak")

        with pytest.raises(PipeError, match=words):
            system.run_pipe(Weak, [1])

    system.resize_pool("weak", 1)
    found = figures(system, "weak")
    assert (found["size"], found["quarantined"]) == (1, 1), "one of those in quarantine is gone"


def test_a_worker_is_started_again_when_its_quarantine_is_over(system):
    with system.session() as session:
        before = figures(system, "brief")
        kill(system, "pools/brief/workers/worker-1")

        def works():
            try:
                return session.submit(1, where, pool="brief").result(LIMIT_S)
            except (PoolQuarantined, SessionLost):
                return None

        assert eventually(works, "the pause is over")[1] == 1
    assert len(system.dispatch(range(4), jobs.pids, pool="brief", batch_size=1)) == 4
    assert figures(system, "brief")["restarts"] == before["restarts"] + 1


def test_a_warm_up_that_fails_later_leads_to_quarantine_and_the_system_lives(tmp_path):
    environment = {"MARKER": str(tmp_path / "marker")}
    weak = PoolOptions(
        1,
        warm_up=adapters.fail_the_second_time,
        environment=environment,
        quarantine=Quarantine(within_s=60, pause_s=60),
    )
    with a_system(pools={"default": 1, "weak": weak}) as system:
        with ThreadPoolExecutor() as threads:
            kill(system, "pools/weak/workers/worker-1")
            run = threads.submit(system.dispatch, [1], jobs.pids, pool="weak")
            with pytest.raises(DispatchError, match=r"quarantine.*cold again"):
                run.result(LIMIT_S)
        assert len(system.dispatch([1], jobs.pids)) == 1
        system.resize_pool("default", 2)


def test_deaths_under_batches_lead_to_no_quarantine(system):
    assert len(system.dispatch([1], jobs.mishaps, pool="brief")) == 1
    before = figures(system, "brief")["restarts"]
    results = system.dispatch(["segfault"] * 6, jobs.mishaps, pool="brief", batch_size=1, on_error="skip")
    assert len(results.skipped) == 6
    found = eventually(lambda: figures(system, "brief", up=1), "it is back")
    assert (found["quarantined"], found["restarts"]) == (0, before + 6)
