"""Which deaths are behind an error that befell a run."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from slither_actors._record import replaced
from slither_actors.errors import BatchTimeout, RemoteError, SlitherError, StageDown, WorkerCrashed
from slither_actors.incident import Incident
from slither_actors.system._explained import deaths_behind

WORKER = Incident("pools/p/workers/worker-1", 1, 7, 1000.0, 1.0, "killed", "SIGSEGV", "SIGSEGV")
LEASES = replaced(WORKER, name="pools/p/leases", pid=8, together=("pools/p/dispatcher",))
POOL = replaced(WORKER, name="pools/p", pid=9)
TIMEOUT = replaced(WORKER, pid=11, ordered=True)


def behind(error: SlitherError, process: int = 0, known: Iterable[Incident] = (), now: float = 1001.0) -> list[int]:
    return [incident.pid for incident in deaths_behind(error, process, lambda: known, now)]


def test_a_crash_is_explained_by_the_death_of_that_very_process() -> None:
    known = [WORKER, replaced(WORKER, pid=10), LEASES]

    assert behind(WorkerCrashed("pools/p/workers/worker-1", 7, "SIGSEGV"), 0, known) == [7]
    assert behind(WorkerCrashed("pools/p/workers/worker-1", 99, "SIGSEGV"), 0, known) == []


def test_a_timeout_is_explained_by_the_newest_kill_of_that_worker() -> None:
    known = [replaced(TIMEOUT, pid=10), TIMEOUT, replaced(WORKER, pid=12)]

    assert behind(BatchTimeout(1.0, "pools/p/workers/worker-1"), 0, known) == [11]


@pytest.mark.parametrize(
    ("process", "known", "expected"),
    [
        (7, [replaced(WORKER, name="pools/p/dispatcher"), LEASES], [7]),  # it died itself
        (99, [POOL, LEASES, WORKER], [8]),  # it was stopped with another
        (99, [LEASES, POOL, WORKER], [9]),  # a supervisor above it died
        (99, [WORKER], []),
        # who tells of it does not know its process, as a balancer of its replica's
        (0, [replaced(WORKER, name="pools/p/dispatcher", pid=n) for n in (6, 7)], [7]),
    ],
)
def test_the_end_of_a_stage_is_explained_by_its_death_or_by_that_of_others(
    process: int, known: list[Incident], expected: list[int]
) -> None:
    assert behind(StageDown("pools/p/dispatcher", "SIGKILL"), process, known) == expected


def test_a_death_of_long_ago_explains_nothing() -> None:
    assert behind(WorkerCrashed(WORKER.name, 7, "SIGSEGV"), 0, [WORKER], now=1061.0) == []


def test_where_no_death_can_be_behind_it_nobody_is_asked() -> None:
    def fail() -> Iterable[Incident]:
        raise AssertionError("asked")

    assert deaths_behind(RemoteError("f", "ValueError", "bad", ""), 0, fail, 0.0) == []
