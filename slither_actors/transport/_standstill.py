"""Processes that stand still: stopped by a signal, as SIGSTOP does, or busy with one message for too long.

Such a process is not dead, so the kernel tells its supervisor nothing, and all who wait for it wait for ever. The host
looks at all processes of the tree now and then, and the service at the host. Who stands still for too long is killed,
and what follows is what follows any death.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from slither_actors.transport._pulse import busy_at
from slither_actors.transport.process import STOPPED, TRACED, rests_of, state_of

# How often somebody looks at most; a limit is looked for a few times in its course.
_LOOK_S = 1.0
_LOOKS = 5


class Standstill(NamedTuple):
    """A process, and what tells this standstill of it from any other."""

    pid: int
    kind: str
    number: int


class StandstillBook:
    """Pure: for how long each of several processes has stood still, as far as was seen.

    Time counts only between two looks that saw the same standstill, and no more of it than looks are apart by plan:
    whoever looks may have been stopped too, or late on a busy machine, and nobody else is to blame for that time.

    Args:
        every_s: how far looks are apart.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last_look = math.inf
        self._stood_s: dict[Standstill, float] = {}

    def look(self, limits: Mapping[Standstill, float], now: float) -> list[Standstill]:
        """Those that have lasted too long, of all that there are, with their limits in seconds."""
        passed_s = max(0.0, min(now - self._last_look, self._every_s))
        self._last_look = now
        self._stood_s = {one: self._stood_s.get(one, -passed_s) + passed_s for one in limits}
        # sums of parts of the limit may fall short of it by a hair
        return [one for one, stood_s in self._stood_s.items() if stood_s > limits[one] - self._every_s / 2]


class Watchman:
    """Looks at processes of one session now and then, for those that stand still for too long.

    Args:
        session: of the processes; whoever is of another one has the number of a dead process by chance.
        limit_s: for how long a signal may have stopped one; `None` is for ever.

    Attributes:
        every_s: how far looks are apart.
    """

    def __init__(self, session: int, limit_s: float | None) -> None:
        self.every_s = _LOOK_S if limit_s is None else min(_LOOK_S, limit_s / _LOOKS)
        self._session = session
        self._limit_s = math.inf if limit_s is None else limit_s
        self._next_look = 0.0
        self._book = StandstillBook(self.every_s)

    def found(self, pids: Iterable[int], directory: Path | None = None) -> Iterator[tuple[int, str]]:
        """Those of `pids` that have stood still for too long, and why; nobody as long as it is too early to look again.

        Args:
            pids: numbers of processes, perhaps of dead ones.
            directory: where they say what they are busy with, if they do.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + self.every_s / 2  # who looks for other reasons too shall not look all the time
        limits = {one: limit_s for pid in pids for one, limit_s in self._standstill(pid, directory)}
        for one in self._book.look(limits, now):
            yield one.pid, one.kind.format(limits[one])

    def _standstill(self, pid: int, directory: Path | None) -> Iterator[tuple[Standstill, float]]:
        state = state_of(pid, self._session)
        if state == STOPPED:
            yield Standstill(pid, _STOPPED, rests_of(pid)), self._limit_s
        elif state and state != TRACED and directory is not None:
            busy = busy_at(directory, pid)
            if busy is not None:
                yield Standstill(pid, _BUSY, busy.number), busy.limit_s


_STOPPED = "SIGSTOP: a signal had stopped it for {:g} s"
_BUSY = "it hung: one message kept it busy for {:g} s"


def actors_in(directory: Path) -> set[int]:
    """The processes that have a socket in a run directory, and perhaps dead ones that had."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # somebody has removed it
        names = os.listdir(directory)
    return {int(number) for number in (name.partition(".")[0] for name in names) if number.isdigit()}


def leave_word(directory: Path, pid: int, word: str) -> None:
    """Say why a process is going to be killed, for its supervisor to find."""
    with contextlib.suppress(OSError):  # as it may be, a link needs no room on most disks
        os.symlink(word, _place(directory, pid))


def word_of(directory: str, pid: int) -> str:
    """What was left about a process that is dead; it goes with its sockets."""
    with contextlib.suppress(OSError):
        return os.readlink(_place(Path(directory), pid))
    return ""


def _place(directory: Path, pid: int) -> Path:
    return directory / f"{pid}.killed"
