"""What a process keeps for the sessions whose work it does."""

from __future__ import annotations

import logging
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors._record import record
from slither_actors.context import Context

_log = logging.getLogger(__name__)


@record
class SessionTicket:
    """What a batch or a run says of the session it belongs to.

    Attributes:
        id: the session.
        token: of the handle that knows it; 0 for whoever knows only the id.
        mode: "wait", "hint" or "fail_fast".
        rebuild: whether the session goes on elsewhere after its worker died.
        ttl_s: how long it may idle.
        start: called in a worker before the first batch there.
        stop: called there at the end.
    """

    id: str
    token: int = 0
    mode: str = "wait"
    rebuild: bool = False
    ttl_s: float = 3600.0
    start: Code | None = None
    stop: Code | None = None

    @property
    def key(self) -> str:
        """What a worker calls it: what began anew under an id that was used before has another state."""
        return f"{self.id}/{self.token}"

    def with_token(self, token: int) -> SessionTicket:
        return SessionTicket(self.id, token, self.mode, self.rebuild, self.ttl_s, self.start, self.stop)


@attrs.define(eq=False)
class _Kept:
    context: Context
    stop: Code | None


class SessionStates:
    """The states of sessions in this process, by owner: whoever says when a session ends."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def enter(self, owner: str, ticket: SessionTicket, context: Context) -> dict[str, Any]:
        """The state of a session; its start hook makes it ready when it is new here, with what it may know of the run.

        What the hook raises comes through, and nothing is kept: the next batch tries again.
        """
        kept = self._kept.get((owner, ticket.key))
        if kept is None:
            kept = _Kept(context.bind({}), ticket.stop)
            if ticket.start is not None:
                ticket.start.load()(kept.context)
            self._kept[owner, ticket.key] = kept
        return kept.context.state

    def end(self, owner: str, key: str) -> None:
        """The session is over: its stop hook is called, and its state forgotten. What the hook raises is logged."""
        kept = self._kept.pop((owner, key), None)
        if kept is None or kept.stop is None:
            return
        try:
            kept.stop.load()(kept.context)
        except BaseException:
            _log.exception("session %s: its session_stop failed", kept.context.session_id)

    def forget(self, owner: str) -> None:
        """The owner is dead. No hook runs: nobody would end one that takes for ever."""
        for key in [key for key in self._kept if key[0] == owner]:
            del self._kept[key]
