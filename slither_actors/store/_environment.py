"""LMDB, as stores use it: the one file that opens environments. Each process has at most one handle of each.

py-lmdb hands out read transactions through one that it keeps ready (`max_spare_txns`), so a read takes no lock. That
one has a slot in the table of readers, which a forked child must not touch: hence the hooks at the end of this file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import lmdb

from slither_actors.errors import StoreFull, StoreUnavailable

T = TypeVar("T")
Txn: TypeAlias = "lmdb.Transaction[bytes]"

Failure = lmdb.Error
MapFull = lmdb.MapFullError

MOST_READERS = 2048
_LARGEST_MAP, _SMALLEST_MAP = 1 << 40, 1 << 20
_LOCK_BYTES = 136 * 1024  # what LMDB takes for that many readers, and some more
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NEARLY_FULL = 64 << 20
_DATA, _LOCK = "data.mdb", "lock.mdb"


class Environment:
    """This process's handle of the environment in a directory, opened at its first use and again after a fork.

    Attributes:
        begin: Makes a transaction, for reading unless `write` is given. It is replaced as handles come and go: never
            keep it.
        name: The store's, for errors.
    """

    begin: Callable[..., Txn]

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.directory = directory
        self._lock = threading.Lock()
        self._handle: lmdb.Environment | None = None
        self._writing: bool | None = None  # None: for reading; else whether commits reach the disk
        self._held: Txn | None = None
        self.pins: weakref.WeakSet[Pin] = weakref.WeakSet()
        self.begin = self._first

    def _first(self, **options: Any) -> Txn:
        return self.open().begin(**options)

    def open(self) -> lmdb.Environment:
        """The handle, opened now if need be.

        Raises:
            StoreUnavailable: It cannot be opened. StoreFull: There is no room for its files.
        """
        with self._lock:
            if self._handle is None:
                self._handle = _opened(self)
                self.begin = self._handle.begin
            return self._handle

    def open_for_writing(self, durable: bool) -> lmdb.Environment:
        """The handle, from now on one that can write. Only for the owner.

        Raises:
            StoreUnavailable, StoreFull: As `open`.
        """
        self.close()
        self._writing = durable
        return self.open()

    def close(self, *, writing: bool = False) -> None:
        """Let go of the handle; the next use opens one again.

        Args:
            writing: The handle was the owner's, and the next one is to be a reader's.
        """
        with self._lock:
            if writing:
                self._writing = None
            self.begin = self._first
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()

    def read(self, function: Callable[[Txn], T]) -> T:
        """What `function` makes of a transaction for reading.

        Raises:
            StoreUnavailable: The environment cannot be read.
        """
        for attempt in range(4):
            try:
                return function(self.begin())
            except lmdb.Error as error:
                if attempt == 3:
                    raise unavailable(self.name, self.directory, error) from error
                self._mend(error)
        raise AssertionError("unreachable")

    def _mend(self, error: lmdb.Error) -> None:
        """Do what an error of a read asks for, before it is tried again."""
        if isinstance(error, lmdb.MapResizedError):  # the owner has grown the map beyond what is mapped here
            self.grow(os.stat(self.directory / _DATA).st_size)
        elif isinstance(error, lmdb.ReadersFullError):
            self.open().reader_check()
        elif isinstance(error, lmdb.BadRslotError):  # a fork took the slot away: a new handle gets a new one
            self.close()
        elif type(error) is not lmdb.Error:  # such as a closed transaction: another thread has closed the handle
            raise unavailable(self.name, self.directory, error) from error

    def grow(self, least: int = 0) -> None:
        """Map twice as much as now, and at least `least` bytes; no transaction of this process may be under way.

        Raises:
            StoreFull: There are no addresses left for it.
        """
        handle = self.open()
        size = max(2 * handle.info()["map_size"], 2 * least)
        try:
            handle.set_mapsize(size)
        except lmdb.Error as error:
            raise StoreFull(self.name, f"the map cannot grow to {size:,} bytes: {error}") from error

    def before_fork(self) -> None:
        """Hold what the child must let go of without touching it: the transaction that is kept ready."""
        self._lock.acquire()
        if self._handle is not None:
            with contextlib.suppress(lmdb.Error):
                self._held = self._handle.begin()

    def after_fork_here(self) -> None:
        """Go on in the parent as before."""
        self._held = None
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Drop what is the parent's. py-lmdb frees nothing of a transaction that it finds in a child."""
        self._lock = threading.Lock()
        self._held = None
        for pin in list(self.pins):
            pin.drop()
        self._writing = None
        self.close()


class EndedEnvironment(Environment):
    """Stands where one was that is not to be used any more; `why` makes the error where it was not just closed."""

    def __init__(self, former: Environment, why: Callable[[], Exception | None]) -> None:
        super().__init__(former.directory, former.name)
        self._why = why

    def open(self) -> lmdb.Environment:
        raise self._why() or StoreUnavailable(self.name, "this handle was closed")


class Pin:
    """A transaction for reading that stays open for a while: what is read in it is all of one moment.

    Safe to use from several threads; in a forked child it is over.
    """

    def __init__(self, environment: Environment) -> None:
        self._lock = threading.Lock()
        self._txn: Txn | None = environment.read(lambda txn: txn)
        environment.pins.add(self)

    def read(self, function: Callable[[Txn], T], expired: Callable[[], Exception]) -> T:
        """What `function` makes of the transaction; raises what `expired` makes where it is over."""
        with self._lock:
            if self._txn is None:
                raise expired()
            try:
                return function(self._txn)
            except lmdb.Error as error:  # the handle was closed meanwhile
                self._txn = None
                raise expired() from error

    def end(self) -> None:
        """Let the pages go that only this one still sees."""
        with self._lock:
            txn, self._txn = self._txn, None
            if txn is not None:
                with contextlib.suppress(lmdb.Error):
                    txn.abort()

    def drop(self) -> None:
        """In a forked child: forget the transaction, which is the parent's."""
        self._lock, self._txn = threading.Lock(), None


def _opened(environment: Environment) -> lmdb.Environment:
    write = environment._writing is not None
    durable = environment._writing is True
    size = _LARGEST_MAP
    while True:
        try:
            return lmdb.open(
                os.fspath(environment.directory),
                map_size=size,
                readonly=not write,
                create=write,
                mode=0o600,
                sync=durable,
                metasync=durable,
                writemap=False,  # on a full file system a write to the map is a SIGBUS
                max_readers=MOST_READERS,
                max_spare_txns=1,
            )
        except lmdb.MemoryError as error:  # too few addresses: a limit of the process, or of the machine
            if size <= _SMALLEST_MAP:
                raise unavailable(environment.name, environment.directory, error) from error
            size //= 2
        except lmdb.Error as error:
            raise unavailable(environment.name, environment.directory, error) from error


def unavailable(
    store: str, directory: Path, error: lmdb.Error | OSError, what: str = ""
) -> StoreUnavailable | StoreFull:
    """The error of ours that says what befell a store, where `what` says it with what the system has to say."""
    code = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    full = code in _NO_ROOM or (code == errno.EIO and _is_nearly_full(directory))
    said: object = error.strerror if what and isinstance(error, OSError) else error
    if full and code == errno.EIO:
        said = f"a file cannot grow any more ({error})"
    return (StoreFull if full else StoreUnavailable)(store, f"{what}{said}")


def _is_nearly_full(directory: Path) -> bool:
    """Whether a write was cut short, which LMDB calls an I/O error, as the last one that still fits in part."""
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        return True
    try:
        status = os.statvfs(directory)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize < _NEARLY_FULL


def reserve(path: Path, size: int) -> None:
    """Make a file, where there is none, whose pages are all there.

    Raises:
        OSError: There is no room for it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


class _Environments:
    """The handles of this process, by the file that they have open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: weakref.WeakValueDictionary[Any, Environment] = weakref.WeakValueDictionary()
        self._forking: list[Environment] = []
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def of(self, directory: Path, name: str) -> Environment:
        with self._lock:
            key = _identity(directory)
            found = self._known.get(key) if key is not None else None
            if found is None:
                found = Environment(directory, name)
                if key is not None:
                    self._known[key] = found
            return found

    def _before(self) -> None:
        self._lock.acquire()
        self._forking = list(self._known.values())
        for environment in self._forking:
            environment.before_fork()

    def _in_parent(self) -> None:
        for environment in self._forking:
            environment.after_fork_here()
        self._forking = []
        self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        for environment in self._forking:
            environment.after_fork_in_child()
        self._forking = []


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(directory / _LOCK)
    except OSError:
        return None
    return status.st_dev, status.st_ino


_environments = _Environments()


def environment_of(directory: Path, name: str) -> Environment:
    """This process's handle of an environment that exists.

    Raises:
        StoreUnavailable: There is none in the directory.
    """
    if _identity(directory) is None:
        raise StoreUnavailable(name, f"there is nothing in {directory}")
    return _environments.of(directory, name)


def environment_to_own(directory: Path, name: str, *, durable: bool) -> Environment:
    """The owner's handle; the environment is made where there is none, in a directory that is there.

    Raises:
        StoreUnavailable, StoreFull: As `Environment.open`. OSError: There is no room for its files.
    """
    reserve(directory / _LOCK, _LOCK_BYTES)  # LMDB writes it through a map: a SIGBUS where there is no room
    environment = _environments.of(directory, name)
    environment.open_for_writing(durable)
    return environment
