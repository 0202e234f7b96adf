"""`StartedPipe`: the handle of a pipe that was started to stay."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import attrs

from slither_actors._keywords import known_keywords
from slither_actors._validators import check_bool, checked_seconds, optional, positive_int, positive_seconds
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch.accounting import Accounting
from slither_actors.dispatch.drain import DrainReport
from slither_actors.errors import InvalidOption, shorten
from slither_actors.item import Item
from slither_actors.pipe.pipe import PipeType
from slither_actors.system._feeder import Feeder, Ledger
from slither_actors.system._item_deadlines import ItemDeadlines
from slither_actors.system._runs import check_session
from slither_actors.system.client import Client
from slither_actors.system.pipes import Pipes

# A run of a session ends after so long without an item; the session's state outlives it.
SESSION_IDLE_S = 1.0


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
    that, and what waits is fed to the next run. Those of a session have runs of their own.
    """

    def __init__(
        self, client: Client, pipes: Pipes, pipe: PipeType, new_feeder: Callable[[str | None], Feeder], ledger: Ledger
    ) -> None:
        self.pipe = pipe
        self._client = client
        self._pipes = pipes
        self._new_feeder = new_feeder
        self._ledger = ledger
        self._feeder = feeder = new_feeder(None)
        pipes.feeders.add(pipe, feeder)
        self._lock = threading.RLock()  # re-entrant, for the garbage collector
        # Those that have something to do are held by their threads, and the others by nobody.
        self._of_sessions: weakref.WeakValueDictionary[str, Feeder] = weakref.WeakValueDictionary()
        self._deadlines = ItemDeadlines(f"slither-deadlines-{pipe.definition.name}")
        weakref.finalize(self, feeder.retire).atexit = False

    def __repr__(self) -> str:
        return f"<StartedPipe {self.pipe.definition.name}>"

    @known_keywords
    def submit(
        self,
        item: Any,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Future[Any]:
        """Give the pipe one item, and do not wait for what comes of it; only for room, if too many wait already.

        The error policies mean the item alone: what would end a run fails its future, and nothing else. Cancelling the
        future takes the item back as long as it waits; later it is too late, and `cancel` says so.

        Args:
            item: a payload or an `Item`.
            session_id: a session; worker stages work on the item in the session's worker of their pool, one after
                another with all of the session. Those of each session have a run and a queue of their own.
            metadata: notes that are added to the item's `meta`.
            deadline_s: seconds from now until the item must have come to its end; no limit by default. Then its future
                fails, and no other one; what is under way goes its way, for nobody.
            timeout_s: how many seconds to wait for room; 0 is not at all, `None` until there is some. It never waits
                beyond `deadline_s`.

        Returns:
            A future. Its result is the `Item` that came out, whose `route` is the name of the output, or, if a stage
            made others of it, `Results`: a list of all that came out of it, with the ends of the rest. Its exception is
            `ItemSkipped`, `ItemDropped` or `ItemDead`; `PipeError` where a policy halts, where the run ended under the
            item, or at its deadline, with what had come out of it in `partial_results`; `NotPicklable` if it cannot
            travel; else what `run_pipe` raises. Its callbacks run in the thread that feeds the pipe, or in that of the
            deadlines: what they do holds up all others.

        Raises:
            PipeFull: there was no room in time. PipeStopped: the pipe was stopped.
            InvalidOption: the item is under way already, or an argument is none of the kind.
            SystemDown: the system is stopped, or gave up.
        """
        self._client.check_admission()
        if timeout_s is not None:
            timeout_s = checked_seconds("submit", timeout_s)
        wrapped = Item.wrap(item)
        if metadata is not None:
            wrapped = _annotated(wrapped, metadata)
        feeder = self._feeder if session_id is None else self._feeder_of(session_id)
        if deadline_s is None:
            return feeder.submit(wrapped, timeout_s)
        deadline = Deadline.of("submit", deadline_s)
        future = feeder.submit(wrapped, deadline_s if timeout_s is None else min(timeout_s, deadline_s))
        self._deadlines.watch(future, deadline, lambda failure: feeder.expire(wrapped.id, future, deadline, failure))
        return future

    def _feeder_of(self, session_id: str) -> Feeder:
        check_session(session_id, "submit")
        with self._lock:
            feeder = self._of_sessions.get(session_id)
            if feeder is None:
                feeder = self._of_sessions[session_id] = self._new_feeder(session_id)
                self._pipes.feeders.add(self.pipe, feeder)
                refusal = self._feeder.submissions.refusal
                if refusal is not None:  # the pipe is being stopped, or was
                    feeder.refuse(refusal)
            return feeder

    @property
    def accounting(self) -> Accounting:
        """Where the items are by now that were submitted, and have not to wait any more, in numbers."""
        return self._ledger.accounting

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


def _annotated(item: Item, metadata: Any) -> Item:
    if not isinstance(metadata, Mapping) or not all(isinstance(name, str) for name in metadata):
        raise InvalidOption("submit", "metadata", shorten(metadata), "None, or a mapping of names to values")
    return attrs.evolve(item, meta={**item.meta, **metadata})
