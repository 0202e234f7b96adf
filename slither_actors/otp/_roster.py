"""The children of one supervisor in start order, and what each of them is doing."""

import enum
from collections.abc import Iterable, Iterator
from typing import Literal

import attrs

from slither_actors.otp.backoff import Backoff
from slither_actors.otp.child import ChildSpec, ExitReason


class Status(enum.Enum):
    """What a child is doing, as far as its supervisor knows."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """Asked to end."""
    KILLING = "killing"
    """Killed because it did not end, or was not to be asked; its exit is awaited."""
    FAILING = "failing"
    """Killed because it did not come up; its exit is awaited."""
    EXITED = "exited"
    """Ended by itself; the supervisor is busy and has not dealt with it yet."""
    RESTARTING = "restarting"
    """It is to be restarted: after a pause, or since the last attempt failed."""
    STOPPED = "stopped"


_ALIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING, Status.KILLING, Status.FAILING})


@attrs.define(eq=False)
class Child:
    """One child: its spec, and its present or last incarnation (0: there was none yet)."""

    spec: ChildSpec
    status: Status = Status.STOPPED
    incarnation: int = 0
    previous: int = 0
    failure: ExitReason | None = None
    """Why the last start failed, or what the next restart is for; None if there is no such thing."""
    ignored: bool = False
    """Whether it said at its last start that it does not want to run."""
    wanted: bool = True
    """False once it has ended normally, was stopped by hand or did not want to run."""
    up_since: float = 0.0
    ran_s: float = 0.0
    """How long its last process was up; 0 for one that did not come up."""
    pauses: int = 0
    """How many restarts had to wait since its last quiet time."""
    due: float = 0.0
    """When the next attempt to restart it is due."""
    paid: bool = False
    """Whether that attempt is charged already."""

    @property
    def id(self) -> str:
        """The id of its spec."""
        return self.spec.id

    @property
    def is_alive(self) -> bool:
        """Whether there is a process that has not been seen to end."""
        return self.status in _ALIVE

    def next_pause_s(self, backoff: Backoff, draw: float) -> float:
        """How long its next restart has to wait."""
        if self.ran_s >= backoff.reset_s:
            self.pauses = 0
        self.pauses += 1
        return backoff.pause_s(self.pauses - 1, draw)


@attrs.frozen
class ChildInfo:
    """One line of ``which_children``; ``incarnation`` is None while there is no process."""

    child_id: str
    incarnation: int | None
    status: Status
    type: Literal["worker", "supervisor"]


@attrs.frozen
class ChildCounts:
    """The answer of ``count_children``: all specs, living processes, and specs by type."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Roster:
    """Children by id, in start order."""

    def __init__(self, specs: Iterable[ChildSpec]) -> None:
        self._children = {spec.id: Child(spec) for spec in specs}

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def __reversed__(self) -> Iterator[Child]:
        return reversed(self._children.values())

    def find(self, child_id: str, incarnation: int | None = None) -> Child | None:
        """The child of that id, or None; also None if its present or last incarnation is not the given one."""
        child = self._children.get(child_id)
        return child if child is None or incarnation in (None, child.incarnation) else None

    def add(self, spec: ChildSpec) -> Child:
        """Append a child; it is now the last in start order."""
        child = self._children[spec.id] = Child(spec)
        return child

    def remove(self, child: Child) -> None:
        """Forget a child and its spec."""
        del self._children[child.id]

    def since(self, first: Child) -> list[Child]:
        """A child and all that were started after it."""
        order = list(self)
        return order[order.index(first) :]

    def which(self) -> tuple[ChildInfo, ...]:
        """All children, newest first."""
        return tuple(
            ChildInfo(child.id, child.incarnation if child.is_alive else None, child.status, child.spec.type)
            for child in reversed(self)
        )

    def counts(self) -> ChildCounts:
        """How many children there are, by kind."""
        specs = len(self._children)
        supervisors = sum(child.spec.type == "supervisor" for child in self)
        active = sum(child.is_alive for child in self)
        return ChildCounts(specs, active, supervisors, specs - supervisors)
