"""`slither doctor`: is this machine ready? Every check is plain data and changes nothing that stays."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import attrs

from slither_actors.errors import RunDirectoryError
from slither_actors.transport import memory, rundir

from ._console import Console
from ._parser import Command, Parser, add_json

OLDEST_PYTHON: Final = (3, 11)
NEWEST_PYTHON: Final = (3, 14)
PLATFORMS: Final = {"linux": "Linux"}
PACKAGES: Final = ("thespian", "attrs", "orjson", "lmdb", "cloudpickle")
SHARED_MEMORY: Final = Path("/dev/shm")

# Stores live in shared memory, and a small container gives it 64 MB: room for tables, not for large ones.
ENOUGH_SHARED_MEMORY: Final = 64 * 2**20
# One for each peer of a process, one for each open store, and what the service itself holds.
ENOUGH_DESCRIPTORS: Final = 1024
# As long as the name of a socket in a run directory gets.
_SOCKET_NAME: Final = "4194304.999999.ffffffff"


@attrs.frozen
class Check:
    """The answer to one question about this machine.

    Attributes:
        name: what was looked at.
        ok: whether the library can work with it.
        detail: what was found.
        advice: what to do about it; empty where nothing is wrong.
    """

    name: str
    ok: bool
    detail: str
    advice: str = ""


def check_python(version: tuple[int, int, int]) -> Check:
    """Is this Python supported?"""
    supported = OLDEST_PYTHON <= version[:2] <= NEWEST_PYTHON
    span = " to ".join(".".join(map(str, end)) for end in (OLDEST_PYTHON, NEWEST_PYTHON))
    return _check("python", supported, ".".join(map(str, version)), f"use Python {span}")


def check_platform(name: str) -> Check:
    """Does this operating system have what the library needs? `name` is a `sys.platform`."""
    known = PLATFORMS.get(name)
    detail = f"{known or name} {platform.release()} on {platform.machine()}"
    return _check("platform", known is not None, detail, f"use {' or '.join(PLATFORMS.values())}")


def check_package(name: str) -> Check:
    """Is a package that the library needs installed?"""
    try:
        return Check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install {name}")


def check_run_directory(base: Path) -> Check:
    """May run directories be kept in `base` without anybody else being able to replace them?"""
    try:
        mode = stat.S_IMODE(base.stat().st_mode)
    except OSError as error:
        return Check("run directory", False, f"{base}: {error.strerror}", "set TMPDIR to a directory that exists")
    writable = os.access(base, os.W_OK | os.X_OK)
    # Where others may write, only the sticky bit keeps them from renaming what is ours.
    guarded = not mode & stat.S_IWOTH or bool(mode & stat.S_ISVTX)
    detail = f"{base}, mode {mode:o}" + ("" if writable else ", not writable")
    advice = "set XDG_RUNTIME_DIR or TMPDIR to a directory that you, and only you, may write to"
    return _check("run directory", writable and guarded, detail, advice)


def check_socket() -> Check:
    """Can a run directory be made, and a socket in it be reached? Tries it."""
    try:
        directory = rundir.RunDirectory.create(f"doctor-{os.getpid()}")
    except RunDirectoryError as error:
        return Check("socket", False, str(error), "set XDG_RUNTIME_DIR or TMPDIR to a short path of yours")
    path = directory.path / _SOCKET_NAME
    try:
        with socket.socket(socket.AF_UNIX) as ours, socket.socket(socket.AF_UNIX) as theirs:
            ours.bind(str(path))
            ours.listen(1)
            theirs.connect(str(path))
    except OSError as error:
        return Check("socket", False, f"{path}: {error}", "the file system must allow Unix-domain sockets")
    finally:
        directory.remove()
    return Check("socket", True, f"connected; the path has {len(os.fsencode(path))} bytes")


def check_shared_memory(path: Path) -> Check:
    """Is there room for the tables of stores that live in memory?"""
    try:
        free = shutil.disk_usage(path).free
    except OSError:
        return Check("shared memory", True, f"no {path} here: stores use the run directory")
    enough = free >= ENOUGH_SHARED_MEMORY
    advice = "in a container: --shm-size=1g; stores fall back to the run directory"
    return _check("shared memory", enough, f"{path} has {free // 2**20:,} MB free", advice)


def check_descriptors(limit: int) -> Check:
    """May a process open enough files? `limit` is the soft limit."""
    enough = limit == resource.RLIM_INFINITY or limit >= ENOUGH_DESCRIPTORS
    detail = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit:,} per process"
    return _check("file descriptors", enough, detail, f"ulimit -n {ENOUGH_DESCRIPTORS * 4}")


def check_leftovers(directories: list[Path]) -> Check:
    """Did dead systems leave run directories, or stores in shared memory, behind?"""
    detail = f"{len(directories)} directories of dead systems" if directories else "none"
    return _check("leftovers", not directories, detail, "slither reap")


def examine() -> Iterator[Check]:
    """All checks, on this machine."""
    yield check_python(sys.version_info[:3])
    yield check_platform(sys.platform)
    yield from map(check_package, PACKAGES)
    yield check_run_directory(rundir.base_directory())
    yield check_socket()
    yield check_shared_memory(SHARED_MEMORY)
    yield check_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield check_leftovers([*rundir.stale_directories(), *memory.ownerless_folders()])


def report(checks: list[Check]) -> Iterator[str]:
    """The checks as lines for people."""
    for check in checks:
        yield f"{'ok' if check.ok else 'FAILED':<7} {check.name:<17} {check.detail}"
        if check.advice:
            yield f"{'':<25} do: {check.advice}"
    failed = sum(not check.ok for check in checks)
    yield f"{failed} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"


def _check(name: str, ok: bool, detail: str, advice: str) -> Check:
    return Check(name, ok, detail, "" if ok else advice)


def _configure(parser: Parser) -> None:
    add_json(parser)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    checks = list(examine())
    ok = all(check.ok for check in checks)
    if arguments.json:
        console.write_json({"ok": ok, "checks": [attrs.asdict(check) for check in checks]})
    else:
        for line in report(checks):
            console.write(line)
    return 0 if ok else 1


COMMAND = Command("doctor", "check whether this machine is ready, and say what to do where it is not", _configure, _run)
