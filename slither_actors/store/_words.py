"""A number for each table, in a page that all processes share: it says whether what a reader keeps still holds.

The writer makes the number odd before it commits and even, and higher, after that and before it answers anybody. So a
reader that finds the number at which it began to keep values knows that no commit was even begun since; while it is
odd, nothing is kept and nothing kept is used. A writer that dies in between leaves it odd until the next one opens.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from slither_actors.store._environment import reserve

NAME = "words"
MOST = 512
_BYTES = 8 * MOST


def words_to_read(directory: Path) -> memoryview:
    """The numbers, as they are at every look.

    Raises:
        OSError: There is no such file, or no memory to map it.
    """
    return _mapped(directory, mmap.ACCESS_READ)


def _mapped(directory: Path, access: int) -> memoryview:
    flags = os.O_RDONLY if access == mmap.ACCESS_READ else os.O_RDWR
    descriptor = os.open(directory / NAME, flags | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return memoryview(mmap.mmap(descriptor, _BYTES, access=access)).cast("Q")
    finally:
        os.close(descriptor)


class Words:
    """The writer's side."""

    def __init__(self, directory: Path) -> None:
        """Make the file where there is none, and end what a former writer had begun.

        Raises:
            OSError: There is no room for it.
        """
        reserve(directory / NAME, _BYTES)
        self._words = _mapped(directory, mmap.ACCESS_WRITE)
        self.end(range(MOST))

    def around(self, commit: Callable[[], object], slots: Sequence[int]) -> None:
        """Do a commit that changes these tables."""
        words = self._words
        for slot in slots:
            words[slot] |= 1
        try:
            commit()
        finally:
            for slot in slots:
                words[slot] = (words[slot] | 1) + 1

    def end(self, slots: Iterable[int]) -> None:
        """End commits to these tables that a former writer had begun."""
        words = self._words
        for slot in slots:
            words[slot] = (words[slot] | 1) + 1
