"""Bounded waits of the system tests, in one place."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

_GLANCE_S = 0.005


def eventually(look: Callable[[], _T], limit_s: float, why: str) -> _T:
    """The first true value that `look` returns; fails with `why` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {why}"
        time.sleep(_GLANCE_S)


def wait_for_end(pid: int, limit_s: float) -> None:
    """Return as soon as the process is dead."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], limit_s)[0], f"process {pid} lives on after {limit_s:g} s"
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
