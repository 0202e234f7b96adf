"""Many rows on their way to the owner: a few in the operation itself, more in a file beside the tables.

The file is written by the caller, at its own pace, so a slow source holds up nobody, and neither side ever has all rows
in memory.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slither_actors.errors import StoreFull
from slither_actors.store._operations import BulkInsert
from slither_actors.store._requests import Columns

_PIECE = 1024
_MOST_INLINE = 256 * 1024
_PREFIX = "bulk-"
_numbers = itertools.count()


def bulk_of(
    table: str, store: str, directory: Path, rows: Iterator[Any], encode: Callable[[list[Any]], Columns]
) -> BulkInsert:
    """The operation that puts rows into a table.

    Args:
        table: The table's name.
        store: The store's name.
        directory: Where the store is.
        rows: Pairs of key and value; read to their end, here. What they raise comes through, and nothing is left.
        encode: What makes the owner's columns of pairs of key and value.

    Raises:
        StoreFull: There is no room for the file. Exception: What `encode` raises.
    """
    pieces = _pieces(rows, encode)
    first = next(pieces, pickle.dumps(()))
    second = next(pieces, None)
    if second is None and len(first) <= _MOST_INLINE:
        return BulkInsert(table, first)
    path = directory / f"{_PREFIX}{os.getpid()}-{next(_numbers)}-{os.urandom(4).hex()}"
    try:
        with _opened(path, store) as file:
            for piece in itertools.chain([first], [] if second is None else [second], pieces):
                _write(file, piece, store)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return BulkInsert(table, b"", path.name)


def _opened(path: Path, store: str) -> io.FileIO:
    try:
        return io.FileIO(path, "x", opener=_private)
    except OSError as error:
        raise StoreFull(store, str(error)) from error


def _write(file: io.FileIO, piece: bytes, store: str) -> None:
    try:
        view = memoryview(piece)
        while view:
            view = view[file.write(view) or 0 :]
    except OSError as error:
        raise StoreFull(store, str(error)) from error


def _pieces(rows: Iterator[Any], encode: Callable[[list[Any]], Columns]) -> Iterator[bytes]:
    while piece := list(itertools.islice(rows, _PIECE)):
        yield pickle.dumps(encode(piece), protocol=5)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def remove_bulk_file(directory: Path, name: str) -> None:
    """Remove the file of an operation that is over, if it has one."""
    if name:
        (directory / name).unlink(missing_ok=True)


def remove_bulk_files_of_the_dead(directory: Path) -> None:
    """Remove the files of callers that died before they sent their operation."""
    for path in directory.glob(f"{_PREFIX}*"):
        pid = path.name.split("-")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                path.unlink()
