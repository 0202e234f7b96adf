"""The service's side of the host: set it to work, learn where the root is, notice its death, make it end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

import attrs

from slither_actors.errors import StartError
from slither_actors.transport.address import RUN_DIRECTORY
from slither_actors.transport.process import kill_all_of
from slither_actors.transport.rundir import path_of, remove_if_stale
from slither_actors.transport.spawn import WaitingHost

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


def launch(waiting: WaitingHost, name: str, root: str, base: str = "unix") -> Host:
    """Have a waiting host start the system `name` on one of `bases.BASES`. Its root actor is the class at path
    `root`, whose module the host was told to preload.

    Raises:
        StartError: the host says why it cannot serve, or says nothing.
    """
    process = waiting.process
    try:
        waiting.tell({"name": name, "root": root, "base": base})
        status = _await_status(waiting.status, process)
        joining, root, admin = status["joining"], status["root"], status["admin"]
        session, watch = _session_of(admin), os.pidfd_open(process.pid)
        host = Host(base, joining, root, admin, watch, waiting.mark, session, process, waiting.lifeline)
        waiting.hand_over()
    except BaseException as error:  # also Ctrl-C: what was begun must not live on unseen
        waiting.end()
        remove_if_stale(path_of(name))
        if isinstance(error, _StatusError):
            raise StartError("the host process", str(error)) from None
        raise
    return host


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # it is dead already
        return None


class _StatusError(Exception):
    """The host says why it cannot serve, or says nothing."""


def _await_status(fd: int, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The host's one line; an end of file means that it died without a word."""
    deadline = time.monotonic() + _START_LIMIT_S
    line = b""
    poller = select.poll()  # select() refuses descriptors above 1023
    poller.register(fd, select.POLLIN)
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise _StatusError(f"no answer within {_START_LIMIT_S:g} s")
        chunk = os.read(fd, 65536)
        if not chunk:
            raise _StatusError(f"it ended at once with exit code {process.wait()}; its standard error says why")
        line += chunk
    status: dict[str, Any] = json.loads(line)
    if "error" in status:
        process.wait()
        raise _StatusError(status["error"])
    return status
