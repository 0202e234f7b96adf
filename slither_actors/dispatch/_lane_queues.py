"""Lanes: of the batches of one lane only one runs at a time, in their order."""

from __future__ import annotations

from collections import deque

from slither_actors.dispatch._desk import Task


class LaneQueues:
    """What waits behind the batch of its lane that is under way, which may be waiting, with a worker or pausing.

    Bounded from outside, as everything that waits at a dispatcher. A lane is forgotten when nothing of it is there.
    """

    def __init__(self) -> None:
        self._behind: dict[int, deque[Task]] = {}

    def enter(self, task: Task) -> bool:
        """Whether the task may run now; else it waits here for those before it."""
        behind = self._behind.get(task.lane)
        if behind is None:
            self._behind[task.lane] = deque()
            return True
        behind.append(task)
        return False

    def waiting(self) -> list[Task]:
        return [task for behind in self._behind.values() for task in behind]

    def put_next(self, task: Task) -> None:
        """This is what follows the one of its lane that is under way, before all others."""
        self._behind[task.lane].appendleft(task)

    def leave(self, task: Task) -> Task | None:
        """The one under way is done with; returns the next of its lane, if there is one."""
        behind = self._behind[task.lane]
        if behind:
            return behind.popleft()
        del self._behind[task.lane]
        return None
