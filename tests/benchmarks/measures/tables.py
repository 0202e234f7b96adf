"""W9: a table of small dicts that another process owns: reads all over it or of a few keys, writes, many at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.measures.trial import Result, Trial
from tests.benchmarks.peers.base import Table

HOT = 100
WARM_UP = 2_000


def random_reads(trial: Trial) -> Result:
    """Keys all over the table."""
    return _reads(trial, trial.sizes.rows)


def hot_reads(trial: Trial) -> Result:
    """A few keys again and again."""
    return _reads(trial, min(HOT, trial.sizes.rows))


def writes(trial: Trial) -> Result:
    """One by one, each acknowledged before the next."""
    with _filled(trial) as table:
        write = table.writer()
        keys = _keys(trial.sizes.rows, trial.sizes.writes)
        value = record(-1)
        for key in keys[: WARM_UP // 10]:
            write(key, value)
        took = _timed(lambda key: write(key, value), keys)
    return {"writes_s": len(keys) / took}


def bulk(trial: Trial) -> Result:
    """A whole table at once."""
    rows = _rows(trial.sizes.rows)
    with _filled(trial) as table:
        began = time.perf_counter()
        table.bulk(iter(rows))
        took = time.perf_counter() - began
        if table.reader()(key_of(len(rows) - 1)) != rows[-1][1]:
            raise RuntimeError("the last row is not there")
    return {"rows_s": len(rows) / took}


def _reads(trial: Trial, among: int) -> Result:
    with _filled(trial) as table:
        read = table.reader()
        keys = _keys(among, trial.sizes.reads)
        for key in keys[:WARM_UP]:
            read(key)
        took = _timed(read, keys)
        if read(keys[0]) != record(int(keys[0][5:])):
            raise RuntimeError("a wrong value was read")
    return {"reads_s": len(keys) / took}


def _timed(action: Callable[[str], Any], keys: list[str]) -> float:
    began = time.perf_counter()
    for key in keys:
        action(key)
    return time.perf_counter() - began


@contextmanager
def _filled(trial: Trial) -> Iterator[Table]:
    table = trial.peer.table()
    table.open()
    try:
        table.bulk(iter(_rows(trial.sizes.rows)))
        yield table
    finally:
        table.close()


def _rows(number: int) -> list[tuple[str, Any]]:
    return [(key_of(n), record(n)) for n in range(number)]


def _keys(among: int, number: int) -> list[str]:
    chance = random.Random(1)
    return [key_of(chance.randrange(among)) for _ in range(number)]


def key_of(number: int) -> str:
    return f"user:{number:06d}"


def record(number: int) -> dict[str, Any]:
    """A small value of the kinds that are usual."""
    return {"id": number, "name": f"user {number}", "score": number * 0.5, "tags": ["a", "b"], "on": True}
