"""What must be true of stages with a rate limit."""

from __future__ import annotations

import math
from typing import Any

from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.dispatch.messages import Batch, OpenRun
from slither_actors.pipe._balance_plan import BalancePlan
from slither_actors.testing._rules import Rule, on_sent
from slither_actors.workers.messages import RunBatch
from slither_actors.workers.parcel import Parcel, count

# What sums of times and rates may be wrong by, in items.
_INEXACT = 1e-6


class RateKept(Rule):
    """A stage with a rate is given no more than its burst, and what the rate adds, in any span of time: by each process
    that hands items out."""

    id = "rate"

    def __init__(self, book: Any) -> None:
        super().__init__(book)
        self._plans: dict[tuple[str, str], list[Any]] = {}  # by process and run, of each stage there
        self._left: dict[tuple[str, str], tuple[float, float]] = {}  # by process and limit: items, and when it was so

    @on_sent(OpenRun)
    def _learn(self, sender: str, to: str, message: OpenRun) -> None:
        self._plans.setdefault((to, message.run), []).append(message.plan)

    @on_sent(Batch)
    def _look_at_replica(self, sender: str, to: str, message: Batch) -> None:
        for plan in self._plans.get((sender, message.run), ()):
            if isinstance(plan, BalancePlan) and plan.owns(message.edge):
                self._take(sender, plan.rate, message.parcels)

    @on_sent(RunBatch)
    def _look_at_worker(self, sender: str, to: str, message: RunBatch) -> None:
        plans = self._plans.get((sender, message.run), ())
        if len(plans) == 1:
            self._take(sender, plans[0].rate, message.parcels)

    def _take(self, process: str, rate: RateTicket | None, parcels: tuple[Parcel, ...]) -> None:
        if rate is None or rate.per_second == math.inf:
            return
        now = self.book.world.now
        left, since = self._left.get((process, rate.name), (float(rate.burst), now))
        left = min(rate.burst, left + (now - since) * rate.per_second) - count(parcels)
        self._left[process, rate.name] = left, now
        self.check(left >= -_INEXACT, f"{process} hands out {-left:g} items more than {rate.name} may be given")
