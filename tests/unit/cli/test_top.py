"""`slither top`, of a system that is made up, and the screen it is drawn on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors._record import replaced
from slither_actors.cli import main, top
from slither_actors.cli._console import Console
from slither_actors.cli._glances import Glance, Work, glance, report
from slither_actors.incident import Incident
from slither_actors.transport.incident_file import Incidents
from slither_actors.transport.running import RunningProcess, RunningSystem
from tests.unit.cli.test_console import Terminal

SYSTEM = RunningSystem("orders", Path("/run/x"), 10)
DEATH = Incident("pools/gpu/workers/worker-2", 1, 42, 1e9, 1.0, "killed", "SIGSEGV", "SIGSEGV", outcome="restarted")
NAMES = (
    "host",
    "root",
    "stores/Users",
    "pools",
    "pools/gpu",
    "pools/gpu/workers",
    "pools/gpu/workers/worker-1",
    "pools/gpu/workers/worker-2",
    "pools/gpu/leases",
    "pools/idle",
    "pipes/Orders-1",
    "pipes/Orders-1/check",
    "children/own",
    "",
)


def look(at: float, cpu_s: float, **work: Work) -> Glance:
    members = tuple(
        RunningProcess(pid, 1, name, 1, "python", "sleeping", 75.0, cpu_s, 30_000_000, 10_000_000)
        for pid, name in enumerate(NAMES, 10)
    )
    incidents = Incidents((DEATH, replaced(DEATH, at=2e9, outcome="gave up")), 7, 5)
    return Glance(at, members, incidents, {int(pid[1:]): done for pid, done in work.items()})


@pytest.fixture
def told() -> dict[str, Any]:
    before = look(100.0, 1.0, p16=Work(batches=10))
    now = look(102.0, 1.5, p16=Work(batches=31, sessions=2, items=64, busy=True), p17=Work(batches=4))
    return report(SYSTEM, before, now)


def test_rates_are_what_changed_between_two_glances(told: dict[str, Any]) -> None:
    (gpu, idle) = told["pools"]
    assert [worker["name"] for worker in gpu["workers"]] == ["worker-1", "worker-2"]
    assert [worker["batches_per_s"] for worker in gpu["workers"]] == [10.5, 2.0]
    assert (gpu["up"], gpu["busy"], gpu["items"], gpu["sessions"], gpu["batches_per_s"]) == (2, 1, 64, 2, 12.5)
    assert (gpu["cpu"], gpu["memory_bytes"]) == (0.5, 20_000_000)
    assert (idle["name"], idle["up"], idle["workers"]) == ("idle", 0, [])
    assert (told["cpu"], told["interval_s"], told["processes"]) == (3.5, 2.0, len(NAMES))


def test_restarts_stand_where_they_happened(told: dict[str, Any]) -> None:
    assert [worker["restarts"] for worker in told["pools"][0]["workers"]] == [0, 1]
    assert (told["pools"][0]["restarts"], told["restarts"], told["incidents"]) == (1, 5, 7)


def test_stages_stores_and_own_actors_have_their_places(told: dict[str, Any]) -> None:
    assert [(pipe["name"], [stage["name"] for stage in pipe["stages"]]) for pipe in told["pipes"]] == [
        ("Orders-1", ["check"])
    ]
    assert [store["name"] for store in told["stores"]] == ["Users"]
    assert [child["name"] for child in told["children"]] == ["own"]


def test_people_get_a_table(told: dict[str, Any]) -> None:
    first, *rows = top.table(told)

    assert first == "orders: up 1 min 15 s, 14 processes, 140 MB, 350% of a processor, 5 restarts, 7 incidents"
    assert [row.split() for row in rows] == [
        ["STATE", "ITEMS", "BATCHES/S", "SESSIONS", "CPU", "MEMORY", "RESTARTS"],
        ["pool", "gpu", "1", "of", "2", "busy", "64", "12.5", "2", "50%", "20.0", "MB", "1"],
        ["worker-1", "sleeping", "64", "10.5", "2", "25%", "10.0", "MB", "0"],
        ["worker-2", "sleeping", "0", "2.0", "0", "25%", "10.0", "MB", "1"],
        ["pool", "idle", "0", "of", "0", "busy", "0", "0.0", "0", "0%", "0.0", "MB", "0"],
        ["pipe", "Orders-1", "25%", "10.0", "MB", "0"],
        ["check", "sleeping", "25%", "10.0", "MB", "0"],
        ["store", "Users", "sleeping", "25%", "10.0", "MB", "0"],
        ["own", "sleeping", "25%", "10.0", "MB", "0"],
    ]
    assert len({len(row) for row in rows}) == 1  # figures stand below each other


def test_a_process_that_was_not_there_before_counts_from_its_beginning() -> None:
    before, now = look(100.0, 0.0), look(101.0, 0.5, p16=Work(batches=3))
    told = report(SYSTEM, Glance(100.0, (), before.incidents, {}), now)

    assert told["pools"][0]["workers"][0]["batches_per_s"] == 3.0


def test_a_system_that_has_just_ended_has_nothing() -> None:
    nothing = Glance(100.0, (), Incidents(), {})

    assert report(SYSTEM, nothing, nothing)["pools"] == []
    assert next(top.table(report(SYSTEM, nothing, nothing))).startswith("orders: up 0.0 s, 0 processes")


def test_a_directory_without_anybody_is_no_failure(tmp_path: Path) -> None:
    assert glance(RunningSystem("gone", tmp_path, 0)).work == {}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> None:
    def reports(system: RunningSystem, interval_s: float) -> Iterator[dict[str, Any] | None]:
        assert interval_s == 0.5
        yield from (told, told, None)

    monkeypatch.setattr(top, "find", lambda name: SYSTEM)
    monkeypatch.setattr(top, "_reports", reports)


@pytest.mark.usefixtures("found")
def test_once_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "orders", "--once", "--interval", "0.5"]) == 0
    assert capsys.readouterr().out.count("orders: up") == 1


@pytest.mark.usefixtures("found")
def test_json_is_an_object_per_line_until_the_system_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "orders", "--json", "--interval", "0.5"]) == 1

    printed = capsys.readouterr()
    assert [json.loads(line)["name"] for line in printed.out.splitlines()] == ["orders", "orders"]
    assert printed.err == "slither: system orders has ended\n"


def test_ctrl_c_is_how_it_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def reports(system: RunningSystem, interval_s: float) -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(top, "find", lambda name: SYSTEM)
    monkeypatch.setattr(top, "_reports", reports)

    assert main(["top", "orders"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("interval", ["0", "often", "nan", "4000"])
def test_an_interval_is_some_seconds(interval: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "orders", "--interval", interval]) == 2
    assert "is no number of seconds from 0.1 to 3600" in capsys.readouterr().err


def test_a_screen_is_drawn_over_and_left_as_it_was_with_the_last_page() -> None:
    out = Terminal()
    console = Console(out, io.StringIO(), environ={"TERM": "xterm"})
    with console.screen(live=True) as show:
        show(["first"])
        show(["second", "x" * 10_000])

    drawn = out.getvalue()
    assert drawn.startswith("\x1b[?1049h\x1b[?25l\x1b[Hfirst\x1b[K\x1b[J\x1b[Hsecond")
    on_screen, _, left = drawn.partition("\x1b[?25h\x1b[?1049l")
    assert on_screen.count("x") < 1000
    assert left.splitlines() == ["second", "x" * 10_000]


@pytest.mark.parametrize(("live", "term"), [(False, "xterm"), (True, "dumb")])
def test_pages_follow_each_other_where_nothing_can_be_drawn_over(live: bool, term: str) -> None:
    out = Terminal()
    console = Console(out, io.StringIO(), environ={"TERM": term})
    with console.screen(live=live) as show:
        show(["first"])
        show(["second"])

    assert out.getvalue() == "first\nsecond\n"
