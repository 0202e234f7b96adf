"""Ends files: written line by line as items leave the flow, read without unpickling."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Self

from slither_actors.dispatch._end_lines import KINDS as KINDS
from slither_actors.dispatch._end_lines import EndRecord as EndRecord
from slither_actors.dispatch._end_lines import RunNames, line_of, parse, record_of
from slither_actors.dispatch.messages import Ends
from slither_actors.errors import EndsFileError, InvalidOption, shorten
from slither_actors.item import Item
from slither_actors.logs import about

_log = logging.getLogger(__name__)

# No link is followed, and opening a pipe or a terminal neither waits nor does anything to it.
_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_OTHERS_WRITE = 0o022
_OTHERS = 0o077


class EndsFile:
    """Where the ends of a run are written. Opened when there is the first one, so that a call which is refused leaves
    nothing open; several runs, also of several services, may write to one file.

    A write that fails is kept in `failure`, is logged, and is the last: whoever drives the run asks for it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.failure: EndsFileError | None = None
        self._names = RunNames("")
        self._descriptor: int | None = None
        self._torn = False

    @classmethod
    def of(cls, where: str, path: Any) -> Self:
        """The file at a path, which is made if it is not there.

        Raises:
            InvalidOption: it is no path, or there is something that cannot be written to, or others can open it.
        """
        allowed = "None, or the path of a file of your own with mode 600"
        if not isinstance(path, str | os.PathLike) or not isinstance(name := os.fspath(path), str) or not name:
            raise InvalidOption(where, "ends_file", shorten(path), allowed)
        name = os.path.abspath(name)  # the service may change its directory before the first end
        try:
            os.close(_open_private(name))
        except EndsFileError as error:
            raise InvalidOption(where, "ends_file", shorten(path), f"{allowed}; this one {error.problem}") from None
        return cls(name)

    def begin(self, names: RunNames) -> None:
        """The run is open; its lines have these names."""
        self._names = names

    def note(self, item: Item, ends: Ends, *, lost: bool = False) -> None:
        """Write down an item; without its payload if that is lost."""
        if self.failure is None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.append(record_of(item, ends, self._names, now, lost=lost))

    def append(self, record: EndRecord) -> None:
        """Write a record, unless a write has failed before."""
        if self.failure is not None:
            return
        try:
            self._write(line_of(record))
        except OSError as error:
            self._fail(EndsFileError(self.path, f"cannot be written: {_said(error)}"))
        except EndsFileError as error:
            self._fail(error.with_traceback(None))

    def close(self) -> None:
        """Have the disk take what was written, and close the file; again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._fail(EndsFileError(self.path, f"cannot be written: {_said(error)}"))

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = _open_private(self.path)
            size = os.fstat(self._descriptor).st_size
            self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        # A line that somebody left half-written takes no other along. In one write with ours, since between two of
        # them somebody else's may come.
        left = memoryview(b"\n" + line if self._torn else line)
        self._torn = False
        while left:  # a disk that is full takes a part, and says so the next time
            left = left[os.write(self._descriptor, left) :]

    def _fail(self, error: EndsFileError) -> None:
        if self.failure is None:
            self.failure = error
            names = self._names
            _log.warning("%s", error, extra=about(run=names.run or None, pool=names.pool, pipe=names.pipe))


class EndsReader(Iterator[EndRecord]):
    """The records of a file, one after the other; the file is closed at its end, by `close`, or with the reader.

    Attributes:
        torn: lines that could not be read so far; empty ones do not count.
    """

    def __init__(self, path: str | os.PathLike[str], *, trusted: bool = False) -> None:
        self.torn = 0
        self._file = os.fdopen(_open_to_read(os.fspath(path), trusted), "rb")

    def __next__(self) -> EndRecord:
        if not self._file.closed:
            for line in self._file:
                record = parse(line)
                if record is not None:
                    return record
                self.torn += bool(line.strip())
            self._file.close()
        raise StopIteration

    def close(self) -> None:
        """Close the file; no more records come."""
        self._file.close()


def read_ends(path: str | os.PathLike[str]) -> EndsReader:
    """The items that left runs with `ends_file=path`, lazily, in the order in which they were written.

    A line that is torn, or is no record, is skipped and counted in `.torn`. Nothing is unpickled until you call
    `record.item()`, which can run any code that stands in the file: only for files that nobody else could write to.

    Raises:
        EndsFileError: there is no such file, or it cannot be read.
    """
    return EndsReader(path)


def _open_private(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _SAFELY, 0o600)
    except (OSError, ValueError) as error:
        raise EndsFileError(path, f"cannot be opened: {_said(error)}") from None
    return _checked(descriptor, path, _OTHERS)


def _open_to_read(path: str, trusted: bool) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | (_SAFELY if trusted else _SAFELY & ~os.O_NOFOLLOW))
    except (OSError, ValueError) as error:
        raise EndsFileError(path, f"cannot be opened: {_said(error)}") from None
    return _checked(descriptor, path, _OTHERS_WRITE if trusted else 0)


def _checked(descriptor: int, path: str, forbidden: int) -> int:
    """The descriptor; closed if it is of no regular file, or, where bits are forbidden, of one of somebody else."""
    status = os.fstat(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = "is no regular file"
    elif forbidden and status.st_uid != os.geteuid():
        problem = f"belongs to user {status.st_uid}"
    elif mode & forbidden:
        what = "can be written by others" if forbidden == _OTHERS_WRITE else "is open to others"
        problem = f"{what} (mode {mode:03o}; chmod 600 helps)"
    if problem is not None:
        os.close(descriptor)
        raise EndsFileError(path, problem)
    return descriptor


def _said(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "it is a link"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
