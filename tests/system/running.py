"""Systems for tests, and the proof that nothing of them is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slither_actors as slither
from tests.helpers.descriptors import open_descriptors
from tests.system.waiting import eventually, marked


@contextmanager
def nothing_left_behind(base: Path) -> Iterator[None]:
    """After the block no process and no run directory is there that was not there before.

    What is within the directories of other systems may change meanwhile, since they live.
    """
    processes, directories = marked(str(base)), set(base.iterdir())
    descriptors = open_descriptors()
    yield
    eventually(lambda: not marked(str(base)) - processes, "no process is left", lambda: _named(marked(str(base))))
    eventually(lambda: set(base.iterdir()) <= directories, "no run directory is left", lambda: list(base.iterdir()))
    more = len(open_descriptors()) - len(descriptors)
    assert more <= 4, f"{more} descriptors are left open"


def _named(pids: set[int]) -> dict[int, str]:
    return {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids}


@contextmanager
def a_system(**options: Any) -> Iterator[slither.System]:
    with slither.start(**{"pools": {"default": 2}, **options}) as system:
        yield system


def processes(system: slither.System) -> dict[str, dict[str, Any]]:
    """The living processes by their full names."""
    found: dict[str, dict[str, Any]] = {}

    def walk(node: dict[str, Any], prefix: str) -> None:
        for child in node["children"]:
            name = prefix + child["name"]
            if child["alive"]:
                found[name] = child
            walk(child, name + "/")

    walk(system.topology(), "")
    return found


def pid_of(system: slither.System, name: str) -> int:
    """The process id behind a name, such as `"pools/default/leases"` or the end of one."""
    (pid,) = _living(system, name)
    return pid


def _living(system: slither.System, name: str) -> list[int]:
    found = processes(system).items()
    return [int(node["pid"]) for full, node in found if full == name or full.endswith("/" + name)]


def kill(system: slither.System, name: str) -> int:
    """Kill a process as the kernel would, as soon as there is one; returns its id."""
    (pid,) = eventually(lambda: _living(system, name), f"{name} is there")
    os.kill(pid, signal.SIGKILL)
    return pid


def restarted(system: slither.System, name: str, old: int) -> None:
    """Wait until somebody else stands behind the name."""

    def look() -> bool:
        try:
            return pid_of(system, name) != old
        except (ValueError, slither.SlitherError):
            return False

    eventually(look, f"{name} came back")
