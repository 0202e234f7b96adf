"""A page of shared memory per worker: the number of the batch that its user code is running, 0 for none; how many
batches it has begun; how many sessions live in it that would be lost with it; and which items that batch has.

A message could not say it: a busy worker handles none, and one message per batch would cost more than the batch.
The file lies in the run directory, named after the process, so the supervisor finds it when the process is dead.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from slither_actors.errors import RunDirectoryError
from slither_actors.incident import ITEMS
from slither_actors.otp._inquest import Work
from slither_actors.workers.messages import FIRST_BATCH, RunBatch, RunOnce

_WORDS = struct.Struct("=3Q")
# Behind these: how many items the batch has, 0 until they are read; the step from one id to the next, 0 where they have
# none; and the first ids, or only the very first, if there is a step.
_ITEMS = struct.Struct(f"={2 + ITEMS}Q")
_COUNT, _STEP, _FIRST = 3, 4, 5

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Figures(NamedTuple):
    """What a page says."""

    number: int = 0
    batches: int = 0
    sessions: int = 0


class Page:
    """The worker's side.

    Raises:
        RunDirectoryError: there is no room for it.
    """

    def __init__(self, directory: str) -> None:
        path = _path(directory, os.getpid())
        size = _WORDS.size + _ITEMS.size
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, size)  # else the first write would be a SIGBUS where the disk is full
                self._words = memoryview(mmap.mmap(fd, size)).cast("Q")
            finally:
                os.close(fd)
        except OSError as error:
            raise RunDirectoryError(directory, f"takes no more files: {error.strerror}") from None

    def running(self, number: int) -> None:
        """Say which batch runs from now on, 0 for none."""
        self._words[_COUNT] = 0
        self._words[0] = number
        if number:
            self._words[1] += 1

    @property
    def number(self) -> int:
        """The batch that runs, 0 for none."""
        return self._words[0]

    def items(self, ids: Sequence[int]) -> None:
        """Say which items the batch that runs has."""
        words = self._words
        try:
            if type(ids) is range:
                words[_STEP], words[_FIRST] = ids.step, ids.start
            else:
                first = array("Q", ids[:ITEMS])
                words[_STEP], words[_FIRST : _FIRST + len(first)] = 0, memoryview(first)
        except (ValueError, OverflowError, TypeError):  # ids that somebody made up
            return
        words[_COUNT] = len(ids)

    def sessions(self, count: int) -> None:
        """Say how many sessions live here that would be lost with this process."""
        self._words[2] = count


def read(directory: str, pid: int) -> Figures:
    """What the page of the process `pid` says; all 0 if there is none."""
    with contextlib.suppress(OSError, struct.error):
        return Figures(*_WORDS.unpack_from(_path(directory, pid).read_bytes()))
    return Figures()


def work_of(directory: str, pid: int) -> Work:
    """What the process `pid` is at, or was when it died."""
    number = running(directory, pid)
    if not number:
        return Work()
    with contextlib.suppress(OSError, struct.error):
        count, step, *ids = _ITEMS.unpack_from(_path(directory, pid).read_bytes(), _WORDS.size)
        if step:
            ids = [ids[0] + place * step for place in range(ITEMS)]
        return Work((RunBatch if number >= FIRST_BATCH else RunOnce).__name__, number, tuple(ids[:count]), count)
    return Work()


def running(directory: str, pid: int) -> int:
    """The batch that the process `pid` runs, 0 for none."""
    return read(directory, pid).number


def take_last(directory: str, pid: int) -> int:
    """The batch that the dead process `pid` was running, 0 for none; removes its page."""
    number = running(directory, pid)
    _path(directory, pid).unlink(missing_ok=True)
    return number


def resident_bytes(pid: int) -> int:
    """How much main memory the process `pid` has; 0 if nobody can tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    return 0


def _path(directory: str, pid: int) -> Path:
    return Path(directory) / f"{pid}.running"
