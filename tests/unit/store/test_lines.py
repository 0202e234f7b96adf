"""Lines to owners: lent to one thread at a time, kept between writes, given up where nobody knows their state."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import contextmanager

import pytest

from slither_actors.otp.messages import Call
from slither_actors.store._lines import WriteLine, WriteLines
from slither_actors.store.messages import ReloadTables, WriteTables
from slither_actors.transport.rundir import RunDirectory
from tests.unit.transport.hubs import exit_code, fork


@pytest.fixture
def lines(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    claimed = RunDirectory.create(f"lines-{os.getpid()}")
    made = WriteLines(claimed.path)
    yield made
    made.close()
    claimed.remove()


@contextmanager
def lent(lines):
    line = lines.borrow()
    try:
        yield line
    finally:
        lines.give_back(line)


def sockets(lines):
    return [path for path in lines.directory.iterdir() if path.is_socket()]


def test_a_line_is_kept_with_the_number_of_its_writes(lines):
    with lent(lines) as one:
        assert next(one.numbers) == 1
    with lent(lines) as again:
        assert again is one
        assert next(again.numbers) == 2
    assert len(one.writer) == 16


def test_two_at_a_time_get_lines_of_their_own(lines):
    with lent(lines) as one, lent(lines) as other:
        assert one is not other
        assert one.writer != other.writer
    seen = []

    def use():
        with lent(lines) as line:
            seen.append(line)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen[0] in (one, other)


def test_a_line_that_was_interrupted_while_it_waited_is_not_used_again(lines, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with lent(lines) as line, monkeypatch.context() as patch:
        patch.setattr(WriteLine, "_await", interrupted)
        with pytest.raises(KeyboardInterrupt):
            line.exchange(line._hub.address + "x", "a request", 1.0, "nobody")
    assert line.closed
    assert sockets(lines) == []
    with lent(lines) as other:
        assert other is not line


@pytest.mark.parametrize(
    ("request_", "travels_as"),
    [
        (WriteTables(1, b"w", ("Put", "rows", b"key", b"value", b"")), WriteTables),
        (WriteTables(1, b"w", ("Put", "rows", b"key", bytes(10 << 20), b"")), Call),  # whose value is not copied again
        (ReloadTables(b"w", 1), Call),
    ],
)
def test_only_small_writes_travel_without_a_call(lines, monkeypatch, request_, travels_as):
    sent = []
    with lent(lines) as line:
        monkeypatch.setattr(line._hub, "send", lambda to, message: sent.append(message))
        monkeypatch.setattr(line, "_await", lambda asked, *_: asked)
        assert [line.exchange("/a", request_, 1.0, "nobody")] == sent
    assert type(sent[0]) is travels_as


def test_an_error_of_the_caller_does_not_cost_the_line(lines):
    with pytest.raises(ValueError, match="mine"), lent(lines) as line:
        raise ValueError("mine")
    with lent(lines) as again:
        assert again is line


def test_after_the_end_nothing_stays_open(lines):
    with lent(lines) as line:
        lines.close()
        assert not line.closed
    assert line.closed
    assert sockets(lines) == []


def test_lines_that_nobody_refers_to_any_more_are_closed(lines):
    others = WriteLines(lines.directory)
    with lent(others):
        pass
    assert len(sockets(lines)) == 1
    del others
    gc.collect()
    assert sockets(lines) == []


def test_a_forked_child_has_lines_of_its_own(lines):
    with lent(lines) as line:
        pass

    def child():
        with lent(lines) as own:
            assert own is not line
            assert own.writer != line.writer
        lines.close()
        return True

    assert exit_code(fork(child)) == 0
    with lent(lines) as again:
        assert again is line
        assert not again.closed
