"""`StartedPipe`: the handle of a pipe that was started to stay."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import attrs

from slither_actors._keywords import known_keywords
from slither_actors._validators import check_bool, checked_seconds, optional, positive_int, positive_seconds
from slither_actors.dispatch.accounting import Accounting
from slither_actors.dispatch.drain import DrainReport
from slither_actors.item import Item
from slither_actors.pipe.pipe import PipeType
from slither_actors.system._feeder import Feeder
from slither_actors.system.client import Client
from slither_actors.system.pipes import Pipes


@attrs.frozen(kw_only=True)
class FeedOptions:
    """How what is submitted to a pipe goes into it.

    Attributes:
        max_queued: items that may wait until the pipe takes them.
        max_wait_s: seconds that an item may wait for others, so that a worker stage gets a full batch.
        idle_stop_s: seconds without a run after which the pipe is stopped; `None` is never.
    """

    max_queued: int = attrs.field(default=1000, validator=positive_int)
    max_wait_s: float = attrs.field(default=0.01, validator=positive_seconds)
    idle_stop_s: float | None = attrs.field(default=None, validator=optional(positive_seconds))


class StartedPipe:
    """A pipe whose processes are kept, as `start_pipe` returns it. A context manager: leaving the block stops the pipe.

    Safe to use from any thread. Items that are submitted share one run, which begins with the first of them and stays
    open: `ctx.state` lives as long as it does. When a process dies on the way of the run, what was under way fails with
    that, and what waits is fed to the next run.
    """

    def __init__(self, client: Client, pipes: Pipes, pipe: PipeType, feeder: Feeder) -> None:
        self.pipe = pipe
        self._client = client
        self._pipes = pipes
        self._feeder = feeder
        weakref.finalize(self, feeder.retire).atexit = False

    def __repr__(self) -> str:
        return f"<StartedPipe {self.pipe.definition.name}>"

    @known_keywords
    def submit(self, item: Any, *, timeout_s: float | None = None) -> Future[Any]:
        """Give the pipe one item, and do not wait for what comes of it; only for room, if too many wait already.

        The error policies mean the item alone: what would end a run fails its future, and nothing else. Cancelling the
        future takes the item back as long as it waits; later it is too late, and `cancel` says so.

        Args:
            item: a payload or an `Item`.
            timeout_s: how many seconds to wait for room; 0 is not at all, `None` until there is some.

        Returns:
            A future. Its result is the `Item` that came out, whose `route` is the name of the output, or, if a stage
            made others of it, `Results`: a list of all that came out of it, with the ends of the rest. Its exception is
            `ItemSkipped`, `ItemDropped` or `ItemDead`; `PipeError` where a policy halts, or where the run ended under
            the item, with what had come out of it in `partial_results`; `NotPicklable` if it cannot travel; else what
            `run_pipe` raises. Its callbacks run in the thread that feeds the pipe: what they do holds up all others.

        Raises:
            PipeFull: there was no room in time. PipeStopped: the pipe was stopped.
            InvalidOption: the item is under way already, or `timeout_s` is no time.
            SystemDown: the system is stopped, or gave up.
        """
        self._client.check_admission()
        if timeout_s is not None:
            timeout_s = checked_seconds("submit", timeout_s)
        return self._feeder.submit(Item.wrap(item), timeout_s)

    @property
    def accounting(self) -> Accounting:
        """Where the items are by now that were submitted, and have not to wait any more, in numbers."""
        return self._feeder.accounting

    def stop(self, drain: bool = True, *, timeout_s: float = 30.0) -> DrainReport:
        """`System.stop_pipe` of this pipe: what was submitted comes to its end first, as far as there is time."""
        self._client.check_process()
        check_bool("stop", "drain", drain)
        return self._pipes.stop(self.pipe, timeout_s if drain else 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client.is_ours and self._client.state == "running":
            self.stop(kind is None)
