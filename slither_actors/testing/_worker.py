"""A worker whose user code runs here, and whose time, death and result the world decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from slither_actors.errors import kinds_of
from slither_actors.otp.messages import Surroundings
from slither_actors.otp.ref import Ref
from slither_actors.testing._faults import Crash, Hang
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._world import Action, World
from slither_actors.workers._reading import read_items
from slither_actors.workers.messages import BatchFailed, RunBatch
from slither_actors.workers.process import Worker

_CRASH, _HANG = (kinds_of(kind)[0] for kind in (Crash, Hang))

# The end of the process at an address: how errors call it, and what the trace says.
Death = Callable[[str, str, str], None]

# How much seldomer a worker dies over what is no batch: one that always does would never come to one.
_IN_PASSING = 0.2


class SimulatedWorker(SimulatedProcess):
    """One incarnation of one worker.

    A batch is executed when it arrives, and its results leave when its time is over. The worker may die before, amid
    and after: in the last case the results are out, and the batch still counts as running.
    """

    def __init__(
        self,
        world: World,
        server: Worker,
        ref: Ref,
        parent: str,
        surroundings: Surroundings,
        death: Death,
        wears_out: Callable[[str], None],
    ) -> None:
        self._end = death
        self.wears_out = wears_out
        self.retires = False
        self._number = 0
        self._done_at: float | None = None
        self._held: list[tuple[str, Any]] | None = None
        self._dies = ""
        # what was read ahead of its turn: messages with their senders, and what is to be done behind them
        self._inbox: deque[tuple[Any, str]] = deque()
        super().__init__(world, server, ref, parent, surroundings)
        self.life.after_arrivals = self._after_arrivals  # type: ignore[method-assign]
        server._page = self  # type: ignore[assignment]
        self._post, self.life.post = self.life.post, self._post_later  # type: ignore[method-assign]

    @property
    def busy(self) -> bool:  # type: ignore[override]
        return self._done_at is not None or bool(self._inbox)

    @property
    def finding(self) -> int:
        return self._number

    def running(self, number: int) -> None:
        """In place of `workers._page.Page`. A batch is over when its time is."""
        if number:
            self._number = number

    def items(self, ids: Sequence[int]) -> None:
        """In place of `workers._page.Page`. Nobody asks."""

    def sessions(self, count: int) -> None:
        """In place of `workers._page.Page`. Nobody asks."""

    def _post_later(self, to: str, message: Any) -> None:
        if self._held is None:
            self._post(to, message)
        else:
            self._held.append((to, message))

    def receive(self, message: Any, sender: str) -> None:
        if isinstance(message, RunBatch):
            self._begin(message, sender)
        else:
            super().receive(message, sender)
            if self.world.chance(self.world.faults.crashes * _IN_PASSING):
                self._die("crashes in passing")

    def _begin(self, message: RunBatch, sender: str) -> None:
        items = [*read_items(message.parcels)[0]]
        faults, rng = self.world.faults, self.world.rng
        self._number = message.number
        self.world.watcher.begun(self, sender, message)
        if self.world.chance(faults.recycles):
            self.wears_out(self.address)
        self._dies = rng.choice(("before", "amid", "after")) if self.world.chance(faults.crashes) else ""
        if self._dies == "before":
            self._die("crashes over a batch")
            return
        self._held = []
        super().receive(message, sender)
        seconds = faults.duration([item.payload for item in items], rng)
        raised = {kind for _, news in self._held if isinstance(news, BatchFailed) for kind in _kinds(news)}
        if _CRASH in raised:
            self._dies = "amid"
        hangs = _HANG in raised or self.world.chance(faults.hangs)
        self._done_at = inf if hangs else self.world.now + seconds

    def _after_arrivals(self, address: str, action: Action) -> None:
        """A worker handles one message at a time, so what has arrived has to wait for its turn."""
        arrived = self.world.channels.pop((address, self.address), ())
        self._inbox += [(message, address) for message in arrived]
        self._inbox.append((action, ""))

    def _take(self) -> None:
        message, sender = self._inbox.popleft()
        if not sender:
            message()
        else:
            self.world.watcher.delivered(sender, self.address, message)
            self.receive(message, sender)

    def actions(self) -> list[Action]:
        if self._done_at is None:
            return [self._take] if self._inbox else []
        return [self._finish] if self._done_at <= self.world.now else []

    def wakes_at(self) -> float | None:
        return None if self._done_at == inf else self._done_at

    def _finish(self) -> None:
        if self._dies == "amid":
            self._die("crashes over a batch")
            return
        held, self._held = self._held or [], None
        for to, news in held:
            self.life.post(to, news)
        if self._dies:
            self._die("crashes behind a batch")
            return
        self.world.watcher.ended(self.address, "failed" if any(isinstance(n, BatchFailed) for _, n in held) else "done")
        self._number, self._done_at = 0, None

    def _die(self, why: str) -> None:
        self._end(self.address, "SIGSEGV", why)


def _kinds(failed: BatchFailed) -> tuple[str, ...]:
    return getattr(failed.error, "kinds", ())
