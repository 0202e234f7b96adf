"""Calls of sessions in an `InlineSystem`: answered when they are submitted."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from slither_actors.dispatch.messages import OpenRun
from slither_actors.otp.endpoint import Ended
from slither_actors.otp.ref import Ref
from slither_actors.system._calls import Calls, Line
from slither_actors.transport.hub import Undelivered


class _Line(Line):
    """A line whose calls are answered at once."""

    pump: Callable[[], None]

    def submit(self, item: Any) -> Future[Any]:
        future = super().submit(item)
        while not future.done():
            self.pump()
        return future


class InlineCalls(Calls):
    """Without the thread that others have: whoever submits takes the answers."""

    def open(self, session: str, name: str, to: Ref, plan: Callable[[str], Any]) -> Line:
        """Open a line to a dispatcher."""
        if self._endpoint is None:
            self._endpoint = self._client.endpoint().__enter__()
        line = _Line(f"calls-{next(self._numbers)}-{os.urandom(4).hex()}", session, name, to, self)
        line.pump = self._take_next
        self._lines[line.run] = line
        self._endpoint.watch(to)
        self._endpoint.post(to.address, OpenRun(line.run, plan(self._endpoint.address)))
        return line

    def _take_next(self) -> None:
        assert self._endpoint is not None
        received = self._endpoint.receive(None)
        if received is None:
            return
        news, sender = received
        if isinstance(news, Ended | Undelivered):
            for line in [line for line in self._lines.values() if line.to.address == sender]:
                self._drop(line, None)
        else:
            self._take(news, sender)
