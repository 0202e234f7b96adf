"""The part of the handle of a system that opens sessions."""

from __future__ import annotations

import os
from typing import Any, cast

from slither_actors._keywords import known_keywords
from slither_actors.dispatch.session_options import OnLoss, SessionHook, SessionMode, SessionOptions
from slither_actors.system._runs import check_session
from slither_actors.system.session import Service, Session
from slither_actors.system.store_calls import StoreCalls


class SessionCalls(StoreCalls):
    """Sessions of a system."""

    _sessions: Any

    @known_keywords
    def session(
        self,
        session_id: str | None = None,
        *,
        mode: SessionMode = "wait",
        on_loss: OnLoss = "error",
        ttl_s: float | None = None,
        session_start: SessionHook | None = None,
        session_stop: SessionHook | None = None,
    ) -> Session:
        """Begin a session: a context manager with the calls of a system, all of them bound to one worker.

        Args:
            session_id: what user code finds in `ctx.session_id`; a fresh one by default. Blocks with the same id share
                one session, with the options of the first.
            mode: what a batch does while the worker is busy with others: `"wait"`, `"hint"` (go to another worker,
                which has no state of the session) or `"fail_fast"` (fail with `WorkerBusy`).
            on_loss: what the death of the worker means: `"error"` (the session is over) or `"rebuild"` (what was
                running fails with `SessionLost`; the rest goes on in another worker, after `session_start`).
            ttl_s: seconds that it may idle before it ends; an hour, unless configured otherwise.
            session_start: a function of `ctx`, or its path; called in a worker before the session's first batch there.
                What it raises fails that batch.
            session_stop: called there with the same `ctx` at the end; not if the worker died. What it raises is logged.

        Raises:
            InvalidOption: an option is not allowed. NotImportable, NotPicklable: a hook cannot travel.
        """
        check_session(session_id, "session")
        options = SessionOptions(
            mode=mode, on_loss=on_loss, ttl_s=ttl_s, session_start=session_start, session_stop=session_stop
        )
        return Session(cast(Service, self), self._sessions, session_id or f"session-{os.urandom(6).hex()}", options)
