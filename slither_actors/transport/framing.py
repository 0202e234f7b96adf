"""The wire format, without a socket: messages to buffers, and received bytes back to messages.

A frame is a fixed header (body length, number of out-of-band buffers), the length of each buffer, the body (pickle
protocol 5), then the buffers themselves. All integers are little-endian.

Where the highest bit of the number of buffers is set, they are not in the stream: a descriptor of the memory that
holds them travels with the first byte of the frame. Looking out for descriptors makes each read slower, so a reader
does it only after a frame that is larger than its kept buffer. It reads the end of such a frame by itself, hence knows
before it reads on; and a sender passes no descriptor before it has sent one.
"""

from __future__ import annotations

import contextlib
import copyreg
import io
import pickle
import struct
from collections.abc import Iterable, Iterator, Sequence
from pickle import dumps
from typing import Any

from slither_actors._message import from_wire, to_wire

HEAD = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
HEAD_SIZE = HEAD.size

# A body or buffer beyond this is not something this library writes: it is garbage.
MAX_PART = 1 << 36

# More buffers than this are pickled in band, so that a frame's lengths always fit into the kept receive buffer.
MAX_BUFFERS = 1 << 13

_APART = 1 << 31

# Frames up to this size are collected in the kept receive buffer; larger ones are received straight into their own
# memory, so that their bytes are copied once, by the kernel.
KEPT_BUFFER = 1 << 17

# Up to this size one joined `bytes` and one `send` is cheaper than a gather-write of several parts.
JOIN_LIMIT = 1 << 16


class FramingError(Exception):
    """What arrived is no frame of ours; the connection cannot be trusted any further."""


def encode(message: object) -> list[bytes | memoryview]:
    """The parts to be written, in order, for one message.

    Raises:
        Exception: whatever `pickle` raises when the message cannot be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    wire = to_wire(message)
    try:
        body = dumps(wire, 5, buffer_callback=buffers.append)
        usual = len(buffers) <= MAX_BUFFERS
    except TypeError:
        usual = False
    if not usual:
        buffers.clear()
        body = _with_views(wire, buffers)
    if not buffers:
        head = HEAD.pack(len(body), 0)
        return [head + body] if len(body) < JOIN_LIMIT else [head, body]
    views = [buffer.raw() for buffer in buffers]
    lengths = b"".join([_LENGTH.pack(view.nbytes) for view in views])
    return [HEAD.pack(len(body), len(views)) + lengths, body, *(view for view in views if view.nbytes)]


def _with_views(wire: object, buffers: list[pickle.PickleBuffer]) -> bytes:
    """Pickle what has very many buffers, or is passed on: a read-only buffer has become a view, which pickle does not
    take by itself."""

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        if len(buffers) == MAX_BUFFERS:
            return True
        buffers.append(buffer)
        return False

    file = io.BytesIO()
    pickler = pickle.Pickler(file, 5, buffer_callback=keep_in_band)
    pickler.dispatch_table = {**copyreg.dispatch_table, memoryview: _reduce_view}
    pickler.dump(wire)
    return file.getvalue()


def _reduce_view(view: memoryview) -> tuple[Any, ...]:
    return _as_it_came, (pickle.PickleBuffer(view),)


def _as_it_came(buffer: Any) -> Any:
    return buffer


def size_of(parts: Iterable[Any]) -> int:
    """How many bytes a frame has."""
    return sum([len(part) for part in parts])


def apart(parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """The frame of a message whose buffers travel as a descriptor; `parts` is what `encode` made."""
    head = bytearray(parts[0])
    body_size, n_buffers = HEAD.unpack_from(head)
    HEAD.pack_into(head, 0, body_size, n_buffers | _APART)
    return [bytes(head), parts[1]]


def encode_bytes(body: bytes) -> bytes:
    """A frame whose body is given as it is (the first frame on a connection)."""
    return HEAD.pack(len(body), 0) + body


def decode(body: memoryview, buffers: Sequence[bytearray | memoryview]) -> Any:
    """The message of one frame; library messages only, user payloads stay opaque inside them.

    Out-of-band buffers stay what they were for the sender, so that whoever passes them on does not copy them.
    """
    if not buffers:
        return from_wire(pickle.loads(body))
    return from_wire(pickle.loads(body, buffers=[pickle.PickleBuffer(buffer) for buffer in buffers]))


class Apart:
    """Stands where the buffers of a frame would, which travel as a descriptor: their sizes."""

    __slots__ = ("sizes",)

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes


Frame = tuple[memoryview, list[bytearray] | Apart]


def head_of(body: memoryview) -> tuple[str | int, ...]:
    """Name and first field of a library message that cannot be unpickled, as far as they are text and numbers.

    Nothing is rebuilt for it, so nothing of what failed is run again.
    """
    import pickletools  # large, and hardly ever needed

    found: list[str | int] = []
    with contextlib.suppress(ValueError):  # it may be no pickle at all
        for opcode, argument, _ in pickletools.genops(bytes(body)):
            if opcode.name in ("PROTO", "FRAME", "MARK", "MEMOIZE"):
                continue
            if len(found) == 2 or not isinstance(argument, str | int):
                break
            found.append(argument)
    return tuple(found)


class FrameReader:
    """Turns a byte stream, in pieces of any size, into frames.

    Use: receive into `space()`, then call `advance(n)` and use each frame before the next `space()`, since the body
    of a small frame is a view of the kept buffer.

    Args:
        max_part: a larger body or buffer is garbage; may be changed between frames.

    Attributes:
        large_seen: whether descriptors may come from now on.
        view: the kept buffer.
        end, targets: how much of a small frame, and which parts of a large one, wait for the rest; where there is
            nothing, the next frame begins at the beginning of `view`.
    """

    __slots__ = ("_buffer", "_large", "_start", "end", "large_seen", "max_part", "targets", "view")

    def __init__(self, max_part: int = MAX_PART) -> None:
        self.max_part = max_part
        self.large_seen = False
        self._buffer = bytearray(KEPT_BUFFER)
        self.view = memoryview(self._buffer)
        self._start = 0
        self.end = 0
        self._large: tuple[bytearray, list[bytearray] | Apart] | None = None
        self.targets: list[memoryview] = []

    def space(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        if self.targets:
            return self.targets[-1]
        if self._start:
            left = self.end - self._start
            if left:
                self.view[:left] = bytes(self.view[self._start : self.end])
            self._start, self.end = 0, left
        return self.view[self.end :]

    def advance(self, count: int) -> Iterator[Frame]:
        """Take note of `count` received bytes; yields the frames they complete.

        Raises:
            FramingError: the bytes are no frame of ours.
        """
        if self.targets:
            yield from self._fill(count)
            return
        self.end += count
        while self.end - self._start >= HEAD_SIZE:
            body_size, n_buffers = HEAD.unpack_from(self._buffer, self._start)
            is_apart, n_buffers = n_buffers & _APART, n_buffers & ~_APART
            if body_size > self.max_part or n_buffers > MAX_BUFFERS:
                raise FramingError(f"a frame of {body_size} bytes and {n_buffers} buffers")
            body_at = self._start + HEAD_SIZE + _LENGTH.size * n_buffers
            if n_buffers == 0 and body_at + body_size <= self.end:
                self._start = body_at + body_size
                yield self.view[body_at : self._start], []
                continue
            if body_at > self.end or (n_buffers == 0 and HEAD_SIZE + body_size <= KEPT_BUFFER):
                return
            yield from self._begin_large(body_at, body_size, n_buffers, bool(is_apart))
            if self.targets:
                return
        if self._start == self.end:
            self._start = self.end = 0

    def _begin_large(self, body_at: int, body_size: int, n_buffers: int, is_apart: bool) -> Iterator[Frame]:
        sizes = struct.unpack_from(f"<{n_buffers}Q", self._buffer, body_at - _LENGTH.size * n_buffers)
        if any(size > self.max_part for size in sizes):
            raise FramingError(f"a frame with a buffer of {max(sizes)} bytes")
        body, buffers = bytearray(body_size), [] if is_apart else [bytearray(size) for size in sizes]
        self._large = (body, Apart(sizes) if is_apart else buffers)
        self.large_seen |= body_at - self._start + size_of([body, *buffers]) > KEPT_BUFFER
        self._start = body_at
        targets = [memoryview(part) for part in (body, *buffers) if part]
        for target in targets:
            have = min(len(target), self.end - self._start)
            target[:have] = self.view[self._start : self._start + have]
            self._start += have
            if have < len(target):
                self.targets.append(target[have:])
        self.targets.reverse()
        if not self.targets:
            yield self._take_large()

    def _fill(self, count: int) -> Iterator[Frame]:
        target = self.targets.pop()
        if count < len(target):
            self.targets.append(target[count:])
        elif not self.targets:
            yield self._take_large()

    def _take_large(self) -> Frame:
        assert self._large is not None
        body, buffers = self._large
        self._large = None
        return memoryview(body), buffers
