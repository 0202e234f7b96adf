"""The standard error of a child: passed on, its end kept, and nobody made to wait."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.otp._stderr import LINES, TAIL_BYTES, Ear, Sink, Tail, heard
from tests.helpers.descriptors import open_descriptors


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):
            os.close(fd)


@given(st.lists(st.binary(max_size=600), max_size=40))
def test_the_tail_is_the_end_of_all_that_came_in_whatever_pieces(pieces: list[bytes]) -> None:
    tail, whole = Tail(), b"".join(pieces)
    for piece in pieces:
        tail.feed(piece)

    kept = whole[-TAIL_BYTES:]
    expected = [line.rstrip() for line in kept.decode("utf-8", "replace").splitlines()]
    if len(whole) > TAIL_BYTES and len(expected) > 1:
        expected = expected[1:]
    assert tail.lines() == tuple(expected[-LINES:])


def test_of_long_lines_only_whole_ones_are_told() -> None:
    tail, line = Tail(), "x" * 300
    for _ in range(30):
        tail.feed(f"{line}\n".encode())

    assert tail.lines() == (line,) * (TAIL_BYTES // 301)


def test_a_line_without_an_end_is_the_last_one() -> None:
    tail = Tail()
    tail.feed(b"one\ntwo  \r\nthr")
    tail.feed(b"ee")

    assert tail.lines() == ("one", "two", "three")


def test_one_endless_line_is_kept_by_its_end() -> None:
    tail = Tail()
    tail.feed(b"x" * 10 * TAIL_BYTES + b"end")

    (line,) = tail.lines()
    assert len(line) == TAIL_BYTES
    assert line.endswith("end")


def test_what_a_child_writes_is_heard_and_passed_on(tmp_path: Path) -> None:
    with open(tmp_path / "stderr", "wb") as file:
        sink = Sink(os.dup(file.fileno()))
    with heard(sink) as ear:
        subprocess.run(["sh", "-c", "echo one >&2; echo two >&2"], check=True)
    assert ear is not None

    assert ear.listen() is True
    assert ear.listen() is None  # nobody is left who could write
    ear.close()

    assert ear.tail.lines() == ("one", "two")
    assert (tmp_path / "stderr").read_bytes() == b"one\ntwo\n"


def test_what_was_left_when_a_child_died_is_heard_and_passed_on(tmp_path: Path) -> None:
    with open(tmp_path / "stderr", "wb") as file:
        sink = Sink(os.dup(file.fileno()))
    with heard(sink) as ear:
        subprocess.run(["sh", "-c", "echo last words >&2; kill -9 $$"], check=False)
    assert ear is not None
    ear.close()

    assert ear.tail.lines()[0] == "last words"
    assert (tmp_path / "stderr").read_bytes().startswith(b"last words\n")


def test_one_s_own_standard_error_is_as_it_was(capfd: pytest.CaptureFixture[str], pipe: tuple[int, int]) -> None:
    before = open_descriptors()
    with contextlib.suppress(KeyError), heard(Sink(os.dup(pipe[1]))) as ear:
        raise KeyError
    os.write(2, b"here")

    assert capfd.readouterr().err == "here"
    assert ear is not None
    ear.close()
    assert len(open_descriptors()) == len(before) + 1  # the sink's


def test_a_sink_that_nobody_empties_takes_what_fits_and_does_not_wait(pipe: tuple[int, int]) -> None:
    sink = Sink(os.dup(pipe[1]))
    assert os.get_blocking(pipe[1])  # others who share it may wait as before

    taken = sink.write(b"x" * 1_000_000)

    assert 0 < taken < 1_000_000
    assert sink.write(b"more") == 0
    os.read(pipe[0], taken)
    assert sink.write(b"more") == 4


def test_a_sink_does_not_wait_where_another_was_faster(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    class Ready:
        """Says what was so a moment ago."""

        def register(self, fd: int, events: int) -> None:
            pass

        def poll(self, timeout: int) -> list[tuple[int, int]]:
            return [(0, select.POLLOUT)]

    sink = Sink(os.dup(pipe[1]))
    while sink.write(b"x" * 65536):
        pass
    monkeypatch.setattr(select, "poll", Ready)

    assert sink.write(b"more") == 0


def test_what_is_not_wanted_yet_is_held_and_nothing_more_is_taken(pipe: tuple[int, int]) -> None:
    sink = Sink(os.dup(pipe[1]))
    while sink.write(b"x" * 65536):
        pass
    listening, speaking = os.pipe()
    os.set_blocking(listening, False)
    ear = Ear(listening, sink)
    os.write(speaking, b"first")

    assert ear.listen() is False
    os.write(speaking, b"second")
    assert ear.listen() is False
    assert ear.tail.lines() == ("first",)

    os.read(pipe[0], 1 << 20)
    assert ear.listen() is True
    assert ear.listen() is True
    assert os.read(pipe[0], 100) == b"firstsecond"
    os.close(speaking)
    ear.close()
    assert ear.closed


def test_where_nobody_will_ever_read_all_is_taken(pipe: tuple[int, int]) -> None:
    sink = Sink(os.dup(pipe[1]))
    os.close(pipe[0])

    assert sink.write(b"x" * 1_000_000) == 1_000_000


def test_without_descriptors_a_child_has_the_standard_error_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> tuple[int, int]:
        raise OSError(24, "too many open files")

    with open(os.devnull, "wb") as nowhere:
        sink = Sink(os.dup(nowhere.fileno()))
    monkeypatch.setattr(os, "pipe", refuse)

    with heard(sink) as ear:
        assert ear is None
