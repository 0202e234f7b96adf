"""Where the supervisors of a system write their incidents down: a file in its run directory, a line of JSON each.

Whoever wants to know reads it, in the service or in any other process of the user: nobody is asked, so a tree that is
busy, hung or half dead answers as well as any. Lines are appended whole, by all supervisors, with no lock between them.
A file that is full becomes the old one, and a new one begins that says how many came before it: what is kept is at
least the newest `KEPT`, and no less than one file holds. What a full disk does not take is counted, and told by a log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from slither_actors._codec import from_json, to_json
from slither_actors._record import record
from slither_actors.incident import Incident, as_data, from_data
from slither_actors.transport._incident_room import UNWRITTEN, count_unwritten
from slither_actors.transport.labels import INCIDENTS

KEPT = 200
FULL_BYTES = 1 << 20

_FILE = INCIDENTS
_OLD = f"{INCIDENTS}.old"
RESTARTED = ("restarted", "restarted later")


@record
class Incidents:
    """What is known of the incidents of a system.

    Attributes:
        newest: the newest ones, at most `KEPT`, the newest last.
        total: how many there were in all. restarts: how many of them led to a restart.
        unwritten: how many of them are only counted, since there was no room to write them down.
    """

    newest: tuple[Incident, ...] = ()
    total: int = 0
    restarts: int = 0
    unwritten: int = 0


def append(directory: str, incident: Incident, full_bytes: int = FULL_BYTES) -> bool:
    """Write an incident down; false if there is no room, or the directory is gone, which is no reason to fail. It is
    counted then, if that is possible."""
    path = Path(directory, _FILE)
    # a line that was cut short, on a full disk, must not spoil this one
    line = b"\n" + to_json(as_data(incident)) + b"\n"
    whole = False
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            whole = os.write(fd, line) == len(line)
            if os.fstat(fd).st_size > full_bytes:
                _renew(fd, path)
        finally:
            os.close(fd)
    if not whole:
        count_unwritten(directory, incident.outcome in RESTARTED)
    return whole


def _renew(fd: int, path: Path) -> None:
    """Make the file the old one, unless another supervisor is at it; never waits for that one, which may be stopped."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.path.samestat(os.fstat(fd), os.stat(path)):
        known = _put_together([path.read_bytes()])
        new, kept = path.with_name(f"{_FILE}.{os.getpid()}"), path.with_name(f"{_OLD}.{os.getpid()}")
        new.touch(0o600)
        new.write_bytes(to_json({"total": known.total, "restarts": known.restarts}) + b"\n")
        # at every moment there is a file to append to
        os.link(path, kept)
        os.rename(kept, path.with_name(_OLD))
        os.rename(new, path)


def read(directory: Path) -> Incidents:
    """All that is known of the incidents of a system, now; from any process of the user."""
    fds = _opened(directory)
    try:
        return _put_together(map(_all_of, fds))
    finally:
        _close(fds)


class IncidentReader:
    """Reads the incidents of a system in its service, also once the run directory is gone: it keeps the files open, so
    that the last words of a tree that went down are not lost."""

    def __init__(self, directory: Path) -> None:
        """Makes the file; the directory is there, since the system has just started."""
        self._directory = directory
        self._last: Incidents | None = None
        with contextlib.suppress(OSError):  # no room; or the directory has gone already, which others will tell
            os.close(os.open(directory / _FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._fds = _opened(directory)
        self._lock = threading.RLock()  # the handler of a signal may stop the system wherever the thread is

    def read(self) -> Incidents:
        """What is known now; after `close`, what was known then."""
        with self._lock:
            try:
                return self._last or self._read()
            except OSError:
                if self._last is None:  # else it was closed in the middle of this, by the handler of a signal
                    raise
                return self._last

    def close(self) -> None:
        """Read for the last time. Repeating it does no harm."""
        with self._lock:
            if self._last is None:
                self._last = self._read()
                _close(self._fds)

    def _read(self) -> Incidents:
        fds = _opened(self._directory)
        if fds:  # else the directory is gone
            former, self._fds = self._fds, fds
            _close(former)
        return _put_together(map(_all_of, self._fds))


def _opened(directory: Path) -> list[int]:
    """The files there are, the oldest first and the one that only counts last; none, if there is no present one."""
    fds: list[int] = []
    # the present one is opened first: should it become the old one now, it is read twice, and not left out
    for name in (_FILE, _OLD):
        with contextlib.suppress(OSError):
            fds.insert(0, os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        if not fds:
            break
    if fds:
        with contextlib.suppress(OSError):
            fds.append(os.open(directory / UNWRITTEN, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
    return fds


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _all_of(fd: int) -> bytes:
    pieces: list[bytes] = []
    while piece := os.pread(fd, FULL_BYTES, sum(map(len, pieces))):
        pieces.append(piece)
    return b"".join(pieces)


def _put_together(files: Iterable[bytes]) -> Incidents:
    """What files say, the oldest first."""
    found: dict[tuple[Any, ...], Incident] = {}
    total = restarts = unwritten = 0
    for number, data in enumerate(files):
        for line in _lines(data):
            if "total" in line:
                if not number:  # what a later one says has been counted here
                    total, restarts = line["total"], line["restarts"]
                continue
            if "unwritten" in line:
                unwritten += 1
                restarts += line["unwritten"]
                continue
            with contextlib.suppress(TypeError, KeyError):  # of another version of the library
                incident = from_data(line)
                found[incident.name, incident.incarnation, incident.pid, incident.at] = incident
    newest = sorted(found.values(), key=lambda incident: incident.at)[-KEPT:]
    restarts += sum(incident.outcome in RESTARTED for incident in found.values())
    return Incidents(tuple(newest), total + len(found) + unwritten, restarts, unwritten)


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        with contextlib.suppress(ValueError):  # one that was cut short
            value = from_json(line)
            if isinstance(value, dict):
                yield value
