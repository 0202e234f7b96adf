"""Lines of a file that may be large, endless or slow: read in pieces, and never held as a whole."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterator
from typing import Final

import attrs

LONGEST: Final = 64 * 2**20
"""Bytes that a line may have: a file whose lines never end must not fill the memory."""

_PIECE: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"


@attrs.frozen
class Line:
    """One line without the line feed at its end.

    Attributes:
        number: counted from 1.
        data: its bytes; the first part of it where it is too long.
        ended: whether the end of a line stood behind it: the last one of a file may lack it.
        too_long: whether there was more of it.
    """

    number: int
    data: bytes
    ended: bool = True
    too_long: bool = False


class Stop:
    """Ends the reading from anywhere, also from the handler of a signal while a line is waited for.

    Attributes:
        asked: whether nothing more is to be read.
        waked: becomes readable when somebody should look at that again.
        waking: what makes it so when something is written to it, as by `signal.set_wakeup_fd`.
    """

    def __init__(self) -> None:
        self.asked = False
        self.waked, self.waking = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def ask(self) -> None:
        """Read no more."""
        self.asked = True
        with contextlib.suppress(BlockingIOError):  # it is full, so whoever waits is woken
            os.write(self.waking, b"!")

    def rest(self) -> None:
        """Forget that somebody was woken."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.waked, 4096)

    def close(self) -> None:
        """Give back what it holds."""
        os.close(self.waked)
        os.close(self.waking)


class Lines:
    """The lines of an open file, one after the other, until its end or until somebody asks to stop.

    Args:
        fd: what is read.
        stop: ends it.
        idle: called before nothing is there to read for a while, as from a terminal or a pipe.
        longest: the most bytes of a line.

    Attributes:
        position: how many bytes the lines had that were given out so far.
    """

    def __init__(self, fd: int, stop: Stop, idle: Callable[[], None] = lambda: None, longest: int = LONGEST) -> None:
        self.position = 0
        self._fd = fd
        self._stop = stop
        self._idle = idle
        self._longest = longest
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(stop.waked, select.POLLIN)

    def __iter__(self) -> Iterator[Line]:
        """Raises `OSError` where the file cannot be read."""
        for number, (data, ended, size) in enumerate(self._cut(), 1):
            if self._stop.asked:
                return
            self.position += size + ended
            if number == 1:
                data = data.removeprefix(_BOM)
            yield Line(number, data, ended, too_long=size > self._longest)

    def _cut(self) -> Iterator[tuple[bytes, bool, int]]:
        """Lines, whether they had an end, and how many bytes. No more is kept of a line than it may have."""
        kept: list[bytes] = []
        size = 0
        for piece in self._pieces():
            *ends, rest = piece.split(b"\n")
            for end in ends:
                if kept:
                    self._keep(kept, size, end)
                    yield b"".join(kept), True, size + len(end)
                    kept, size = [], 0
                else:
                    yield end[: self._longest], True, len(end)
            if rest:
                self._keep(kept, size, rest)
                size += len(rest)
        if size:
            yield b"".join(kept), False, size

    def _keep(self, kept: list[bytes], size: int, part: bytes) -> None:
        room = self._longest - size
        if room > 0:
            kept.append(part[:room])

    def _pieces(self) -> Iterator[bytes]:
        while self._await():
            try:
                piece = os.read(self._fd, _PIECE)
            except BlockingIOError:  # somebody else, who has the same open file, was quicker
                continue
            if not piece:
                return
            yield piece

    def _await(self) -> bool:
        """Wait until there is something to read; false if nothing more is to be read."""
        if not self._poll.poll(0):
            self._idle()
        while not self._stop.asked:
            ready = dict(self._poll.poll())
            if self._stop.waked in ready:
                self._stop.rest()
            if self._fd in ready:
                return not self._stop.asked
        return False
