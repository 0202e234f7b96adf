"""Bounded waits of the system tests, in one place."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from tests.helpers.patience import PATIENCE_S

_T = TypeVar("_T")

_GLANCE_S = 0.005


def eventually(look: Callable[[], _T], why: str, tell: Callable[[], object] = lambda: "") -> _T:
    """The first true value that `look` returns; fails with `why` when there is none, and with what is told then."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {why} {tell()}"
        time.sleep(_GLANCE_S)


def wait_for_end(pid: int) -> None:
    """Return as soon as the process is dead."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], PATIENCE_S)[0], f"process {pid} lives on after {PATIENCE_S:g} s"
    finally:
        os.close(fd)


def living(pids: Iterable[int]) -> set[int]:
    """Those that run; dead ones that nobody has reaped yet do not count."""
    return {pid for pid in pids if _state(pid) not in ("", "Z", "X")}


def marked(mark: str) -> set[int]:
    """The living processes that have this text in the environment they were started with."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                pass  # it has just ended, or is somebody else's
    return living(found)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
    except (OSError, IndexError):
        return ""
