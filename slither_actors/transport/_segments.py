"""Large buffers in shared memory: written once where they leave, read in place where they are used.

A segment is an anonymous file (memfd) that travels as a descriptor. It has no name: when all who hold it are dead,
nothing of it is left. Those who receive it map it privately, so what one changes is seen by nobody else.

The first touch of fresh memory costs more than copying into memory that was used before, so a sender uses its
segments again. It must not do so while anybody holds one, and the kernel knows: each time a segment is sent, it goes
by an open file description of its own with a shared lock on it (flock). That lock ends with the last descriptor and
the last mapping of this description, wherever they are: in a queue, on the way, or in a process that is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
from collections.abc import Sequence
from typing import Any, ClassVar

# Buffers of one message that come to less than this go through the socket: it costs less than a segment does.
LEAST_BYTES = 1 << 18

# What a sender keeps for the next time. Larger segments are used once.
KEPT_BYTES = 1 << 26

# The kernel gives memory by the page, and rarely a sender's next message has exactly the size of the last one.
_STEP = 1 << 16

# Arrays want their memory aligned.
_ALIGNMENT = 64


class Passage:
    """A segment under way, held by one open descriptor: queued for sending, or arrived."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.fd)


class Mapping(mmap.mmap):
    """The memory of a segment that has arrived, and the descriptor with which it can be passed on."""

    passage: Passage
    places: list[tuple[int, int]]  # address and size of each buffer in it


class _Segment:
    """The sender's own view of a segment."""

    __slots__ = ("_file", "memory", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._file = Passage(os.memfd_create("slither", os.MFD_CLOEXEC))
        os.ftruncate(self.fd, size)
        self.memory = memoryview(mmap.mmap(self.fd, size))

    @property
    def fd(self) -> int:
        return self._file.fd

    def is_free(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        return True

    def passage(self) -> Passage:
        passage = Passage(os.open(f"/proc/self/fd/{self.fd}", os.O_RDWR | os.O_CLOEXEC))
        fcntl.flock(passage.fd, fcntl.LOCK_SH)
        return passage


class Segments:
    """A sender's segments.

    Args:
        keep_bytes: how much memory is kept to be used again.

    Attributes:
        relays: whether a segment that has come is passed on as it is: only where no user code can have changed what
            this process sees of it.
    """

    def __init__(self, keep_bytes: int = KEPT_BYTES) -> None:
        self.relays = False
        self._keep = keep_bytes
        self._kept: list[_Segment] = []

    def put(self, views: Sequence[memoryview]) -> Passage | None:
        """A segment with these buffers, to be sent; `None` if the system has no memory or no descriptor left."""
        return (passage_of(views) if self.relays else None) or self._copy(views)

    def _copy(self, views: Sequence[memoryview]) -> Passage | None:
        offsets, size = _layout([view.nbytes for view in views])
        try:
            segment = self._take(size)
            passage = segment.passage()
        except OSError:
            return None
        for offset, view in zip(offsets, views, strict=True):
            segment.memory[offset : offset + view.nbytes] = view
        if segment not in self._kept:
            self._keep_if_room(segment)
        return passage

    def release(self) -> None:
        """Give back the memory that is kept; what is under way stays as it is."""
        self._kept.clear()

    def _take(self, size: int) -> _Segment:
        fitting = [segment for segment in self._kept if size <= segment.size <= 4 * size]
        for segment in sorted(fitting, key=lambda segment: segment.size):
            if segment.is_free():
                return segment
        return _Segment(-size // _STEP * -_STEP)

    def _keep_if_room(self, segment: _Segment) -> None:
        while sum(kept.size for kept in self._kept) + segment.size > self._keep:
            idle = next((kept for kept in self._kept if kept.is_free()), None)
            if idle is None:
                return
            self._kept.remove(idle)
        self._kept.append(segment)


def receive(passage: Passage, sizes: Sequence[int]) -> list[memoryview]:
    """The buffers in a segment that has arrived, in place. They may be written to; nobody else sees that.

    Raises:
        OSError: the system has no memory left.
    """
    offsets, size = _layout(sizes)
    mapping = Mapping(passage.fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    whole = memoryview(mapping)
    views = [whole[offset : offset + part] for offset, part in zip(offsets, sizes, strict=True)]
    mapping.passage = passage
    mapping.places = [_place(view) for view in views if view]
    return views


def passage_of(views: Sequence[memoryview]) -> Passage | None:
    """The segment that these buffers have come in, if they are all of it: it can be passed on as it is."""
    mapping = _owner(views[0])
    if isinstance(mapping, Mapping) and [_place(view) for view in views] == mapping.places:
        return mapping.passage
    return None


def _place(view: memoryview) -> tuple[int, int]:
    """Address and size. Python itself tells the address only of what can be written to."""
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    try:
        return buffer.address or 0, view.nbytes
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))


class _Buffer(ctypes.Structure):
    """CPython's `Py_buffer`."""

    _fields_: ClassVar = [
        ("address", ctypes.c_void_p),
        ("owner", ctypes.c_void_p),
        ("size", ctypes.c_ssize_t),
        ("item_size", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("dimensions", ctypes.c_int),
        ("more", ctypes.c_void_p * 5),
    ]


def _owner(view: memoryview) -> Any:
    owner: Any = view.obj
    while isinstance(owner, memoryview):
        owner = owner.obj
    return owner


def _layout(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where buffers of these sizes begin in a segment, and where the last one ends."""
    offsets, end = [], 0
    for size in sizes:
        start = -end // _ALIGNMENT * -_ALIGNMENT
        offsets.append(start)
        end = start + size
    return offsets, end
