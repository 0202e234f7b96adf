"""The two kinds of connections of a hub, and what it puts into its inbox on its own account."""

from __future__ import annotations

import os
import secrets
import select
import socket
from collections import deque
from itertools import islice
from typing import Any

import attrs

from slither_actors._describe import said
from slither_actors._message import message
from slither_actors.errors import RunDirectoryError, SendQueueFull, TransportError
from slither_actors.transport import framing

# Stands where a message would, beside each part of it but the last. A message may be `None`, so that would not do.
MORE: Any = object()

# The first frame on a connection holds a cookie and a path. Until it is read the other end is a stranger, for whom
# no memory is set aside.
_GREETING_LIMIT = 4096

_BACKLOG = 4096
_CONNECT_LIMIT_S = 5.0
# More parts than this in one call are refused by some kernels; the rest is queued.
_GATHER = 64
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


@attrs.frozen
class HubStatistics:
    """Figures of one hub at one moment."""

    connections: int
    queued_messages: int
    queued_bytes: int


class Outgoing:
    """The connection on which this process writes to one peer."""

    __slots__ = ("_armed", "_epoll", "_limit", "address", "fd", "queue", "queued_bytes", "sock")

    def __init__(self, sock: socket.socket, address: str, epoll: select.epoll, limit: int) -> None:
        self._epoll = epoll
        self._limit = limit
        self.sock = sock
        self.fd = sock.fileno()
        self.address = address
        # parts still to be written; the last part of a message carries the message, to be reported if it never leaves
        self.queue: deque[tuple[bytes | memoryview, Any]] = deque()
        self.queued_bytes = 0
        self._armed = False

    def hold(self, parts: list[bytes | memoryview], payload: object) -> None:
        """Queue one message, to be written by `flush` together with others.

        Raises:
            SendQueueFull: too much waits already; nothing of the message was queued.
        """
        if self.queued_bytes > self._limit:
            raise SendQueueFull(self.address, self.queued_bytes, self._limit)
        self._enqueue(parts, payload)

    def write(self, parts: list[bytes | memoryview], payload: object) -> bool:
        """Write one message, or queue what the kernel does not take; false if the peer is gone.

        Raises:
            SendQueueFull: too much waits already; nothing of the message was written.
        """
        if self.queue:
            self.hold(parts, payload)
            return True
        try:
            sent = self.sock.send(parts[0]) if len(parts) == 1 else self.sock.sendmsg(parts[:_GATHER])
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if len(parts) > 1 or sent < len(parts[0]):
            rest = unsent(parts, sent)
            if rest:
                self._enqueue(rest, payload)
                self._arm(True)
        return True

    def _enqueue(self, parts: list[bytes | memoryview], payload: object) -> None:
        for part in parts[:-1]:
            self.queue.append((part, MORE))
        self.queue.append((parts[-1], payload))
        self.queued_bytes += sum(map(len, parts))

    def _arm(self, wanted: bool) -> None:
        """Be told when the kernel takes more, or not any more."""
        if wanted != self._armed:
            self._armed = wanted
            self._epoll.modify(self.fd, select.EPOLLOUT if wanted else 0)

    def flush(self) -> bool:
        """Write what the kernel takes of the queue, many parts at once; false if the peer is gone."""
        while self.queue:
            parts = [part for part, _ in islice(self.queue, _GATHER)]
            try:
                sent = self.sock.sendmsg(parts)
            except BlockingIOError:
                self._arm(True)
                return True
            except OSError:
                return False
            self.queued_bytes -= sent
            self._drop(sent)
        self._arm(False)
        return True

    def _drop(self, sent: int) -> None:
        """Take the first `sent` bytes off the queue."""
        while sent:
            part, last = self.queue[0]
            if sent < len(part):
                self.queue[0] = (memoryview(part)[sent:], last)
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

    __slots__ = ("fd", "peer", "reader", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.reader = framing.FrameReader(_GREETING_LIMIT)
        self.peer: str | None = None

    def receive(self, inbox: deque[tuple[Any, str]], cookie: bytes, directory: str) -> bool:
        """Read once, and put what is complete into the inbox; false at the end, or if a stranger shows."""
        try:
            count = self.sock.recv_into(self.reader.space())
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not count:
            return False
        try:
            for body, buffers in self.reader.advance(count):
                if self.peer is None:
                    self._greet(bytes(body), cookie, directory)
                else:
                    inbox.append((decode(body, buffers), self.peer))
        except framing.FramingError:
            return False
        return True

    def _greet(self, greeting: bytes, cookie: bytes, directory: str) -> None:
        """The first frame is the cookie and the sender's address; whoever cannot show it is a stranger."""
        shown, address = greeting[: len(cookie)], os.fsdecode(greeting[len(cookie) :])
        if not secrets.compare_digest(shown, cookie) or os.path.dirname(address) != directory:
            raise framing.FramingError("a stranger")
        self.peer = address
        self.reader.max_part = framing.MAX_PART


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


def decode(body: memoryview, buffers: list[bytearray]) -> Any:
    """The message of one frame, or `Undecodable`."""
    try:
        return framing.decode(body, buffers)
    except (Exception, SystemExit) as error:  # unpickling imports modules, which may raise anything, and may exit
        return Undecodable(said(error), framing.head_of(body))


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
