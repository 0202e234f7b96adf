"""Every way the program ends."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from slither_actors.cli import _main, main
from slither_actors.cli._console import Console
from slither_actors.cli._parser import Command, add_json
from slither_actors.errors import SlitherError, StartError, SystemDown
from tests.helpers.patience import PATIENCE_S

Run = Callable[[argparse.Namespace, Console], int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Make `slither do` run a function."""

    def install(run: Run) -> None:
        monkeypatch.setattr(_main, "COMMANDS", (Command("do", "do it", add_json, run),))

    return install


def raising(error: BaseException) -> Run:
    def run(arguments: argparse.Namespace, console: Console) -> int:
        raise error

    return run


def test_the_exit_code_is_the_command_s(command: Callable[[Run], None]) -> None:
    command(lambda arguments, console: 1)

    assert main(["do"]) == 1


def test_nothing_typed_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: slither")


def test_help_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "exit codes:" in capsys.readouterr().out


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctr"]) == 2
    assert "did you mean doctor?" in capsys.readouterr().err


def test_ctrl_c_is_130_and_one_line(command: Callable[[Run], None], capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(KeyboardInterrupt()))

    assert main(["do"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StartError("store S", "no\nspace"), 3, "slither: StartError: store S did not start: no space\n"),
        (SystemDown("s", ()), 1, "slither: SystemDown: system 's' is down: it was stopped\n"),
        (SlitherError(), 1, "slither: SlitherError\n"),
    ],
)
def test_an_error_of_the_library_is_one_line(
    command: Callable[[Run], None], capsys: pytest.CaptureFixture[str], error: SlitherError, code: int, line: str
) -> None:
    command(raising(error))

    assert main(["do"]) == code
    assert capsys.readouterr().err == line


def test_debug_shows_the_traceback(command: Callable[[Run], None], capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(SystemDown("s", ())))

    assert main(["do", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_mistake_of_our_own_is_not_hidden(command: Callable[[Run], None]) -> None:
    command(raising(ZeroDivisionError()))

    with pytest.raises(ZeroDivisionError):
        main(["do"])


def test_sigterm_closes_what_is_open_and_is_143(command: Callable[[Run], None]) -> None:
    closed: list[str] = []

    @contextmanager
    def resource() -> Iterator[None]:
        try:
            yield
        finally:
            signal.raise_signal(signal.SIGTERM)  # a second one does not cut the closing short
            closed.append("closed")

    def run(arguments: argparse.Namespace, console: Console) -> int:
        with resource():
            signal.raise_signal(signal.SIGTERM)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    command(run)

    assert main(["do"]) == 143
    assert closed == ["closed"]
    assert signal.getsignal(signal.SIGTERM) is before


def lost_in_user_code() -> None:
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def lost_in_a_finalizer() -> None:
    class Held:
        pass

    held = Held()
    weakref.finalize(held, signal.raise_signal, signal.SIGTERM)
    del held


@pytest.mark.parametrize("lose", [lost_in_user_code, lost_in_a_finalizer])
def test_sigterm_ends_the_command_also_where_its_exception_gets_lost(
    command: Callable[[Run], None], monkeypatch: pytest.MonkeyPatch, lose: Callable[[], None]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: None)

    def run(arguments: argparse.Namespace, console: Console) -> int:
        lose()
        threading.Event().wait(PATIENCE_S)
        return 0

    command(run)

    assert main(["do"]) == 143


def test_outside_the_main_thread_signals_are_left_alone(command: Callable[[Run], None]) -> None:
    codes: list[int] = []
    command(lambda arguments, console: 5)

    thread = threading.Thread(target=lambda: codes.append(main(["do"])))
    thread.start()
    thread.join(PATIENCE_S)

    assert codes == [5]


def test_the_text_of_a_foreign_exit_is_a_failure(command: Callable[[Run], None]) -> None:
    command(raising(SystemExit("give up")))

    assert main(["do"]) == 1


@pytest.mark.parametrize("argv", [["--help"], ["reap", "--json"]])
def test_output_that_nobody_reads_is_no_failure(argv: list[str], tmp_path: os.PathLike[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "slither_actors", *argv],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": os.fspath(tmp_path)},
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


def test_output_that_cannot_be_written_is_a_failure_and_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "slither_actors", "example"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    assert done.returncode == 1
    # where output is buffered, the failure shows when all else is said
    assert done.stderr.splitlines()[-1] == "slither: the result cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_from_the_start_are_no_failure(closed: str, tmp_path: os.PathLike[str]) -> None:
    """Also the descriptors that the command opens must not be taken for the closed streams."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" -P -m slither_actors reap {closed}', sys.executable],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": os.fspath(tmp_path)},
    )

    assert (done.returncode, done.stderr) == (0, b"")
