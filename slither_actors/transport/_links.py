"""The two kinds of connections of a hub, and what it puts into its inbox on its own account."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections import deque
from itertools import islice
from pickle import loads
from typing import Any

from slither_actors._describe import is_of_a_signal, said
from slither_actors._message import from_wire, message
from slither_actors.errors import RunDirectoryError, SendQueueFull, TransportError
from slither_actors.transport import framing
from slither_actors.transport._segments import LEAST_BYTES, Passage, Segments

# Stands where a message would, beside each part of it but the last. A message may be `None`, so that would not do.
MORE: Any = object()

# The first frame on a connection holds a cookie and a path. Until it is read the other end is a stranger, for whom
# no memory is set aside.
_GREETING_LIMIT = 4096

_BACKLOG = 4096
_CONNECT_LIMIT_S = 5.0
# More parts than this in one call are refused by some kernels; the rest is queued.
_GATHER = 64
# Up to this size a message has room of its own behind large ones: word that one was refused must still get out.
_SMALL = 1 << 16
_INT = struct.Struct("i")
_TIMEVAL = struct.Struct("@ll")
# The kernel ends a read behind what came with a descriptor, so there is never more than one.
_DESCRIPTORS = socket.CMSG_SPACE(_INT.size)
OUT_OF_DESCRIPTORS = "out of file descriptors; raise the limit (ulimit -n)"


@message
class Undecodable:
    """Stands in the inbox for a message that could not be unpickled here; `head` is its name and first field."""

    error: str
    head: tuple[str | int, ...]


@message
class Undelivered:
    """Stands in the inbox for a message whose peer is gone. `to` is the peer's address."""

    to: str
    original: Any


@message
class Unread:
    """From a peer: the message of ours that began with `head` could not be unpickled there."""

    error: str
    head: tuple[str | int, ...]


class Outgoing:
    """The connection on which this process writes to one peer."""

    __slots__ = (
        "_armed",
        "_ceiling",
        "_epoll",
        "_limit",
        "_passes_segments",
        "address",
        "fd",
        "queue",
        "queued_bytes",
        "sock",
    )

    def __init__(self, sock: socket.socket, address: str, epoll: select.epoll, limit: int) -> None:
        self._epoll = epoll
        self._limit = limit
        self._ceiling = limit  # for small messages
        self.sock = sock
        self.fd = sock.fileno()
        self.address = address
        # parts still to be written; the last part of a message carries the message, to be reported if it never leaves,
        # and the first one the segment that goes with it
        self.queue: deque[tuple[bytes | memoryview, Any, Passage | None]] = deque()
        self.queued_bytes = 0
        self._passes_segments = False  # whether the peer looks out for descriptors: behind the first large message
        self._armed = False

    def apart(self, parts: list[Any], segments: Segments) -> tuple[list[Any], Passage | None]:
        """The same message, with its buffers in a segment if they are large and the peer looks out for that."""
        passage = None
        if self._passes_segments and len(parts) > 2 and framing.size_of(parts) > LEAST_BYTES:
            passage = segments.put(parts[2:], self._limit)
        return (framing.apart(parts), passage) if passage else (parts, None)

    def hold(self, parts: list[bytes | memoryview], payload: object, passage: Passage | None = None) -> None:
        """Queue one message, to be written by `flush` together with others.

        Raises:
            SendQueueFull: too much waits already; nothing of the message was queued.
        """
        full = self.queued_bytes > self._limit
        if full and (framing.size_of(parts) > _SMALL or self.queued_bytes > self._ceiling):
            raise SendQueueFull(self.address, self.queued_bytes, self._limit)
        self._passes_segments |= self._enqueue(parts, payload, passage) > framing.KEPT_BUFFER

    def write(self, parts: list[bytes | memoryview], payload: object, passage: Passage | None = None) -> bool:
        """Write one message, or queue what the kernel does not take; false if the peer is gone.

        Raises:
            SendQueueFull: too much waits already; nothing of the message was written.
        """
        if self.queue:
            self.hold(parts, payload, passage)
            return True
        try:
            sent = self.sock.send(parts[0]) if len(parts) == 1 else self._send(parts[:_GATHER], passage)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if len(parts) > 1 or sent < len(parts[0]):
            rest = unsent(parts, sent)
            if rest:
                self._enqueue(rest, payload, None if sent else passage)
                self._arm(True)
            self._passes_segments |= len(parts) > 1 and framing.size_of(parts) > framing.KEPT_BUFFER
        return True

    def _send(self, parts: list[bytes | memoryview], passage: Passage | None) -> int:
        if passage is None:
            return self.sock.sendmsg(parts)
        try:
            return self.sock.sendmsg(parts, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _INT.pack(passage.fd))])
        except OSError as error:
            if error.errno == errno.ETOOMANYREFS:  # peers must first read some of those that are on their way
                raise BlockingIOError from None
            raise

    def _enqueue(self, parts: list[bytes | memoryview], payload: object, passage: Passage | None) -> int:
        """Returns how many bytes the parts have."""
        size = len(parts[-1])
        if len(parts) > 1:
            for part in parts[:-1]:
                self.queue.append((part, MORE, passage))
                passage = None
            size = framing.size_of(parts)
        self.queue.append((parts[-1], payload, passage))
        self.queued_bytes += size
        if size > _SMALL:
            self._ceiling = self.queued_bytes + self._limit
        return size

    def _arm(self, wanted: bool) -> None:
        """Be told when the kernel takes more, or not any more."""
        if wanted != self._armed:
            self._armed = wanted
            self._epoll.modify(self.fd, select.EPOLLOUT if wanted else 0)

    def flush(self) -> bool:
        """Write what the kernel takes of the queue, many parts at once; false if the peer is gone."""
        while self.queue:
            part, _, passage = self.queue[0]
            try:
                # most often there is one small message alone, and it leaves whole
                alone = len(self.queue) == 1 and passage is None
                sent = self.sock.send(part) if alone else self._send(self._next_parts(), passage)
            except BlockingIOError:
                self._arm(True)
                return True
            except OSError:
                return False
            self.queued_bytes -= sent
            if self.queued_bytes:
                self._drop(sent)
            else:
                self.queue.clear()
        self._ceiling = self._limit
        self._arm(False)
        return True

    def _next_parts(self) -> list[bytes | memoryview]:
        """What one call can write: a descriptor goes with the first byte of a call."""
        if not self._passes_segments:
            return [part for part, _, _ in islice(self.queue, _GATHER)]
        parts: list[bytes | memoryview] = []
        for part, _, passage in islice(self.queue, _GATHER):
            if parts and passage is not None:
                break
            parts.append(part)
        return parts

    def _drop(self, sent: int) -> None:
        """Take the first `sent` bytes off the queue."""
        while sent:
            part, last, _ = self.queue[0]
            if sent < len(part):
                self.queue[0] = (memoryview(part)[sent:], last, None)
                return
            sent -= len(part)
            self.queue.popleft()

    def is_gone(self) -> bool:
        """Whether the peer hung up. Peers never write on this connection, so only an end can be read from it."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


class Incoming:
    """The connection on which one peer writes to this process; `peer` is `None` until it has shown the cookie."""

    __slots__ = ("_passages", "fd", "peer", "reader", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.reader = framing.FrameReader(_GREETING_LIMIT)
        self.peer: str | None = None
        self._passages: deque[Passage] = deque()  # that came ahead of the frames they belong to

    def receive(self, inbox: deque[tuple[Any, str]], cookie: bytes, directory: str, segments: Segments) -> bool:
        """Read once, and put what is complete into the inbox; false at the end, or if a stranger shows."""
        reader = self.reader
        fresh = not (reader.end or reader.targets)
        space = reader.view if fresh else reader.space()
        try:
            count = self._receive_segments(space) if reader.large_seen else self.sock.recv_into(space)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not count:
            return False
        if fresh and count >= framing.HEAD_SIZE and self.peer is not None:
            body_size, n_buffers = framing.HEAD.unpack_from(space)
            if not n_buffers and framing.HEAD_SIZE + body_size == count:  # one small frame and nothing else, most often
                body = space[framing.HEAD_SIZE : count]
                try:
                    inbox.append((from_wire(loads(body)), self.peer))
                except (Exception, SystemExit) as error:
                    inbox.append((_undecodable(body, error), self.peer))
                return True
        try:
            for body, buffers in reader.advance(count):
                if self.peer is None:
                    self._greet(bytes(body), cookie, directory)
                else:
                    inbox.append((self._decode(body, buffers, segments), self.peer))
        except framing.FramingError:
            return False
        return True

    def block(self, limit_s: float) -> None:
        """From now on `receive` waits for something to come, at most this long."""
        self.sock.setblocking(True)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(int(limit_s), int(limit_s % 1 * 1e6)))

    def _receive_segments(self, space: memoryview) -> int:
        count, extras, flags, _ = self.sock.recvmsg_into([space], _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        self._passages += [Passage(fd) for _, _, data in extras for (fd,) in _INT.iter_unpack(data)]
        if flags & socket.MSG_CTRUNC:
            raise TransportError(OUT_OF_DESCRIPTORS)
        return count

    def _decode(self, body: memoryview, buffers: list[bytearray] | framing.Apart, segments: Segments) -> Any:
        """The message of one frame, or `Undecodable`."""
        try:
            if not buffers:  # as most often
                return from_wire(loads(body))
            if isinstance(buffers, list):
                return framing.decode(body, buffers)
            return framing.decode(body, segments.receive(self._passages.popleft(), buffers.sizes))
        except (Exception, SystemExit) as error:  # unpickling imports modules, which may raise anything, and may exit
            return _undecodable(body, error)

    def _greet(self, greeting: bytes, cookie: bytes, directory: str) -> None:
        """The first frame is the cookie and the sender's address; whoever cannot show it is a stranger."""
        shown, address = greeting[: len(cookie)], os.fsdecode(greeting[len(cookie) :])
        # who could measure how long this takes is in the directory already, and can read the cookie
        if shown != cookie or os.path.dirname(address) != directory:
            raise framing.FramingError("a stranger")
        self.peer = address
        self.reader.max_part = framing.MAX_PART


def _undecodable(body: memoryview, error: BaseException) -> Undecodable:
    """What stands for a message; raises the error where it is a signal handler's, and not the message's."""
    if is_of_a_signal(error):
        raise error
    return Undecodable(said(error), framing.head_of(body))


def listen(address: str) -> socket.socket:
    """A listening socket at a path.

    Raises:
        RunDirectoryError: the directory takes no socket.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise RunDirectoryError(os.path.dirname(address), f"takes no socket: {error.strerror or error}") from None
    return listener


def dial(to: str, greeting: bytes) -> socket.socket | None:
    """A greeted connection to the peer at a path, `None` if nobody listens there.

    Raises:
        TransportError: this process has no descriptor left.
    """
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError:
        raise TransportError(OUT_OF_DESCRIPTORS) from None
    try:
        sock.settimeout(_CONNECT_LIMIT_S)
        sock.connect(to)
        sock.sendall(framing.encode_bytes(greeting))
        sock.setblocking(False)
    except OSError:
        sock.close()
        return None
    return sock


def unsent(parts: list[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    """What is left of `parts` after `sent` bytes of them have left."""
    rest: list[bytes | memoryview] = []
    for part in parts:
        if sent >= len(part):
            sent -= len(part)
        else:
            rest.append(memoryview(part)[sent:] if sent else part)
            sent = 0
    return rest
