"""Where reads come from: the newest state, or one moment that is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from slither_actors.errors import SnapshotExpired
from slither_actors.store._environment import Environment, Pin, Txn

T = TypeVar("T")


class Source(Protocol):
    """What a table reads from."""

    def read(self, function: Callable[[Txn], T]) -> T:
        """What `function` makes of a transaction."""

    def moment(self, limit_s: float) -> Moment:
        """A source all of whose reads are of one moment, to be ended after use."""


class Moment(Source, Protocol):
    """One moment of a store."""

    def limit(self) -> None:
        """Let its time run from now on."""

    def end(self) -> None:
        """End it now."""


class Newest:
    """The newest state at every read."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def read(self, function: Callable[[Txn], T]) -> T:
        """What `function` makes of a transaction of its own."""
        return self.environment.read(function)

    def moment(self, limit_s: float) -> Moment:
        """This moment."""
        return Pinned(self.environment, limit_s)


class Pinned:
    """One moment, until `end` or until its time is over: for so long no page of it can be used again.

    Safe to use from several threads.
    """

    def __init__(self, environment: Environment, limit_s: float) -> None:
        self._name = environment.name
        self._limit_s = limit_s
        self._pin = Pin(environment)
        self._timer: threading.Timer | None = None

    def read(self, function: Callable[[Txn], T]) -> T:
        """What `function` makes of the moment's transaction.

        Raises:
            SnapshotExpired: The moment is over.
        """
        return self._pin.read(function, self._expired)

    def moment(self, limit_s: float) -> Moment:
        """This very one, which its owner ends."""
        return Borrowed(self)

    def limit(self) -> None:
        """Let its time run from now on."""
        self._timer = threading.Timer(min(self._limit_s, threading.TIMEOUT_MAX), self._pin.end)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """End it now."""
        if self._timer is not None:
            self._timer.cancel()
        self._pin.end()

    def _expired(self) -> SnapshotExpired:
        return SnapshotExpired(self._name, self._limit_s)


class Borrowed:
    """A moment that somebody else ends."""

    def __init__(self, source: Source) -> None:
        self.read = source.read

    def moment(self, limit_s: float) -> Moment:
        """Itself."""
        return self

    def limit(self) -> None:
        """Nothing: its owner has set a limit."""

    def end(self) -> None:
        """Nothing: its owner ends it."""
