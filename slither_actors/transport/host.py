"""The host: a clean process between the service and the tree, and the tree's guard.

It is started by exec, so nothing of the service (threads, locks, descriptors, signal handlers) leaks into actors. It
starts Thespian's admin and the root actor, reports where they are, and then waits: when the service, the admin or the
root dies, or when it is asked to stop, it kills and reaps everything below it and removes the run directory.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from slither_actors.errors import SlitherError
from slither_actors.transport.process import (
    become_subreaper,
    children,
    deafen,
    end_descendants,
    end_orphans,
    reap,
    set_title,
    unblock_signals,
)
from slither_actors.transport.rundir import RunDirectory, remove_sockets, remove_stale

# Thespian reads these when it is imported: its own log file in the shared temp folder is switched off by a size limit
# that leaves no room.
_THESPIAN_ENVIRONMENT = {"THESPLOG_FILE": os.devnull, "THESPLOG_FILE_MAXSIZE": "0"}


def main(words: BinaryIO) -> None:
    """Body of the host process. Exits with 0 after an orderly end, 1 when the start failed.

    Args:
        words: what the service says, a line of JSON each. First `preload` (modules that actors need), `service` (its
            pid), `status` (descriptor to report on), `lifeline` (descriptor whose end of file means that the service is
            gone or wants us to stop). Then, when the service has made ready: `name`, `mark` (what our environment has
            as `MARK`), `base` (the system base), `root` (path of the root actor's class).
    """
    config = json.loads(words.readline() or sys.exit())
    service = _open_service(config["service"])
    unblock_signals()
    deafen(signal.SIGINT)
    deafen(signal.SIGTERM)
    become_subreaper()
    set_title("slither-host")
    # what actors print shows at once, and never twice: a fork copies what waits in a buffer
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.update(_THESPIAN_ENVIRONMENT)
    directory = None
    try:
        try:
            _import_all(config["preload"])
            rest = _last_words(words, service)
            if not rest:  # the service has changed its mind, or is dead
                return
            config |= json.loads(rest)
            remove_stale()
            directory = RunDirectory.create(config["name"], config["mark"])
            joining, root, admin, base = _grow(directory, config["base"], config["root"])
            ends = (service, config["lifeline"], os.pidfd_open(admin), os.pidfd_open(_pid_of(root)))
        except Exception as error:
            _report(config["status"], {"error": _explain(error)})
            raise SystemExit(1) from None
        _report(config["status"], {"joining": joining, "root": root, "admin": admin})
        _guard(directory.path, admin, *ends)
        base.transport.close()
    finally:
        end_descendants()
        if directory is not None:
            directory.remove()


def _open_service(pid: int) -> int:
    """A descriptor that becomes readable when the service dies. Its parent-death signal would not do: that fires
    when the *thread* that started us ends."""
    try:
        service = os.pidfd_open(pid)
    except ProcessLookupError:
        raise SystemExit(0) from None
    if os.getppid() != pid:  # it died before we looked, and the number may be another's
        raise SystemExit(0)
    return service


def _last_words(words: BinaryIO, service: int) -> bytes:
    """What the service has to say; nothing if it dies first. The end of the pipe would not do: a child that it has
    forked may hold that open."""
    poller = select.poll()
    poller.register(words, select.POLLIN)
    poller.register(service, select.POLLIN)
    with words:
        return words.readline() if words.fileno() in dict(poller.poll()) else b""


def _import_all(modules: list[str]) -> None:
    """Imported here, once, so that every actor inherits it by fork; and before Thespian replaces the logging tree,
    which actors find again through the loggers that were made with it."""
    gc.disable()  # nothing to collect yet
    for module in modules:
        importlib.import_module(module)
    # What exists now lives as long as the tree: kept out of collections, its pages stay shared with every actor.
    gc.freeze()
    gc.enable()


def _grow(directory: RunDirectory, base: str, root_class: str) -> tuple[dict[str, Any], str, int, Any]:
    """Start the admin and the root; what it takes to join, the root's address, the admin's pid, our own base."""
    from slither_actors.transport.bases import hub_address, start_system

    joining, system, our_base = start_system(base, str(directory.path), end_descendants)
    reap()  # the intermediate process of the admin's double fork
    (admin,) = children()
    root = system.createActor(root_class)
    return joining, hub_address(system, root), admin, our_base


def _pid_of(address: str) -> int:
    """An actor's process; it is not our child, but its socket is named after it."""
    return int(os.path.basename(address).partition(".")[0])


def _guard(directory: Path, admin: int, *ends: int) -> None:
    """Wait until one of `ends` becomes readable, and see to adopted orphans meanwhile."""

    def bury(pid: int) -> None:
        remove_sockets(directory, pid)  # its supervisor is dead too, and cannot do it

    wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_w)
    deafen(signal.SIGCHLD)
    end_orphans(admin, bury)  # for those that came before
    poller = select.poll()
    for fd in (wake_r, *ends):
        poller.register(fd, select.POLLIN)
    while all(fd == wake_r for fd, _ in poller.poll()):
        os.read(wake_r, 4096)
        end_orphans(admin, bury)


def _report(fd: int, status: dict[str, Any]) -> None:
    """Say one line to the service, once: the descriptor is closed, so actors do not inherit it either."""
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(status).encode() + b"\n")
        os.close(fd)


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, SlitherError) else f"{type(error).__name__}: {error}"
