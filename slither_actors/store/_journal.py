"""What is remembered for the next owner, beside the tables and not in them: a write to them costs as many pages less.

A record is put here before the commit that it goes with, under the number of that commit. So it holds if the tables
have come that far, and is none otherwise, wherever the owner was killed. It need not outlive the machine: whoever could
ask for it dies with that. So it is memory that two files hold, of which one is in use; what still holds is moved to the
other one when there is no room, which then takes no new room on a disk that may be full.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

from slither_actors.store._environment import reserve

NAMES = ("once.0", "once.1")
LEAST_BYTES = 1 << 16

# In a file: which of the two is the newer one, then records of length, number of the commit, and data. A length of 0
# ends them.
_GENERATION, _LENGTH, _COMMIT = struct.Struct("<Q"), struct.Struct("<I"), struct.Struct("<Q")
_LEAD = _LENGTH.size + _COMMIT.size
_NONE = bytes(_LENGTH.size)


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
        files = [_mapped(path) for path in self._paths]
        generations = [_GENERATION.unpack_from(file)[0] for file in files]
        self._turn = generations.index(max(generations))
        self._generation = generations[self._turn]
        self._pages = files[self._turn]
        self.size = len(self._pages)
        self._end = self._former = _GENERATION.size

    def records(self, last: int) -> list[bytes]:
        """All that hold, the oldest first, where `last` is the number of the last commit. New ones follow them."""
        found: list[bytes] = []
        self._end = _GENERATION.size
        while (data := self._record_at(self._end, last)) is not None:
            found.append(data)
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
        size = LEAST_BYTES
        while size < 2 * (len(data) + more + 3 * _LEAD):
            size *= 2
        turn = 1 - self._turn
        path = self._paths[turn]
        if path.stat().st_size != size:
            _replace(path, size)
        former, self._pages, self.size = (self._pages, self.size), _mapped(path), size
        self._turn, self._end = turn, _GENERATION.size
        self.put(commit, data)
        self._generation += 1
        _GENERATION.pack_into(self._pages, 0, self._generation)  # from now on this one is in use
        former[0].close()
        if former[1] > LEAST_BYTES:
            os.truncate(self._paths[1 - turn], LEAST_BYTES)

    def close(self) -> None:
        """Let go of the file."""
        self._pages.close()

    def _record_at(self, begin: int, last: int) -> bytes | None:
        (length,) = _LENGTH.unpack_from(self._pages, begin)
        end = begin + _LEAD + length
        if not length or end + _LENGTH.size > self.size:
            return None
        (commit,) = _COMMIT.unpack_from(self._pages, begin + _LENGTH.size)
        return None if commit > last else self._pages[begin + _LEAD : end]

    def _end_here(self) -> None:
        self._pages[self._end : self._end + _LENGTH.size] = _NONE


def _replace(path: Path, size: int) -> None:
    """Make an empty file of another size; the former one stays where there is no room."""
    new = path.with_suffix(f"{path.suffix}.new")
    new.unlink(missing_ok=True)
    try:
        reserve(new, size)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    os.replace(new, path)


def _mapped(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)
