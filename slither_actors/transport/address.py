"""Thespian's address of an actor, here: the path of its listening socket."""

from __future__ import annotations

from typing import Any

from thespian.actors import ActorAddress

# The capability of a Thespian system that names its run directory.
RUN_DIRECTORY = "Slither Run Directory"


class UnixAddress:
    """What stands inside a Thespian `ActorAddress`: the path of a listening socket."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnixAddress) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        return f"(unix|{self.path})"

    def __reduce__(self) -> tuple[type[UnixAddress], tuple[str]]:
        return UnixAddress, (self.path,)

    def isLocalAddr(self) -> bool:  # Thespian's name
        return True

    def isSameSystem(self, other: object) -> bool:  # Thespian's name
        return True


def actor_address(path: str) -> Any:
    """Thespian's address for a socket path."""
    return ActorAddress(UnixAddress(path))
