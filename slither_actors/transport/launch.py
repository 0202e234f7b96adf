"""The service's side of the host: start it, learn where the root is, notice its death, make it end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import attrs

from slither_actors.errors import StartError

# The module search path is set before anything is imported, since the library itself may come from it.
_BOOTSTRAP = (
    "import json, os, sys; c = json.load(os.fdopen(int(sys.argv[1]))); sys.path[:] = c['path']; "
    "from slither_actors.transport.host import main; main(c)"
)
_START_LIMIT_S = 30.0


@attrs.frozen
class Host:
    """A running host, seen from the service that started it.

    `watch` is a descriptor that becomes readable when the host dies; `root` is the root actor's address.
    """

    directory: Path
    root: str
    admin: int
    watch: int
    _process: subprocess.Popen[bytes]
    _lifeline: int

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self, timeout_s: float) -> None:
        """Make the host end the tree and itself; kill it after `timeout_s`, which takes the tree along."""
        with contextlib.suppress(OSError):
            os.close(self._lifeline)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self.watch)
        self.sweep()

    def sweep(self) -> None:
        """Remove the run directory of a host that could not do it itself."""
        shutil.rmtree(self.directory, ignore_errors=True)


def launch(name: str, root: str) -> Host:
    """Start a host for the system `name`, whose root actor is the class at path `root`.

    Raises:
        StartError: the host could not be started, or says why it cannot serve.
    """
    if not sys.executable:
        raise StartError("the host process", "this interpreter does not know its own executable (sys.executable)")
    config_r, config_w = os.pipe()
    status_r, status_w = os.pipe()
    lifeline_r, lifeline_w = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, str(config_r)],
            pass_fds=(config_r, status_w, lifeline_r),
            stdin=subprocess.DEVNULL,
            stdout=_stderr(),
            stderr=_stderr(),
            start_new_session=True,
        )
    except OSError as error:
        for fd in (config_w, lifeline_w, status_r):
            os.close(fd)
        raise StartError("the host process", f"{sys.executable} cannot be run: {error.strerror}") from None
    finally:
        for fd in (config_r, status_w, lifeline_r):
            os.close(fd)
    config = {
        "path": [entry or os.getcwd() for entry in sys.path],
        "name": name,
        "root": root,
        "service": os.getpid(),
        "status": status_w,
        "lifeline": lifeline_r,
    }
    with os.fdopen(config_w, "w") as pipe, contextlib.suppress(BrokenPipeError):
        json.dump(config, pipe)
    status = _await_status(status_r, process)
    if "error" in status:
        os.close(lifeline_w)
        process.wait()
        raise StartError("the host process", status["error"])
    return Host(
        Path(status["directory"]), status["root"], status["admin"], os.pidfd_open(process.pid), process, lifeline_w
    )


def _stderr() -> int:
    """What the tree prints goes to the service's standard error, where it has one."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2


def _await_status(fd: int, process: subprocess.Popen[bytes]) -> dict[str, str]:
    """The host's one line; an end of file means that it died without a word."""
    deadline = time.monotonic() + _START_LIMIT_S
    line = b""
    try:
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                process.kill()
                return {"error": f"no answer within {_START_LIMIT_S:g} s"}
            chunk = os.read(fd, 65536)
            if not chunk:
                return {"error": f"it ended at once with exit code {process.wait()}; its standard error says why"}
            line += chunk
    finally:
        os.close(fd)
    status: dict[str, str] = json.loads(line)
    return status
