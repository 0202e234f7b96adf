"""Incidents in a run directory: appended by many, read by anybody, bounded, and counted all the same."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from slither_actors._record import replaced
from slither_actors.incident import Incident
from slither_actors.transport import incident_file
from slither_actors.transport._incident_room import make_room
from slither_actors.transport.incident_file import KEPT, IncidentReader, Incidents, append, read
from tests.helpers.descriptors import open_descriptors
from tests.helpers.limits import file_limit

ONE = Incident("a", 1, 42, 100.0, 1.0, "crash", "ValueError", "exit code 1", outcome="restarted")


def number(place: int) -> Incident:
    return replaced(ONE, incarnation=place, at=100.0 + place)


def test_what_is_appended_is_read_in_the_order_of_the_deaths(tmp_path: Path) -> None:
    for place in (3, 1, 2):
        append(str(tmp_path), number(place))

    assert read(tmp_path) == Incidents((number(1), number(2), number(3)), 3, 3)


def test_where_nothing_happened_there_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == Incidents()
    assert read(tmp_path / "gone") == Incidents()


def test_only_those_that_led_to_a_restart_count_as_such(tmp_path: Path) -> None:
    outcomes = ("restarted", "restarted later", "not restarted", "gave up", "stopped", "not started")
    for place, outcome in enumerate(outcomes):
        append(str(tmp_path), replaced(number(place), outcome=outcome))

    known = read(tmp_path)
    assert (known.total, known.restarts) == (6, 2)


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    append(str(tmp_path), number(1))
    with open(tmp_path / "incidents", "ab") as file:
        file.write(b'{"name": "b", "incar')
    append(str(tmp_path), number(2))
    with open(tmp_path / "incidents", "ab") as file:
        file.write(b'\n[1]\n{"name": "of another version"}\n')

    assert read(tmp_path).newest == (number(1), number(2))


def test_a_directory_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    append(str(tmp_path / "gone"), ONE)


def test_others_cannot_read_what_is_written_down(tmp_path: Path) -> None:
    append(str(tmp_path), ONE, full_bytes=1)
    append(str(tmp_path), number(2), full_bytes=1)

    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "incidents": 0o600,
        "incidents.old": 0o600,
    }


def test_there_is_room_for_the_first_ones_from_the_beginning(tmp_path: Path) -> None:
    make_room(tmp_path)

    reserved = {path.name: (path.stat().st_size, path.stat().st_blocks * 512) for path in tmp_path.iterdir()}
    assert [size for size, _ in reserved.values()] == [0, 0]
    assert reserved["incidents"][1] >= 64 << 10
    assert reserved["incidents.unwritten"][1] >= 16 << 10


@pytest.mark.parametrize("room", [0, 100])
def test_those_without_room_are_counted(tmp_path: Path, room: int) -> None:
    make_room(tmp_path)
    reader = IncidentReader(tmp_path)
    assert append(str(tmp_path), number(1))
    size = (tmp_path / "incidents").stat().st_size
    with file_limit(size + room):
        assert not append(str(tmp_path), number(2))
        assert not append(str(tmp_path), replaced(number(3), outcome="gave up"))
    assert append(str(tmp_path), number(4))

    expected = Incidents((number(1), number(4)), total=4, restarts=3, unwritten=2)
    assert read(tmp_path) == reader.read() == expected
    shutil.rmtree(tmp_path)
    assert reader.read() == expected
    reader.close()


@pytest.mark.parametrize("full_bytes", [1, 3_000, 1 << 20])
def test_all_are_counted_and_the_newest_kept_however_often_the_file_was_full(tmp_path: Path, full_bytes: int) -> None:
    size = len(incident_file.to_json(incident_file.as_data(ONE)))
    for place in range(40):
        append(str(tmp_path), number(place), full_bytes=full_bytes)

        known = read(tmp_path)
        assert (known.total, known.restarts) == (place + 1, place + 1)
        assert known.newest[-1] == number(place)
        assert list(known.newest) == [number(earlier) for earlier in range(place + 1 - len(known.newest), place + 1)]
        assert len(known.newest) >= min(place + 1, full_bytes // (size + 2))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * (full_bytes + 2 * size)


def test_no_more_are_told_than_anybody_would_read(tmp_path: Path) -> None:
    for place in range(KEPT + 10):
        append(str(tmp_path), number(place))

    known = read(tmp_path)
    assert (len(known.newest), known.newest[-1], known.total) == (KEPT, number(KEPT + 9), KEPT + 10)


def test_many_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for place in range(100):
            append(str(tmp_path), replaced(number(place), name=f"writer-{writer}"))

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()

    assert read(tmp_path).total == 400


def test_a_reader_knows_the_last_words_of_a_directory_that_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    reader = IncidentReader(directory)
    append(str(directory), number(1))
    shutil.rmtree(directory)

    assert reader.read().newest == (number(1),)
    reader.close()
    reader.close()
    assert reader.read().newest == (number(1),)


def test_a_reader_of_a_directory_that_has_gone_already_knows_nothing(tmp_path: Path) -> None:
    reader = IncidentReader(tmp_path / "gone")
    assert reader.read().total == 0
    reader.close()


def test_a_reader_that_is_closed_in_the_middle_of_reading_has_read_for_the_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the handler of a signal that stops the system."""
    reader = IncidentReader(tmp_path)
    append(str(tmp_path), number(1))
    real, closing = os.pread, iter([reader.close])

    def pread(fd: int, size: int, offset: int) -> bytes:
        next(closing, lambda: None)()
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert reader.read().newest == (number(1),)


def test_a_reader_follows_a_file_that_was_full(tmp_path: Path) -> None:
    reader = IncidentReader(tmp_path)
    for place in range(5):
        append(str(tmp_path), number(place), full_bytes=1)
        assert reader.read().total == place + 1
    reader.close()


def test_a_reader_keeps_no_descriptor_when_it_is_closed(tmp_path: Path) -> None:
    before = open_descriptors()
    reader = IncidentReader(tmp_path)
    append(str(tmp_path), ONE)
    reader.read()
    reader.close()

    assert open_descriptors() == before
