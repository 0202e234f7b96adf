"""What workers run, in the two shapes that peers want. Light to import: the start of an interpreter is measured too."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

FAULT_ITEM_S = 0.0005
FOR_EVER_S = 3600.0


class Job(NamedTuple):
    """One piece of work: on an item, and on a list of items."""

    item: Callable[[Any], Any]
    batch: Callable[[list[Any]], list[Any]]


def over_each(function: Callable[[Any], Any], batch: list[Any]) -> list[Any]:
    """The batch form of a function of one item."""
    return [function(item) for item in batch]


def job_of(function: Callable[[Any], Any]) -> Job:
    """A job of a function of one item."""
    return Job(function, functools.partial(over_each, function))


def same(work: Any) -> Any:
    """Nothing: what is left is transport."""
    return work


NOOP = Job(same, same)


def nap(milliseconds: float) -> float:
    """Work that takes an uneven time, but no processor."""
    time.sleep(milliseconds / 1000)
    return milliseconds


NAP = job_of(nap)


class Counter:
    """The state of a session."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> int:
        self.total += number
        return self.total


class Doomed:
    """A function of numbers, one of which is poison. What happens is written below a folder, since processes die.

    Args:
        end: what the poison does: "kill" its process each time, "once", or "hang" in it.
        poison: the number.
        folder: where `struck` tells when it struck first, and a file per process when that began to work.
    """

    def __init__(self, end: str, poison: int, folder: str) -> None:
        self.end = end
        self.poison = poison
        self.folder = folder

    def __call__(self, number: int) -> int:
        announce(self.folder, os.getpid())
        time.sleep(FAULT_ITEM_S)
        if number == self.poison:
            self._strike()
        return number

    def _strike(self) -> None:
        try:
            with open(f"{self.folder}/struck", "x") as file:
                file.write(repr(time.monotonic()))
        except FileExistsError:
            if self.end == "once":
                return
        if self.end == "hang":
            time.sleep(FOR_EVER_S)
        os.kill(os.getpid(), signal.SIGKILL)


@functools.cache
def announce(folder: str, pid: int) -> None:
    """Note when a process began to work; the cache makes it cost nothing from the second item on."""
    Path(folder, f"{pid}.pid").write_text(repr(time.monotonic()))


def replaced_after_s(folder: str) -> float | None:
    """How long after the poison struck a process worked that had not worked before."""
    try:
        struck = float(Path(folder, "struck").read_text())
    except (FileNotFoundError, ValueError):
        return None
    began = [float(path.read_text()) for path in Path(folder).glob("*.pid")]
    return min((time - struck for time in began if time > struck), default=None)
