"""Which dispatcher last had a session that nothing holds open."""

from __future__ import annotations

import threading
from collections import OrderedDict

from slither_actors.errors import SessionLost
from slither_actors.otp.ref import Ref


class LastSeen:
    """The dispatchers that this service met its sessions at.

    A session that is only an id lives in the dispatcher of its pool, and a dispatcher that takes the place of a dead
    one knows nothing of it: to it the id is new. Whoever used the session is told.

    Args:
        limit: how many sessions a pool may have, and so how many are worth remembering.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._seen: dict[str, OrderedDict[str, Ref]] = {}

    def meet(self, pool: str, session_id: str, dispatcher: Ref) -> None:
        """Work for a session is on its way to this dispatcher.

        Raises:
            SessionLost: the session was in another one, which died. It is told once; then the session begins anew.
        """
        with self._lock:
            seen = self._seen.setdefault(pool, OrderedDict())
            before = seen.pop(session_id, dispatcher)
            seen[session_id] = dispatcher
            while len(seen) > self._limit:
                seen.popitem(last=False)
        if before != dispatcher:
            raise SessionLost(session_id, "", 1, f"{before.name} died, which knew its worker")
