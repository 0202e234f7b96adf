"""The balancer: the actor around `BalanceCore`."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch._core_server import CoreServer
from slither_actors.dispatch._rate_table import SetRate
from slither_actors.dispatch.messages import (
    Ask,
    Batch,
    CloseRun,
    Complete,
    Failed,
    OpenRun,
    RunOpened,
    RunRefused,
    Surrender,
    Surrendered,
)
from slither_actors.errors import NotDecodable, TransportError
from slither_actors.otp.messages import Down, Subscribe, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Caller, handles
from slither_actors.pipe._balance_core import BalanceCore
from slither_actors.transport.hub import Undecodable, Unread
from slither_actors.workers.messages import EndSession

# What a supervisor calls the processes of a stage with a balancer.
BALANCER = "balancer"
REPLICA = "replica-"


class Balancer(CoreServer):
    """Divides what comes to a stage among its replicas, no faster than its rate limit says, and sends on what they
    make. To the service and to other stages it is the stage. No user code runs here.

    Args:
        stage: how errors call it.
    """

    _core: BalanceCore

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._refs: dict[str, Ref] = {}

    def init(self) -> None:
        self._core = BalanceCore(self._stage, self.name, self.address)
        self._prefix = f"{self.name.rpartition('/')[0]}/{REPLICA}"
        registry = self.life.surroundings.registry
        assert registry is not None
        self.post(registry, Subscribe(self._prefix))

    # -- the run

    @handles(OpenRun)
    def _on_open(self, message: OpenRun, sender: str) -> None:
        self._core.open_run(message.run, message.plan, sender, self._clock())
        self._carry_out()

    @handles(RunOpened)
    def _on_opened(self, message: RunOpened, sender: str) -> None:
        self._core.opened(message.run, sender, self._clock())
        self._carry_out()

    @handles(RunRefused)
    def _on_refused(self, message: RunRefused, sender: str) -> None:
        self._core.refused(message.run, message.error, self._clock())
        self._carry_out()

    @handles(Batch)
    def _on_batch(self, message: Batch, sender: str) -> None:
        self._core.batch(message, sender, self._clock())
        self._carry_out()

    @handles(Ask)
    def _on_ask(self, message: Ask, sender: str) -> None:
        self._core.ask(message, sender, self._clock())
        self._carry_out()

    @handles(Complete)
    def _on_complete(self, message: Complete, sender: str) -> None:
        self._core.complete(message, sender, self._clock())
        self._carry_out()

    @handles(Failed)
    def _on_failed(self, message: Failed, sender: str) -> None:
        self._core.failed(message, sender, self._clock())
        self._carry_out()

    @handles(CloseRun)
    def _on_close(self, message: CloseRun, sender: str) -> None:
        self._core.close_run(message.run, self._clock())
        self._carry_out()
        self.rest()

    @handles(Surrender)
    def _on_surrender(self, message: Surrender, sender: str) -> None:
        self._core.surrender(message.run, sender, self._clock())
        self._carry_out()

    @handles(Surrendered)
    def _on_surrendered(self, message: Surrendered, sender: str) -> None:
        self._core.surrendered(message, sender, self._clock())
        self._carry_out()

    @handles(Undecodable, Unread)
    def _on_unread(self, message: Undecodable | Unread, sender: str) -> None:
        """For want of memory, here or there. What travelled is lost, and somebody waits for it."""
        self._receive_other(message, sender)
        if len(message.head) > 1:
            self._core.lost(str(message.head[1]), NotDecodable("a message of the run", message.error), self._clock())
        self._carry_out()

    @handles(EndSession)
    def _on_end_session(self, message: EndSession, sender: str) -> None:
        for ref in self._refs.values():
            self.post(ref.address, message)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if not isinstance(request, SetRate):
            return super().handle_call(request, caller)
        self._core.set_rate(request.ticket, self._clock())
        self._carry_out()
        return True

    # -- the replicas

    @handles(Up)
    def _on_up(self, message: Up, sender: str) -> None:
        former = self._refs.get(message.ref.name)
        if former is None:
            self._replica_up(message.ref)
        else:  # whose end is told already, and waits
            self.life.after_arrivals(former.address, lambda: self._replica_up(message.ref))

    def _replica_up(self, ref: Ref) -> None:
        self._refs[ref.name] = ref
        self._core.replica_up(int(ref.name.removeprefix(self._prefix)) - 1, ref)
        self._carry_out()

    @handles(Down)
    def _on_down(self, message: Down, sender: str) -> None:
        # what it had sent before it died comes first
        self.life.after_arrivals(message.ref.address, lambda: self._replica_down(message))

    def _replica_down(self, message: Down) -> None:
        self._refs.pop(message.ref.name, None)
        self._core.replica_down(message.ref, str(message.reason), self._clock())
        self._carry_out()

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, Batch | Ask | Complete | Failed):
            self._core.undelivered(message, self._clock())
            self._carry_out()

    def _not_sent(self, to: str, message: Any, error: TransportError) -> None:
        self._core.not_sent(to, message, error, self._clock())
