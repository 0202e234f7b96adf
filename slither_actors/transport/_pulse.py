"""What tells from outside that a process is busy with one and the same message: a counter in shared memory.

A process that hangs in a handler answers nobody, so a message could not say it; nor could a thread, while C code holds
the interpreter. The file lies in the run directory, named after the process.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_WORDS = struct.Struct("=Qd")
_SUFFIX = ".pulse"


class Busy(NamedTuple):
    """What a process is at: a number that it never has twice, and how long that may last."""

    number: int
    limit_s: float


class Pulse:
    """The side of the process that is watched. Even numbers mean that it waits, odd ones that it is busy.

    Raises:
        OSError: there is no room for it.
    """

    def __init__(self, directory: str, limit_s: float) -> None:
        fd = os.open(_place(directory, os.getpid()), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _WORDS.size)  # or a disk that is full would kill whoever writes
            os.pwrite(fd, _WORDS.pack(0, limit_s), 0)
            self._words = memoryview(mmap.mmap(fd, _WORDS.size)).cast("Q")
        finally:
            os.close(fd)

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        """The same action; the process is busy while it runs."""
        words = self._words

        def watched(*args: Any) -> Any:
            words[0] += 1
            try:
                return action(*args)
            finally:
                words[0] += 1

        return watched


def busy_at(directory: Path, pid: int) -> Busy | None:
    """What a process is busy with; `None` if it waits, or if nobody minds how long it takes."""
    with contextlib.suppress(OSError, struct.error):
        number, limit_s = _WORDS.unpack(_place(str(directory), pid).read_bytes())
        return Busy(number, limit_s) if number % 2 else None
    return None


def _place(directory: str, pid: int) -> Path:
    return Path(directory, f"{pid}{_SUFFIX}")
