"""Calls whose answers come as futures: many at a time, from any thread, over one endpoint and one thread."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from slither_actors.dispatch.messages import Batch, CloseRun, Failed, OpenRun, RunRefused, ends_of
from slither_actors.errors import InvalidOutcome, NotDecodable, RemoteError, SessionLost, SlitherError
from slither_actors.item import Item
from slither_actors.otp.endpoint import Endpoint, HungUp
from slither_actors.otp.ref import Ref
from slither_actors.system._ending import Limit
from slither_actors.system.client import Client
from slither_actors.transport.hub import Undecodable, Undelivered, Unread
from slither_actors.workers._reading import read_items
from slither_actors.workers.parcel import pack_items

# Whoever submits bounds what is open; the flow protocol does not.
WINDOW = 1 << 40

# How often somebody who waits for answers looks whether the limit has come nearer.
_GLANCE_S = 0.05

_GONE = "the dispatcher of sessions died"


class Line:
    """Calls of one function in one session: a run that stays open. They are answered in their order."""

    def __init__(self, run: str, session: str, name: str, to: Ref, calls: Calls) -> None:
        self.run = run
        self.to = to
        self.over: Exception | None = None
        self._session = session
        self._name = name
        self._calls = calls
        self._lock = threading.Lock()  # who is numbered first is sent first
        self._sent = 0
        self._answered = 0
        self._open: deque[Future[Any]] = deque()

    def submit(self, item: Any) -> Future[Any]:
        """Send one item; the future gets the payload of its result.

        Raises:
            NotPicklable: it cannot travel. SendQueueFull: too much waits already.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # it is on its way, so nobody can call it back
        parcel = pack_items(Item.wrap_many([item]))
        with self._lock:
            if self.over is not None:
                raise self.over
            batch = Batch(self.run, 1, self._sent + 1, (parcel,), (), self._answered + WINDOW, None)
            self._open.append(future)
            try:
                self._calls.post(self.to.address, batch)
            except BaseException:
                self._open.pop()
                raise
            self._sent += 1
        return future

    def pending(self) -> list[Future[Any]]:
        return list(self._open)

    def close(self) -> None:
        """Nothing more is called."""
        self.fail(SessionLost(self._session, "", 1, "it was ended"))
        self._calls.forget(self)

    # -- in the thread that listens

    def answer(self, batch: Batch) -> None:
        future = self._open.popleft()
        self._answered += 1
        try:
            items, losses = read_items(batch.parcels)
        except RemoteError as error:
            future.set_exception(error.with_traceback(None))
            return
        ended = next(ends_of(batch), None)
        if ended is not None:
            future.set_exception(ended.error)
        elif losses:
            future.set_exception(InvalidOutcome.unreadable(self._name, losses[0].error))
        else:
            future.set_result(items[0].payload)

    def fail(self, error: Exception) -> None:
        """All that is open, and what may come, fails with this."""
        with self._lock:
            self.over = self.over or error
            left, self._open = self._open, deque()
        for future in left:
            future.set_exception(error)

    def gone(self) -> None:
        self.fail(SessionLost(self._session, "", 1, _GONE))


class Calls:
    """The lines of one system. Its thread begins with the first one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._lines: dict[str, Line] = {}
        self._endpoint: Endpoint | None = None
        self._numbers = itertools.count(1)

    def open(self, session: str, name: str, to: Ref, plan: Callable[[str], Any]) -> Line:
        """Open a line to a dispatcher; `plan` makes its part from the address that answers go to."""
        with self._lock:
            if self._endpoint is None:
                lent = self._client.endpoint()
                self._endpoint = lent.__enter__()
                args = (self._endpoint, lent)
                threading.Thread(target=self._listen, args=args, name="slither-calls", daemon=True).start()
            line = Line(f"calls-{next(self._numbers)}-{os.urandom(4).hex()}", session, name, to, self)
            self._lines[line.run] = line
            self._endpoint.post(to.address, OpenRun(line.run, plan(self._endpoint.address)))
            return line

    def post(self, to: str, message: Any) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            raise self._client.refusal() or NotDecodable("a call", "nobody listens for its answer")
        endpoint.post(to, message)

    def forget(self, line: Line) -> None:
        if self._lines.pop(line.run, None) is not None and self._endpoint is not None:
            self._endpoint.post(line.to.address, CloseRun(line.run))

    def settle(self, limit: Limit) -> None:
        """Wait for the answers to what was submitted."""
        waiting = [future for line in tuple(self._lines.values()) for future in line.pending()]
        while waiting and (left := limit.left_s):
            waiting = list(concurrent.futures.wait(waiting, min(left, _GLANCE_S)).not_done)

    def _listen(self, endpoint: Endpoint, lent: Any) -> None:
        end: Exception | None = None
        try:
            while end is None:
                received = endpoint.receive(None)
                if received is None:
                    end = self._client.refusal()
                else:
                    self._take(*received)
        except SlitherError as error:  # everything is gone
            end = error
        finally:
            with self._lock:
                self._endpoint = None
                lines, self._lines = list(self._lines.values()), {}
            lent.__exit__(None, None, None)
            for line in lines:
                line.fail(end if end is not None else SessionLost("", "", 1, _GONE))

    def _take(self, news: Any, sender: str) -> None:
        if isinstance(news, HungUp | Undelivered):
            for line in [line for line in self._lines.values() if line.to.address == sender]:
                self._drop(line, None)
            return
        run = news.head[1] if isinstance(news, Undecodable | Unread) and news.head else getattr(news, "run", None)
        line_or_none = self._lines.get(run) if isinstance(run, str) else None
        if line_or_none is None:
            return
        if isinstance(news, Batch):
            line_or_none.answer(news)
        elif isinstance(news, Failed):
            for batch in news.finished:
                line_or_none.answer(batch)
            self._drop(line_or_none, news.error)
        elif isinstance(news, RunRefused):
            self._drop(line_or_none, news.error)
        elif isinstance(news, Undecodable | Unread):
            self._drop(line_or_none, NotDecodable("a call of a session", news.error))
            self._endpoint_post_close(line_or_none)

    def _endpoint_post_close(self, line: Line) -> None:
        if self._endpoint is not None:
            self._endpoint.post(line.to.address, CloseRun(line.run))

    def _drop(self, line: Line, error: Exception | None) -> None:
        self._lines.pop(line.run, None)
        if error is None:
            line.gone()
        else:
            line.fail(error)
