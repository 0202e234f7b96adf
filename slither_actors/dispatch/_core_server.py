"""The actor around a core that decides: it sends what the core wants sent, and wakes it when there is something due."""

from __future__ import annotations

import math
from typing import Any, Protocol

from slither_actors.dispatch._outbox import send_all
from slither_actors.errors import TransportError
from slither_actors.otp._timers import Timer
from slither_actors.otp.server import Server


class Core(Protocol):
    """What decides, without a socket and without a clock.

    Attributes:
        outbox: addresses and messages, to be sent in this order.
        earliest: when `expire` is to be called, though nothing happens.
    """

    outbox: list[tuple[str, Any]]
    earliest: float

    def expire(self, now: float) -> None:
        """Do what is due."""


class CoreServer(Server):
    """Holds back what it sends until all that has arrived is handled. `_carry_out` comes behind whatever was told to
    the core."""

    corks = True
    _core: Core
    _timer: Timer | None = None
    _timer_at = math.inf

    def _carry_out(self) -> None:
        if self._core.outbox:
            send_all(self._core.outbox, self.post, self._not_sent)
        if self._core.earliest < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._core.earliest
            self._timer = self.start_timer(max(0.0, self._timer_at - self._clock()), self._on_timer)

    def _not_sent(self, to: str, message: Any, error: TransportError) -> None:
        """A message of the core was refused."""
        raise NotImplementedError

    def _on_timer(self) -> None:
        self._timer_at, self._timer = math.inf, None
        self._core.expire(self._clock())
        self._carry_out()
