"""What is remembered for the next owner, beside the tables and not in them: a write to them costs as many pages less.

A record is put here before the commit that it goes with, under the number of that commit. So it holds if the tables
have come that far, and is none otherwise, wherever the owner was killed. It need not outlive the machine: whoever could
ask for it dies with that. So it is memory that two files hold, of which one is in use; what still holds is moved to the
other one when there is no room. Both grow and shrink together, so that takes no new room on a disk that may be full.
Both stay open: as the tables, they are there for their owner also when somebody has removed their folder.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from slither_actors.store._environment import reserve

T = TypeVar("T")

NAMES = ("once.0", "once.1")
LEAST_BYTES = 1 << 16

# In a file: the format, without which it holds nothing, and which of the two is the newer one; then records of length,
# number of the commit, and data. A length of 0 ends them.
_FORMAT = b"slither\1"
_HEAD, _LENGTH, _COMMIT = struct.Struct("<8sQ"), struct.Struct("<I"), struct.Struct("<Q")
_LEAD = _LENGTH.size + _COMMIT.size
_NONE = bytes(_LENGTH.size)

_log = logging.getLogger(__name__)


class Journal:
    """The records, for the one writer of a store.

    Attributes:
        size: bytes that the file in use has.

    Raises:
        OSError: There is no room.
    """

    def __init__(self, directory: Path) -> None:
        self._paths = [directory / name for name in NAMES]
        for path in self._paths:
            reserve(path, LEAST_BYTES)
        self._files = [os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW) for path in self._paths]
        both = [mmap.mmap(file, 0) for file in self._files]
        generations = [_generation_in(pages) for pages in both]
        self._turn = generations.index(max(generations))
        self._generation = generations[self._turn]
        self._pages = both[self._turn]
        self.size = len(self._pages)
        self._end = self._former = _HEAD.size
        if self._generation < 0:
            self._end_here()
            self._begin_generation()

    def records(self, last: int, read: Callable[[bytes], T]) -> list[T]:
        """All that hold, the oldest first, as `read` gives them, where `last` is the number of the last commit.

        New ones follow them. One that `read` raises for is removed, with all behind it.
        """
        found: list[T] = []
        self._end = _HEAD.size
        while (data := self._record_at(self._end, last)) is not None:
            try:
                found.append(read(data))
            except Exception as error:  # the machine has died, and all who could ask, before all of it was on the disk
                path, kind = self._paths[self._turn], type(error).__name__
                _log.warning("%s cannot be read from byte %d on (%s): forgotten", path, self._end, kind)
                break
            self._end += _LEAD + len(data)
        self._end_here()
        return found

    def put(self, commit: int, data: bytes) -> bool:
        """Before a commit, what holds from that on; false if there is no room. Where the commit fails, `settle` comes
        before anything else."""
        begin, pages = self._end, self._pages
        end = begin + _LEAD + len(data)
        if end + _LENGTH.size > self.size:
            return False
        pages[begin + _LENGTH.size : end + _LENGTH.size] = _COMMIT.pack(commit) + data + _NONE
        pages[begin : begin + _LENGTH.size] = _LENGTH.pack(len(data))  # from now on it is there
        self._former, self._end = begin, end
        return True

    def settle(self, last: int) -> bool:
        """Whether what was put last holds, where `last` is the number of the last commit. If not, it is removed."""
        holds = self._record_at(self._former, last) is not None
        if not holds:
            self._end = self._former
            self._end_here()
        return holds

    def rewrite(self, commit: int, data: bytes, more: int = 0) -> None:
        """Put one record in the place of all, which holds already, with room for one of `more` bytes and others.

        Raises:
            OSError: There is no room; nothing was changed.
        """
        size, turn = self._grow(len(data), more), 1 - self._turn
        os.ftruncate(self._files[turn], size)
        former, self._pages, self.size = self._pages, mmap.mmap(self._files[turn], 0), size
        self._turn, self._end = turn, _HEAD.size
        self.put(commit, data)
        self._begin_generation()  # from now on this one is in use
        former.close()
        os.ftruncate(self._files[1 - turn], size)

    def close(self) -> None:
        """Let go of the files."""
        self._pages.close()
        while self._files:
            os.close(self._files.pop())

    def _record_at(self, begin: int, last: int) -> bytes | None:
        (length,) = _LENGTH.unpack_from(self._pages, begin)
        end = begin + _LEAD + length
        if not length or end + _LENGTH.size > self.size:
            return None
        (commit,) = _COMMIT.unpack_from(self._pages, begin + _LENGTH.size)
        return None if commit > last else self._pages[begin + _LEAD : end]

    def _grow(self, data: int, more: int) -> int:
        """Make room in both files, and in none if there is no room for both; the size to go on with."""
        size = size_for(data, more)
        sizes = [os.fstat(file).st_size for file in self._files]
        if min(sizes) < size:
            try:
                for file in self._files:
                    os.posix_fallocate(file, 0, size)
            except OSError:
                for file, former in zip(self._files, sizes, strict=True):
                    os.ftruncate(file, former)
                if min(sizes) < _needed(data, more):
                    raise
                return min(sizes)  # a full disk, and what must be noted fits nevertheless
        return size

    def _begin_generation(self) -> None:
        self._generation += 1
        _HEAD.pack_into(self._pages, 0, _FORMAT, self._generation)

    def _end_here(self) -> None:
        self._pages[self._end : self._end + _LENGTH.size] = _NONE


def size_for(data: int, more: int = 0) -> int:
    """Bytes that each file gets for one record of `data` bytes in the place of all, one of `more`, and others."""
    needed = _needed(data, more)
    if 2 * needed <= LEAST_BYTES:
        return LEAST_BYTES
    blocks = -(-(needed + needed // 8) // LEAST_BYTES) + 1  # what is large must not be moved often, for a little room
    return blocks * LEAST_BYTES


def _needed(data: int, more: int) -> int:
    return _HEAD.size + _LEAD + data + _LEAD + more + _LENGTH.size


def _generation_in(pages: mmap.mmap) -> int:
    """-1 where the file is new, or of another format."""
    magic, generation = _HEAD.unpack_from(pages)
    return int(generation) if magic == _FORMAT else -1
