"""What feeds the pipes of a system, and the end of it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable

from slither_actors._record import record
from slither_actors.errors import PipeStopped
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.pipe.pipe import PipeType
from slither_actors.system._ending import Limit
from slither_actors.system._feeder import Feeder

# How long after the last of its runs a feeder may take to give away what came of that.
_SLACK_S = 1.0


@record
class Feed:
    """What makes a run of a pipe one that is fed item by item.

    Attributes:
        definition: the pipe, under policies that every run outlives.
        max_wait_s: how long an item may wait for others before a worker stage.
        idle_stop_s: how long the pipe is kept without a run; `None` is for good.
    """

    definition: PipeDefinition
    max_wait_s: float
    idle_stop_s: float | None


class Feeders:
    """By pipe. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant, for the garbage collector
        self._feeders: dict[PipeType, weakref.WeakSet[Feeder]] = {}

    def add(self, pipe: PipeType, feeder: Feeder) -> None:
        with self._lock:
            self._feeders.setdefault(pipe, weakref.WeakSet()).add(feeder)

    def refuse(self, pipe: PipeType, limit: Limit) -> list[Feeder]:
        """Those of a pipe that is being stopped take no more; what they have is in a run when this returns, or late."""
        with self._lock:
            feeders = list(self._feeders.pop(pipe, ()))
            for feeder in feeders:
                feeder.refuse(PipeStopped(pipe.definition.name))
        for feeder in feeders:
            feeder.await_open(limit.left_s)
        return feeders

    def settle(self, limit: Limit) -> None:
        """Wait until all that was submitted has come to its end."""
        with self._lock:
            feeders = [feeder for some in self._feeders.values() for feeder in some]
        for feeder in feeders:
            while limit.left_s and not feeder.submissions.wait_until_left(min(limit.left_s, 0.05)):
                pass  # the limit may have come nearer

    def join(self, feeders: Iterable[Feeder] | None = None) -> None:
        """Wait a moment until these, or all, have said what came of their last run."""
        if feeders is None:
            with self._lock:
                feeders = [feeder for some in self._feeders.values() for feeder in some]
        until = time.monotonic() + _SLACK_S
        for feeder in feeders:
            feeder.submissions.wait_until_left(max(0.0, until - time.monotonic()))
