"""The flow protocol between the nodes of a run: the service, stages and dispatchers.

An edge leads from a producer to a consumer, and is known to both by its number within the run. Credit counts batches,
and is a cumulative limit: repeating an `Ask` changes nothing. The initial limit of an edge is its window, which both
ends learn from the plan, so an edge that is never used costs no message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slither_actors._message import message
from slither_actors._record import record
from slither_actors.errors import InvalidOutcome, ItemError, RemoteError, SlitherError
from slither_actors.policy import Halt, Policy, skips
from slither_actors.workers._salvage import Loss
from slither_actors.workers.parcel import Parcel


@record
class Origin:
    """Who made the items that come down an edge: charged with those that their consumer cannot read.

    Attributes:
        stage: how errors call the stage whose policy holds; `None` in a plain dispatch.
        policy: what an item means that cannot be read.
        maker: who made the items, `None` if they are the caller's.
    """

    stage: str | None
    policy: Policy
    maker: str | None = None

    @property
    def skips(self) -> bool:
        """Whether an item that cannot be read ends alone: to read it once more would not help."""
        return skips(self.policy)

    def error(self, reason: RemoteError) -> ItemError:
        """What befell items that cannot be read, for this reason."""
        if self.maker is None:
            return reason.with_traceback(None)  # for the reason in _outbox.py
        return InvalidOutcome.unreadable(self.maker, reason)

    def ends(self, loss: Loss) -> Ends:
        """Where the items stand if the run outlives them."""
        if loss.note is not None:
            return Ends("dead", (loss.parcel,), loss.error, loss.note.stage, loss.note.attempts)
        return Ends("skipped", (loss.parcel,), self.error(loss.error), self.stage, 1)


# What a strategy says of a batch: its lane (0 for none), its weight, its number among all of its source, and why it is
# none: an item that fits into no batch goes to whom it is bound for only to be routed there.
Tag = tuple[int, float, int, ItemError | None]


@record
class InPort:
    """The consumer's end of an edge: at most `window` batches may be sent and not yet settled.

    `back` is an edge to the producer, if each batch that comes in leads to one on it, and is settled when that one is.
    The producer knows by itself then, and nobody asks.
    """

    edge: int
    producer: str
    window: int
    origin: Origin = Origin(None, Halt())
    back: int | None = None


@record
class OutPort:
    """The producer's end of an edge. Batches are formed in the size that the consumer wants, and wait until they are
    full where it `wants_full` ones, for `max_wait_s` seconds at most.

    `route` is what items get as their route on an edge that leads to an output; `back` is as in `InPort`.
    """

    edge: int
    consumer: str
    window: int
    batch_size: int
    route: str | None = None
    back: int | None = None
    wants_full: bool = False
    max_wait_s: float | None = None


@message
class OpenRun:
    """To a node: take part in this run, as the plan says. Answered by `RunOpened` or `RunRefused`."""

    run: str
    plan: Any


@message
class RunOpened:
    """From a node: ready for the run."""

    run: str


@message
class RunRefused:
    """From a node: it cannot take part, and why."""

    run: str
    error: SlitherError


@message
class Ends:
    """Items that left the flow together: `kind` is "skipped", "dropped" or "dead"."""

    kind: str
    parcels: tuple[Parcel, ...]
    error: SlitherError
    stage: str | None
    attempts: int


@message
class Expanded:
    """Items that became others, each as its id, that of its own parent, how many it became, and whether it ended so: 1,
    or 0 if it failed after some of them. Another entry of the same item is a correction, to be added."""

    parents: tuple[tuple[int, int | None, int, int], ...]


@message
class Batch:
    """Down an edge: one batch. `seq` counts from 1. Only edges to the service carry `ends`. Where the edge has a way
    back, `limit` is what an `Ask` for that would say, 0 for nothing. `tag` is there if a strategy formed the batch."""

    run: str
    edge: int
    seq: int
    parcels: tuple[Parcel, ...]
    ends: tuple[Ends | Expanded, ...]
    limit: int = 0
    tag: Tag | None = None


@message
class Ask:
    """Up an edge: `limit` batches may be sent in all; those up to `limit - window` are settled."""

    run: str
    edge: int
    limit: int


@message
class Complete:
    """Down an edge: `last_seq` was the last batch; 0 when there was none."""

    run: str
    edge: int
    last_seq: int


@message
class Failed:
    """From a node to the service: the run is halted. `finished` is what was on its way to the service already, and had
    no credit yet."""

    run: str
    stage: str | None
    error: SlitherError
    batch_ref: int
    finished: tuple[Batch, ...]


def ends_of(message: Batch | Failed) -> Iterator[Ends]:
    """Those that a message to the service carries."""
    for batch in (message,) if isinstance(message, Batch) else message.finished:
        yield from (ends for ends in batch.ends if isinstance(ends, Ends))


@message
class CloseRun:
    """From the service to a node: forget the run; work in progress is for nobody."""

    run: str


@message
class Surrender:
    """From the service to a node: there is no time left for the run. Forget it, and answer `Surrendered`."""

    run: str


@message
class Surrendered:
    """From a node: what was finished and on its way to the service, and the names of processes with what they had."""

    run: str
    held: tuple[tuple[str, tuple[Parcel, ...]], ...]
    finished: tuple[Batch, ...]
