"""Lines of what may be large, endless or slow."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slither_actors.cli import _lines
from slither_actors.cli._lines import Line, Lines, Stop
from tests.helpers.patience import PATIENCE_S

few = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def stop() -> Iterator[Stop]:
    made = Stop()
    yield made
    made.close()


def read(data: bytes, longest: int = 1000) -> list[Line]:
    reader, writer = os.pipe()
    stop = Stop()
    os.write(writer, data)
    os.close(writer)
    try:
        return list(Lines(reader, stop, longest=longest))
    finally:
        os.close(reader)
        stop.close()


@few
@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b".").replace(b"\r", b"."))))
def test_lines_are_what_stands_between_line_ends_wherever_pieces_end(lines: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_lines, "_PIECE", 5)
        found = read(b"".join(line + b"\n" for line in lines))

    expected = [line.removeprefix(b"\xef\xbb\xbf") if not place else line for place, line in enumerate(lines)]
    assert [line.data for line in found] == expected
    assert [line.number for line in found] == list(range(1, len(lines) + 1))
    assert all(line.ended and not line.too_long for line in found)


def test_the_last_line_need_not_have_an_end() -> None:
    assert read(b"a\nb") == [Line(1, b"a"), Line(2, b"b", ended=False)]


def test_a_mark_of_the_byte_order_is_no_content() -> None:
    assert read(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n") == [Line(1, b"a"), Line(2, b"\xef\xbb\xbfb")]


@pytest.mark.parametrize("end", [b"\n", b""])
def test_of_a_line_that_is_too_long_no_more_is_kept_than_it_may_have(
    end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lines, "_PIECE", 7)
    exact, *others = read(b"x" * 10 + b"\n" + b"y" * 11 + b"\n" + b"z" * 5000 + end, longest=10)

    assert exact == Line(1, b"x" * 10)
    assert others == [Line(2, b"y" * 10, True, too_long=True), Line(3, b"z" * 10, bool(end), too_long=True)]


def test_the_position_is_behind_what_was_given_out(stop: Stop) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"ab\r\nc\nlast")
    os.close(writer)
    lines = Lines(reader, stop)

    assert [lines.position for _ in lines] == [4, 6, 10]
    os.close(reader)


def test_who_waits_for_a_line_can_be_stopped(stop: Stop) -> None:
    reader, writer = os.pipe()
    idle = threading.Event()
    os.write(writer, b"a\nb\nhalf")
    found: list[Line] = []

    def follow() -> None:
        found.extend(Lines(reader, stop, idle=idle.set))

    thread = threading.Thread(target=follow)
    thread.start()
    assert idle.wait(PATIENCE_S)
    stop.ask()
    thread.join(PATIENCE_S)

    assert not thread.is_alive()
    assert [line.data for line in found] == [b"a", b"b"]
    os.close(writer)
    os.close(reader)


def test_lines_that_were_read_ahead_are_left_out_when_it_is_stopped(stop: Stop) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a\nb\nc\n")
    lines = iter(Lines(reader, stop))

    assert next(lines).data == b"a"
    stop.ask()
    assert list(lines) == []
    os.close(writer)
    os.close(reader)
