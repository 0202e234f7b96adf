"""The service's side of the host: set it to work, learn where the root is, notice its death, make it end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import attrs

from slither_actors.errors import StartError
from slither_actors.transport._epitaph import Epitaph, told_by, victim
from slither_actors.transport._standstill import Watchman
from slither_actors.transport.address import RUN_DIRECTORY
from slither_actors.transport.process import kill_all_of
from slither_actors.transport.rundir import path_of, remove_if_stale, remove_unfinished
from slither_actors.transport.spawn import WaitingHost

# How long the kernel may take to tell the exit code of a host that is known to be dead.
_KNOWN_S = 1.0

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
    _watchman: Watchman
    _stood_still: bool = False
    _once: threading.Lock = attrs.field(factory=threading.Lock)  # taken by whoever ends it, for good
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

    @property
    def look_every_s(self) -> float:
        """How often `look` wants to be called."""
        return self._watchman.every_s

    def look(self) -> None:
        """Kill the host, and with it the tree, if it has stood still for too long: nobody guards the tree then."""
        for _ in self._watchman.found([self.pid]):
            self._stood_still = True
            self._process.kill()

    def epitaph(self) -> str:
        """Why the system is down, of a host that is dead."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KNOWN_S)  # `poll` finds nothing out while another thread is about it
        return told_by(self._process.returncode, self._stood_still)

    @property
    def victim(self) -> str:
        """Which process took the tree along, of a system that went down: "root", "admin" or "host"."""
        return victim(self._process.returncode, self._stood_still)

    def end(self, timeout_s: float) -> bool:
        """Make the host end the tree and itself; kill it after `timeout_s`, which takes the tree along, and is false.
        Repeating it does no harm; `watch` is closed."""
        # a forked child must not end what is its parent's
        if os.getpid() != self._launcher or not self._once.acquire(blocking=False):
            return True
        ended = True
        with contextlib.suppress(OSError):
            # a word too, since a forked child of the service may hold the pipe open
            os.write(self._lifeline, b"x")
        os.close(self._lifeline)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            ended = False
            self._process.kill()
            self._process.wait()
        if self._process.returncode not in list(Epitaph):  # it could not end what its actors had started
            kill_all_of(self._mark, self._session)
        os.close(self.watch)
        self.sweep()
        return ended

    def sweep(self) -> None:
        """Remove the run directory of a host that is dead and could not do it itself."""
        # not one that a new system of the same name has made meanwhile
        remove_if_stale(self.directory)


def launch(
    waiting: WaitingHost, name: str, root: str, base: str = "unix", stopped_limit_s: float | None = None
) -> Host:
    """Have a waiting host start a system.

    Args:
        waiting: it was told to preload the module of the root actor.
        name: of the system.
        root: path of the class of the root actor.
        base: one of `bases.BASES`.
        stopped_limit_s: how long a process of the system may be stopped by a signal before it is killed.

    Raises:
        StartError: the host says why it cannot serve, or says nothing.
    """
    process = waiting.process
    try:
        waiting.tell({"name": name, "root": root, "base": base, "stopped_limit_s": stopped_limit_s})
        status = _await_status(waiting.status, process)
        joining, root, admin = status["joining"], status["root"], status["admin"]
        session, watch = _session_of(admin), os.pidfd_open(process.pid)
        watchman = Watchman(process.pid, stopped_limit_s)  # it leads its session
        host = Host(base, joining, root, admin, watch, waiting.mark, session, process, waiting.lifeline, watchman)
        waiting.hand_over()
    except BaseException as error:  # also Ctrl-C: what was begun must not live on unseen
        waiting.end()
        remove_unfinished(name, waiting.mark)
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
