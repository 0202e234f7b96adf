"""A word of shared memory per worker: the number of the batch that its user code is running, 0 for none.

A message could not say it: a busy worker handles none, and one message per batch would cost more than the batch.
The file lies in the run directory, named after the process, so the supervisor finds it when the process is dead.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from pathlib import Path

_NUMBER = struct.Struct("<Q")


class Page:
    """The worker's side."""

    def __init__(self, directory: str) -> None:
        path = _path(directory, os.getpid())
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.ftruncate(fd, _NUMBER.size)
        self._memory = mmap.mmap(fd, _NUMBER.size)
        os.close(fd)

    def running(self, number: int) -> None:
        """Say which batch runs from now on."""
        _NUMBER.pack_into(self._memory, 0, number)


def running(directory: str, pid: int) -> int:
    """The batch that the process `pid` runs, 0 for none."""
    with contextlib.suppress(OSError, struct.error):
        number: int = _NUMBER.unpack(_path(directory, pid).read_bytes())[0]
        return number
    return 0


def take_last(directory: str, pid: int) -> int:
    """The batch that the dead process `pid` was running, 0 for none; removes its page."""
    number = running(directory, pid)
    _path(directory, pid).unlink(missing_ok=True)
    return number


def _path(directory: str, pid: int) -> Path:
    return Path(directory) / f"{pid}.running"
