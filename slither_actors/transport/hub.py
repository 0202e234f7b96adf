"""All sockets of one process: one listening socket, one connection per peer and direction, one epoll object.

A hub knows no actor. It carries Python objects between socket paths: `send` from any thread, `poll` from the thread
that owns it. What failed to be delivered, and peers that hang up, are reported in the owner's thread.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slither_actors.config import QUEUE_LIMIT_BYTES
from slither_actors.errors import TransportError
from slither_actors.transport import framing, rundir
from slither_actors.transport._links import (
    MORE,
    OUT_OF_DESCRIPTORS,
    Incoming,
    Outgoing,
    Undecodable,
    Undelivered,
    Unread,
    dial,
    listen,
)
from slither_actors.transport._segments import Segments

_IN = select.EPOLLIN
_GONE = select.EPOLLHUP | select.EPOLLERR

# What a dead peer sent is in the kernel already, so reading it takes no waiting; this bounds the reading while others
# go on sending.
_SETTLE_LIMIT_S = 1.0
_LONGEST_POLL_S = 1e6  # the kernel counts milliseconds in 32 bits; who waits for longer looks at the clock in between

_numbers = itertools.count()
_living: weakref.WeakSet[Hub] = weakref.WeakSet()


class Hub:
    """The sockets of one process within the system whose run directory is `directory`.

    Args:
        directory: the run directory.
        name: file name of the listening socket; a fresh one by default.
        queue_limit_bytes: what may wait for one peer before `send` refuses more. Setting the attribute holds for
            connections that are made afterwards.

    Raises:
        RunDirectoryError: `directory` is no usable run directory.
    """

    def __init__(self, directory: Path, name: str | None = None, queue_limit_bytes: int = QUEUE_LIMIT_BYTES) -> None:
        self._cookie = rundir.read_cookie(directory)
        self._directory = str(directory)
        self.queue_limit_bytes = queue_limit_bytes
        self.address = str(directory / (name or f"{os.getpid()}.{next(_numbers)}.{os.urandom(4).hex()}"))
        self.inbox: deque[tuple[Any, str]] = deque()
        self.segments = Segments()
        self.on_hang_up: Callable[[str], None] | None = None
        self.closed = False
        self._lock = threading.RLock()
        self._polling: int | None = None  # the thread that is in `poll`
        # what other threads, and this one, have for the inbox, and peers that hung up; both looked at by `poll`
        self._notes: deque[tuple[Any, str]] = deque()
        self._hung_up: deque[str] = deque()
        self._corked = False
        self._held: dict[str, Outgoing] = {}
        self._outgoing: dict[str, Outgoing] = {}
        self._by_fd: dict[int, Outgoing | Incoming | Callable[[], None]] = {}
        self._listener = listen(self.address)
        self._listen_fd = self._listener.fileno()
        self._epoll = select.epoll()
        self.wait: Callable[[float | None], list[tuple[int, int]]] = self._epoll.poll  # how `poll` waits
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._listen_fd, _IN)
        self._epoll.register(self._wake_fd, _IN)
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
            self._note(payload, to)
            return
        parts = framing.encode(payload)
        with self._lock:
            link = self._outgoing.get(to) or self._connect(to)
            if link is None:
                self._note(Undelivered(to, payload), to)
                return
            passage = None
            if len(parts) > 1:
                parts, passage = link.apart(parts, self.segments)
            if self._corked:
                link.hold(parts, payload, passage)
                self._held[to] = link
            elif not link.write(parts, payload, passage):
                self._lose(link)
                self._note(Undelivered(to, payload), to)

    def cork(self) -> None:
        """From now on hold back what is sent, until `uncork`: several messages to one peer then leave in one piece, and
        wake it once."""
        self._corked = True

    def uncork(self) -> None:
        """Write what was held back; sending is immediate again."""
        self._corked = False
        if self._held:
            held, self._held = self._held, {}
            for link in held.values():
                self._flush(link)

    @property
    def pending(self) -> int:
        """How many messages wait for a peer to read."""
        return sum(1 for link in list(self._outgoing.values()) for _, last, _ in list(link.queue) if last is not MORE)

    def queued_bytes(self, to: str) -> int:
        """How much waits for the peer at `to` to read."""
        link = self._outgoing.get(to)
        return link.queued_bytes if link is not None else 0

    def _note(self, payload: object, sender: str) -> None:
        if self.closed:
            raise TransportError("this endpoint is closed")
        self._notes.append((payload, sender))
        self.wake()

    def _connect(self, to: str) -> Outgoing | None:
        if self.closed:
            raise TransportError("this endpoint is closed")
        sock = dial(to, self._cookie + os.fsencode(self.address))
        if sock is None:
            return None
        link = self._outgoing[to] = Outgoing(sock, to, self._epoll, self.queue_limit_bytes)
        self._by_fd[link.fd] = link
        self._epoll.register(link.fd, 0)
        return link

    def _flush(self, link: Outgoing) -> None:
        with self._lock:
            # another thread may just have lost it
            if self._by_fd.get(link.fd) is link and not link.flush():
                self._lose(link)

    def _lose(self, link: Outgoing) -> None:
        """The peer hung up: drop the connection and report what had not left."""
        with self._lock:
            if self._by_fd.get(link.fd) is not link:
                return  # lost already, and its number may be another's by now
            self._outgoing.pop(link.address, None)
            self._forget(link)
            for _, payload, _ in link.queue:
                if payload is not MORE:
                    self._note(Undelivered(link.address, payload), link.address)
            link.queue.clear()
            if self.on_hang_up is not None:
                self._hung_up.append(link.address)
                self.wake()

    # -- receiving, in the owner's thread

    def poll(self, timeout_s: float | None) -> None:
        """Wait until something happened, at most `timeout_s` (`None`: for ever); fills `inbox`."""
        before, self._polling = self._polling, threading.get_ident()
        try:
            if self.closed:
                return
            # after all reading, since these may read too, and numbers then change their meaning
            for fd, call in self._pump(timeout_s):
                if self._by_fd.get(fd) is call:
                    call()
            while self._hung_up and self.on_hang_up is not None:
                address = self._hung_up.popleft()
                self.settle(address)
                self.on_hang_up(address)
        finally:
            self._polling = before
            if self.closed and before is None:
                self._release()

    def _pump(self, timeout_s: float | None) -> list[tuple[int, Callable[[], None]]]:
        """Read and write what is possible; the callbacks of watched descriptors that are ready."""
        calls = []
        if timeout_s is not None and timeout_s > _LONGEST_POLL_S:
            timeout_s = _LONGEST_POLL_S
        for fd, event in self.wait(timeout_s):
            link = self._by_fd.get(fd)
            if type(link) is Incoming:
                self.read(link)
            elif type(link) is Outgoing:
                # asked again, since another thread may have given the number to a new connection
                if event & _GONE and link.is_gone():
                    self._lose(link)
                else:
                    self._flush(link)
            elif fd == self._wake_fd:
                self._take_notes()
            elif fd == self._listen_fd:
                self._accept()
            elif link is not None:
                calls.append((fd, link))
        return calls  # type: ignore[return-value]  # mypy does not see that the two classes are excluded

    def incoming(self, address: str) -> Incoming | None:
        """The connection on which this peer writes to here, if there is one."""
        return next((link for link in self._by_fd.values() if type(link) is Incoming and link.peer == address), None)

    def wake(self) -> None:
        """Make a `poll` in progress return; for signal handlers and other threads."""
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_write(self._wake_fd, 1)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` in the owner's thread whenever `fd` is readable."""
        self._epoll.register(fd, _IN)
        self._by_fd[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Forget a watched descriptor; unknown ones are ignored."""
        if self._by_fd.pop(fd, None) is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def descriptors(self) -> list[int]:
        """All descriptors in use."""
        return [self._epoll.fileno(), self._listen_fd, self._wake_fd, *self._by_fd]

    def settle(self, address: str) -> None:
        """Read all that a dead peer has sent. `address` may be the beginning of several, such as `"/run/x/123."`.

        A connection that is not accepted or greeted yet may be the peer's, so those are read too.
        """
        deadline = time.monotonic() + _SETTLE_LIMIT_S
        while time.monotonic() < deadline:
            self._pump(0)
            poller = select.poll()
            for link in list(self._by_fd.values()):
                if isinstance(link, Incoming) and (link.peer is None or link.peer.startswith(address)):
                    poller.register(link.fd, select.POLLIN)
            if not poller.poll(0):
                return

    def flush(self, limit_s: float) -> None:
        """Wait until peers have taken what was sent to them, at most `limit_s`."""
        self.uncork()
        deadline = time.monotonic() + limit_s
        while self.pending and time.monotonic() < deadline:
            self._pump(0.01)

    def _take_notes(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_read(self._wake_fd)
        while self._notes:
            self.inbox.append(self._notes.popleft())

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise TransportError(OUT_OF_DESCRIPTORS) from None
                return
            sock.setblocking(False)
            link = Incoming(sock)
            self._by_fd[link.fd] = link
            self._epoll.register(link.fd, _IN)

    def read(self, link: Incoming) -> None:
        """Read once what a peer has sent."""
        going_on = False  # nor after an error: what was read is lost, so nothing behind it may be taken for whole
        try:
            going_on = link.receive(self.inbox, self._cookie, self._directory, self.segments)
        finally:
            if not going_on:
                self._forget(link)

    def _forget(self, link: Outgoing | Incoming) -> None:
        del self._by_fd[link.fd]
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(link.fd)
        link.sock.close()

    # -- the end

    def close(self) -> None:
        """Close all sockets and remove the listening one's file. Queued messages are dropped.

        A `poll` in another thread returns, and closes the sockets on its way out.
        """
        with self._lock:
            if self.closed:
                return
            self.closed = True
            _living.discard(self)
            with contextlib.suppress(OSError):
                os.unlink(self.address)
            if self._polling in (None, threading.get_ident()):
                self._release()
            else:
                self.wake()

    def _release(self) -> None:
        with self._lock:
            if self._epoll.closed:
                return
            self.segments.release()
            os.close(self._wake_fd)
            self._wake_fd = -1  # or a late `wake` would write into whatever has the number next
            for link in list(self._by_fd.values()):
                if isinstance(link, (Outgoing, Incoming)):
                    link.sock.close()
            self._listener.close()
            self._epoll.close()
            self._by_fd.clear()
            self._outgoing.clear()


def _abandon_inherited() -> None:
    # A dead peer's connection must not stay open in its forked children: sends to it would vanish there.
    for hub in list(_living):
        hub._lock = threading.RLock()
        hub.closed = True
        hub._release()  # once: in a grandchild the same numbers may mean something else


os.register_at_fork(after_in_child=_abandon_inherited)

__all__ = ["Hub", "Undecodable", "Undelivered", "Unread"]
