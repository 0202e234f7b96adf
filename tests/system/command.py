"""The command line in a process of its own, as a shell would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.helpers.patience import PATIENCE_S
from tests.system.waiting import eventually, marked

MARK = "MARK_OF_THE_TESTS"
LIMIT_S = PATIENCE_S


class Slither:
    """`slither` with arguments, started in a strange folder, with a place for run directories of its own.

    Args:
        base: below which that place is made; short, since socket paths are.
        argv: what is typed behind `slither`.
        sh: a redirection for the shell, such as `>&-`.
        environment: variables beside those of this process.
        streams: `stdout` and `stderr` as for `subprocess.Popen`; pipes by default.
    """

    def __init__(
        self,
        base: Path,
        *argv: str,
        sh: str = "",
        environment: Mapping[str, str] | None = None,
        **streams: Any,
    ) -> None:
        self.mark = uuid.uuid4().hex
        self.runtime = Path(tempfile.mkdtemp(prefix="c-", dir=base))
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" -P -m slither_actors "$@" {sh}', sys.executable, *argv],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
            cwd=self.runtime,
            env={
                **os.environ,
                **(environment or {}),
                MARK: self.mark,
                "XDG_RUNTIME_DIR": str(self.runtime),
                # PYTHONPATH leads to the package under test, installed or a checkout, and then to the tests' helpers.
            },
            text=True,
            # What a terminal sends to its foreground group must not meet the tests.
            start_new_session=True,
        )

    def wait_for_progress(self) -> None:
        """Return when the first tenth of the work is reported."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "%" in line, line

    def named(self, ending: str) -> int:
        """The process of the tree whose title ends in `ending`."""
        (pid,) = [pid for pid in marked(self.mark) if Path(f"/proc/{pid}/comm").read_text().strip().endswith(ending)]
        return pid

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the service, or to its whole group as a terminal does."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self, limit_s: float = LIMIT_S) -> tuple[int, str, str]:
        """Exit code, output and notes; nothing may be left of it, neither a process nor a file."""
        out, err = self.process.communicate(timeout=limit_s)
        self.wait_until_nothing_is_left()
        return self.process.returncode, out or "", err or ""

    def wait_until_nothing_is_left(self) -> None:
        eventually(lambda: not marked(self.mark), "all processes are gone")
        eventually(lambda: not list(self.runtime.iterdir()), "the run directory is gone")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.kill()
        self.process.wait()
        for pid in marked(self.mark):
            os.kill(pid, signal.SIGKILL)


def slither(base: Path, *argv: str, sh: str = "", environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a command to its end: exit code, output, notes. Nothing may be left of it."""
    with Slither(base, *argv, sh=sh, environment=environment) as command:
        return command.end()
