"""Who is what in a tree, told by the names alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

# What a chaos may be aimed at, in the order in which it is documented.
ROLES = ("workers", "dispatchers", "stages", "stores", "pools", "supervisors", "children", "registry", "root")

# Whose death is the end of the system: only who asks for it gets it.
FATAL = frozenset({"root"})
DEFAULT_ROLES = tuple(role for role in ROLES if role not in FATAL)

_FIXED = {"root": "root", "registry": "registry"}
_OF_POOL = {"leases": "pools", "dispatcher": "dispatchers", "sessions": "dispatchers", "workers": "supervisors"}
_LEAVES = {"stores": "stores", "pipes": "stages", "children": "children"}


@attrs.frozen
class Process:
    """A process of a running system: its name in the tree and its number."""

    name: str
    pid: int


@attrs.frozen
class Target:
    """A process, and what it is to the system."""

    process: Process
    role: str

    @property
    def supervisor(self) -> str:
        """Name of the one that starts it again."""
        return self.process.name.rpartition("/")[0] or "root"

    def dies_with(self, other: Target) -> bool:
        """Whether it is the other one, or stands below it."""
        return other.role == "root" or f"{self.process.name}/".startswith(f"{other.process.name}/")


def targets_of(processes: Iterable[Process]) -> Iterator[Target]:
    """All that live, each with its role."""
    living = list(processes)
    above = {parent for process in living for parent in _ancestors(process.name)}
    for process in living:
        yield Target(process, _role_of(process.name, process.name in above))


def _role_of(name: str, has_children: bool) -> str:
    parts = name.split("/")
    if len(parts) == 1:
        return _FIXED.get(name, "supervisors")
    if has_children:
        return "supervisors"
    if parts[0] == "pools":
        return _role_in_pools(parts[2:])
    # A pipe without stages is one that is just being started.
    return "supervisors" if parts[0] == "pipes" and len(parts) == 2 else _LEAVES.get(parts[0], "children")


def _role_in_pools(parts: list[str]) -> str:
    """By what stands behind `pools/NAME`."""
    if not parts:
        return "supervisors"
    return "workers" if len(parts) > 1 else _OF_POOL.get(parts[0], "pools")


def _ancestors(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name
