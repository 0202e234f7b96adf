"""What this library uses of Thespian's `Actor`, with types."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thespian.actors import ActorExitRequest, ChildActorExited, WakeupMessage

if TYPE_CHECKING:

    class Actor:
        """Thespian's is untyped; strict projects can check their subclasses of this one."""

        _myRef: Any

        @property
        def myAddress(self) -> Any: ...
        def send(self, targetAddr: Any, msg: Any) -> None: ...
        def createActor(
            self,
            actorClass: Any,
            targetActorRequirements: Any = None,
            globalName: Any = None,
            sourceHash: Any = None,
        ) -> Any: ...
        def wakeupAfter(self, timePeriod: timedelta, payload: Any = None) -> None: ...

else:
    from thespian.actors import Actor

__all__ = ["Actor", "ActorExitRequest", "ChildActorExited", "WakeupMessage", "is_thespians", "swallow"]


def is_thespians(message: Any) -> bool:
    """Whether a message is Thespian's own, and none of an actor."""
    # the last of these: what the transport has to say about a message that Thespian sent
    return type(message).__module__.startswith(("thespian.", "logging", "slither_actors.transport.unix"))


def swallow(message: Any, sender: str) -> bool:
    """The receiver of a server that is leaving: only Thespian still gets what is its own."""
    return not is_thespians(message)
