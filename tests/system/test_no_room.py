"""Processes that get no memory, and files that find no room. The limits are set from outside, as a group's would be."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors import DispatchError, NotDecodable, StageDown, StartError, StoreFull
from tests.helpers import faulty, jobs
from tests.system.conftest import Service
from tests.system.running import kill, nothing_left_behind, pid_of, restarted
from tests.system.test_fault_matrix import ROWS, look_again, quoted
from tests.system.under_load import Load, a_busy_system
from tests.system.waiting import eventually, marked

pytestmark = pytest.mark.system

LIMIT_S = 40.0
PAYLOAD = b"x" * (24 << 20)
MARGIN_BYTES = 4 << 20


def memory_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def no_more_memory(pid: int, than: int | None = None) -> None:
    """From now on the process can have hardly more than it has, or than so many bytes."""
    most = (memory_of(pid) if than is None else than) + MARGIN_BYTES
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


def no_more_files(pid: int) -> None:
    """From now on the process, and those that it starts, can write to no file."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))


@pytest.fixture(scope="module")
def system(tidy):
    with slither.start(stores=[faulty.Ledger], pools={"default": 2, "one": 1, "fresh": 1}) as running:
        yield running


def test_a_batch_that_does_not_fit_into_a_worker_fails_alone(system):
    worker = pid_of(system, "pools/one/workers/worker-1")
    fresh = memory_of(worker)
    # the first large one travels in another way than those behind it
    assert len(system.dispatch([PAYLOAD], faulty.sizes, pool="one")) == 1
    no_more_memory(worker, fresh)
    given = [b"small", PAYLOAD, b"also small"]
    results = system.dispatch(given, faulty.sizes, pool="one", batch_size=1, on_error="skip")
    assert [item.payload for item in results] == [5, 10]
    assert [type(item.meta["error"]) for item in results.skipped] == [NotDecodable]
    assert pid_of(system, "pools/one/workers/worker-1") == worker
    old = kill(system, "pools/one/workers/worker-1")
    restarted(system, "pools/one/workers/worker-1", old)


def test_a_worker_that_dies_for_want_of_memory_is_replaced_and_its_batch_goes_to_the_next(system):
    old = pid_of(system, "pools/fresh/workers/worker-1")
    no_more_memory(old)
    assert [item.payload for item in system.dispatch([PAYLOAD], faulty.sizes, pool="fresh")] == [len(PAYLOAD)]
    restarted(system, "pools/fresh/workers/worker-1", old)


def test_a_batch_that_does_not_fit_into_the_dispatcher_ends_its_run(system):
    no_more_memory(pid_of(system, "pools/default/dispatcher"))
    with pytest.raises((DispatchError, NotDecodable)) as caught:
        system.dispatch([b"small", PAYLOAD], faulty.sizes, batch_size=1)
    assert isinstance(getattr(caught.value, "reason", caught.value), NotDecodable | StageDown)
    assert len(system.dispatch(range(10), jobs.same)) == 10
    kill(system, "pools/default/dispatcher")
    assert len(system.dispatch(range(10), jobs.same)) == 10


def test_a_store_without_room_refuses_the_write_and_goes_on(system):
    store = system.store(faulty.Ledger)
    store.rows.put("number", 1)
    no_more_files(pid_of(system, "stores/Ledger"))
    with pytest.raises(StoreFull, match="of which nothing happened"):
        store.rows.put("number", 2)
    assert store.rows.get("number") == 1
    old = kill(system, "stores/Ledger")
    restarted(system, "stores/Ledger", old)
    store.rows.put("number", 3)
    assert store.rows.get("number") == 3


def test_a_worker_that_finds_no_room_in_the_run_directory_does_not_start(system):
    supervisor = pid_of(system, "pools/default/workers")
    no_more_files(supervisor)
    with pytest.raises(StartError, match="takes no more files: File too large"):
        system.resize_pool("default", 3)
    assert len(system.dispatch(range(10), jobs.same)) == 10
    assert pid_of(system, "pools/default/workers") == supervisor
    system.resize_pool("default", 1)
    assert len(system.dispatch(range(10), jobs.same)) == 10
    assert pid_of(system, "pools/default/workers") == supervisor


# Processes of the library, and whom to kill so that they have to do something. Not more of one system than the restart
# budgets bear.
LOWER = [
    ("pools/default", "pools/default/leases"),
    ("pools/default/leases", "pools/default/workers/worker-1"),
    ("pools/default/workers", "pools/default/workers/worker-1"),
    ("pipes/Everything-1", "pipes/Everything-1/first"),
    ("pipes", "pipes/Everything-1"),
    ("pools", "pools/default"),
    ("stores", "stores/Ledger"),
]
UPPER = [
    ("children", "children/own"),
    ("registry", "pools/default/workers/worker-1"),
    ("host", "pools/default"),
    ("admin", "pools/default"),
]
KINDS = {"memory": resource.RLIMIT_AS, "files": resource.RLIMIT_FSIZE}
# What those raise that a process without room has started: they have its limit.
HANDED_DOWN = {"StoreFull", "NotDecodable", "RemoteError", "StoreUnavailable", "CallTimeout"}


def nothing_of(kind: str, pid: int) -> None:
    """From now on the process, and those that it starts, get nothing more."""
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        resource.prlimit(pid, KINDS[kind], (0, resource.getrlimit(KINDS[kind])[1]))


def enough_for_all(base: Path) -> None:
    """Take all limits away, also those that were handed down."""
    done = {os.getpid()}
    while new := marked(str(base)) - done:  # again for those that were started meanwhile
        for pid in new:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                for kind in KINDS.values():
                    most = resource.prlimit(pid, kind)[1]
                    resource.prlimit(pid, kind, (most, most))
        done |= new


def all_there(system: slither.System, *names: str) -> dict[str, int]:
    def look() -> dict[str, int]:
        found = look_again(system)
        return found if found.keys() >= set(names) else {}

    return eventually(look, f"{names} are there")


def comes_back(system: slither.System, name: str, old: int) -> None:
    """Wait until somebody else stands behind the name, or the system is over."""

    def look() -> bool:
        try:
            return look_again(system).get(name, old) != old
        except slither.SystemDown:
            return True

    eventually(look, f"{name} came back")


@pytest.fixture
def busy(base: Path) -> Iterator[tuple[slither.System, Load]]:
    with nothing_left_behind(base):
        with a_busy_system() as (system, load):
            memory = (system._client.directory / "memory").resolve()
            yield system, load
        load.end(LIMIT_S)
    assert not memory.exists()


def gets_nothing(base: Path, system: slither.System, load: Load, kind: str, victim: str, killed: str) -> None:
    """Let a process get no more, give it something to do, and see that all calls go on, or end."""
    who = all_there(system, victim, killed)
    load.forget()
    nothing_of(kind, who[victim])
    load.goes_on_or_is_over(LIMIT_S)
    with contextlib.suppress(ProcessLookupError):  # it has died with the other
        os.kill(who[killed], signal.SIGKILL)
    comes_back(system, killed, who[killed])
    enough_for_all(base)
    assert load.goes_on_or_is_over(LIMIT_S) or victim in ("host", "admin", "root"), (victim, load.errors())
    allowed = quoted(ROWS[victim][2]) | quoted(ROWS[killed][2]) | HANDED_DOWN
    assert load.raised() <= allowed, (victim, load.errors())


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("turns", [LOWER, [*UPPER, ("root", "registry")]], ids=["lower", "upper"])
def test_a_process_of_the_library_without_memory_goes_on_or_is_replaced(
    base: Path, busy: tuple[slither.System, Load], turns: list[tuple[str, str]]
) -> None:
    system, load = busy
    for victim, killed in turns:
        gets_nothing(base, system, load, "memory", victim, killed)
    with contextlib.suppress(slither.SystemDown):
        for pid in all_there(system, *(victim for victim, _ in LOWER)).values():
            nothing_of("memory", pid)  # and the system is stopped like this


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_disk_without_room_is_borne_until_no_worker_can_start(base: Path, busy: tuple[slither.System, Load]) -> None:
    system, load = busy
    for victim, killed in [*LOWER, *UPPER]:
        gets_nothing(base, system, load, "files", victim, killed)
    who = all_there(system, "pools/default/workers/worker-1")
    for pid in who.values():
        nothing_of("files", pid)
    os.kill(who["pools/default/workers/worker-1"], signal.SIGKILL)
    load.is_over(LIMIT_S)
    assert any("takes no more files: File too large" in str(job.errors[-1]) for job in load.jobs)


@pytest.mark.thorough
def test_a_host_that_gets_nothing_leaves_nothing_of_a_service_that_was_killed(service: Service) -> None:
    for name in ("host", "admin"):
        for kind in KINDS:
            nothing_of(kind, service.who[name])
    service.kill("service")
    service.wait_until_nothing_is_left()
    assert not service.directory.exists()
