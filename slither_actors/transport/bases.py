"""The system bases that a tree can stand on, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from slither_actors._message import message
from slither_actors.errors import StartError
from slither_actors.transport.address import RUN_DIRECTORY

BASES = ("unix", "tcp")

_ANSWER_LIMIT = timedelta(seconds=10)
_ATTEMPTS = 3


@message
class WhereAreYou:
    """Asked by Thespian's means: the address of your hub, as a string."""


def start_system(base: str, directory: str, clear: Callable[[], None]) -> tuple[dict[str, Any], Any, Any]:
    """Start a system: what it takes to join it, Thespian's client, and the system base behind that.

    Args:
        base: one of `BASES`.
        directory: the run directory.
        clear: ends what a start that failed has left. A port may be taken in the moment between the look and the start,
            and Thespian gives its admin two seconds, so that is tried again.
    """
    from thespian.actors import ActorSystemException

    attempts_left = _ATTEMPTS
    while True:
        attempts_left -= 1
        joining = _fresh_capabilities(base, directory)
        try:
            return joining, *open_system(base, joining, may_start=True)
        except ActorSystemException:
            clear()
            if not attempts_left:
                raise


def _fresh_capabilities(base: str, directory: str) -> dict[str, Any]:
    """What a new system of this base is told of the machine; who wants to join it must say the same."""
    capabilities: dict[str, Any] = {RUN_DIRECTORY: directory}
    if base == "tcp":
        from slither_actors.transport.tcp_base import ADMIN_PORT, free_port

        capabilities[ADMIN_PORT] = free_port()
    return capabilities


def open_system(base: str, capabilities: Mapping[str, Any], *, may_start: bool = False) -> tuple[Any, Any]:
    """Thespian's client of a system, and the system base behind it.

    Args:
        base: one of `BASES`.
        capabilities: as `start_system` made them.
        may_start: whether to start the system if it does not run. Only the host may: an admin forked from a threaded
            service would inherit its locks and die in them.
    """
    from thespian.actors import ActorSystem

    if base == "tcp":
        from slither_actors.transport.tcp_base import TcpSystemBase as Base
    else:
        from slither_actors.transport.unix_base import UnixSystemBase as Base
    given = dict(capabilities)
    made = Base(SimpleNamespace(capabilities=given), may_start=may_start)
    return ActorSystem(systemBase=made, capabilities=given, transientUnique=True), made


def hub_address(system: Any, actor: Any) -> str:
    """Where an actor that was just created takes this library's messages.

    Raises:
        StartError: it does not answer.
    """
    path: str | None = getattr(actor.addressDetails, "path", None) or system.ask(actor, WhereAreYou(), _ANSWER_LIMIT)
    if path is None:
        raise StartError("the root actor", f"no answer within {_ANSWER_LIMIT.total_seconds():g} s")
    return path
