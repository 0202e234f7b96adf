"""The process behind a `Server`: its place in the tree, its transport, its timers, its end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from slither_actors.otp._timers import Timer, Timers
from slither_actors.otp.messages import Init, Surroundings

# How long a dying process may take to get its last words out.
_LAST_WORDS_S = 1.0


class Caller:
    """Who made a call, to be answered later."""

    __slots__ = ("address", "number")

    def __init__(self, address: str, number: int) -> None:
        self.address = address
        self.number = number


class Settled:
    """A note to self in the inbox: to be done after everything that had arrived before."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action


class Tick:
    """The payload of our wake-ups among those that user code asks Thespian for."""

    __slots__ = ("deadline",)

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


class Life:
    """One process of the tree, seen from within."""

    def __init__(self, manager: Any, init: Init) -> None:
        self.manager = manager
        self.transport = manager.transport
        self.name = init.name
        self.incarnation = init.incarnation
        self.parent = init.parent
        self.surroundings: Surroundings = init.surroundings
        self.leaving = False
        self._timers = Timers()
        self._armed: list[float] = []  # deadlines of the ticks under way, the next one last

    @property
    def address(self) -> str:
        address: str = self.transport.hub.address
        return address

    def start_timer(self, delay_s: float, action: Callable[[], None]) -> Timer:
        timer = self._timers.start(time.monotonic() + delay_s, action)
        self._arm()
        return timer

    def run_timers(self, tick: Tick) -> None:
        self._armed.remove(tick.deadline)
        for timer in self._timers.take_due(time.monotonic()):
            if timer.action is not None:  # an earlier one may have cancelled it
                timer.action()
        self._arm()

    def _arm(self) -> None:
        """As few of Thespian's timers as possible: each one costs a sort of all. One is needed only before the next."""
        deadline = self._timers.next_deadline()
        if deadline is not None and (not self._armed or deadline < self._armed[-1]):
            self._armed.append(deadline)
            self.transport.addWakeup(timedelta(seconds=max(0.0, deadline - time.monotonic())), Tick(deadline))

    def after_arrivals(self, address: str, action: Callable[[], None]) -> None:
        """Do `action` after all that the dead process at `address` had sent."""
        self.transport.hub.settle(address)
        self.transport.hub.inbox.append((Settled(action), self.address))

    def leave(self) -> None:
        """End the process now, with what was sent delivered and what was printed shown."""
        with contextlib.suppress(Exception):
            self.transport.hub.flush(_LAST_WORDS_S)
            self.transport.close()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(1)
