"""Whether the kernel has killed for want of memory: it counts that, and tells nobody else."""

from __future__ import annotations

import contextlib
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, in our control group and, where that can be told, on
    the whole machine. Only the difference of two looks says something."""
    return sum(_count(path) for path in (_events_of_group(), Path("/proc/vmstat")))


def count_of(text: str) -> int:
    """The counter `oom_kill` among lines of a name and a number each; 0 where it is missing."""
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def events_path(text: str) -> Path:
    """Where a control group counts, by its `/proc/self/cgroup`; that of the old kind counts elsewhere."""
    for line in text.splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            return _CGROUPS / group.lstrip("/") / "memory.events"
        if "memory" in controllers.split(","):
            return _CGROUPS / "memory" / group.lstrip("/") / "memory.oom_control"
    return _CGROUPS / "memory.events"


def _events_of_group() -> Path:
    with contextlib.suppress(OSError, ValueError):
        return events_path(Path("/proc/self/cgroup").read_text())
    return _CGROUPS / "memory.events"


def _count(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return count_of(path.read_text())
    return 0
