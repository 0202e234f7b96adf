"""Thespian's system base and admin on the Unix transport: what `ActorSystem(systemBase=...)` wants."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from thespian.actors import ActorSystemFailure
from thespian.system.messages.multiproc import EndpointConnected, LoggerConnected
from thespian.system.multiprocCommon import MultiProcAdmin, detach_child, multiprocessCommon
from thespian.system.transport import ReceiveEnvelope

from slither_actors.transport.process import set_title
from slither_actors.transport.unix import UnixEndpoint, UnixTransport

_ADMIN_START_LIMIT = timedelta(seconds=10)


class _Admin(MultiProcAdmin):  # type: ignore[misc]
    """Thespian's admin without its logger process: it takes that role itself."""

    def h_LogRecord(self, envelope: Any) -> bool:
        # Only what an actor logs before it is one of ours arrives here; the service's stderr is where prints go too.
        sys.stderr.write(f"{envelope.message.getMessage()}\n")
        return True

    def h_LoggerExitRequest(self, envelope: Any) -> bool:
        return True

    def _cleanupAdmin(self, finish: Callable[[], None]) -> None:
        self._reset_logging()
        finish()


def _start_admin(starter: Any, endpoint: UnixEndpoint, capabilities: dict[str, Any], context: Any) -> None:
    """Body of the admin process: detach by a second fork, claim the address, run."""
    os.setsid()
    if os.fork():
        os._exit(0)
    set_title("slither-admin")
    transport = UnixTransport(endpoint)
    admin = _Admin(transport, transport.myAddress, capabilities, None, context)
    admin.addrOfStarter = starter
    admin.asLogger = None
    admin.asLogProc = None
    signal.signal(signal.SIGCHLD, admin.signalChildDied)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    transport.hub.inbox.append((LoggerConnected(), transport.hub.address))
    admin.run()


class UnixSystemBase(multiprocessCommon):  # type: ignore[misc]
    """Thespian's system base on this transport.

    Args:
        system: anything with a dictionary `capabilities`, which names the run directory.
        may_start: whether an admin may be started when there is none. Only the host may: an admin forked from a
            threaded service would inherit its locks and die in them.
    """

    transportType = UnixTransport

    def __init__(self, system: Any, may_start: bool = False) -> None:
        system.capabilities["Thespian Watch Supported"] = True
        system.capabilities["Thespian ActorSystem Name"] = "unix"
        system.capabilities["Thespian ActorSystem Version"] = 1
        self._may_start = may_start
        super().__init__(system)

    def _startAdmin(self, address: Any, starter: Any, capabilities: dict[str, Any], log_defs: Any) -> None:
        if not self._may_start:
            raise ActorSystemFailure("no actor system is running here")
        endpoint = self.transport.prepEndpoint(address, capabilities)
        admin = self.mpcontext.Process(
            target=_start_admin, args=(starter, endpoint, capabilities, self.mpcontext), name="slither-admin"
        )
        admin.start()
        detach_child(admin)
        response = self.transport.run(None, _ADMIN_START_LIMIT)
        if not isinstance(response, ReceiveEnvelope) or not isinstance(response.message, EndpointConnected):
            raise ActorSystemFailure("the admin process did not start")
