"""The run directory of a system: where its sockets are, who may enter, and who cleans up after a crash."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from slither_actors.errors import RunDirectoryError
from slither_actors.transport._incident_room import make_room
from slither_actors.transport.labels import INCIDENTS, SUFFIX
from slither_actors.transport.memory import remove_memory
from slither_actors.transport.process import kill_all_of

# sun_path holds 108 bytes with the terminating zero (unix(7)).
_SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET_NAME = len("4194304.999999.ffffffff")
_COOKIE = "cookie"
_COOKIE_SIZE = 16
LOCK = "lock"
_OWN_NAMES = frozenset({_COOKIE, LOCK})
_OF_PROCESSES = (".running", ".pulse", ".killed", SUFFIX)

# What stands between the name of a directory that is being made and its maker's mark; no system has it in its name.
UNFINISHED = "."

# How old something unfinished must be to be no more than that.
_BEING_MADE_S = 10.0


def base_directory() -> Path:
    """Where run directories live: `XDG_RUNTIME_DIR` where it is usable, else the temp folder."""
    return _usable("XDG_RUNTIME_DIR") or temp_folder()


def temp_folder() -> Path:
    """The folder for temporary files, as the environment has it: all processes with the same environment agree on it.

    `tempfile` would write a file there, and go elsewhere where that fails: on a disk that is full for the moment,
    whoever looks for a system would look in another place than the one it is in.
    """
    return _usable("TMPDIR") or _usable("TEMP") or _usable("TMP") or Path("/tmp")


def _usable(variable: str) -> Path | None:
    path = os.environ.get(variable)
    return Path(path) if path and os.path.isabs(path) and os.access(path, os.W_OK | os.X_OK) else None


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
            RunDirectoryError: a living system of that name exists, the directory belongs to somebody else, there is no
                room for it, or the path is too long for a socket.
        """
        path = path_of(name)
        _check_length(path)
        remove_if_stale(path)
        if os.path.lexists(path):
            check_private(path)
            raise _in_use(path)
        unfinished = _unfinished(path, mark or os.urandom(4).hex())
        try:
            return cls(path, _made(path, unfinished, mark))
        except BaseException as error:
            _remove(unfinished)
            if not isinstance(error, OSError):
                raise
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # somebody was faster
                raise _in_use(path) from None
            raise RunDirectoryError(str(path), f"cannot be made: {error.strerror}") from None

    def remove(self) -> None:
        """Delete the directory with all that is in it, and give up the claim."""
        _remove(self.path)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def _made(path: Path, unfinished: Path, mark: str) -> int:
    """Make a run directory, which has its name when it is whole and claimed; returns the descriptor of the lock."""
    unfinished.mkdir(mode=0o700)
    check_private(unfinished)
    os.close(_written(unfinished / _COOKIE, os.urandom(_COOKIE_SIZE)))
    make_room(unfinished)
    lock = _written(unfinished / LOCK, mark.encode())
    try:
        # A record lock belongs to the process, so forked actors do not keep it alive as they would an flock.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(unfinished, path)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _written(path: Path, data: bytes) -> int:
    """A new file, still open."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _unfinished(path: Path, mark: str) -> Path:
    return path.with_name(f"{path.name}{UNFINISHED}{mark}")


def _in_use(path: Path) -> RunDirectoryError:
    return RunDirectoryError(str(path), "a system of this name is running; choose another name")


def remove_unfinished(name: str, mark: str) -> None:
    """Remove what a dead process has left that was about to `RunDirectory.create`, with these arguments."""
    _remove(_unfinished(path_of(name), mark))


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
        raise RunDirectoryError(str(path), "holds no system: its cookie is not whole")
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
    for path in _ours():
        with _claim_stale(path) as mark:
            if mark is not None:
                found.append(path)
    return found


def remove_stale() -> list[Path]:
    """Remove what dead systems left behind; returns what was removed."""
    return [path for path in _ours() if remove_if_stale(path)]


def _ours() -> list[Path]:
    return sorted(base_directory().glob(f"slither-{os.getuid()}-*"))


def remove_if_stale(path: Path) -> bool:
    """Remove `path` if it is a run directory of ours whose host is dead, and kill what still runs of that system."""
    with _claim_stale(path) as mark:
        if mark is None:
            return False
        if mark:
            kill_all_of(mark)
        _remove(path)
        return True


def _remove(path: Path) -> None:
    remove_memory(path)
    shutil.rmtree(path, ignore_errors=True)


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
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or _is_being_made(path, status):
            return False, None
        making = 0
        if not os.path.lexists(path / LOCK):
            if not _is_left_over(path, status):
                return False, None
            making = os.O_CREAT  # the claim of whoever cleans up
        lock = os.open(path / LOCK, os.O_RDWR | making | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # whoever held it a moment ago may have removed the directory, and somebody else made it again
        return os.path.samestat(os.fstat(lock), os.lstat(path / LOCK)), lock
    except OSError:  # it is locked, or has gone, or is not for us
        return False, lock


def _is_left_over(path: Path, status: os.stat_result) -> bool:
    """Whether a directory without a lock is what a system has left; another's is never removed."""
    return not stat.S_IMODE(status.st_mode) & 0o077 and all(
        entry.name in _OWN_NAMES
        or entry.name.startswith(INCIDENTS)
        or entry.suffix in _OF_PROCESSES
        or entry.is_socket()
        for entry in path.iterdir()
    )


def _is_being_made(path: Path, status: os.stat_result) -> bool:
    return UNFINISHED in path.name and time.time() - status.st_mtime <= _BEING_MADE_S


def _check_length(path: Path) -> None:
    longest = len(os.fsencode(path)) + 1 + _LONGEST_SOCKET_NAME
    if longest > _SOCKET_PATH_LIMIT:
        raise RunDirectoryError(
            str(path),
            f"is too long: a socket path may have {_SOCKET_PATH_LIMIT} bytes and ours would have {longest}; "
            "set XDG_RUNTIME_DIR or TMPDIR to a shorter directory, or choose a shorter name",
        )
