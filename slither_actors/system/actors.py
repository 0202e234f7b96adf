"""The part of the handle of a system that talks to your own actors."""

from __future__ import annotations

from typing import Any

from slither_actors._keywords import known_keywords
from slither_actors._validators import checked_seconds
from slither_actors.otp.handle import SupervisorHandle
from slither_actors.otp.ref import Ref
from slither_actors.system.client import Client


class ActorCalls:
    """Calls by name. None waits for a process that is being restarted: the caller decides whether to try again."""

    _client: Client

    @known_keywords
    def call(self, to: str | Ref, request: Any, timeout_s: float = 5.0) -> Any:
        """Ask one of your actors and wait for the answer.

        Args:
            to: a registered name, such as `"children/tally"` for the child spec of that id, a `Ref` or an address.
            request: what its `handle_call` understands.
            timeout_s: how long to wait.

        Raises:
            NoProcess: nobody is registered under the name, or the process is dead or dies before it answers.
            CallTimeout: no answer in time; the call may still be carried out.
            InvalidOption: `timeout_s` is no time.
            NotPicklable, NotImportable: the request or the answer cannot travel.
            SlitherError: what the actor answered with.
            SystemDown: the system is stopped, or gave up.
        """
        return self._client.ask(to, request, checked_seconds("call", timeout_s))

    @known_keywords
    def cast(self, to: str | Ref, request: Any) -> None:
        """Have `handle_cast` of one of your actors called; nobody answers, and a process that is dead is no error.

        Raises:
            CallTimeout: it has more unread than the kernel holds, and read nothing for some seconds.
            NotPicklable: the request cannot travel. SystemDown: the system is stopped, or gave up.
        """
        self._client.cast(to, request)

    @known_keywords
    def whereis(self, name: str) -> Ref | None:
        """Who runs under a name now; `None` if nobody does, as while it is being restarted."""
        return self._client.whereis(name)

    @known_keywords
    def supervisor(self, to: str | Ref, timeout_s: float = 60.0) -> SupervisorHandle:
        """A handle of a supervisor, to start and stop its children: `"children"` is the one of your own actors.

        Raises:
            InvalidOption: `timeout_s` is no time. That there is no such supervisor is found out by the first call.
        """
        return SupervisorHandle(to, self._client.ask, timeout_s)

    @property
    def actor_system(self) -> Any:
        """Thespian's own client of this system, for those who speak Thespian. Ends with the system; do not call its
        `shutdown()`, which ends the actors behind the supervisors' back."""
        return self._client.actor_system
