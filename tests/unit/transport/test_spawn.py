"""A host that waits: it belongs to its service, does nothing before it is told, and goes when it is not wanted."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slither_actors.errors import StartError
from slither_actors.transport.launch import launch
from slither_actors.transport.spawn import WaitingHost
from tests.helpers.descriptors import open_descriptors

# An interpreter that imports is there within this, on a busy machine too.
_LIMIT_MS = 30_000


def ended(process_watch: int) -> bool:
    poller = select.poll()
    poller.register(process_watch, select.POLLIN)
    return bool(poller.poll(_LIMIT_MS))


def test_one_that_is_not_wanted_is_gone_with_all_its_descriptors() -> None:
    before = open_descriptors()
    with WaitingHost(()) as waiting:
        assert waiting.process.poll() is None
    assert waiting.process.returncode is not None
    assert open_descriptors() == before


def test_an_error_meanwhile_goes_through_and_ends_it() -> None:
    with pytest.raises(KeyError, match="pools"), WaitingHost(()) as waiting:
        raise KeyError("pools")
    assert waiting.process.returncode is not None


def test_one_whose_service_has_hung_up_ends_in_order_without_a_word() -> None:
    with WaitingHost(()) as waiting:
        watch = os.pidfd_open(waiting.process.pid)
        waiting._hang_up()
        assert ended(watch)
        os.close(watch)
        assert os.read(waiting.status, 1) == b""
        assert waiting.process.wait() == 0


def test_it_makes_nothing_before_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    told = tmp_path / "imported"
    module = tmp_path / "says_when_imported.py"
    module.write_text(f"import os; os.mkfifo({str(told)!r}); open({str(told)!r}, 'w').close()")
    monkeypatch.syspath_prepend(str(tmp_path))
    with WaitingHost(("says_when_imported",)):
        while not told.exists():
            select.select([], [], [], 0.01)
        told.open().close()  # it has imported; what comes next is to wait for a word
        assert {path.name for path in tmp_path.iterdir()} <= {told.name, module.name, "__pycache__"}


def test_one_that_cannot_import_what_actors_need_is_a_failed_start(capfd: pytest.CaptureFixture[str]) -> None:
    before = open_descriptors()
    failed = pytest.raises(StartError, match=r"host process .* ModuleNotFoundError: No module named 'no_such")
    with failed, WaitingHost(("no_such_module",)) as waiting:
        launch(waiting, "none", "slither_actors.otp.shell.Shell")
    assert capfd.readouterr().err == ""
    assert open_descriptors() == before


def test_an_interruption_while_it_is_told_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()

    def interrupted(self: WaitingHost, config: object) -> None:
        told(self, {"name": "none", "root": "slither_actors.otp.shell.Shell", "base": "unix"})
        raise KeyboardInterrupt

    told = WaitingHost.tell
    monkeypatch.setattr(WaitingHost, "tell", interrupted)
    with pytest.raises(KeyboardInterrupt), WaitingHost(("slither_actors.otp.shell",)) as waiting:
        launch(waiting, "none", "slither_actors.otp.shell.Shell")
    assert waiting.process.returncode is not None
    assert open_descriptors() == before


def test_one_whose_service_dies_ends_though_a_child_of_that_holds_the_pipe() -> None:
    """A service in a process of its own, killed while its host waits; a forked child of it lives on."""
    code = """
import os, signal, time
from slither_actors.transport.spawn import WaitingHost
from tests.helpers.descriptors import open_descriptors
waiting = WaitingHost(())
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
print(waiting.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    service = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert service.stdout is not None
    try:
        host = int(service.stdout.readline())
        with contextlib.suppress(ProcessLookupError):  # it is gone already
            watch = os.pidfd_open(host)
            assert ended(watch)
            os.close(watch)
    finally:
        service.wait()
        os.killpg(service.pid, signal.SIGKILL)
        service.stdout.close()


@pytest.mark.parametrize(
    ("executable", "why"),
    [("", "does not know its own executable"), ("/no/python", "/no/python cannot be run: No such")],
)
def test_an_interpreter_that_cannot_be_run_is_named(monkeypatch: pytest.MonkeyPatch, executable: str, why: str) -> None:
    before = open_descriptors()
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(StartError, match=why):
        WaitingHost(())
    assert open_descriptors() == before


def test_words_are_lines_of_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nexec cat /dev/fd/$3 > {heard}\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with WaitingHost(("a", "b")) as waiting:
        waiting.tell({"name": "shop"})
        waiting.process.wait()
    path, first, second = (json.loads(line) for line in heard.read_text().splitlines())
    assert path == [entry or os.getcwd() for entry in sys.path]
    assert first["preload"] == ["a", "b"]
    assert first["service"] == os.getpid()
    assert second == {"name": "shop", "mark": waiting.mark}


def test_without_descriptors_it_is_a_failed_start_that_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    pipes = iter([os.pipe(), os.pipe()])

    def pipe() -> tuple[int, int]:
        try:
            return next(pipes)
        except StopIteration:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from None

    monkeypatch.setattr(os, "pipe", pipe)
    with pytest.raises(StartError, match="no pipe to it can be made: Too many open files"):
        WaitingHost(())
    assert open_descriptors() == before


def test_a_file_in_the_current_folder_is_not_taken_for_a_module_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('not me')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    with WaitingHost(()) as waiting:
        waiting._hang_up()
        assert waiting.process.wait() == 0
