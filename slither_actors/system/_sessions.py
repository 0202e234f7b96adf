"""The sessions that a service holds open, and the dispatchers that they go through."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time

import attrs

from slither_actors._code import Code
from slither_actors.config import SessionConfig
from slither_actors.context import Context
from slither_actors.dispatch._dispatch_run import SessionPart
from slither_actors.dispatch._patience import STOP_LIMIT_S
from slither_actors.dispatch.sessions import BeginSession, CloseSession, SessionDispatcher
from slither_actors.errors import ChildRefused, NoProcess
from slither_actors.otp.child import ChildSpec
from slither_actors.otp.messages import StartChild
from slither_actors.otp.ref import Ref
from slither_actors.system._asking import CALL_LIMIT_S, GLANCE_S, RESTART_LIMIT_S
from slither_actors.system._calls import Calls
from slither_actors.system._last_seen import LastSeen
from slither_actors.system.client import Client
from slither_actors.system.names import DISPATCHER, POOLS, SESSIONS
from slither_actors.workers.messages import EndSession
from slither_actors.workers.sessions import SessionTicket


@attrs.define(eq=False)
class Held:
    """A session that blocks of the service hold open.

    Attributes:
        ticket: with a number of its own as its token, which is what stages know it by.
        count: of blocks.
        by_pool: what the dispatchers of pools know it by.
        stages: addresses of stages that may keep a state of it.
    """

    ticket: SessionTicket
    count: int = 1
    by_pool: dict[str, SessionTicket] = attrs.field(factory=dict)
    stages: set[str] = attrs.field(factory=set)
    beginning: threading.Lock = attrs.field(factory=threading.Lock)


class Sessions:
    """Open sessions by id, and how work for them is sent."""

    def __init__(self, client: Client, config: SessionConfig) -> None:
        self.calls = Calls(client)
        client.settling.append(self.calls.settle)
        self._client = client
        self._config = config
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._started: set[str] = set()  # pools that have a dispatcher of sessions
        self._starting = threading.Lock()
        self._numbers = itertools.count(1)
        self._last_seen = LastSeen(config.max_sessions)

    @property
    def default_ttl_s(self) -> float:
        return self._config.default_ttl_s

    @property
    def is_ours(self) -> bool:
        """Whether this process is the one that the sessions were opened in."""
        return self._client.is_ours

    def check_admission(self) -> None:
        """Raises where nothing new may begin, as in `Client`."""
        self._client.check_admission()

    def hold(self, ticket: SessionTicket) -> Held:
        """A block begins. Others that hold the session share it, with the options that it began with."""
        with self._lock:
            held = self._held.get(ticket.id)
            if held is None:
                held = self._held[ticket.id] = Held(ticket.with_token(next(self._numbers)))
            else:
                held.count += 1
            return held

    def release(self, held: Held) -> tuple[int, bool]:
        """A block ends; the last one ends the session, and waits for its stop hook. Returns how often the session has
        lost its state, and whether it was lost for good, as far as that is known then."""
        losses, is_lost = 0, False
        with self._lock:
            held.count -= 1
            if held.count:
                return losses, is_lost
            if self._held.get(held.ticket.id) is held:
                del self._held[held.ticket.id]
        with held.beginning:
            pools = dict(held.by_pool)
        for pool, ticket in pools.items():
            limit_s = STOP_LIMIT_S + CALL_LIMIT_S
            try:
                more, lost = self._client.ask(f"{POOLS}/{pool}/{SESSIONS}", CloseSession(ticket), limit_s)
            except NoProcess:  # it died, and the session with it
                more, lost = 1, True
            losses, is_lost = losses + more, is_lost or lost
        if held.stages:
            with self._client.endpoint() as endpoint:
                for address in held.stages:
                    endpoint.post(address, EndSession(0, held.ticket.key))
        self._client.hear()
        return losses, is_lost

    def dispatcher(self, pool: str) -> Ref:
        """The dispatcher of a pool's sessions, started when it is first wanted, and again when its supervisor has
        forgotten it: one that was restarted has.

        Raises:
            NoProcess: it did not come back in time.
        """
        if pool not in self._started:
            self._start(pool)
        deadline = time.monotonic() + RESTART_LIMIT_S
        while True:
            try:
                return self._client.resolve((f"{POOLS}/{pool}/{SESSIONS}",), GLANCE_S)[0]
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
            with contextlib.suppress(NoProcess):  # the supervisor itself is being restarted
                self._start(pool)

    def _start(self, pool: str) -> None:
        with self._starting:
            spec = ChildSpec(SESSIONS, Code.of(SessionDispatcher), (pool, self._config.max_sessions))
            with contextlib.suppress(ChildRefused):  # it is there, perhaps being restarted
                self._client.call(f"{POOLS}/{pool}", StartChild(spec), CALL_LIMIT_S)
            self._started.add(pool)

    def way(self, context: Context | None, pool: str) -> tuple[Ref, SessionPart | None]:
        """The dispatcher of a plain call, and what makes it one of a session."""
        session_id = context.session_id if context else None
        if session_id is None:
            return self._client.resolve((f"{POOLS}/{pool}/{DISPATCHER}",))[0], None
        return self.part(session_id, pool)

    def part(
        self, session_id: str, pool: str, stage: str | None = None, *, calls: bool = False
    ) -> tuple[Ref, SessionPart]:
        """The dispatcher of a run that belongs to a session, and what the run says of that.

        Raises:
            SessionLimit: the pool has as many as it may have.
            SessionLost: the session has no handle, and the dispatcher that knew it died.
        """
        held = self._held.get(session_id)
        if held is None:
            dispatcher = self.dispatcher(pool)
            self._last_seen.meet(pool, session_id, dispatcher)
            return dispatcher, SessionPart(SessionTicket(session_id, ttl_s=self.default_ttl_s), stage, calls)
        with held.beginning:
            dispatcher = self._begin(held, pool) if pool not in held.by_pool else self.dispatcher(pool)
            return dispatcher, SessionPart(held.by_pool[pool], stage, calls)

    def _begin(self, held: Held, pool: str) -> Ref:
        """Make a session known to the dispatcher of a pool; one that dies over it has lost nothing, so the next is
        asked."""
        deadline = time.monotonic() + RESTART_LIMIT_S
        while True:
            dispatcher = self.dispatcher(pool)
            try:
                token = self._client.ask(dispatcher, BeginSession(held.ticket.with_token(0)), CALL_LIMIT_S)
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
            else:
                held.by_pool[pool] = held.ticket.with_token(token)
                return dispatcher

    def stage_ticket(self, session_id: str, address: str) -> SessionTicket:
        """What the stage at this address knows the session by; its hooks are for workers."""
        held = self._held.get(session_id)
        if held is None:
            return SessionTicket(session_id, ttl_s=self.default_ttl_s)
        held.stages.add(address)
        return SessionTicket(session_id, held.ticket.token, ttl_s=held.ticket.ttl_s)
