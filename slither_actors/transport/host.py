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
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from slither_actors.errors import SlitherError
from slither_actors.transport._epitaph import Epitaph
from slither_actors.transport._standstill import Watchman, actors_in, leave_word
from slither_actors.transport.process import (
    become_subreaper,
    children,
    deafen,
    end_descendants,
    end_orphans,
    kill_distant,
    reap,
    set_title,
    unblock_signals,
)
from slither_actors.transport.rundir import RunDirectory, remove_sockets, remove_stale

# Thespian reads these when it is imported: its own log file in the shared temp folder is switched off by a size limit
# that leaves no room.
_THESPIAN_ENVIRONMENT = {"THESPLOG_FILE": os.devnull, "THESPLOG_FILE_MAXSIZE": "0"}


def main(words: BinaryIO) -> None:
    """Body of the host process. Exits with an `Epitaph`.

    Args:
        words: what the service says, a line of JSON each. First `preload` (modules that actors need), `service` (its
            pid), `status` (descriptor to report on), `lifeline` (descriptor whose end of file means that the service is
            gone or wants us to stop). Then, when the service has made ready: `name`, `mark` (what our environment has
            as `MARK`), `base` (the system base), `root` (path of the root actor's class), `stopped_limit_s` (how long a
            process may be stopped by a signal before it is killed; `None` is for ever).
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
            ends = _Ends(service, config["lifeline"], admin, _pid_of(root))
        except Exception as error:
            _report(config["status"], {"error": _explain(error)})
            raise SystemExit(1) from None
        _report(config["status"], {"joining": joining, "root": root, "admin": admin})
        epitaph = _guard(directory.path, ends, config["stopped_limit_s"])
        base.transport.close()
    finally:
        end_descendants()
        if directory is not None:
            directory.remove()
    raise SystemExit(epitaph)


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


class _Ends:
    """Those whose end is the end of all."""

    def __init__(self, service: int, lifeline: int, admin: int, root: int) -> None:
        self.admin = admin
        self.session = os.getsid(admin)  # which is that of all actors
        # descriptors that become readable then
        self.by_fd = {
            service: Epitaph.ORDERLY,
            lifeline: Epitaph.ORDERLY,
            os.pidfd_open(admin): Epitaph.ADMIN_ENDED,
            os.pidfd_open(root): Epitaph.ROOT_ENDED,
        }
        self.by_pid = {admin: Epitaph.ADMIN_STOOD_STILL, root: Epitaph.ROOT_STOOD_STILL}


def _guard(directory: Path, ends: _Ends, stopped_limit_s: float | None) -> Epitaph:
    """Wait until one of `ends` ends; see to adopted orphans, and to processes that stand still, meanwhile."""

    def bury(pid: int) -> None:
        remove_sockets(directory, pid)  # its supervisor is dead too, and cannot do it

    wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_w)
    deafen(signal.SIGCHLD)
    end_orphans(ends.admin, bury)  # for those that came before
    poller = select.poll()
    for fd in (wake_r, *ends.by_fd):
        poller.register(fd, select.POLLIN)
    watchman = Watchman(ends.session, stopped_limit_s)
    while True:
        ready = {fd for fd, _ in poller.poll(watchman.every_s * 1000)}
        if ready - {wake_r}:
            return max(ends.by_fd[fd] for fd in ready - {wake_r})
        if ready:
            os.read(wake_r, 4096)
            end_orphans(ends.admin, bury)
        for pid, why in watchman.found({*actors_in(directory), *ends.by_pid}, directory):
            kill_distant(pid, ends.session, partial(leave_word, directory, pid, why))
            if pid in ends.by_pid:
                return ends.by_pid[pid]


def _report(fd: int, status: dict[str, Any]) -> None:
    """Say one line to the service, once: the descriptor is closed, so actors do not inherit it either."""
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(status).encode() + b"\n")
        os.close(fd)


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, SlitherError) else f"{type(error).__name__}: {error}"
