"""Events that arise in an actor's process on their way to the handlers in the service."""

from __future__ import annotations

import logging
import threading
from typing import Any

from slither_actors import telemetry
from slither_actors.errors import TransportError
from slither_actors.otp._life import Life
from slither_actors.otp.messages import EventNotes

_HANDLER = "service"
_MOST = 64  # events in one message

# How long a process waits for a service whose handlers are slow, before it goes on.
_FLUSH_LIMIT_S = 1.0

_log = logging.getLogger(__name__)


class EventRelay:
    """Sends the events of this process to the service that somebody listens to there, several at a time.

    They leave when there are enough of them, and with `flush`, which comes before the service hears that what they are
    a part of is over. Events of other threads than the actor's leave at once: nobody flushes for those.
    """

    def __init__(self, life: Life, gateway: str) -> None:
        self._life = life
        self._gateway = gateway
        self._thread = threading.get_ident()
        self._interest = telemetry.NO_INTEREST
        self._waiting: list[telemetry.Event] = []

    def heed(self, interest: telemetry.Interest) -> None:
        """The service says what its handlers listen to; older news than the last is ignored."""
        if interest.number <= self._interest.number:
            return
        for prefix in self._interest.prefixes:
            telemetry.detach(f"{_HANDLER}: {'.'.join(prefix)}")
        self._interest = interest
        for prefix in interest.prefixes:
            telemetry.attach(f"{_HANDLER}: {'.'.join(prefix)}", prefix, self._note)

    def _note(self, name: telemetry.Name, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        event = telemetry.Event(name, measurements, metadata)
        if threading.get_ident() != self._thread:
            self._send([event])
            return
        self._waiting.append(event)
        if len(self._waiting) >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Send what waits. What is sent to anybody after this arrives later than the events."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._send(waiting)
            hub = self._life.transport.hub
            if hub.queued_bytes(self._gateway):
                hub.flush(_FLUSH_LIMIT_S)

    def _send(self, events: list[telemetry.Event]) -> None:
        try:
            self._life.transport.post(self._gateway, EventNotes(tuple(map(tuple, events))))
        except TransportError as error:
            _log.warning("%s: %d events are lost: %s", self._life.name, len(events), error)


def relay_of(life: Life) -> EventRelay | None:
    """The relay of an actor, `None` where it has no service."""
    gateway = life.surroundings.gateway
    return None if gateway is None else EventRelay(life, gateway)
