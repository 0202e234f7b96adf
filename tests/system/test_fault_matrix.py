"""The first table in docs/failures.md: each process in turn is killed, crashes in C code, and is stopped for good."""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import slither_actors as slither
from tests.helpers.tables import table_below
from tests.system.running import nothing_left_behind, processes
from tests.system.under_load import Load, a_busy_system
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "failures.md").read_text("utf-8")
ROWS = {row[0].strip("`"): row for row in table_below("## A process is killed, or stands still", DOCUMENT)}
OVER = "the system is over"
OVER_BY = {"root": "the root supervisor", "admin": "Thespian's admin process", "host": "the host process"}
STOPPED_LIMIT_S = 0.5
LIMIT_S = 40.0

# Several of one system, no more than the restart budgets of their supervisors bear; who ends the system comes last.
TURNS = [
    [
        "pools/default/workers/worker-1",
        "pools/default/leases",
        "pools/default/dispatcher",
        "pools/default/sessions",
        "pipes/Everything-1/first",
        "pipes/Everything-1/work",
        "pipes/Everything-1/route",
        "stores/Ledger",
        "children/own",
        "host",
    ],
    ["pools/default/workers", "pools/default", "pipes/Everything-1", "pipes", "pools", "stores", "admin"],
    ["children", "registry", "root"],
]


def quoted(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def pids(system: slither.System) -> dict[str, int]:
    host = system._client._host
    named = {name: node["pid"] for name, node in processes(system).items()}
    root = int(os.path.basename(host.root).partition(".")[0])
    return named | {"root": root, "admin": host.admin, "host": host.pid}


def look_again(system: slither.System) -> dict[str, int]:
    """The same, while somebody is restarted; nobody if that is the registry."""
    try:
        return pids(system)
    except (slither.NoProcess, slither.CallTimeout):
        return {}


def within(name: str, branches: set[str]) -> bool:
    return any(name == branch or name.startswith(branch + "/") for branch in branches)


def befall(system: slither.System, load: Load, victim: str, signum: signal.Signals) -> None:
    """Send a process a signal, and see that what the document says of its death comes true."""
    _, with_it, may_raise = ROWS[victim]
    before = pids(system)
    load.forget()
    os.kill(before[victim], signum)
    if with_it == OVER:
        load.is_over(LIMIT_S)
        assert load.raised() <= quoted(may_raise), load.errors()
        for job in load.jobs:
            assert isinstance(job.errors[-1], slither.SystemDown)
            assert OVER_BY[victim] in str(job.errors[-1])
        return
    renewed = {name for name in before if within(name, {victim, *quoted(with_it)})}

    def all_back() -> bool:
        now = look_again(system)
        return before.keys() <= now.keys() and all(now[name] != before[name] for name in renewed)

    eventually(all_back, f"{sorted(renewed)} came back after the death of {victim}")
    load.goes_on(LIMIT_S)
    now = pids(system)
    assert {name for name in before if now[name] != before[name]} == renewed
    assert load.raised() <= quoted(may_raise), load.errors()


@pytest.fixture
def busy(base: Path) -> Iterator[tuple[slither.System, Load]]:
    with nothing_left_behind(base):
        with a_busy_system(config={"stopped_limit_s": STOPPED_LIMIT_S}) as (system, load):
            memory = (system._client.directory / "memory").resolve()
            yield system, load
        load.end(LIMIT_S)
    assert not memory.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
@pytest.mark.parametrize("victims", TURNS, ids=["who works", "supervisors", "the top"])
def test_each_process_in_turn(busy: tuple[slither.System, Load], victims: list[str], signum: signal.Signals) -> None:
    for victim in victims:
        befall(*busy, victim, signum)


def test_the_work_of_processes_that_stand_still_goes_on(busy: tuple[slither.System, Load]) -> None:
    for victim in ("pools/default/dispatcher", "pools/default", "stores/Ledger"):
        befall(*busy, victim, signal.SIGSTOP)


def test_the_calls_of_a_system_end_whose_guard_stands_still(busy: tuple[slither.System, Load]) -> None:
    befall(*busy, "host", signal.SIGSTOP)


def test_each_row_has_its_turn() -> None:
    assert sorted(ROWS) == sorted(itertools.chain(*TURNS))
