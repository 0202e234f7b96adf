"""Results in the order of their items."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class ReorderBuffer(Generic[T]):
    """Holds what came too early. Bounded from outside: nothing is let in that has no index already."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._early)

    def add(self, index: int, value: T) -> list[T]:
        """Take in the value of `index` (from 0, each once); returns those that are due now, in order."""
        self._early[index] = value
        due = []
        while self._next in self._early:
            due.append(self._early.pop(self._next))
            self._next += 1
        return due

    def drain(self) -> list[T]:
        """All that is held, in order, gaps left out."""
        rest = [self._early[index] for index in sorted(self._early)]
        self._early.clear()
        return rest
