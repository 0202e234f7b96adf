"""`Strategy`: the class that plug-ins subclass, and the form in which batches leave a strategy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal

from slither_actors.dispatch.messages import Tag
from slither_actors.errors import ItemError
from slither_actors.item import Item

FlushReason = Literal["ceiling", "time", "end"]
Clock = Callable[[], float]


class Cut(list[Item]):
    """A batch, with what a dispatcher has to know of it: it runs no user code, so it learns both here.

    Attributes:
        lane: an integer: batches of one lane run one at a time, in order; 0 is none.
        weight: what it weighs, for `max_in_flight_weight`: a finite number of at least 0.
        unfit: why it is no batch, but an item that fits into none and is to be routed.
    """

    __slots__ = ("lane", "unfit", "weight")

    def __init__(
        self, items: Iterable[Item] = (), lane: int = 0, weight: float = 0.0, unfit: ItemError | None = None
    ) -> None:
        super().__init__(items)
        self.lane = lane
        self.weight = weight
        self.unfit = unfit

    def tag(self, number: int) -> Tag:
        """What goes beside it."""
        return self.lane, self.weight, number, self.unfit


class Strategy:
    """Base of strategies: how a stream of items is cut into batches. Override `push` and `flush`.

    A strategy sees one item after the other and never the whole input, which may be endless. It runs where the batches
    are formed: in the thread that pulls the source in a dispatch and before the first stage of a pipe, else in the
    process of the stage before. There it needs a strategy that can be imported or pickled.

    Each run works on a copy of its own (`copy.copy`), on which `start` is called before anything else: make there what
    a run remembers, and in `__init__` what all runs have in common.

    Every item that was pushed must come out in one batch, exactly once and as the same object. A strategy that loses,
    repeats or invents items, that gives something else than lists of items, or whose `flush` or `deadline` raises fails
    with all items that it holds, by the error policy, as a `StrategyError`; where the policy is to skip, a fresh one
    goes on. If `push` raises, its item fails alone. In a stage that is so whatever is raised; elsewhere
    `KeyboardInterrupt`, and what a signal handler of the program raises, comes through.

    Attributes:
        keeps_order: whether batches come out in the order of their items. Where it is false, a dispatch with
            `ordering="preserve"` puts the results back into the order of the input.
        weighs: whether its batches have weights, so that `max_in_flight_weight` means something. Lists have none: give
            `slither_actors.dispatch.strategy.Cut(items, weight=...)`, with a finite number of at least 0.
    """

    keeps_order: ClassVar[bool] = False
    weighs: ClassVar[bool] = False

    def start(self, batch_size: int) -> None:
        """A run begins, with this many items per batch by its options. If this raises, the run is a `StrategyError`."""

    def push(self, item: Item) -> Iterable[Sequence[Item]]:
        """Take in an item; returns the batches that are full now, as lists of items, mostly none."""
        raise NotImplementedError

    def flush(self, reason: FlushReason) -> Iterable[Sequence[Item]]:
        """Give up waiting; returns batches that are not full.

        Args:
            reason: `"end"`: nothing more comes, give everything. `"ceiling"`: nothing more may be held, give at least
                the batch with the oldest item. `"time"`: `deadline` is over, give what has waited for too long.
        """
        raise NotImplementedError

    def deadline(self) -> float | None:
        """Seconds until `flush("time")` is due, 0 or less if it is now; `None` while there is nothing to wait for.

        In a dispatch that is looked at when the source yields; one that blocks holds the batch up.
        """
        return None

    # -- what the library calls; strategies of your own need not care

    @property
    def needs_former(self) -> bool:
        """Whether more than the number of items counts."""
        return True

    def size_within(self, batch_size: int) -> int:
        """Items that a batch may have."""
        return batch_size

    @property
    def places_by(self) -> str:
        """How errors call what is asked about one item."""
        return f"push of {type(self).__qualname__}"

    def begin(self, batch_size: int, clock: Clock) -> Strategy:
        """What forms the batches of one run; `clock` gives seconds."""
        fresh = copy.copy(self)
        fresh.start(batch_size)
        return fresh


def has_hooks(strategy: Any) -> bool:
    """Whether it is a strategy that overrides what must be overridden."""
    if not isinstance(strategy, Strategy):
        return False
    kind = type(strategy)
    own = kind.push is not Strategy.push and kind.flush is not Strategy.flush
    return own or kind.begin is not Strategy.begin
