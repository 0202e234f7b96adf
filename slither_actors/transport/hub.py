"""All sockets of one process: one listening socket, one connection per peer and direction, one epoll object.

A hub knows no actor. It carries Python objects between socket paths: `send` from any thread, `poll` from the thread
that owns it. What failed to be delivered, and peers that hang up, are reported in the owner's thread.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import select
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from slither_actors._message import message
from slither_actors.errors import SendQueueFull, TransportError
from slither_actors.transport import framing, rundir

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_GONE = select.EPOLLHUP | select.EPOLLERR
_BACKLOG = 4096
_CONNECT_LIMIT_S = 5.0

# A dead peer's connection ends at once; this only keeps a stranger who connects and says nothing from holding us.
_SETTLE_LIMIT_S = 1.0

# What may wait for one peer. Credit keeps queues near empty; reaching this means that credit is broken, or that
# somebody sends without any, and an error is better than all the memory.
QUEUE_LIMIT_BYTES = 1 << 30

_numbers = itertools.count()
_living: weakref.WeakSet[Hub] = weakref.WeakSet()


@message
class Undecodable:
    """Stands in the inbox for a message that could not be unpickled here."""

    error: str


@message
class Undelivered:
    """Stands in the inbox for a message whose peer is gone. `to` is the peer's address."""

    to: str
    original: Any


class _Outgoing:
    """The connection on which this process writes to one peer."""

    __slots__ = ("address", "armed", "fd", "queue", "queued_bytes", "sock")

    def __init__(self, sock: socket.socket, address: str) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.address = address
        # parts still to be written; the last part of a message carries the message, to be reported if it never leaves
        self.queue: deque[tuple[bytes | memoryview, Any]] = deque()
        self.queued_bytes = 0
        self.armed = False


class _Incoming:
    """The connection on which one peer writes to this process."""

    __slots__ = ("fd", "peer", "reader", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.reader = framing.FrameReader()
        self.peer: str | None = None


@attrs.frozen
class HubStatistics:
    """Figures of one hub at one moment."""

    connections: int
    queued_messages: int
    queued_bytes: int


class Hub:
    """The sockets of one process within the system whose run directory is `directory`.

    Args:
        directory: the run directory.
        name: file name of the listening socket; a fresh one by default.

    Raises:
        RunDirectoryError: `directory` is no usable run directory.
    """

    def __init__(self, directory: Path, name: str | None = None) -> None:
        self._cookie = rundir.read_cookie(directory)
        self._directory = str(directory)
        self.address = str(directory / (name or f"{os.getpid()}.{next(_numbers)}.{secrets.token_hex(4)}"))
        self.inbox: deque[tuple[Any, str]] = deque()
        self.on_hang_up: Callable[[str], None] | None = None
        self._lock = threading.RLock()
        self._owner = threading.get_ident()
        self._pid = os.getpid()
        self._epoll = select.epoll()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.address)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._outgoing: dict[str, _Outgoing] = {}
        self._by_fd: dict[int, _Outgoing | _Incoming | Callable[[], None]] = {
            self._listener.fileno(): self._accept,
            self._wake_fd: self._drain_wake,
        }
        self._epoll.register(self._listener.fileno(), _IN)
        self._epoll.register(self._wake_fd, _IN)
        self.closed = False
        _living.add(self)

    # -- sending, from any thread

    def send(self, to: str, payload: object) -> None:
        """Send `payload` to the peer listening at `to`. Never blocks; a peer that is gone is reported as `Undelivered`.

        Raises:
            SendQueueFull: too many bytes wait for this peer already.
            TransportError: the hub is closed.
            Exception: whatever pickling raises.
        """
        if to == self.address:
            self._receive(payload, to)
            return
        parts = framing.encode(payload)
        with self._lock:
            link = self._outgoing.get(to) or self._connect(to)
            if link is None:
                self._receive(Undelivered(to, payload), to)
            elif link.queue:
                self._enqueue(link, parts, payload)
            else:
                self._write(link, parts, payload)

    @property
    def pending(self) -> int:
        """How many messages wait for a peer to read."""
        return sum(1 for link in list(self._outgoing.values()) for _, last in list(link.queue) if last is not None)

    def statistics(self) -> HubStatistics:
        """Connections, and what waits in them."""
        links = list(self._outgoing.values())
        return HubStatistics(len(self._by_fd) - 2, self.pending, sum(link.queued_bytes for link in links))

    def _receive(self, payload: object, sender: str) -> None:
        self.inbox.append((payload, sender))
        if threading.get_ident() != self._owner:
            self.wake()

    def _connect(self, to: str) -> _Outgoing | None:
        if self.closed:
            raise TransportError("this endpoint is closed")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(_CONNECT_LIMIT_S)
            sock.connect(to)
            sock.sendall(framing.encode_bytes(self._cookie + os.fsencode(self.address)))
            sock.setblocking(False)
        except OSError:
            sock.close()
            return None
        link = self._outgoing[to] = _Outgoing(sock, to)
        self._by_fd[link.fd] = link
        self._epoll.register(link.fd, 0)
        return link

    def _write(self, link: _Outgoing, parts: list[bytes | memoryview], payload: object) -> None:
        try:
            sent = link.sock.send(parts[0]) if len(parts) == 1 else link.sock.sendmsg(parts[:64])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(link)
            self._receive(Undelivered(link.address, payload), link.address)
            return
        if len(parts) == 1 and sent == len(parts[0]):
            return
        rest = _unsent(parts, sent)
        if rest:
            self._enqueue(link, rest, payload)

    def _enqueue(self, link: _Outgoing, parts: list[bytes | memoryview], payload: object) -> None:
        if link.queue and link.queued_bytes > QUEUE_LIMIT_BYTES:
            raise SendQueueFull(link.address, link.queued_bytes, QUEUE_LIMIT_BYTES)
        for part in parts[:-1]:
            link.queue.append((part, None))
        link.queue.append((parts[-1], payload))
        link.queued_bytes += sum(map(len, parts))
        if not link.armed:
            link.armed = True
            self._epoll.modify(link.fd, _OUT)

    def _flush(self, link: _Outgoing) -> None:
        with self._lock:
            while link.queue:
                part, last = link.queue[0]
                try:
                    sent = link.sock.send(part)
                except BlockingIOError:
                    return
                except OSError:
                    self._lose(link)
                    return
                link.queued_bytes -= sent
                if sent < len(part):
                    link.queue[0] = (memoryview(part)[sent:], last)
                    return
                link.queue.popleft()
            link.armed = False
            self._epoll.modify(link.fd, 0)

    def _lose(self, link: _Outgoing) -> None:
        """The peer hung up: drop the connection and report what had not left."""
        with self._lock:
            if self._by_fd.pop(link.fd, None) is None:
                return
            self._outgoing.pop(link.address, None)
            self._forget(link)
            for _, payload in link.queue:
                if payload is not None:
                    self._receive(Undelivered(link.address, payload), link.address)
            link.queue.clear()

    # -- receiving, in the owner's thread

    def poll(self, timeout_s: float | None) -> None:
        """Wait until something happened, at most `timeout_s` (`None`: for ever); fills `inbox`."""
        self._owner = threading.get_ident()
        try:
            events = self._epoll.poll(timeout_s)
        except InterruptedError:  # pragma: no cover - a handler that raised; Python retries otherwise
            return
        for fd, event in events:
            link = self._by_fd.get(fd)
            if type(link) is _Incoming:
                self._read(link)
            elif type(link) is _Outgoing:
                if event & _GONE:
                    self._lose(link)
                    if self.on_hang_up is not None:
                        self.on_hang_up(link.address)
                else:
                    self._flush(link)
            elif link is not None:
                link()  # type: ignore[operator]

    def wake(self) -> None:
        """Make a `poll` in progress return; for signal handlers and other threads."""
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake_fd, 1)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` in the owner's thread whenever `fd` is readable."""
        self._by_fd[fd] = callback
        self._epoll.register(fd, _IN)

    def unwatch(self, fd: int) -> None:
        """Forget a watched descriptor; unknown ones are ignored."""
        if self._by_fd.pop(fd, None) is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def descriptors(self) -> list[int]:
        """All descriptors in use."""
        return [self._epoll.fileno(), *self._by_fd]

    def settle(self, address: str) -> None:
        """Read until nothing of a dead peer is left: its connection ends only after its last byte.

        A connection that is not accepted or greeted yet may be the peer's, so those are waited for too.
        """
        deadline = time.monotonic() + _SETTLE_LIMIT_S
        while time.monotonic() < deadline:
            self.poll(0)
            incoming = [link for link in self._by_fd.values() if isinstance(link, _Incoming)]
            if not any(link.peer is None or link.peer == address for link in incoming):
                self.poll(0)
                return

    def _drain_wake(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_read(self._wake_fd)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise TransportError("out of file descriptors; raise the limit (ulimit -n)") from None
                return
            sock.setblocking(False)
            link = _Incoming(sock)
            self._by_fd[link.fd] = link
            self._epoll.register(link.fd, _IN)

    def _read(self, link: _Incoming) -> None:
        try:
            count = link.sock.recv_into(link.reader.space())
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self._close_incoming(link)
            return
        try:
            if link.peer is None:
                self._greet(link, count)
            else:
                peer, inbox = link.peer, self.inbox
                for body, buffers in link.reader.advance(count):
                    inbox.append((_decode(body, buffers), peer))
        except framing.FramingError:
            self._close_incoming(link)

    def _greet(self, link: _Incoming, count: int) -> None:
        """The first frame is the cookie and the sender's address; whoever cannot show it is a stranger."""
        for body, buffers in link.reader.advance(count):
            if link.peer is None:
                greeting = bytes(body)
                address = os.fsdecode(greeting[len(self._cookie) :])
                if greeting[: len(self._cookie)] != self._cookie or os.path.dirname(address) != self._directory:
                    raise framing.FramingError("a stranger")
                link.peer = address
            else:
                self.inbox.append((_decode(body, buffers), link.peer))

    def _close_incoming(self, link: _Incoming) -> None:
        self._by_fd.pop(link.fd, None)
        self._forget(link)

    def _forget(self, link: _Outgoing | _Incoming) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(link.fd)
        link.sock.close()

    # -- the end

    def close(self) -> None:
        """Close all sockets and remove the listening one's file. Queued messages are dropped."""
        with self._lock:
            if not self.closed and self._pid == os.getpid():
                with contextlib.suppress(OSError):
                    os.unlink(self.address)
            self._abandon()

    def _abandon(self) -> None:
        """Close every descriptor, without touching what the creator of a forked copy still uses."""
        if self.closed:
            return
        self.closed = True
        _living.discard(self)
        os.close(self._wake_fd)
        for link in self._by_fd.values():
            if isinstance(link, (_Outgoing, _Incoming)):
                link.sock.close()
        self._listener.close()
        self._epoll.close()
        self._by_fd.clear()
        self._outgoing.clear()


def _decode(body: memoryview, buffers: list[bytearray]) -> Any:
    try:
        return framing.decode(body, buffers)
    except Exception as error:
        return Undecodable(f"{type(error).__name__}: {error}")


def _unsent(parts: list[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    rest: list[bytes | memoryview] = []
    for part in parts:
        if sent >= len(part):
            sent -= len(part)
        else:
            rest.append(memoryview(part)[sent:] if sent else part)
            sent = 0
    return rest


def _abandon_inherited() -> None:
    # A dead peer's connection must not stay open in its forked children: sends to it would vanish there. The set is
    # emptied too, or a grandchild would close the same numbers again when they already mean something else.
    for hub in list(_living):
        hub._lock = threading.RLock()
        hub._abandon()
    _living.clear()


os.register_at_fork(after_in_child=_abandon_inherited)
