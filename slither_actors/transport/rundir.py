"""The run directory of a system: where its sockets are, who may enter, and who cleans up after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from slither_actors.errors import RunDirectoryError
from slither_actors.transport.process import kill_all_of

# sun_path holds 108 bytes with the terminating zero (unix(7)).
_SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET_NAME = len("4194304.999999.ffffffff")
_COOKIE = "cookie"
_COOKIE_SIZE = 16
_LOCK = "lock"
_NEW_LOCK = "lock.new"
_OWN_NAMES = frozenset({_COOKIE, _LOCK, _NEW_LOCK})

# A directory without a lock file may be one that is being made this moment.
_BEING_MADE_S = 10.0


def base_directory() -> Path:
    """Where run directories live: `XDG_RUNTIME_DIR` where it is usable, else the temp folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime)
    return Path(tempfile.gettempdir())


def path_of(name: str) -> Path:
    """The run directory of the system called `name`, existing or not."""
    return base_directory() / f"slither-{os.getuid()}-{name}"


@attrs.frozen
class RunDirectory:
    """A claimed run directory: ours as long as the lock file is open, which only the host holds."""

    path: Path
    _lock: int

    @classmethod
    def create(cls, name: str, mark: str = "") -> RunDirectory:
        """Make and claim the directory of the system `name`; what a dead system left there is removed first.

        Args:
            name: the system's name.
            mark: what its processes have in their environment, for whoever cleans up after it.

        Raises:
            RunDirectoryError: a living system of that name exists, the directory belongs to somebody else, or the
                path is too long for a socket.
        """
        path = path_of(name)
        _check_length(path)
        remove_if_stale(path)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            check_private(path)
            raise RunDirectoryError(str(path), "a system of this name is running; choose another name") from None
        except OSError as error:
            raise RunDirectoryError(str(path), f"cannot be made: {error.strerror}") from None
        check_private(path)
        cookie = os.open(path / _COOKIE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(cookie, os.urandom(_COOKIE_SIZE))
        os.close(cookie)
        # Locked before it has its name: between the two, others would take it for the lock of a dead system.
        lock = os.open(path / _NEW_LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # A record lock belongs to the process, so forked actors do not keep it alive as they would an flock.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, mark.encode())
        os.rename(path / _NEW_LOCK, path / _LOCK)
        return cls(path, lock)

    def remove(self) -> None:
        """Delete the directory with all that is in it, and give up the claim."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def read_cookie(path: Path) -> bytes:
    """The secret that each connection within the system opens with.

    Raises:
        RunDirectoryError: there is no usable run directory at `path`.
    """
    check_private(path)
    try:
        cookie = (path / _COOKIE).read_bytes()
    except OSError as error:
        raise RunDirectoryError(str(path), f"holds no system: {error.strerror}") from None
    if len(cookie) != _COOKIE_SIZE:
        raise RunDirectoryError(str(path), "holds no system: it is just being made")
    return cookie


def check_private(path: Path) -> None:
    """Refuse a directory that another user owns or may enter.

    Raises:
        RunDirectoryError: it is missing, no directory, a link, somebody else's, or open to others.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise RunDirectoryError(str(path), f"cannot be used: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise RunDirectoryError(str(path), "is not a directory")
    if status.st_uid != os.getuid():
        raise RunDirectoryError(str(path), f"belongs to user {status.st_uid}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise RunDirectoryError(str(path), f"is open to others (mode {stat.S_IMODE(status.st_mode):o}, wanted 700)")


def stale_directories() -> list[Path]:
    """Run directories of ours whose host is dead."""
    found = []
    for path in base_directory().glob(f"slither-{os.getuid()}-*"):
        with _claim_stale(path) as mark:
            if mark is not None:
                found.append(path)
    return sorted(found)


def remove_stale() -> list[Path]:
    """Remove what dead systems left behind; returns what was removed."""
    return [path for path in stale_directories() if remove_if_stale(path)]


def remove_if_stale(path: Path) -> bool:
    """Remove `path` if it is a run directory of ours whose host is dead, and kill what still runs of that system."""
    with _claim_stale(path) as mark:
        if mark is None:
            return False
        if mark:
            kill_all_of(mark)
        shutil.rmtree(path, ignore_errors=True)
        return True


def remove_sockets(directory: Path, pid: int) -> None:
    """Remove the sockets that a killed process left in a run directory."""
    for path in directory.glob(f"{pid}.*"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _claim_stale(path: Path) -> Iterator[str | None]:
    """The mark of a system whose host is gone, "" where it had none, and `None` while it lives; nobody else finds out
    until the end of the block."""
    stale, lock = _look(path)
    try:
        mark = b""
        if stale and lock is not None:  # by the open descriptor: closing another one of the file would end the claim
            mark = os.pread(lock, 64, 0)
        yield mark.decode("ascii", "replace") if stale else None
    finally:
        if lock is not None:
            os.close(lock)


def _look(path: Path) -> tuple[bool, int | None]:
    """Whether the host is gone, and the open lock file where there is one.

    Never use it in the host for its own directory: closing any descriptor of a file ends the record locks that the
    process has on it.
    """
    lock = None
    try:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return False, None
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return time.time() - status.st_mtime > _BEING_MADE_S and _is_ours(path), None
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # whoever held it a moment ago may have removed the directory, and somebody else made it again
        return os.path.samestat(os.fstat(lock), os.lstat(path / _LOCK)), lock
    except OSError:  # it is locked, or has gone, or is not for us
        return False, lock


def _is_ours(path: Path) -> bool:
    """Whether a directory without a lock holds nothing but what a system leaves there; another's is never removed."""
    return all(entry.name in _OWN_NAMES or entry.is_socket() or entry.suffix == ".running" for entry in path.iterdir())


def _check_length(path: Path) -> None:
    longest = len(os.fsencode(path)) + 1 + _LONGEST_SOCKET_NAME
    if longest > _SOCKET_PATH_LIMIT:
        raise RunDirectoryError(
            str(path),
            f"is too long: a socket path may have {_SOCKET_PATH_LIMIT} bytes and ours would have {longest}; "
            "set XDG_RUNTIME_DIR or TMPDIR to a shorter directory, or choose a shorter name",
        )
