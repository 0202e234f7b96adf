"""The invariants of the flow protocol, checked while it goes on. Each rule sees the messages and nothing else.

Rules of what goes over edges stand in `_edge_rules.py`, of what workers do in `_work_rules.py`, of what comes out in
`_outcome_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from slither_actors._codec import Frame
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._worker import SimulatedWorker
from slither_actors.testing._world import World
from slither_actors.workers._reading import read_items
from slither_actors.workers.messages import RunBatch
from slither_actors.workers.parcel import Parcel, plain_buffers

_Method = TypeVar("_Method", bound=Callable[..., None])
_MARKS = _SENT, _DELIVERED = "_on_sent", "_on_delivered"


class InvariantBroken(AssertionError):
    """A simulation found a state that the flow protocol does not allow.

    Attributes:
        invariant: its id, such as "I6".
        problem: what was found.
        seed: what makes it happen again.
        virtual_s: when it happened.
        trace: the last lines of what had happened.
    """

    def __init__(self, invariant: str, problem: str, seed: int, virtual_s: float, trace: tuple[str, ...]) -> None:
        super().__init__(invariant, problem, seed, virtual_s, trace)
        self.invariant = invariant
        self.problem = problem
        self.seed = seed
        self.virtual_s = virtual_s
        self.trace = trace

    def __str__(self) -> str:
        what = f"{self.invariant} is broken with seed {self.seed}, after {self.virtual_s:.4f} s: {self.problem}"
        return "\n".join((what, *self.trace))


def on_sent(*classes: type) -> Callable[[_Method], _Method]:
    """Mark a method `(sender, to, message)` of a rule: called when such a message is sent."""
    return _mark(_SENT, classes)


def on_delivered(*classes: type) -> Callable[[_Method], _Method]:
    """The same for when it arrives, before it is handled."""
    return _mark(_DELIVERED, classes)


def _mark(name: str, classes: tuple[type, ...]) -> Callable[[_Method], _Method]:
    def mark(method: _Method) -> _Method:
        setattr(method, name, classes)
        return method

    return mark


class Rule:
    """One invariant. `id` is what it is called in the protocol's definition."""

    id: ClassVar[str]
    _hooks: ClassVar[list[tuple[str, type, str]]] = []  # of which table, for which messages, and the method

    def __init_subclass__(cls) -> None:
        marked = [(mark, getattr(getattr(cls, name), mark, ()), name) for name in dir(cls) for mark in _MARKS]
        cls._hooks = [(mark, kind, name) for mark, kinds, name in marked for kind in kinds]

    def __init__(self, book: Book) -> None:
        self.book = book

    def begun(self, worker: SimulatedWorker, dispatcher: str, message: RunBatch, ids: tuple[int, ...]) -> None:
        """A worker begins a batch."""

    def died(self, process: SimulatedProcess) -> None:
        """A process has died, this instant."""

    def silent(self) -> None:
        """No message is on its way, and nobody can do anything before time goes on."""

    def over(self) -> None:
        """Nothing will happen any more."""

    def check(self, holds: bool, problem: str) -> None:
        if not holds:
            raise self.book.broken(self.id, problem)


class Book:
    """Tells all rules what happens, and remembers what several of them want to know."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rules: list[Rule] = []
        self.executions: list[list[Any]] = []  # worker, run, dispatcher, ids, when, outcome
        self._running: dict[str, list[Any]] = {}
        self._heard: dict[tuple[str, type], list[Callable[..., None]]] = {}
        self._ids: dict[int, tuple[Any, tuple[int, ...]]] = {}

    def add(self, rule: Rule) -> None:
        self.rules.append(rule)
        for mark, kind, name in rule._hooks:
            self._heard.setdefault((mark, kind), []).append(getattr(rule, name))

    def ids(self, parcels: Sequence[Parcel]) -> tuple[int, ...]:
        """The ids of the items in parcels, each of which is read once."""
        found: list[int] = []
        for parcel in parcels:
            data, buffers, lo, hi, _ = parcel
            known = self._ids.get(id(data))
            if known is None or known[0] is not data:
                try:
                    rows = Frame(data, plain_buffers(buffers)).decode()
                except (Exception, SystemExit):  # what cannot be read as a whole has no order to speak of
                    items, losses = read_items([(data, buffers, lo, hi, ())])
                    found += sorted([*(i.id for i in items), *(i.id for loss in losses for i in loss.items())])
                    continue
                known = self._ids[id(data)] = data, tuple(rows[0])
            found += known[1][lo:hi]
        return tuple(found)

    def running(self) -> list[tuple[str, str, str]]:
        """What is executed now: address of the worker, run and dispatcher."""
        return [(address, execution[1], execution[2]) for address, execution in self._running.items()]

    def broken(self, invariant: str, problem: str) -> InvariantBroken:
        world = self.world
        return InvariantBroken(invariant, problem, world.seed, world.now, world.trace.tail())

    # -- what happens

    def sent(self, sender: str, to: str, message: Any) -> None:
        for method in self._heard.get((_SENT, type(message)), ()):
            method(sender, to, message)

    def delivered(self, sender: str, to: str, message: Any) -> None:
        for method in self._heard.get((_DELIVERED, type(message)), ()):
            method(sender, to, message)

    def begun(self, worker: SimulatedWorker, dispatcher: str, message: RunBatch) -> None:
        ids = self.ids(message.parcels)
        execution = [worker.ref.name, message.run, dispatcher, ids, self.world.now, ""]
        self.executions.append(execution)
        self._running[worker.address] = execution
        for rule in self.rules:
            rule.begun(worker, dispatcher, message, ids)

    def ended(self, worker: str, outcome: str) -> None:
        self._running.pop(worker)[-1] = outcome

    def died(self, process: SimulatedProcess) -> None:
        if process.address in self._running:
            self.ended(process.address, "crashed")
        for rule in self.rules:
            rule.died(process)

    def silent(self) -> None:
        for rule in self.rules:
            rule.silent()

    def endless(self) -> None:
        raise self.broken("I12", f"something goes on for ever: {self.world.steps} steps")

    def over(self) -> None:
        for rule in self.rules:
            rule.over()


__all__ = ["Book", "InvariantBroken", "Rule", "on_delivered", "on_sent"]
