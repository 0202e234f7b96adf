"""`Shell`: what Thespian starts, before it becomes what its supervisor wants."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from typing import Any

from slither_actors.errors import SlitherError
from slither_actors.otp._life import Life
from slither_actors.otp.logs import forward_logs
from slither_actors.otp.messages import Ignored, Init, StartFailed
from slither_actors.otp.server import IGNORE, LATER, Server
from slither_actors.transport.bases import WhereAreYou
from slither_actors.transport.labels import put_label
from slither_actors.transport.process import close_inherited, free_forks, lead_group, reset_signals, set_title


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
        put_label(init.surroundings.directory, init.name or "root", init.incarnation)
        creator = multiprocessing.parent_process()
        transport.hub.queue_limit_bytes = init.surroundings.queue_limit_bytes
        kept = {0, 1, 2, init.surroundings.stderr, *transport.descriptors()}
        close_inherited(kept | ({creator.sentinel} if creator else set()))
        life = Life(self._myRef, init)
        self._life = life
        try:
            forward_logs(transport.hub, init.name, init.surroundings, life.log_scope)
            cls = init.code.load()
            if not cls.has_children:
                free_forks()
                if init.surroundings.stderr > 2:
                    os.close(init.surroundings.stderr)
            args = init.args.open(f"args of {init.name or 'root'}")
            self.__class__ = cls
            cls.__init__(self, *args)
            self._life = life
            transport.receiver = life.watched(self._receive)
            transport.broken = self._crash
            transport.corks = transport.hub.segments.relays = self.corks
            info = self._begin()
            if info is IGNORE:
                transport.post(init.parent, Ignored(init.name, init.incarnation))
                life.leave()
            elif info is not LATER:
                self.started(info)
        except BaseException as error:
            text = str(error) if isinstance(error, SlitherError) else "".join(traceback.format_exception(error))
            with contextlib.suppress(Exception):
                transport.post(init.parent, StartFailed(init.name, init.incarnation, text))
            life.leave()
