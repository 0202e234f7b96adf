"""What a process keeps for the sessions whose work it does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors._code import Code
from slither_actors._record import record
from slither_actors.context import Context
from slither_actors.logs import about

if TYPE_CHECKING:
    from slither_actors.store.views import ProcessStores

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
    def may_move(self) -> bool:
        """Whether it goes on elsewhere, should its worker end."""
        return self.rebuild or self.mode == "hint"

    @property
    def key(self) -> str:
        """What a worker calls it: what began anew under an id that was used before has another state."""
        return f"{self.id}/{self.token}"

    def with_token(self, token: int) -> SessionTicket:
        return SessionTicket(self.id, token, self.mode, self.rebuild, self.ttl_s, self.start, self.stop)


@attrs.define(eq=False)
class KeptSession:
    """A session in this process: its hooks' context, whose state is the session's, and the objects of its views."""

    context: Context
    stop: Code | None
    may_move: bool
    views: dict[str, Any]


class SessionStates:
    """The states of sessions in this process, by owner: whoever says when a session ends.

    Args:
        stores: what their hooks may use.
    """

    def __init__(self, stores: ProcessStores | None = None) -> None:
        self._stores = stores
        self._kept: dict[tuple[str, str], KeptSession] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def rooted(self) -> int:
        """How many of them would be lost with this process."""
        return sum(1 for kept in self._kept.values() if not kept.may_move)

    def enter(self, owner: str, ticket: SessionTicket, context: Context) -> KeptSession:
        """A session with its state; its start hook makes it ready when it is new here, with what it may know of the
        run.

        What the hook raises comes through, and nothing is kept: the next batch tries again.
        """
        kept = self._kept.get((owner, ticket.key))
        if kept is None:
            views: dict[str, Any] = {}
            stores = None if self._stores is None else self._stores.run(None, views)
            kept = KeptSession(context.bind({}, stores), ticket.stop, ticket.may_move, views)
            if ticket.start is not None:
                ticket.start.load()(kept.context)
            self._kept[owner, ticket.key] = kept
        return kept

    def end(self, owner: str, key: str) -> None:
        """The session is over: its stop hook is called, and its state forgotten. What the hook raises is logged."""
        kept = self._kept.pop((owner, key), None)
        if kept is None or kept.stop is None:
            return
        try:
            kept.stop.load()(kept.context)
        except BaseException:
            session = kept.context.session_id
            _log.exception("session %s: its session_stop failed", session, extra=about(session=session))

    def forget(self, owner: str) -> None:
        """The owner is dead. No hook runs: nobody would end one that takes for ever."""
        for key in [key for key in self._kept if key[0] == owner]:
            del self._kept[key]
