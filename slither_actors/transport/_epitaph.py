"""How a host ended, as its exit code tells the service."""

from __future__ import annotations

import enum

from slither_actors.transport.process import describe_exit


class Epitaph(enum.IntEnum):
    """The exit codes of a host, beside those of an interpreter that fails."""

    ORDERLY = 0
    """The service wanted it, or is gone."""
    ROOT_ENDED = 10
    ADMIN_ENDED = 11
    ROOT_STOOD_STILL = 12
    ADMIN_STOOD_STILL = 13


_STOPPED = "was killed, since a signal (SIGSTOP) had stopped it for too long"
_WORDS = {
    Epitaph.ROOT_ENDED: "the root supervisor died",
    Epitaph.ADMIN_ENDED: "Thespian's admin process died",
    Epitaph.ROOT_STOOD_STILL: f"the root supervisor {_STOPPED}",
    Epitaph.ADMIN_STOOD_STILL: f"Thespian's admin process {_STOPPED}",
}


def victim(code: int | None, stood_still: bool) -> str:
    """Which process took the tree of a system along that went down, "root" if it was the tree itself; as `told_by`."""
    if stood_still:
        return "host"
    if code in (Epitaph.ADMIN_ENDED, Epitaph.ADMIN_STOOD_STILL):
        return "admin"
    of_the_tree = (None, Epitaph.ORDERLY, Epitaph.ROOT_ENDED, Epitaph.ROOT_STOOD_STILL)
    return "root" if code in of_the_tree else "host"


def told_by(code: int | None, stood_still: bool) -> str:
    """Why a system is down whose host ended with this code.

    Args:
        code: its exit code, the negative number of a signal, `None` if it is not known.
        stood_still: whether the host was killed because it had stood still.
    """
    if stood_still:
        return f"the host process {_STOPPED}"
    if not code:
        return "the host process died"
    return _WORDS.get(code) or f"the host process died ({describe_exit(code)})"  # type: ignore[call-overload]
