"""What the tests of hubs share."""

from __future__ import annotations

import contextlib
import os
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from slither_actors.transport._links import Incoming, Outgoing
from slither_actors.transport.hub import Hub
from tests.helpers.patience import PATIENCE_S

MakeHub = Callable[..., Hub]
LIMIT_S = PATIENCE_S


def pump(*hubs: Hub, until: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Poll all hubs in turn until the condition holds."""
    deadline = time.monotonic() + limit_s
    while not until():
        assert time.monotonic() < deadline, "it did not come about"
        for hub in hubs:
            hub.poll(0.001)


def connections(hub: Hub) -> int:
    """How many peers are connected, in either direction."""
    return sum(isinstance(link, Incoming | Outgoing) for link in hub._by_fd.values())


def inbox_of(hub: Hub) -> list[Any]:
    return [payload for payload, _ in hub.inbox]


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Within the block this process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) - 1, hard))
    taken: list[int] = []
    try:
        with contextlib.suppress(OSError):  # too many open files
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def fork(body: Callable[[], object]) -> int:
    """Run `body` in a forked child that exits with 0 if it returns true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: the test runner may have threads
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = 0 if body() else 2
    finally:
        os._exit(code)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
