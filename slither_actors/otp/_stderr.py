"""What a child writes to its standard error: passed on as it is, and its end kept, for when the child is dead.

Each child has a pipe of its own there, from birth, so that words of C libraries, of the loader and of programs that it
runs are among what is kept. Its supervisor, which runs no user code, reads it in the loop that it waits in anyway.
Where nobody reads the service's standard error any more, a child waits in its `write` as it would without all this; a
supervisor never waits.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
from collections.abc import Iterator

LINES = 20
TAIL_BYTES = 4096

_CHUNK_BYTES = 1 << 16
_STDERR = 2


class Tail:
    """The last lines of what comes in pieces: at most `LINES` of them, and `TAIL_BYTES` in all."""

    def __init__(self) -> None:
        self._kept = b""
        self._is_cut = False

    def feed(self, piece: bytes) -> None:
        whole = self._kept + piece
        self._is_cut |= len(whole) > TAIL_BYTES
        self._kept = whole[-TAIL_BYTES:]

    def lines(self) -> tuple[str, ...]:
        """The last lines, without blanks at their ends; one whose beginning is gone is among them if it is alone."""
        lines = [line.rstrip() for line in self._kept.decode("utf-8", "replace").splitlines()]
        if self._is_cut and len(lines) > 1:
            del lines[0]
        return tuple(lines[-LINES:])


class Sink:
    """A standard error that others share, written to without ever waiting."""

    def __init__(self, fd: int) -> None:
        """Takes `fd` over."""
        self._fd = fd
        self._waits = False
        kind = os.fstat(fd).st_mode
        if stat.S_ISFIFO(kind) or (stat.S_ISCHR(kind) and os.isatty(fd)):
            # one's own way in: on the old one the flag would be everybody's
            with contextlib.suppress(OSError):
                self._fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
                os.close(fd)

    def write(self, data: bytes) -> int:
        """Hand over as much as is taken at once, and say how much that was; all of it, where nobody will ever read."""
        done = 0
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        try:
            while done < len(data) and any(event & select.POLLOUT for _, event in poller.poll(0)):
                # what is ready takes this much without waiting (POSIX, for pipes)
                done += os.write(self._fd, data[done : done + select.PIPE_BUF])
        except BlockingIOError:
            pass
        except OSError:
            return len(data)
        return len(data) if any(event & select.POLLERR for _, event in poller.poll(0)) else done


class Ear:
    """The supervisor's end of the pipe that one child has for its standard error.

    Args:
        fd: the end to read from, which is closed by `close`.
        sink: where it goes.
    """

    def __init__(self, fd: int, sink: Sink) -> None:
        self.fd = fd
        self.tail = Tail()
        self.closed = False
        self._sink = sink
        self._held = b""

    def listen(self) -> bool | None:
        """Take what there is, and pass it on. False if it is not to be listened to for a while, since what was taken
        is not wanted yet; `None` if nothing will come any more."""
        if not self._held:
            try:
                self._held = os.read(self.fd, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not self._held:
                return None
            self.tail.feed(self._held)
        self._held = self._held[self._sink.write(self._held) :]
        return not self._held

    def close(self) -> None:
        """The child is dead: take what is left, also of what is not wanted."""
        self._sink.write(self._held)
        with contextlib.suppress(OSError):
            while piece := os.read(self.fd, _CHUNK_BYTES):
                self.tail.feed(piece)
                self._sink.write(piece)
        os.close(self.fd)
        self.closed = True


@contextlib.contextmanager
def heard(sink: Sink) -> Iterator[Ear | None]:
    """What is forked within the block has a pipe as its standard error, and this is the other end of it; `None` where
    there are no descriptors left."""
    try:
        own = os.dup(_STDERR)
    except OSError:
        yield None
        return
    try:
        listening, speaking = os.pipe()
    except OSError:
        os.close(own)
        yield None
        return
    os.set_blocking(listening, False)
    os.dup2(speaking, _STDERR)
    os.close(speaking)
    try:
        yield Ear(listening, sink)
    finally:
        os.dup2(own, _STDERR)
        os.close(own)
