"""The process behind a `Server`: its place in the tree, its transport, its timers, its end."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from slither_actors._letter import opened
from slither_actors._validators import checked_seconds
from slither_actors.errors import InvalidOption, NoProcess
from slither_actors.otp._timers import Timer, Timers
from slither_actors.otp.endpoint import Line, checked_target
from slither_actors.otp.logs import LogScope
from slither_actors.otp.messages import Call, Cast, Init, Link, LinkEnded, Surroundings, Unlink, Unwatch, Watch
from slither_actors.otp.ref import Ref
from slither_actors.transport._pulse import Pulse

# How long a dying process may take to get its last words out.
_LAST_WORDS_S = 1.0

# How long Thespian may take to end a process that wants to; most often it takes a few milliseconds.
_EXIT_LIMIT_S = 2.0

# Thirty years; Thespian adds it to the date of today, which must stay one.
_LONGEST_TIMER_S = 1e9

# How long the registry may take to say who runs under a name; it runs no user code.
_LOOK_UP_S = 5.0


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


class Monitor:
    """A watch over another process; `handle_down` is called once when that ends."""

    __slots__ = ("_life", "_number")

    def __init__(self, life: Life, number: int) -> None:
        self._life = life
        self._number = number

    def cancel(self) -> None:
        """`handle_down` is not called for this one any more. Repeating it does no harm."""
        if self._life.end_monitor(self._number):
            self._life.transport.post(self._life.registry, Unwatch(self._number))


class Life:
    """One process of the tree, seen from within."""

    _pulse: Pulse | None = None
    shared_stores: Any = None  # where several actors share a process, which real ones do not

    def __init__(self, manager: Any, init: Init) -> None:
        self.manager = manager
        self.transport = manager.transport
        self.name = init.name
        self.incarnation = init.incarnation
        self.parent = init.parent
        self.surroundings: Surroundings = init.surroundings
        self.leaving = False
        self.request = ""  # the kind of the call or cast that is being handled, or was last
        self.log_scope = LogScope()
        self._timers = Timers()
        self._armed: list[float] = []  # deadlines of the ticks under way, the next one last
        self._line = Line(self.transport.hub)
        self._monitors: set[int] = set()
        self._next = 0  # how many notes to self stand at the head of the inbox
        self._numbers = itertools.count(1)
        if init.busy_limit_s is not None:
            with contextlib.suppress(OSError):  # a full disk is no reason not to run
                self._pulse = Pulse(init.surroundings.directory, init.busy_limit_s)

    def watched(self, action: Callable[..., Any]) -> Callable[..., Any]:
        """The same action, of which the host sees when it takes too long, if there is a limit."""
        return action if self._pulse is None else self._pulse.around(action)

    @property
    def address(self) -> str:
        address: str = self.transport.hub.address
        return address

    @property
    def registry(self) -> str:
        """The registry's address.

        Raises:
            NoProcess: this process was started before it.
        """
        if self.surroundings.registry is None:
            raise NoProcess("the registry")
        return self.surroundings.registry

    def opened(self, message: Call | Cast, what: Callable[[], str]) -> Any:
        """The request in a message, which is handled from now on; raises as `_letter.opened`."""
        self.request = type(message).__name__
        request = opened(message.request, what)
        self.request = type(request).__name__
        return request

    def handled(self, message: Any) -> str:
        """What is told of a message that the process dies at: its kind, or that of the request in it."""
        if isinstance(message, Call | Cast):
            return self.request
        return "" if message is None or isinstance(message, Tick | Settled) else type(message).__name__

    def call(self, to: str | Ref, request: Any, timeout_s: float) -> Any:
        ref = self._line.find(self.registry, to, checked_seconds("call", timeout_s))
        if ref.address == self.address:
            raise InvalidOption("call", "to", ref.name, "another process: this one cannot answer while it waits")
        return self._line.call(ref.address, request, timeout_s, ref.name)

    def cast(self, to: str | Ref, request: Any) -> None:
        self._line.cast(self.registry, to, request, _LOOK_UP_S)

    def monitor(self, to: str | Ref) -> Monitor:
        number = next(self._numbers)
        self.transport.post(self.registry, Watch(number, checked_target(to)))
        self._monitors.add(number)
        return Monitor(self, number)

    def end_monitor(self, number: int) -> bool:
        """Forget a monitor; false if that has happened before."""
        known = number in self._monitors
        self._monitors.discard(number)
        return known

    def link(self, to: str | Ref) -> None:
        self.transport.post(self.registry, Link(checked_target(to)))

    def unlink(self, to: str | Ref) -> None:
        request = Unlink(checked_target(to), self.address)
        other = self._line.call(self.registry, request, _LOOK_UP_S, "the registry")
        inbox = self.transport.hub.inbox
        late = [one for one in inbox if isinstance(one[0], LinkEnded) and one[0].ref.address == other]
        for one in late:  # its end was on the way when the link was ended
            inbox.remove(one)

    def next_up(self, action: Callable[[], None]) -> None:
        """Do `action` before all that has arrived, but after what was put there like this before."""

        def step() -> None:
            self._next -= 1
            action()

        self.transport.hub.inbox.insert(self._next, (Settled(step), self.address))
        self._next += 1
        self.transport.hub.wake()  # a loop that waits for the hub's descriptor does not look into the inbox

    def behind_all(self, action: Callable[[], None]) -> None:
        """Do `action` after all that has been read by now: at once, if that is nothing. Costs much less than a message
        to oneself."""
        if self.transport.hub.inbox:
            self.transport.put_behind(Settled(action))
        else:
            action()

    def start_timer(self, delay_s: float, action: Callable[[], None]) -> Timer:
        timer = self._timers.start(time.monotonic() + delay_s, action)
        self._arm()
        return timer

    def run_timers(self, tick: Tick) -> None:
        self._armed.remove(tick.deadline)
        for timer in self._timers.take_due(time.monotonic()):
            if timer.action is not None:  # an earlier one may have cancelled it
                self.watched(timer.action)()
        self._arm()

    def _arm(self) -> None:
        """As few of Thespian's timers as possible: each one costs a sort of all. One is needed only before the next."""
        deadline = self._timers.next_deadline()
        if deadline is not None and (not self._armed or deadline < self._armed[-1]):
            self._armed.append(deadline)
            delay_s = min(max(0.0, deadline - time.monotonic()), _LONGEST_TIMER_S)
            self.transport.addWakeup(timedelta(seconds=delay_s), Tick(deadline))

    def after_arrivals(self, address: str, action: Callable[[], None]) -> None:
        """Do `action` after all that the dead process at `address` had sent."""
        self.transport.hub.settle(address)
        self.transport.hub.inbox.append((Settled(action), self.address))

    def end_for_sure(self, within_s: float = _EXIT_LIMIT_S) -> None:
        """End the process in a while, should Thespian wait for a child that is dead already."""
        timer = threading.Timer(within_s, os._exit, (1,))
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # there is no memory for a thread
            self.leave()

    def leave(self) -> None:
        """End the process now, with what was sent delivered and what was printed shown."""
        with contextlib.suppress(Exception):
            self.transport.hub.flush(_LAST_WORDS_S)
            self.transport.close()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(1)
