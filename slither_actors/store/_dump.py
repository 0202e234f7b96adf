"""Stores as files: a dump is a compact LMDB environment in one file, with a seal behind it."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from pathlib import Path

import lmdb

from slither_actors.errors import InvalidOption, StoreLoadError
from slither_actors.store._environment import Environment, Txn, unavailable
from slither_actors.store._layout import Layout, layouts_of
from slither_actors.store._schema import StoreLocation
from slither_actors.store._seal import check_seal, seal

_PIECE = 4096


def dump(environment: Environment, file: Path) -> None:
    """Write a compact copy of this moment to a file, which is there whole or not at all.

    Raises:
        InvalidOption: There is something else than a file, or no folder for it; nothing was changed.
        StoreUnavailable, StoreFull: It cannot be written.
    """
    target = _target(environment, file)
    new = target.with_name(f".{os.getpid()}.{os.urandom(8).hex()}.dump")
    try:
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            environment.open().copyfd(descriptor, compact=True)
            seal(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(new, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise unavailable(environment.name, target.parent, error, f"{file} cannot be written: ") from error
    except lmdb.Error as error:
        raise unavailable(environment.name, target.parent, error) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def _target(environment: Environment, file: Path) -> Path:
    """The file that is to be replaced: where a link leads, never the link, a device or what else is no file."""
    target = Path(os.path.realpath(file))
    allowed = "the path of a new file, or of one to replace, in a folder that is there"
    if not target.parent.is_dir():
        raise InvalidOption("dump", "file", f"{file}, and there is no folder {target.parent}", allowed)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(target.lstat().st_mode):
            raise InvalidOption("dump", "file", f"{file}, which is no file", allowed)
    if target.parent == environment.directory.resolve():
        raise InvalidOption("dump", "file", f"{file}, where the store's own tables are", allowed)
    return target


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Dump:
    """A dump that is being read."""

    def __init__(self, location: StoreLocation, file: Path) -> None:
        """Open it.

        Raises:
            StoreLoadError: It is no dump, none of such a store, or not as it was written.
        """
        refusal = f"{file} is no dump of such a store: "
        try:
            self._handle = _opened(file)
            self.txn: Txn = self._handle.begin()
            self._layouts = layouts_of(self.txn, location)
        except Exception as error:
            said = (error.strerror if isinstance(error, OSError) else None) or error
            raise StoreLoadError(location.name, f"{refusal}{said}", "restore") from error
        missing = [spec.name for spec in location.tables if spec.name not in self._layouts]
        if missing:
            raise StoreLoadError(location.name, f"{refusal}it has no table {missing[0]!r}", "restore")

    def copy(self, layout: Layout, into: Txn) -> int:
        """Copy a table with a bag's index; the number of its rows."""
        theirs = self._layouts[layout.spec.name]
        shift = layout.slot - theirs.slot
        cursor = self.txn.cursor()
        rows = cursor.iternext() if cursor.set_range(theirs.lead) else iter(())
        ours = itertools.takewhile(lambda row: row[0][0] in (theirs.slot, theirs.slot + 1), rows)
        while piece := list(itertools.islice(ours, _PIECE)):
            into.cursor().putmulti([(bytes([key[0] + shift]) + key[1:], value) for key, value in piece])
        return theirs.size(self.txn)

    def close(self) -> None:
        """Let go of the file."""
        self._handle.close()


def _opened(file: Path) -> lmdb.Environment:
    """The very file that was checked, whatever its path leads to meanwhile."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # which waits for no writer of a pipe
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no file")
        check_seal(descriptor)
        path = f"/proc/self/fd/{descriptor}"
        return lmdb.open(path, subdir=False, readonly=True, create=False, lock=False, map_size=0)
    finally:
        os.close(descriptor)
