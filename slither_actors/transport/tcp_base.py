"""Thespian's own TCP base, for those whose actors must be reached over a network.

Only what is Thespian's goes over TCP: creating actors, the admin, conventions, `send` between Thespian addresses. What
this library's processes tell each other goes through a `Hub` as on the Unix base; Thespian's loop watches the hub's
epoll object, which is a descriptor like any other.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thespian.actors import ActorSystemFailure, WatchMessage
from thespian.system.multiprocTCPBase import ActorSystemBase
from thespian.system.transport import ReceiveEnvelope, TransmitOnly
from thespian.system.transport.TCPTransport import ExternalTransportCopy, TCPEndpoint, TCPTransport

from slither_actors.transport.address import RUN_DIRECTORY
from slither_actors.transport.hub import Hub
from slither_actors.transport.process import tie_to

ADMIN_PORT = "Admin Port"


class _Endpoint(TCPEndpoint):  # type: ignore[misc]
    """What a creator hands to the transport of the process that it starts."""

    def __init__(self, directory: str, *args: Any) -> None:
        super().__init__(*args)
        self.directory = directory
        self.creator = os.getpid()


class TcpTransport(TCPTransport):  # type: ignore[misc]
    """Thespian's TCP transport with a hub beside it. Method names in Thespian's style are Thespian's."""

    hub: Hub

    def __init__(self, kind: Any, *args: Any) -> None:
        if isinstance(kind, _Endpoint):
            tie_to(kind.creator)
        super().__init__(kind, *args)
        self.corks = False
        self.receiver: Callable[[Any, str], bool] | None = None
        self._hub_fds: list[int] = []
        if isinstance(kind, _Endpoint):
            self.hub = Hub(Path(kind.directory))
            self._hub_fds = [self.hub.descriptors()[0]]
            self.set_watch([])

    def prepEndpoint(self, address: Any, capabilities: dict[str, Any]) -> _Endpoint:
        made = super().prepEndpoint(address, capabilities)
        return _Endpoint(capabilities[RUN_DIRECTORY], *made.args)

    def descriptors(self) -> list[int]:
        """All descriptors in use."""
        return [*self.childResetFileNumList(), *self.hub.descriptors()]

    def post(self, to: str, message: object) -> None:
        """Send one of this library's messages; a dead peer is reported to `receiver` as `Undelivered`."""
        self.hub.send(to, message)

    def put_behind(self, note: object) -> None:
        """Let the receiver have a note behind all that has been read by now. From the loop's own thread only."""
        self.hub.inbox.append((note, self.hub.address))
        self.hub.wake()  # this loop waits for the hub's descriptor, and does not look into the inbox before

    def set_watch(self, fds: list[int]) -> None:
        super().set_watch([*fds, *self._hub_fds])

    def external_transport_clone(self) -> TcpTransport:
        return TcpTransport(ExternalTransportCopy(), self._adminAddr, self.txOnly, False)

    def close(self) -> None:
        # Thespian's own leaves them to the garbage collector
        kept = (*vars(self).get("_openSockets", {}).values(), *vars(self).get("_incomingSockets", {}).values())
        sockets = [vars(self).get("socket"), *(each.socket for each in kept)]
        super().close()
        for each in filter(None, sockets):
            each.close()
        if vars(self).get("_hub_fds"):
            self.hub.close()

    def _runWithExpiry(self, handler: Any) -> Any:
        if not self._hub_fds or handler is None or handler is TransmitOnly or isinstance(handler, TransmitOnly):
            return super()._runWithExpiry(handler)

        def handle(envelope: Any) -> Any:
            going_on: Any = True
            if isinstance(envelope.message, WatchMessage) and self._hub_fds[0] in envelope.message.ready:
                self.hub.poll(0)
                envelope.message.ready.remove(self._hub_fds[0])
            if not isinstance(envelope.message, WatchMessage) or envelope.message.ready:
                going_on = handler(envelope)
            while going_on and self.hub.inbox:
                message, sender = self.hub.inbox.popleft()
                if self.receiver is None or not self.receiver(message, sender):
                    going_on = handler(ReceiveEnvelope(self.myAddress, message))
            return going_on

        return super()._runWithExpiry(handle)


class TcpSystemBase(ActorSystemBase):  # type: ignore[misc]
    """Thespian's system base on this transport.

    Args:
        system: anything with a dictionary `capabilities`, which names the run directory and the admin's port.
        may_start: whether an admin may be started when there is none. Only the host may.
    """

    transportType = TcpTransport

    def __init__(self, system: Any, may_start: bool = False) -> None:
        self._may_start = may_start
        super().__init__(system)

    def _startAdmin(self, address: Any, starter: Any, capabilities: dict[str, Any], log_defs: Any) -> None:
        if not self._may_start:
            raise ActorSystemFailure("no actor system is running here")
        super()._startAdmin(address, starter, capabilities, log_defs)


def free_port() -> int:
    """A port that nobody listens on, so that two systems on one machine never meet.

    It is below those that the kernel gives to whoever wants any, and drawn by lot, so that hardly anybody takes it
    before the admin listens on it.
    """
    while True:
        port = 10_000 + int.from_bytes(os.urandom(4)) % 20_000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
