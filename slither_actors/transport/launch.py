"""The service's side of the host: start it, learn where the root is, notice its death, make it end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs

from slither_actors.errors import StartError
from slither_actors.transport.address import RUN_DIRECTORY
from slither_actors.transport.process import MARK, kill_all_of
from slither_actors.transport.rundir import path_of, remove_if_stale

# The module search path is set before anything is imported, since the library itself may come from it.
_BOOTSTRAP = """
import json, os, sys
with os.fdopen(int(sys.argv[1])) as pipe:
    config = json.load(pipe)
sys.path[:] = config["path"]
from slither_actors.transport.host import main
main(config)
"""
_START_LIMIT_S = 30.0


@attrs.define(eq=False)
class Host:
    """A running host, seen from the service that started it.

    `watch` is a descriptor that becomes readable when the host dies; `root` is the root actor's address; `base` and
    `joining` are what it takes to join as a Thespian client.
    """

    base: str
    joining: dict[str, Any]
    root: str
    admin: int
    watch: int
    _mark: str
    _session: int | None
    _process: subprocess.Popen[bytes]
    _lifeline: int
    _ended: bool = False
    _launcher: int = attrs.field(factory=os.getpid)

    @property
    def directory(self) -> Path:
        return Path(self.joining[RUN_DIRECTORY])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self, timeout_s: float) -> None:
        """Make the host end the tree and itself; kill it after `timeout_s`, which takes the tree along. Repeating it
        does no harm; `watch` is closed."""
        if self._ended or os.getpid() != self._launcher:  # a forked child must not end what is its parent's
            return
        self._ended = True
        with contextlib.suppress(OSError):
            # a word too, since a forked child of the service may hold the pipe open
            os.write(self._lifeline, b"x")
        os.close(self._lifeline)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:  # it could not end what its actors had started
            kill_all_of(self._mark, self._session)
        os.close(self.watch)
        self.sweep()

    def sweep(self) -> None:
        """Remove the run directory of a host that is dead and could not do it itself."""
        # not one that a new system of the same name has made meanwhile
        remove_if_stale(self.directory)


def launch(name: str, root: str, base: str = "unix") -> Host:
    """Start a host for the system `name`, whose root actor is the class at path `root`, on one of `bases.BASES`.

    Raises:
        StartError: the host could not be started, or says why it cannot serve.
    """
    if not sys.executable:
        raise StartError("the host process", "this interpreter does not know its own executable (sys.executable)")
    mark = os.urandom(16).hex()
    (config_r, config_w), (status_r, status_w), (lifeline_r, lifeline_w) = _pipe(), _pipe(), _pipe()
    try:
        process = _spawn(mark, config_r, status_w, lifeline_r)
    except BaseException:
        for fd in (config_w, lifeline_w, status_r):
            os.close(fd)
        raise
    finally:
        for fd in (config_r, status_w, lifeline_r):
            os.close(fd)
    config = {
        "path": [os.fsdecode(entry) or os.getcwd() for entry in sys.path],
        "name": name,
        "base": base,
        "mark": mark,
        "root": root,
        "service": os.getpid(),
        "status": status_w,
        "lifeline": lifeline_r,
    }
    try:
        with contextlib.suppress(BrokenPipeError), os.fdopen(config_w, "w") as pipe:
            json.dump(config, pipe)
        status = _await_status(status_r, process)
        watch = os.pidfd_open(process.pid)
    except BaseException as error:  # also Ctrl-C: what was begun must not live on unseen
        os.close(lifeline_w)
        process.kill()
        process.wait()
        remove_if_stale(path_of(name))
        if isinstance(error, _StatusError):
            raise StartError("the host process", str(error)) from None
        raise
    session = _session_of(status["admin"])
    return Host(base, status["joining"], status["root"], status["admin"], watch, mark, session, process, lifeline_w)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # it is dead already
        return None


def _spawn(mark: str, config: int, status: int, lifeline: int) -> subprocess.Popen[bytes]:
    """The host process with its ends of the three pipes."""
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, str(config)],
            pass_fds=(config, status, lifeline),
            stdin=subprocess.DEVNULL,
            stdout=_stderr(),
            stderr=_stderr(),
            env={**os.environ, MARK: mark},
            start_new_session=True,
        )
    except OSError as error:
        raise StartError("the host process", f"{sys.executable} cannot be run: {error.strerror}") from None


class _StatusError(Exception):
    """The host says why it cannot serve, or says nothing."""


def _pipe() -> tuple[int, int]:
    """A pipe above the three standard descriptors, which a service may have closed, and which the host gets anew."""
    ends = []
    for fd in os.pipe():
        ends.append(fd if fd > 2 else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
        if fd <= 2:
            os.close(fd)
    return ends[0], ends[1]


def _stderr() -> int:
    """What the tree prints goes to the service's standard error, where it has one."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2


def _await_status(fd: int, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The host's one line; an end of file means that it died without a word."""
    deadline = time.monotonic() + _START_LIMIT_S
    line = b""
    poller = select.poll()  # select() refuses descriptors above 1023
    poller.register(fd, select.POLLIN)
    try:
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise _StatusError(f"no answer within {_START_LIMIT_S:g} s")
            chunk = os.read(fd, 65536)
            if not chunk:
                raise _StatusError(f"it ended at once with exit code {process.wait()}; its standard error says why")
            line += chunk
    finally:
        os.close(fd)
    status: dict[str, Any] = json.loads(line)
    if "error" in status:
        process.wait()
        raise _StatusError(status["error"])
    return status
