"""Room for incidents on a disk that is full by then: set aside when the run directory is made.

There is some for the first ones, whole; and beside it some for counting those that find none.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path

from slither_actors.transport.labels import INCIDENTS

UNWRITTEN = f"{INCIDENTS}.unwritten"

_ROOM_BYTES = 64 << 10
_COUNTED = 1024

# Flag of fallocate(2): the file does not become longer, so what is appended stands at its beginning.
_KEEP_SIZE = 1


def make_room(directory: Path) -> None:
    """Make the files of a new run directory.

    Raises:
        OSError: there is no room.
    """
    for name, size in ((INCIDENTS, _ROOM_BYTES), (UNWRITTEN, _COUNTED * len(_line(False)))):
        fd = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _reserve(fd, size)
        finally:
            os.close(fd)


def count_unwritten(directory: str, restarted: bool) -> None:
    """Count an incident that could not be written down; as far as there is room for that."""
    with contextlib.suppress(OSError):
        fd = os.open(Path(directory, UNWRITTEN), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, _line(restarted))
        finally:
            os.close(fd)


def _line(restarted: bool) -> bytes:
    return b'{"unwritten":%d}\n' % restarted


def _reserve(fd: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    while libc.fallocate(fd, _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size)):
        code = ctypes.get_errno()
        if code in (errno.EOPNOTSUPP, errno.ENOSYS):  # then the first ones find room, or do not
            return
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
