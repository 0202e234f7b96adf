"""The options of a session: defaults, checks and documentation in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from slither_actors._code import Code
from slither_actors._signature import accepts
from slither_actors._validators import one_of, optional, positive_seconds
from slither_actors.errors import InvalidOption, shorten
from slither_actors.workers.executor import refuse_async
from slither_actors.workers.sessions import SessionTicket

SessionMode = Literal["wait", "hint", "fail_fast"]
OnLoss = Literal["error", "rebuild"]
SessionHook = str | Callable[..., Any]


def _hook(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None or isinstance(value, str):
        return
    if not callable(value) or not accepts(value, 1):
        raise InvalidOption("session", attribute.name, shorten(value), 'None, "module:function" or a function of ctx')
    refuse_async("session", attribute.name, value, shorten(value))


@attrs.frozen(kw_only=True)
class SessionOptions:
    """How a session is bound to its worker, and what its end means."""

    mode: SessionMode = attrs.field(
        default="wait",
        validator=one_of("wait", "hint", "fail_fast"),
        metadata={"doc": "While its worker is busy with others: wait, go to another one, or fail with `WorkerBusy`."},
    )
    on_loss: OnLoss = attrs.field(
        default="error",
        validator=one_of("error", "rebuild"),
        metadata={"doc": "When its worker died: the session is over, or begins anew with what waited."},
    )
    ttl_s: float | None = attrs.field(
        default=None,
        validator=optional(positive_seconds),
        metadata={"doc": "Seconds that it may idle; `sessions.default_ttl_s` of the config by default."},
    )
    session_start: SessionHook | None = attrs.field(
        default=None,
        validator=_hook,
        metadata={"doc": "Called with `ctx` in a worker, before the session's first batch there."},
    )
    session_stop: SessionHook | None = attrs.field(
        default=None,
        validator=_hook,
        metadata={"doc": "Called with `ctx` in that worker at the end of the session."},
    )

    def ticket(self, session_id: str, default_ttl_s: float) -> SessionTicket:
        """What dispatchers and workers are told.

        Raises:
            NotImportable, NotPicklable: a hook cannot travel.
        """
        start, stop = (None if hook is None else Code.of(hook) for hook in (self.session_start, self.session_stop))
        rebuild = self.on_loss == "rebuild"
        return SessionTicket(session_id, 0, self.mode, rebuild, self.ttl_s or default_ttl_s, start, stop)
