"""The host: a clean process between the service and the tree, and the tree's guard.

It is started by exec, so nothing of the service (threads, locks, descriptors, signal handlers) leaks into actors. It
starts Thespian's admin and the root actor, reports where they are, and then waits: when the service, the admin or the
root dies, or when it is asked to stop, it kills and reaps everything below it and removes the run directory.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
from typing import Any

from slither_actors.errors import SlitherError
from slither_actors.transport.process import become_subreaper, end_descendants, reap
from slither_actors.transport.rundir import RunDirectory, remove_stale

# Thespian reads these when it is imported: its own log file in the shared temp folder is switched off by a size limit
# that leaves no room.
_THESPIAN_ENVIRONMENT = {"THESPLOG_FILE": os.devnull, "THESPLOG_FILE_MAXSIZE": "0"}


def main(config: dict[str, Any]) -> None:
    """Body of the host process. Exits with 0 after an orderly end, 1 when the start failed.

    Args:
        config: `name`, `root` (path of the root actor's class), `service` (its pid), `status` (descriptor to report
            on), `lifeline` (descriptor whose end of file means that the service is gone or wants us to stop).
    """
    service = _open_service(config["service"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    become_subreaper()
    os.environ.update(_THESPIAN_ENVIRONMENT)
    directory = None
    try:
        remove_stale()
        directory = RunDirectory.create(config["name"])
        root, admin, admin_watch, base = _grow(directory, config["root"])
        _report(config["status"], {"directory": str(directory.path), "root": root, "admin": admin})
        _guard(service, config["lifeline"], admin_watch)
        base.transport.close()
    except Exception as error:
        _report(config["status"], {"error": _explain(error)})
        raise SystemExit(1) from None
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


def _grow(directory: RunDirectory, root_class: str) -> tuple[str, int, int, Any]:
    """Start the admin and the root; the root's address, the admin's pid, a descriptor of the admin, our own base."""
    from thespian.actors import ActorSystem

    from slither_actors.transport.unix import RUN_DIRECTORY, UnixSystemBase

    # Imported here, once, so that every actor inherits it by fork; and before Thespian replaces the logging tree,
    # which actors find again through the loggers that were made with it.
    importlib.import_module(root_class.rpartition(".")[0])

    class Capabilities:
        capabilities = {RUN_DIRECTORY: str(directory.path)}  # noqa: RUF012 - Thespian's shape

    base = UnixSystemBase(Capabilities, may_start=True)
    system = ActorSystem(systemBase=base, capabilities=Capabilities.capabilities, transientUnique=True)
    reap()  # the intermediate process of the admin's double fork
    (admin,) = _children()
    watch = os.pidfd_open(admin)
    root = system.createActor(root_class)
    return root.addressDetails.path, admin, watch, base


def _children() -> list[int]:
    pid = os.getpid()
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def _guard(service: int, lifeline: int, admin: int) -> None:
    """Wait for the first reason to end."""
    poller = select.poll()
    for fd in (service, lifeline, admin):
        poller.register(fd, select.POLLIN)
    poller.poll()


def _report(fd: int, status: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(status).encode() + b"\n")


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, SlitherError) else f"{type(error).__name__}: {error}"


