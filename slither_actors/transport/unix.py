"""Thespian's transport interface on Unix-domain sockets: a thin fit of `hub.Hub`.

Of Thespian's transport helpers only the one for timers is used: the other one limits an actor to 20 unacknowledged
messages.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from thespian.actors import ActorExitRequest, DeadEnvelope, WatchMessage
from thespian.system.addressManager import ActorLocalAddress, CannotPickleAddress
from thespian.system.messages.multiproc import ChildMayHaveDied
from thespian.system.transport import (
    ExternalInterfaceTransportInit,
    ReceiveEnvelope,
    SendStatus,
    Thespian__Run_Expired,
    Thespian__Run_HandlerResult,
    Thespian__Run_Terminated,
    Thespian__UpdateWork,
    TransmitIntent,
    TransmitOnly,
    TransportInit__Base,
)
from thespian.system.transport.wakeupTransportBase import wakeupTransportBase

from slither_actors.transport._room import roomy
from slither_actors.transport.address import RUN_DIRECTORY, actor_address
from slither_actors.transport.hub import Hub, Undecodable, Undelivered, Unread
from slither_actors.transport.process import tie_to

_ADMIN = "admin"
_DRAIN_LIMIT_S = 5.0


class UnixEndpoint(TransportInit__Base):  # type: ignore[misc]
    """What a creator hands to the transport of the process that it starts."""

    def __init__(self, number: int | None, path: str | None, parent: Any, admin: Any) -> None:
        self.addrInst = number
        self.path = path
        self.parent = parent
        self.admin = admin
        self.creator = os.getpid()


class _Clone(TransportInit__Base):  # type: ignore[misc]
    """Asks for one more endpoint beside an existing one, in the same process."""


class _Envelope(ReceiveEnvelope):  # type: ignore[misc]
    """Thespian formats each envelope for a debug log that is off; a constant costs nothing."""

    def identify(self) -> str:
        return "message"


class UnixTransport(wakeupTransportBase):  # type: ignore[misc]
    """Thespian's transport interface on a `Hub`. Method names in Thespian's style are Thespian's.

    Three extras serve our own actors: `post` sends without Thespian's bookkeeping, `receiver` takes messages first, and
    `broken` is told what made reading impossible.
    """

    def __init__(self, kind: Any, *args: Any) -> None:
        super().__init__()
        name = None
        if isinstance(kind, UnixEndpoint):
            tie_to(kind.creator)
            self._admin = kind.admin
            name = os.path.basename(kind.path) if kind.path else None
        elif isinstance(kind, ExternalInterfaceTransportInit):
            self._admin = self.getAdminAddr(args[0])
        else:
            self._admin = args[0]
        self.hub = Hub(Path(self._admin.addressDetails.path).parent, name)
        # Send one of this library's messages; a dead peer is reported to `receiver` as `Undelivered`.
        self.post = self.hub.send
        self.myAddress = actor_address(self.hub.address)
        self.corks = False
        self.receiver: Callable[[Any, str], bool] | None = None
        self.broken: Callable[[BaseException], None] = _raise
        self._check_children = False
        self._shutdown = False
        self._ended: Any = None
        self._deadline: float | None = None
        self._watched: tuple[int, ...] = ()
        self._addresses: dict[str, Any] = {}

    def descriptors(self) -> list[int]:
        """All descriptors in use."""
        return self.hub.descriptors()

    # -- addresses

    @staticmethod
    def getAdminAddr(capabilities: dict[str, Any]) -> Any:
        return actor_address(os.path.join(capabilities[RUN_DIRECTORY], _ADMIN))

    @staticmethod
    def getAddressFromString(text: str) -> Any:
        return actor_address(text)

    @staticmethod
    def getConventionAddress(capabilities: dict[str, Any]) -> None:
        return None

    @staticmethod
    def probeAdmin(address: Any) -> bool:
        return os.path.exists(address.addressDetails.path)

    def prepEndpoint(self, address: Any, capabilities: dict[str, Any]) -> UnixEndpoint:
        details = address.addressDetails
        if isinstance(details, ActorLocalAddress):
            return UnixEndpoint(details.addressInstanceNum, None, self.myAddress, self._admin)
        return UnixEndpoint(None, details.path, self.myAddress, self._admin)

    def connectEndpoint(self, endpoint: UnixEndpoint) -> None:
        pass

    def deadAddress(self, manager: Any, address: Any) -> None:
        pass  # socket names are never used twice, so there is nothing to remember

    def setAddressManager(self, manager: Any) -> None:
        pass

    def enableRXPauseFlowControl(self, enable: bool = True) -> None:
        pass

    def external_transport_clone(self) -> UnixTransport:
        return UnixTransport(_Clone(), self._admin)

    def protectedFileNumList(self) -> list[int]:
        return []

    def childResetFileNumList(self) -> list[int]:
        return []  # the hub closes its descriptors in a forked child by itself

    def close(self) -> None:
        self.hub.close()

    # -- timers: Thespian's own, with the deadline kept as a plain number for the loop

    def addWakeup(self, period: timedelta, payload: Any) -> None:
        super().addWakeup(period, payload)
        self._note_deadline()

    def _update_runtime(self, limit: Any) -> None:
        super()._update_runtime(limit)
        self._note_deadline()

    def _note_deadline(self) -> None:
        left = self.run_time.view().remainingSeconds()
        self._deadline = None if left is None else time.monotonic() + left

    def _deliver_wakeups(self, handler: Any) -> Any:
        while self._activeWakeups:
            wakeup = self._activeWakeups.pop(0)  # in the order in which they fell due
            if handler in (None, TransmitOnly):
                return wakeup
            result = Thespian__Run_HandlerResult(handler(wakeup))
            if not result:
                return result
        return None

    # -- sending

    def put_behind(self, note: object) -> None:
        """Let the receiver have a note behind all that has been read by now. From the loop's own thread only."""
        self.hub.inbox.append((note, self.hub.address))

    def scheduleTransmit(self, manager: Any, intent: Any, has_exclusive_flag: bool = False) -> None:
        if manager:
            target, message = manager.prepMessageSend(intent.targetAddr, intent.message)
            if message is SendStatus.DeadTarget:
                intent.tx_done(SendStatus.Sent)
                return
            if not target:
                raise CannotPickleAddress(intent.targetAddr)
            intent.changeTargetAddr(target)
            intent.changeMessage(message)
        if not isinstance(intent.message, Thespian__UpdateWork):
            path = intent.targetAddr.addressDetails.path
            if not os.path.exists(path):
                # the callback may end the run, so it must not come before the caller waits for it
                self.hub.inbox.append((_Failed(intent), path))
                return
            self.hub.send(path, intent.message)
        intent.tx_done(SendStatus.Sent)

    # -- the loop

    def interrupt_wait(self, signal_shutdown: bool = False, check_children: bool = False) -> None:
        self._shutdown |= signal_shutdown
        self._check_children |= check_children
        self.hub.wake()

    def set_watch(self, fds: list[int]) -> None:
        """Thespian's watch: replaced as a whole after each message."""
        if not fds and not self._watched:
            return
        for fd in self._watched:
            self.hub.unwatch(fd)
        self._watched = tuple(fds)
        for fd in self._watched:
            self.hub.watch(fd, lambda fd=fd: self.hub.inbox.append((WatchMessage([fd]), self.hub.address)))  # type: ignore[misc]

    def abort_run(self, drain: bool = False) -> None:
        if drain:
            self.hub.flush(_DRAIN_LIMIT_S)
        self._ended = Thespian__Run_Terminated()

    @roomy
    def _runWithExpiry(self, handler: Any) -> Any:
        if handler is TransmitOnly or isinstance(handler, TransmitOnly):
            return self._transmit()
        self._ended = None
        inbox, hub = self.hub.inbox, self.hub
        while self._ended is None:
            if self.corks and inbox:
                hub.cork()
            if self._check_children or self._shutdown:
                message, sender = self._signalled(), hub.address
            elif inbox:
                message, sender = inbox.popleft()
            else:
                if self.corks:
                    hub.uncork()
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    return Thespian__Run_Expired()
                try:
                    hub.poll(left)
                except MemoryError as error:  # there was no room for what has arrived
                    self.broken(error)
                continue
            if self.receiver is not None and self.receiver(message, sender):
                continue
            envelope = self._envelope(message, sender)
            if envelope is None:
                continue
            if handler is None:
                return envelope
            if not handler(envelope):
                return Thespian__Run_HandlerResult(0)
        return self._ended

    def _transmit(self) -> int:
        if self.hub.pending:
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            self.hub.poll(left)
        return self.hub.pending

    def _signalled(self) -> Any:
        if self._check_children:
            self._check_children = False
            return ChildMayHaveDied()
        self._shutdown = False
        return ActorExitRequest()

    def _envelope(self, message: Any, sender: str) -> Any:
        if isinstance(message, _Failed):
            message.intent.tx_done(SendStatus.DeadTarget)
            return None
        if isinstance(message, Undelivered):
            if not isinstance(message.original, DeadEnvelope):
                dead = DeadEnvelope(actor_address(message.to), message.original)
                self.scheduleTransmit(None, TransmitIntent(self._admin, dead))
            return None
        if isinstance(message, Undecodable):
            # before adoption there is no way to the service's loggers; its standard error is where prints go too
            sys.stderr.write(f"slither: a message from {sender} cannot be read: {message.error}\n")
            self.hub.send(sender, Unread(message.error, message.head))
            return None
        if isinstance(message, Unread):
            sys.stderr.write(f"slither: {sender} cannot read what it was sent: {message.error}\n")
            return None
        address = self._addresses.get(sender)
        if address is None:
            address = self._addresses[sender] = actor_address(sender)
        return _Envelope(address, message)


def _raise(error: BaseException) -> None:
    raise error


class _Failed:
    """An intent whose target is dead, waiting for the loop to say so."""

    __slots__ = ("intent",)

    def __init__(self, intent: Any) -> None:
        self.intent = intent
