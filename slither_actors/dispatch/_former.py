"""Forming the batches of one run by a strategy, which may be anybody's: nothing is lost, whatever it does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors._describe import is_of_a_signal, said
from slither_actors._validators import is_number
from slither_actors.dispatch._limited import Limited
from slither_actors.dispatch._strategy_base import Clock, Cut, FlushReason, Strategy
from slither_actors.errors import InvalidOutcome, ItemError, RemoteError, StrategyError, shorten
from slither_actors.item import Item
from slither_actors.workers.executor import item_error

# Whether the item goes to whom it is bound for all the same, to be routed there.
OnLoss = Callable[[Item, ItemError], bool]


class _Breach(Exception):
    """The strategy broke its contract, and how."""


def of_the_program(error: BaseException) -> bool:
    """Whether this is not about a strategy, but about the program that it runs in."""
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or is_of_a_signal(error)


class Former:
    """Of one run: items in, batches out.

    Args:
        strategy: forms the batches.
        batch_size: what it is told.
        on_loss: told of each item that is in no batch, and why; true if it is to be ready all the same, alone. What it
            raises comes through.
        clock: gives seconds, for how long a batch has waited.
        comes_through: whether what user code raised is not the strategy's to answer for.
        max_wait_s: how long an item may wait for others at most, by a strategy that has no such limit of its own.

    Raises:
        StrategyError: the strategy does not start.
    """

    def __init__(
        self,
        strategy: Strategy,
        batch_size: int,
        on_loss: OnLoss,
        clock: Clock,
        comes_through: Callable[[BaseException], bool] = of_the_program,
        max_wait_s: float | None = None,
    ) -> None:
        self.ready: deque[Cut] = deque()  # batches that are formed
        self._strategy = strategy
        self._batch_size = batch_size
        self._on_loss = on_loss
        self._clock = clock
        self._comes_through = comes_through
        self._max_wait_s = max_wait_s if getattr(strategy, "max_wait_s", None) is None else None
        self._held: dict[int, Item] = {}  # what is in no batch yet, by identity
        self._running: Strategy | None = self._begin()

    @property
    def held(self) -> int:
        """Items that are in no batch yet."""
        return len(self._held)

    def push(self, item: Item) -> None:
        """Take in an item, which must be none of those that are held."""
        self._held[id(item)] = item
        try:
            self._running = self._running or self._begin()
            batches = _listed("push", self._running.push(item))
        except _Breach as breach:
            self._break(StrategyError(self._name, str(breach)))
            return
        except BaseException as error:  # user code
            if self._comes_through(error):
                raise
            del self._held[id(item)]
            self._lose(item, self._unplaced(error))
            return
        if batches:
            self._accept("push", batches)
        self.flush_late()

    def flush(self, reason: FlushReason) -> None:
        """Have it form batches that are not full."""
        before = len(self.ready)
        if self._running is None:  # and nothing is held
            return
        try:
            batches = _listed("flush", self._running.flush(reason))
        except _Breach as breach:
            self._break(StrategyError(self._name, str(breach)))
            return
        except BaseException as error:  # user code
            if self._comes_through(error):
                raise
            self._break(self._raised("flush", error))
            return
        self._accept("flush", batches)
        if reason == "end" and self._held:
            self._break(StrategyError(self._name, f"lost {len(self._held)} of its items: the end came without them"))
        elif reason == "ceiling" and self._held and len(self.ready) == before:
            self._break(StrategyError(self._name, 'gave no batch at flush("ceiling"), and may not hold more items'))

    def flush_late(self) -> float | None:
        """Have it form the batches that are due; returns the seconds until the next one is, `None` for never."""
        if not self._held:
            return None
        left = self._left_s()
        if left is not None and left <= 0:
            self.flush("time")
            left = self._left_s() if self._held else None
        return left

    def _left_s(self) -> float | None:
        assert self._running is not None
        try:
            left = self._running.deadline()
        except BaseException as error:  # user code
            if self._comes_through(error):
                raise
            self._break(self._raised("deadline", error))
            return None
        if left is None or is_number(left):
            return left
        problem = f"gave a deadline of type {type(left).__name__}; a finite number of seconds or None was expected"
        self._break(StrategyError(self._name, problem))
        return None

    @property
    def _name(self) -> str:
        return type(self._strategy).__qualname__

    def _raised(self, hook: str, error: BaseException) -> StrategyError:
        known = item_error(error)
        if isinstance(known, StrategyError):  # one that does not start
            return known
        told = StrategyError(self._name, f"raised in {hook}: {said(error)}")
        told.__cause__ = known  # for the traceback
        return told

    def _unplaced(self, error: BaseException) -> ItemError:
        return located(item_error(error), f"in {self._strategy.places_by}")

    def _accept(self, hook: str, batches: Sequence[Any]) -> None:
        for batch in batches:
            try:
                cut = self._checked(hook, batch)
            except _Breach as breach:
                self._break(StrategyError(self._name, str(breach)))
                return
            except BaseException as error:  # a class of the user's own
                if self._comes_through(error):
                    raise
                self._break(self._raised(hook, error))
                return
            for item in cut:
                del self._held[id(item)]
            if cut:
                self.ready.append(cut)

    def _checked(self, hook: str, batch: Any) -> Cut:
        """A batch that the strategy can change no more, with nothing beside its items but numbers."""
        if not isinstance(batch, list | tuple):
            raise _Breach(f"gave a batch of type {type(batch).__name__} in {hook}; a list of items was expected")
        cut = _plain(hook, batch) if isinstance(batch, Cut) else Cut(batch)
        items = set(map(id, cut))
        if len(items) < len(cut) or not self._held.keys() >= items:
            raise _Breach(f"gave an item in {hook} that it had given already, or never got")
        return cut

    def _break(self, error: ItemError) -> None:
        """It cannot be trusted with what it holds; a fresh one goes on if the policy has it so."""
        items = list(self._held.values())
        self._held.clear()
        self._running = None
        for item in items:
            self._lose(item, error)

    def _lose(self, item: Item, error: ItemError) -> None:
        if self._on_loss(item, error):
            while self._held and self._strategy.keeps_order:  # what came before it goes before it
                self.flush("ceiling")
            self.ready.append(Cut([item], unfit=error))

    def _begin(self) -> Strategy:
        try:
            running = self._strategy.begin(self._batch_size, self._clock)
        except BaseException as error:  # user code
            if self._comes_through(error):
                raise
            raise StrategyError(self._name, f"does not start: {said(error)}") from error
        return running if self._max_wait_s is None else Limited(running, self._max_wait_s, self._clock)


def _listed(hook: str, given: Any) -> list[Any]:
    if isinstance(given, str | bytes | dict | Item) or not hasattr(given, "__iter__"):
        kind = type(given).__name__
        raise _Breach(f"gave something of type {kind} in {hook}; a list of batches was expected, which may be empty")
    return list(given)


def _plain(hook: str, batch: Cut) -> Cut:
    lane, weight = batch.lane, batch.weight
    if not isinstance(lane, int):
        raise _Breach(f"gave a batch in {hook} whose lane is of type {type(lane).__name__}; an integer was expected")
    if not is_number(weight) or weight < 0:
        problem = f"gave a batch in {hook} that weighs {shorten(weight)}"
        raise _Breach(f"{problem}; a finite number of at least 0 was expected")
    return Cut(batch, int.__int__(lane), float(weight))


def located(error: ItemError, where: str) -> ItemError:
    """The same error, which says also where it happened; one about a strategy as a whole as it is."""
    if isinstance(error, RemoteError):
        message = f"{error.message}, {where}" if error.message else where
        return RemoteError(error.type_name, message, error.traceback, error.kinds)
    if isinstance(error, InvalidOutcome) and where != f"in {error.stage}":
        return InvalidOutcome(error.stage, f"{error.problem}, {where}")
    return error
