"""Where the console prints, and how progress looks on a terminal and in a file."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

from slither_actors.cli._console import Console, OutputClosed, OutputFailed
from slither_actors.examples.contract import Display


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


class Clock:
    """A clock that goes on by `step` at every look."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._step
        return self._now


def progress(err: io.StringIO, steps: int, total: int, *, step_s: float = 1.0, term: str = "xterm") -> str:
    console = Console(io.StringIO(), err, environ={"TERM": term}, clock=Clock(step_s))
    with console.progress("working", total) as meter:
        for _ in range(steps):
            meter.advance()
    return err.getvalue()


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slither_actors.cli._rich", None)


@pytest.fixture
def terminal_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_results_and_notes_go_to_different_streams() -> None:
    out, err = io.StringIO(), io.StringIO()
    console: Display = Console(out, err)

    console.write("result")
    console.write()
    console.note("note")

    assert (out.getvalue(), err.getvalue()) == ("result\n\n", "note\n")


def test_json_is_one_line_in_a_file_and_laid_out_on_a_terminal() -> None:
    file, terminal = io.StringIO(), Terminal()

    Console(file, io.StringIO()).write_json({"a": 1, "b": [2]})
    Console(terminal, io.StringIO()).write_json({"a": 1})

    assert file.getvalue() == '{"a":1,"b":[2]}\n'
    assert terminal.getvalue() == '{\n  "a": 1\n}\n'


def test_results_that_nobody_reads_are_told_apart_from_other_errors() -> None:
    console = Console(Broken(), io.StringIO())

    with pytest.raises(OutputClosed):
        console.write("result")
    with pytest.raises(OutputClosed):
        console.flush()


def test_results_that_cannot_be_written_say_why() -> None:
    with open("/dev/full", "w") as full:
        console = Console(full, io.StringIO())
        console.write("result")
        with pytest.raises(OutputFailed, match="No space left on device"):
            console.flush()

        console.abandon()


def test_notes_that_nobody_reads_are_no_error() -> None:
    out = io.StringIO()
    console = Console(out, Broken())

    console.note("note")
    console.write("result")

    assert out.getvalue() == "result\n"


def test_abandoned_output_goes_nowhere(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as out:
        console = Console(out, io.StringIO())
        console.write("result")
        with pytest.raises(OutputClosed):
            console.flush()

        console.abandon()

        console.flush()


def test_a_file_gets_a_line_per_tenth() -> None:
    lines = progress(io.StringIO(), 5000, 5000).splitlines()

    assert len(lines) == 10
    assert (lines[0], lines[-1]) == ("working: 500 of 5,000 (10 %)", "working: 5,000 of 5,000 (100 %)")


def test_a_file_gets_the_last_state_of_work_that_ended_early() -> None:
    assert progress(io.StringIO(), 4999, 5000).splitlines()[-1] == "working: 4,999 of 5,000 (99 %)"


def test_work_of_fewer_than_ten_steps_gets_a_line_per_step() -> None:
    assert len(progress(io.StringIO(), 3, 3).splitlines()) == 3


def test_no_work_at_all_shows_nothing_in_a_file() -> None:
    assert progress(io.StringIO(), 0, 0) == ""


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    assert "\r" not in progress(Terminal(), 20, 20, term="dumb")


@pytest.mark.usefixtures("without_rich")
def test_without_rich_the_bar_is_drawn_over_itself() -> None:
    shown = progress(Terminal(), 4, 4)

    assert shown.count("\r") == 5
    assert shown.endswith("\n")
    assert "[###############---------------] 2 of 4 (50 %)" in shown
    assert shown.rstrip().endswith("[##############################] 4 of 4 (100 %)")
    assert "\x1b" not in shown


@pytest.mark.usefixtures("without_rich")
def test_a_bar_is_redrawn_at_most_ten_times_a_second() -> None:
    shown = progress(Terminal(), 1000, 1000, step_s=0.001)

    assert 8 <= shown.count("\r") <= 12


@pytest.mark.usefixtures("without_rich")
def test_a_bar_is_closed_when_the_work_raises() -> None:
    err = Terminal()
    console = Console(io.StringIO(), err, environ={})

    def be_interrupted() -> None:
        with console.progress("working", 10) as meter:
            meter.advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()

    assert err.getvalue().endswith("1 of 10 (10 %)\n")


@pytest.mark.usefixtures("terminal_colours")
def test_with_rich_the_bar_has_colours_and_ends_with_the_figures() -> None:
    shown = progress(Terminal(), 4, 4)

    assert "4/4" in shown
    assert re.search(r"\x1b\[[\d;]*3[0-9]", shown)
    assert shown.endswith("\x1b[?25h")


@pytest.mark.usefixtures("terminal_colours")
def test_with_no_color_the_bar_has_no_colours() -> None:
    err = Terminal()
    console = Console(io.StringIO(), err, environ={"NO_COLOR": "1", "TERM": "xterm"}, clock=Clock(1.0))

    with console.progress("working", 4) as meter:
        meter.advance(4)

    assert "4/4" in err.getvalue()
    assert not re.search(r"\x1b\[[\d;]*[34]\d", err.getvalue())
