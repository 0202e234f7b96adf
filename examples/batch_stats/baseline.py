"""The same sums over the same data sets, in five ways; nothing kills its process, since threads have but one."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any, Final

from .data import generate
from .work import Totals, summary

SIZE: Final = 4_000
WORK: Final = ("data", "work")


def make(size: int) -> list[dict[str, Any]]:
    """The inputs."""
    return list(generate(size, size // 40, seed=1948, deadly=0))


def judge(expected: dict[str, Any], got: dict[str, Any]) -> str:
    """What is wrong with a result; nothing where it is the same."""
    if got["sets"] != expected["sets"]:
        return f"WRONG: {expected['sets'] - got['sets']:,} of {expected['sets']:,} data sets are not in the sums"
    same = math.isclose(got["mean"], expected["mean"]) and math.isclose(got["deviation"], expected["deviation"])
    return "" if same and got == {**expected, **got} else "WRONG: other sums"


def plain_loop(inputs: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """One after another."""
    totals, poison = Totals(), 0
    for one in inputs:
        try:
            totals = totals.with_one(summary(one))
        except (ValueError, TypeError):
            poison += 1
    return {**totals.as_dict(), "poison": poison}


class _Board:
    """What threads share, as one would write it first."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.poison = 0


def naive_threads(inputs: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Every thread takes its part, and adds to the same sums: read, computed, written back."""
    board = _Board()

    def work(part: list[dict[str, Any]]) -> None:
        for one in part:
            try:
                board.totals = board.totals.with_one(summary(one))
            except (ValueError, TypeError):
                board.poison += 1

    threads = [threading.Thread(target=work, args=(inputs[number::workers],)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**board.totals.as_dict(), "poison": board.poison}


class _LockedBoard(_Board):
    """The same, with a lock around each change."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def add(self, one: dict[str, Any]) -> None:
        with self._lock:
            self.totals = self.totals.with_one(one)

    def add_poison(self) -> None:
        with self._lock:
            self.poison += 1


def careful_threads(inputs: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Every change of what is shared under a lock, the work outside of it."""
    board = _LockedBoard()

    def work(part: list[dict[str, Any]]) -> None:
        for one in part:
            try:
                result = summary(one)
            except (ValueError, TypeError):
                board.add_poison()
            else:
                board.add(result)

    threads = [threading.Thread(target=work, args=(inputs[number::workers],)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**board.totals.as_dict(), "poison": board.poison}


def _batches(inputs: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(inputs)
    while batch := list(islice(rest, 64)):
        yield batch


def _in_process(batch: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """What can be done of a batch; None in the place of what cannot."""
    results: list[dict[str, Any] | None] = []
    for one in batch:
        try:
            results.append(summary(one))
        except (ValueError, TypeError):
            results.append(None)
    return results


def process_pool(inputs: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Batches to processes that share nothing; the sums are made here."""
    totals, poison = Totals(), 0
    with ProcessPoolExecutor(workers) as pool:
        for results in pool.map(_in_process, _batches(inputs)):
            for one in results:
                if one is None:
                    poison += 1
                else:
                    totals = totals.with_one(one)
    return {**totals.as_dict(), "poison": poison}


def with_slither(inputs: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """The same batches to a pool of this library, which pulls them as it gets on; the sums are made here."""
    import slither_actors as slither

    totals, poison = Totals(), 0
    with (
        slither.start(pools={"default": workers}) as system,
        system.stream(inputs, _in_process, batch_size=64) as stream,
    ):
        for item in stream:
            if item.payload is None:
                poison += 1
            else:
                totals = totals.with_one(item.payload)
    return {**totals.as_dict(), "poison": poison}
