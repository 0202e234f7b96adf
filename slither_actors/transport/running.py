"""Systems that run, seen from any process of the same user: nothing is asked, nothing attached, nothing waited for.

All that is read is a run directory and `/proc`, so a system that is busy, stopped or hung looks no different.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from slither_actors._record import record
from slither_actors.errors import SystemNotFound
from slither_actors.transport.labels import Label, read_labels
from slither_actors.transport.rundir import LOCK, UNFINISHED, base_directory, temp_folder

# struct flock with the native layout: type, whence, start, length, process id.
_FLOCK = struct.Struct("hhqqi0q")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a device",
    "I": "sleeping",
    "T": "stopped",
    "t": "traced",
    "Z": "dead",
    "X": "dead",
}

HOST = "host"
ADMIN = "admin"


@record
class RunningSystem:
    """A system whose host lives.

    Attributes:
        name: the name it was started with.
        directory: its run directory.
        host: the process that holds the directory; 0 where this process cannot see it, as from another container.
    """

    name: str
    directory: Path
    host: int


@record
class RunningProcess:
    """One process of a system.

    Attributes:
        pid: its number. parent: that of its parent.
        name: its place in the tree, such as `pools/default/workers/worker-1`; "root", "host" and "admin" for those
            above it; empty for a program that an actor has started.
        incarnation: the how manyth process it is in its place, as its supervisor counts; 0 where none does.
        command: the kernel's short name of it.
        state: "running", "sleeping", "stopped" (by a signal), "waiting for a device", "traced" or "dead".
        age_s: seconds since it began. cpu_s: seconds of processor time it has used.
        rss_bytes: main memory, what it shares counted whole.
        pss_bytes: main memory, what it shares counted in parts; `None` where nobody may tell, or asking could hang.
    """

    pid: int
    parent: int
    name: str
    incarnation: int
    command: str
    state: str
    age_s: float
    cpu_s: float
    rss_bytes: int
    pss_bytes: int | None


@record
class Stat:
    """What `/proc/<pid>/stat` says."""

    command: str
    state: str
    parent: int
    cpu_s: float
    started_s: float
    rss_bytes: int


def systems() -> list[RunningSystem]:
    """The running systems of this user, by name: below `XDG_RUNTIME_DIR` and below the temp folder."""
    prefix = f"slither-{os.getuid()}-"
    found = []
    for place in {base_directory(), temp_folder()}:
        with contextlib.suppress(OSError):
            for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
                named = entry.name.startswith(prefix) and UNFINISHED not in entry.name
                host = _holder(Path(entry.path)) if named else None
                if host is not None:
                    found.append(RunningSystem(entry.name.removeprefix(prefix), Path(entry.path), host))
    return sorted(found, key=lambda system: (system.name, system.directory))


def find(name: str) -> RunningSystem:
    """The running system of this name, or with this run directory.

    Raises:
        SystemNotFound: there is none; the error names those that run. Or there are two of the name in two places,
            which the error names.
    """
    running = systems()
    found = [system for system in running if name in (system.name, str(system.directory))]
    if len(found) > 1:
        raise SystemNotFound(name, tuple(str(system.directory) for system in found), several=True)
    if not found:
        raise SystemNotFound(name, tuple(system.name for system in running))
    return found[0]


def service_of(system: RunningSystem) -> int:
    """The process that started the system; 0 if nobody can tell."""
    stat = read_stat(system.host)
    return 0 if stat is None else stat.parent


def processes(system: RunningSystem, *, with_pss: bool = True) -> tuple[RunningProcess, ...]:
    """All processes of a system, parents before children, each followed by those below it; the host comes first.

    Args:
        system: as `find` gives it.
        with_pss: whether to read `pss_bytes`, the one figure that is not cheap: about 0.1 ms for each process.
    """
    stats = dict(_all_stats())
    labels: Mapping[int, Label] = {}
    with contextlib.suppress(OSError):  # it has just ended
        labels = read_labels(system.directory)
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return tuple(
        RunningProcess(
            pid,
            stat.parent,
            label.name,
            label.incarnation,
            stat.command,
            _STATES.get(stat.state, stat.state),
            max(0.0, now_s - stat.started_s),
            stat.cpu_s,
            stat.rss_bytes,
            _pss_bytes(pid) if with_pss and stat.state in "RST" else None,
        )
        for pid, stat, label in _named(system.host, stats, labels)
    )


def _named(host: int, stats: Mapping[int, Stat], labels: Mapping[int, Label]) -> Iterator[tuple[int, Stat, Label]]:
    nobody = Label("", 0)
    for pid in below(host, {pid: stat.parent for pid, stat in stats.items()}):
        if pid == host:
            label = Label(HOST, 0)
        elif stats[pid].parent == host and stats[pid].command == "slither-admin":
            label = Label(ADMIN, 0)
        else:
            label = labels.get(pid, nobody)
        yield pid, stats[pid], label


def below(root: int, parents: Mapping[int, int]) -> Iterator[int]:
    """A process and all below it, parents first, each followed by what is below it; nothing if it is not there.

    Args:
        root: the one at the top.
        parents: the parent of each process there is.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in sorted(parents.items()):
        children.setdefault(parent, []).append(pid)
    todo = [root] if root in parents else []
    while todo:
        pid = todo.pop()
        yield pid
        todo.extend(reversed(children.get(pid, ())))


def read_stat(pid: int) -> Stat | None:
    """What the kernel says of a process; `None` if there is none."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
    except (OSError, ValueError, IndexError):
        return None


def parse_stat(line: bytes) -> Stat:
    """Read a line of `/proc/<pid>/stat` (proc_pid_stat(5)).

    Raises:
        ValueError, IndexError: it is none.
    """
    # the command may hold blanks, brackets and half a character
    head, _, tail = line.rpartition(b")")
    words = tail.split()
    return Stat(
        command=head.partition(b"(")[2].decode("utf-8", "replace"),
        state=words[0].decode(),
        parent=int(words[1]),
        cpu_s=(int(words[11]) + int(words[12])) / _TICKS_PER_S,
        started_s=int(words[19]) / _TICKS_PER_S,
        rss_bytes=int(words[21]) * _PAGE_BYTES,
    )


def _all_stats() -> Iterable[tuple[int, Stat]]:
    for entry in os.listdir("/proc"):
        stat = read_stat(int(entry)) if entry.isdigit() else None
        if stat is not None:
            yield int(entry), stat


def _pss_bytes(pid: int) -> int | None:
    # never asked of a process that waits for a device: it may hold the lock that the kernel wants for the answer
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return None


def _holder(directory: Path) -> int | None:
    """Who holds the lock of a run directory of ours; `None` if nobody does. Looks without taking it, so that a system
    that is just being made, or cleaned up, is not disturbed."""
    with contextlib.suppress(OSError):
        if directory.lstat().st_uid != os.getuid():
            return None
        lock = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, *_, holder = _FLOCK.unpack(fcntl.fcntl(lock, fcntl.F_GETLK, wanted))
        finally:
            os.close(lock)
        return None if kind == fcntl.F_UNLCK else max(0, holder)
    return None
