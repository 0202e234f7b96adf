"""`slither ps`, `slither status` and `slither incidents`, of systems that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slither_actors._record import replaced
from slither_actors.cli import incidents, main, ps, status
from slither_actors.cli._words import in_megabytes, in_seconds
from slither_actors.incident import Incident
from slither_actors.transport._incident_room import count_unwritten
from slither_actors.transport.incident_file import KEPT, Incidents, append
from slither_actors.transport.running import RunningProcess, RunningSystem

DEATH = Incident("pools/gpu/workers/worker-2", 1, 42, 1e9, 1.0, "killed", "SIGSEGV", "SIGSEGV", outcome="restarted")


def process(pid: int, parent: int, name: str, state: str = "sleeping", command: str = "python") -> RunningProcess:
    return RunningProcess(pid, parent, name, 1, command, state, 75.0, 0.5, 30_000_000, 10_000_000)


MEMBERS = (
    process(10, 1, "host"),
    process(11, 10, "admin"),
    process(12, 11, "root"),
    process(13, 12, "registry", "stopped"),
    process(14, 12, "stores"),
    process(15, 14, "stores/Users"),
    process(16, 12, "pools"),
    process(17, 16, "pools/gpu"),
    process(18, 17, "pools/gpu/workers"),
    process(19, 18, "pools/gpu/workers/worker-1", "running"),
    process(20, 19, "", command="ffmpeg\x1b[2J"),
    process(21, 18, "pools/gpu/workers/worker-2"),
    process(22, 17, "pools/gpu/leases"),
    process(23, 12, "pipes"),
    process(24, 23, "pipes/Orders-1"),
)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningSystem:
    made = RunningSystem("orders", tmp_path, 10)
    monkeypatch.setattr(ps, "systems", lambda: [made])
    monkeypatch.setattr(status, "find", lambda name: made)
    monkeypatch.setattr(incidents, "find", lambda name: made)
    for module in (ps, status):
        monkeypatch.setattr(module, "processes", lambda system: MEMBERS)
        monkeypatch.setattr(module, "service_of", lambda system: 1)
    return made


def test_processes_are_shown_as_a_tree_with_their_own_part_of_the_name(
    system: RunningSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ps"]) == 0

    first, headings, *rows = capsys.readouterr().out.splitlines()
    assert first == "orders: 15 processes, 150 MB, up 1 min 15 s, started by process 1"
    assert headings.split() == ["PID", "STATE", "AGE", "CPU", "MEMORY", "PROCESS"]
    column = headings.index("PROCESS")
    assert [row[column:] for row in rows] == [
        "host",
        "  admin",
        "    root",
        "      registry",
        "      stores",
        "        Users",
        "      pools",
        "        gpu",
        "          workers",
        "            worker-1",
        "              (ffmpeg\\x1b[2J)",
        "            worker-2",
        "          leases",
        "      pipes",
        "        Orders-1",
    ]
    assert rows[3].split()[:2] == ["13", "stopped"]


def test_as_json_the_processes_are_one_object(system: RunningSystem, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--json"]) == 0

    (only,) = json.loads(capsys.readouterr().out)["systems"]
    assert (only["name"], only["directory"], only["service"]) == ("orders", str(system.directory), 1)
    assert only["processes"][3] == {
        "pid": 13,
        "parent": 12,
        "name": "registry",
        "incarnation": 1,
        "command": "python",
        "state": "stopped",
        "age_s": 75.0,
        "cpu_s": 0.5,
        "rss_bytes": 30_000_000,
        "pss_bytes": 10_000_000,
    }


def test_where_nothing_runs_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ps, "systems", list)

    assert main(["ps"]) == 0
    assert capsys.readouterr().out == "no system is running\n"


def test_a_process_whose_own_memory_is_not_known_counts_with_all_it_has() -> None:
    assert ps.memory_of(replaced(MEMBERS[0], pss_bytes=None)) == 30_000_000


def test_a_system_at_a_glance() -> None:
    system = RunningSystem("orders", Path("/run/x"), 10)
    known = Incidents((DEATH,), 7, 5)

    summary = status.summary(system, 1, MEMBERS, known)

    assert summary["pools"] == {"gpu": 2}
    assert (summary["pipes"], summary["stores"]) == (["Orders-1"], ["Users"])
    assert summary["states"] == {"sleeping": 13, "stopped": 1, "running": 1}
    assert (summary["memory_bytes"], summary["cpu_s"]) == (150_000_000, 7.5)
    rows = [line.split("  ", 1) for line in status.report(summary, now=1e9 + 90)]
    assert {label: text.strip() for label, text in rows} == {
        "system": "orders, up 1 min 15 s, started by process 1",
        "run directory": "/run/x",
        "processes": "15 (13 sleeping, 1 stopped, 1 running)",
        "memory": "150 MB",
        "processor": "7.5 s",
        "pool gpu": "2 workers up",
        "pipe Orders-1": "up",
        "store Users": "up",
        "restarts": "5",
        "incidents": "7; the last one 1 min 30 s ago: pools/gpu/workers/worker-2: killed: SIGSEGV",
    }


def test_a_system_that_ends_while_it_is_looked_at_has_nothing() -> None:
    summary = status.summary(RunningSystem("orders", Path("/run/x"), 0), 0, (), Incidents())

    assert (summary["processes"], summary["age_s"], summary["last_incident"]) == (0, 0.0, None)
    assert list(status.report(summary, now=0.0))[-1] == "incidents      0"


def test_a_glance_as_json(system: RunningSystem, capsys: pytest.CaptureFixture[str]) -> None:
    append(str(system.directory), DEATH)

    assert main(["status", "orders", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["incidents"], told["restarts"], told["last_incident"]["summary"]) == (1, 1, "killed: SIGSEGV")


def test_incidents_are_told_in_lines_and_steer_no_terminal(
    system: RunningSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    append(str(system.directory), replaced(DEATH, last_lines=("red \x1b[31m alert",)))

    assert main(["incidents", "orders"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" pools/gpu/workers/worker-2: killed: SIGSEGV")
    assert lines[-1] == "    | red \\x1b[31m alert"


def test_incidents_as_json_with_how_many_there_were(system: RunningSystem, capsys: pytest.CaptureFixture[str]) -> None:
    append(str(system.directory), DEATH)

    assert main(["incidents", "orders", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["system"], told["total"], told["unwritten"]) == ("orders", 1, 0)
    assert told["incidents"][0]["exit"] == "SIGSEGV"


def test_those_that_found_no_room_are_told_as_such(system: RunningSystem, capsys: pytest.CaptureFixture[str]) -> None:
    append(str(system.directory), DEATH)
    count_unwritten(str(system.directory), restarted=True)

    assert main(["incidents", "orders"]) == 0
    assert capsys.readouterr().err == "the newest 1 of 2; there was no room to write 1 down\n"


def test_where_nobody_died_it_says_so(system: RunningSystem, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidents", "orders"]) == 0
    assert capsys.readouterr().out == "no process of system orders has died\n"


def test_of_many_incidents_it_says_how_many_are_shown(
    system: RunningSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = Incidents(tuple(replaced(DEATH, incarnation=place) for place in range(KEPT)), 1234, 0)
    monkeypatch.setattr(incidents, "read", lambda directory: many)

    assert main(["incidents", "orders"]) == 0
    assert capsys.readouterr().err == "the newest 200 of 1,234\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (12.9, "12 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (7_260, "2 h 1 min"),
        (777_600, "9 d 0 h"),
    ],
)
def test_a_time_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_seconds(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0.0 MB"), (12_340_000, "12.3 MB"), (250_000_000, "250 MB"), (1_250_000_000, "1,250 MB")]
)
def test_memory_is_told_in_megabytes(count: int, words: str) -> None:
    assert in_megabytes(count) == words
