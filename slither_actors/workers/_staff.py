"""Which workers a pool has, which come and which go. Pure: events in, who is to be started or ended out.

A place is one worker by its id, also while that is being restarted; ids are never used twice. Who retires gives up its
place: it gets nothing more to do, and is ended when it is empty. A worker that is worn out retires when its successor
is up, one at a time, so that there are never fewer places than the pool's size.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable

import attrs

from slither_actors._record import record


class State(enum.Enum):
    STARTING = enum.auto()
    UP = enum.auto()
    DOWN = enum.auto()
    """Dead; its supervisor starts it again."""
    RETIRING = enum.auto()
    LEAVING = enum.auto()
    """Retired, and about to be ended."""


_GOING = (State.RETIRING, State.LEAVING)


@record
class Hire:
    """Start a worker."""

    worker: str


@record
class Dismiss:
    """End a worker, or the attempts to restart it, and forget it."""

    worker: str


Order = Hire | Dismiss


@attrs.define(eq=False)
class _Place:
    number: int
    state: State


class Staff:
    """The workers of one pool.

    Args:
        name: what ids begin with.
        size: how many there are at first, all of them starting.
        makes_room: when a successor is up: who retires, the worn one that it is for, or by now rather another one;
            empty for nobody, so that the successor goes again.
    """

    def __init__(self, name: str, size: int, makes_room: Callable[[str], str] = lambda worn: worn) -> None:
        self._name = name
        self._makes_room = makes_room
        self._places: dict[str, _Place] = {}
        self._numbers = 0
        self._worn = ""  # who retires when its successor is up
        self._successor = ""
        self._retired = ""  # who did, and is not gone yet
        self._growing: set[str] = set()
        self._former = size
        self.size = size
        self.recycled = 0
        for _ in range(size):
            self._add()

    @property
    def ids(self) -> list[str]:
        return list(self._places)

    @property
    def retiring(self) -> list[str]:
        return [worker for worker, place in self._places.items() if place.state in _GOING]

    @property
    def serving(self) -> list[str]:
        """Those that have a place and were up."""
        return [worker for worker, place in self._places.items() if place.state in (State.UP, State.DOWN)]

    @property
    def is_growing(self) -> bool:
        """Whether workers that a `resize` wanted are not up yet."""
        return bool(self._growing)

    @property
    def awaited(self) -> str:
        """Who was replaced, and is to be gone before another one is; empty for nobody."""
        return self._retired

    def await_no_longer(self) -> None:
        """Who was replaced takes too long to be empty."""
        self._retired = ""

    @property
    def may_recycle(self) -> bool:
        return not (self._worn or self._retired)

    # -- what befalls a worker

    def up(self, worker: str) -> list[Order]:
        """It is up, for the first time or again."""
        place = self._places.get(worker)
        if place is None or place.state in _GOING:
            return []
        place.state = State.UP
        self._growing.discard(worker)
        if worker != self._successor:
            return []
        goes = self._makes_room(self._worn)
        self.recycled += bool(goes)
        self._retired, self._worn, self._successor = goes or worker, "", ""
        return self._retire([self._retired])

    def down(self, worker: str) -> list[Order]:
        """It died, and its supervisor is about to start it again."""
        place = self._places.get(worker)
        if place is None or place.state is State.LEAVING:
            return []
        if place.state is State.RETIRING:
            return self._dismiss(worker)
        place.state = State.DOWN
        return []

    def not_started(self, worker: str) -> list[Order]:
        """One that was hired did not come up, and is forgotten. A growth that it belongs to is undone."""
        self.gone(worker)
        if worker == self._successor:
            self._worn = self._successor = ""
        if worker not in self._growing:
            return []
        self._growing.clear()
        self.size = self._former
        return self._shrink(lambda worker: 0)

    def empty(self, worker: str) -> list[Order]:
        """One that retires has nothing to do any more, and will not get anything."""
        place = self._places.get(worker)
        return self._dismiss(worker) if place is not None and place.state is State.RETIRING else []

    def gone(self, worker: str) -> None:
        """One that was dismissed has ended."""
        self._places.pop(worker, None)
        if worker == self._retired:
            self._retired = ""

    # -- what is wanted

    def recycle(self, worker: str) -> list[Order]:
        """A worker is worn out. Nothing happens if it is not up, or if another one is being replaced."""
        place = self._places.get(worker)
        if not self.may_recycle or place is None or place.state is not State.UP:
            return []
        self._worn, self._successor = worker, self._add()
        return [Hire(self._successor)]

    def resize(self, size: int, burden: Callable[[str], int]) -> list[Order]:
        """Have so many workers. Nothing may be growing.

        Args:
            burden: what would be lost with a worker; those with the least retire first.
        """
        self._former, self.size = self.size, size
        more = size - self._count()
        if more < 0:
            return self._shrink(burden)
        hired = [self._add() for _ in range(more)]
        self._growing.update(hired)
        return [Hire(worker) for worker in hired]

    def _shrink(self, burden: Callable[[str], int]) -> list[Order]:
        """Retire those that are too many: who is only starting, who is worn out, who is not up, and who has the least
        to lose; the newest first."""
        surplus = self._count() - self.size
        if surplus <= 0:
            return []
        worn, unwanted = self._worn, [self._successor] if self._successor else []
        self._worn = self._successor = ""
        orders = self._retire(unwanted)

        def order(worker: str) -> tuple[bool, bool, bool, int, int]:
            state, number = self._places[worker].state, self._places[worker].number
            return state is not State.STARTING, worker != worn, state is State.UP, burden(worker), -number

        return orders + self._retire(sorted(self._staying(), key=order)[:surplus])

    # -- places

    def _add(self) -> str:
        self._numbers += 1
        worker = f"{self._name}-{self._numbers}"
        self._places[worker] = _Place(self._numbers, State.STARTING)
        return worker

    def _staying(self) -> list[str]:
        return [worker for worker, place in self._places.items() if place.state not in _GOING]

    def _count(self) -> int:
        """How many there will be when all has come that comes. A successor takes a place that is counted already."""
        return len(self._staying()) - bool(self._successor)

    def _retire(self, workers: Iterable[str]) -> list[Order]:
        orders: list[Order] = []
        for worker in workers:
            place = self._places[worker]
            is_up, place.state = place.state is State.UP, State.RETIRING
            if not is_up:
                orders += self._dismiss(worker)
        return orders

    def _dismiss(self, worker: str) -> list[Order]:
        self._places[worker].state = State.LEAVING
        return [Dismiss(worker)]


def confined(staff: Staff, names: Collection[str]) -> bool:
    """Whether none of these workers has a place that will be filled soon: all are in quarantine."""
    serving = staff.serving
    return bool(serving) and all(worker in names for worker in serving)
