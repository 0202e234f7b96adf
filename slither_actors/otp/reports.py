"""What processes of the tree report of themselves and of the work that goes through them, on its way to the service."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

from slither_actors import telemetry
from slither_actors.errors import TransportError
from slither_actors.otp.messages import TreeEvents
from slither_actors.otp.server import Server

# Events in one message, and how long the first of them waits for others.
_MOST = 64
_LONGEST_S = 0.1

_log = logging.getLogger(__name__)


class Reports:
    """Events of one process, sent to the service several at a time; their `time_s` is that of the process's own clock
    until they leave. `flush` comes before the service hears that what they are a part of is over.

    Args:
        server: the actor that reports.
        gateway: where they go.
    """

    def __init__(self, server: Server, gateway: str) -> None:
        self._server = server
        self._gateway = gateway
        self._waiting: list[telemetry.Event] = []
        self._is_timed = False

    def add(self, name: telemetry.Name, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Report an event soon."""
        self._waiting.append(telemetry.Event(name, measurements, metadata))
        if len(self._waiting) >= _MOST:
            self.flush()
        elif not self._is_timed:
            self._is_timed = True
            self._server.start_timer(_LONGEST_S, self._on_time)

    def _on_time(self) -> None:
        self._is_timed = False
        self.flush()

    def flush(self) -> None:
        """Send what waits. What is sent to anybody after this arrives later than the events."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        ahead_s = time.time() - self._server._clock()
        for event in waiting:
            event.measurements["time_s"] += ahead_s
        try:
            self._server.post(self._gateway, TreeEvents(tuple(map(tuple, waiting))))
        except TransportError as error:
            _log.warning("%s: %d events are lost: %s", self._server.name, len(waiting), error)
        self._server.life.transport.hub.uncork()


def reports_of(server: Server) -> Reports | None:
    """Those of an actor, `None` where it has no service."""
    gateway = server.life.surroundings.gateway
    return None if gateway is None else Reports(server, gateway)


def tell(server: Server, name: telemetry.Name, measurements: dict[str, Any], **metadata: Any) -> None:
    """Report an event of the tree itself at once. These are few, so nobody asks first whether somebody listens."""
    gateway = server._life and server._life.surroundings.gateway
    if gateway:
        with contextlib.suppress(TransportError):  # nobody reads there
            server.post(gateway, TreeEvents(((name, measurements, metadata),)))
