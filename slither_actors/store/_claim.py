"""Whose tables these are: a store has one writer, and its directory belongs to nobody else."""

from __future__ import annotations

import fcntl
import os

from slither_actors.errors import StoreUnavailable
from slither_actors.store._schema import StoreLocation

_LOCK, _TABLES = "owner.lock", "data.mdb"


def claim(location: StoreLocation) -> int:
    """Make the directory where there is none, and be its writer; the open file whose lock says so.

    It is a record lock, which belongs to the process: nothing that it forks keeps it.

    Raises:
        StoreUnavailable: Another process is, or others may write there. OSError: The directory cannot be made.
    """
    location.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = location.path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:  # what others write there would be unpickled
        raise StoreUnavailable(location.name, f"others may write to {location.path} (mode {status.st_mode & 0o777:o})")
    descriptor = os.open(location.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreUnavailable(location.name, f"another process writes to {location.path}") from None
    return descriptor


def refuse_lost(location: StoreLocation, claim: int) -> None:
    """Refuse a directory that had tables, as `note_made` says there, and has none: to begin anew would hide the loss.

    Raises:
        StoreUnavailable: That is so.
    """
    tables = location.path / _TABLES
    if os.pread(claim, 1, 0) and not (tables.exists() and tables.stat().st_size):
        said = f"{tables}, which had its tables, is empty or gone; remove {location.path} to begin anew"
        raise StoreUnavailable(location.name, said)


def note_made(claim: int) -> None:
    """Note in the file of the claim that there are tables now."""
    if not os.pread(claim, 1, 0):
        os.pwrite(claim, b"1", 0)
