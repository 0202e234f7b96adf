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
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar

# Buffers of one message that come to less than this go through the socket: it costs less than a segment does.
LEAST_BYTES = 1 << 18

# How many segments of one sender may be with others. What is beyond goes through the socket, whose queue has a limit.
MOST_SENT = 32

# How many segments one receiver has in place. Somebody who collects results holds them for long.
MOST_RECEIVED = 128

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
    """The memory of a segment that has arrived. A relay keeps with it the descriptor with which it can be passed on."""

    passage: Passage | None = None
    places: Sequence[tuple[int, int]] = ()  # address and size of each buffer in it


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
    """The segments of one process: those that it fills and sends, and those that it has received.

    Attributes:
        relays: whether a segment that has come is passed on as it is: only where no user code can have changed what
            this process sees of it.
    """

    def __init__(self) -> None:
        self.relays = False
        self._filled: list[_Segment] = []
        self._mapped: weakref.WeakSet[Mapping] = weakref.WeakSet()

    def put(self, views: Sequence[memoryview], limit_bytes: int) -> Passage | None:
        """A segment with these buffers, to be sent.

        `None` if they must go another way: too many segments are with others already, in number or in bytes, or the
        system has no memory or no descriptor left.
        """
        return (passage_of(views) if self.relays else None) or self._fill(views, limit_bytes)

    def _fill(self, views: Sequence[memoryview], limit_bytes: int) -> Passage | None:
        offsets, size = _layout([view.nbytes for view in views])
        try:
            segment = self._take(size, limit_bytes)
            if segment is None:
                return None
            passage = segment.passage()
        except OSError:
            return None
        for offset, view in zip(offsets, views, strict=True):
            segment.memory[offset : offset + view.nbytes] = view
        return passage

    def _take(self, size: int, limit_bytes: int) -> _Segment | None:
        for segment in self._filled:
            if size <= segment.size <= 4 * size and segment.is_free():
                return segment
        size = -size // _STEP * -_STEP
        if self._is_full(size, limit_bytes):
            self._filled = [segment for segment in self._filled if not segment.is_free()]
            if self._is_full(size, limit_bytes):
                return None
        segment = _Segment(size)
        self._filled.append(segment)
        return segment

    def _is_full(self, more: int, limit_bytes: int) -> bool:
        return len(self._filled) >= MOST_SENT or sum(segment.size for segment in self._filled) + more > limit_bytes

    def release(self) -> None:
        """Give back the memory that was kept to be used again; what is with others lives on as long as they hold it."""
        self._filled.clear()

    def receive(self, passage: Passage, sizes: Sequence[int]) -> Sequence[bytearray | memoryview]:
        """The buffers in a segment that has arrived, in place. They may be written to; nobody else sees that.

        Whoever holds many already gets a copy: each one costs a descriptor, and its sender some memory.

        Raises:
            OSError: the system has no memory left.
        """
        offsets, size = _layout(sizes)
        if len(self._mapped) >= MOST_RECEIVED:
            return [_read(passage, offset, part) for offset, part in zip(offsets, sizes, strict=True)]
        mapping = Mapping(passage.fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        self._mapped.add(mapping)
        whole = memoryview(mapping)
        views = [whole[offset : offset + part] for offset, part in zip(offsets, sizes, strict=True)]
        if self.relays:
            mapping.passage = passage
            mapping.places = [_place(view) for view in views if view]
        return views


def _read(passage: Passage, offset: int, size: int) -> bytearray:
    buffer = bytearray(size)
    done = 0
    while done < size:
        done += os.preadv(passage.fd, [memoryview(buffer)[done:]], offset + done)
    return buffer


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
