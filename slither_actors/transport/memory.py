"""Where a system keeps files that are to be memory: a folder beside its run directory, which goes when that goes.

Each has a link to the other. Where the run directory went without it, as with the temp folder that it was in, the
folder belongs to nobody once no process has a record lock on a `*.lock` in its subfolders.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_LINK = "memory"
_LINK_BACK = "system"
_PREFIX = "slither-"

# With less than this the run directory is the better place: files in memory cannot be moved when they grow.
_LEAST_FREE_BYTES = 64 << 20

# So long nobody may have locked what is being made.
_BEING_MADE_S = 10.0


def memory_folder(directory: Path) -> Path:
    """A new folder in shared memory for the system with this run directory, whose host removes it at the end; the run
    directory itself where shared memory is missing or nearly full."""
    if not _has_room(_SHARED_MEMORY):
        return directory
    folder = _SHARED_MEMORY / f"{_PREFIX}{os.getuid()}-{os.urandom(8).hex()}"
    # The link comes first: whoever cleans up finds the folder by it, at whatever moment we die.
    os.symlink(folder, directory / _LINK)
    folder.mkdir(mode=0o700)
    os.symlink(os.path.abspath(directory), folder / _LINK_BACK)
    return folder


def remove_memory(directory: Path) -> None:
    """Remove the folder in shared memory of the system with this run directory, if it has one."""
    with contextlib.suppress(OSError):
        folder = Path(os.readlink(directory / _LINK))
        status = folder.lstat()
        # a link that anybody else had made would not lead us to what is not ours
        is_ours = folder.parent == _SHARED_MEMORY and folder.name.startswith(_PREFIX) and status.st_uid == os.getuid()
        if is_ours and stat.S_ISDIR(status.st_mode):
            shutil.rmtree(folder, ignore_errors=True)


def ownerless_folders() -> list[Path]:
    """Folders in shared memory of ours whose run directory is gone, and that no process uses."""
    found = []
    for folder in _SHARED_MEMORY.glob(f"{_PREFIX}{os.getuid()}-*"):
        with _claimed(folder) as claimed:
            if claimed:
                found.append(folder)
    return sorted(found)


def remove_ownerless() -> list[Path]:
    """Remove them; returns what was removed."""
    removed = []
    for folder in ownerless_folders():
        with _claimed(folder) as claimed:
            if claimed:
                shutil.rmtree(folder, ignore_errors=True)
        if claimed and not folder.exists():
            removed.append(folder)
    return removed


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether it belongs to nobody; nobody begins to use it until the end of the block."""
    with contextlib.ExitStack() as opened:
        try:
            alone = _has_lost_its_system(folder)
            for path in folder.glob("*/*.lock") if alone else ():
                lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                opened.callback(os.close, lock)
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody uses it, or it has gone, or is not for us
            alone = False
        yield alone


def _has_lost_its_system(folder: Path) -> bool:
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not is_ours or time.time() - status.st_mtime < _BEING_MADE_S:
        return False
    directory = os.readlink(folder / _LINK_BACK)
    try:
        return os.readlink(os.path.join(directory, _LINK)) != str(folder)  # another system has its name
    except (FileNotFoundError, NotADirectoryError):
        return True


def _has_room(folder: Path) -> bool:
    try:
        free = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK) and free.f_bavail * free.f_frsize >= _LEAST_FREE_BYTES
