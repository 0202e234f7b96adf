"""`Shell`: what Thespian starts, before it becomes what its supervisor wants."""

from __future__ import annotations

import contextlib
import multiprocessing
import traceback
from typing import Any

from slither_actors.errors import SlitherError
from slither_actors.otp._life import Life
from slither_actors.otp.logs import forward_logs
from slither_actors.otp.messages import Init, StartFailed
from slither_actors.otp.server import LATER, Server
from slither_actors.transport.bases import WhereAreYou
from slither_actors.transport.process import close_inherited, lead_group, reset_signals, set_title


class Shell(Server):
    """Adopts, in its own process, the class that `Init` names.

    So a class from `__main__` works, a heavy import dirties no supervisor, and an import that fails is a reported
    failure to start.
    """

    def __init__(self) -> None:
        super().__init__()
        reset_signals()

    def receiveMessage(self, msg: Any, sender: Any) -> None:
        if isinstance(msg, Init):
            self._become(msg)
        elif isinstance(msg, WhereAreYou):
            self.send(sender, self._myRef.transport.hub.address)

    def _become(self, init: Init) -> None:
        transport = self._myRef.transport
        lead_group()
        set_title(init.name or "root")
        creator = multiprocessing.parent_process()
        transport.hub.queue_limit_bytes = init.surroundings.queue_limit_bytes
        close_inherited({0, 1, 2, *transport.descriptors(), *([creator.sentinel] if creator else [])})
        life = Life(self._myRef, init)
        self._life = life
        try:
            forward_logs(transport.hub, init.name, init.surroundings)
            cls = init.code.load()
            args = init.args.open(f"args of {init.name or 'root'}")
            self.__class__ = cls
            cls.__init__(self, *args)
            self._life = life
            transport.receiver = self._receive
            transport.corks = transport.hub.segments.relays = self.corks
            info = self.init()
            if info is not LATER:
                self.started(info)
        except BaseException as error:
            text = str(error) if isinstance(error, SlitherError) else "".join(traceback.format_exception(error))
            with contextlib.suppress(Exception):
                transport.post(init.parent, StartFailed(init.name, init.incarnation, text))
            life.leave()
