"""What the processes of the tests do with a store: `python -P -m tests.unit.store.hammer ROLE FOLDER [NUMBERS]`.

Both tables have one number, which the writer raises in both at once. `acked` is a file with the last one that was
acknowledged; readers stop when `stop` is there.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slither_actors.store._operations import Transaction
from slither_actors.store._reader import open_store
from slither_actors.store._requests import Requests
from slither_actors.store._schema import StoreLocation, TableSpec
from slither_actors.store._writer import Writer
from tests.helpers.patience import PATIENCE_S

TABLES = (TableSpec("one"), TableSpec("two", "ordered_set", "json"))


def location(folder: Path) -> StoreLocation:
    return StoreLocation("s", folder / "store", TABLES)


def acked(folder: Path) -> memoryview:
    """The last acknowledged number, shared by all processes."""
    path = folder / "acked"
    if not path.exists():
        path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")


def write(folder: Path) -> None:
    """Raise the number for ever, by transactions and by reloads in turn."""
    shown = acked(folder)
    writer = Writer(location(folder))
    if not writer.version:
        writer.rebuild(lambda tables: load(tables, 0))
    reader = open_store(location(folder))
    number = int(reader.tables["one"]["n"])
    assert number >= shown[0], "an acknowledged write is lost"
    assert number == reader.tables["two"]["n"], "half a commit is there"
    puts = [Requests(spec).put for spec in TABLES]
    while True:
        number += 1
        if number % 3:
            writer.apply([Transaction(tuple(put("n", number) for put in puts))])
        else:
            writer.rebuild(lambda tables: load(tables, number))  # noqa: B023 - it is called at once
        shown[0] = number


def load(tables: Any, number: int) -> None:
    tables.one.put("n", number)
    tables.two.bulk_insert([(key, key) for key in range(20)])
    tables.two.put("n", number)


def read(folder: Path) -> None:
    """Read both tables until told to stop; what is wrong ends the process with an error."""
    shown = acked(folder)
    reader = open_store(location(folder))
    one, two = reader.tables["one"], reader.tables["two"]
    stop, reads, last = folder / "stop", 0, 0
    while reads % 256 or not stop.exists():
        known = shown[0]
        later = two["n"]
        first = one["n"]
        assert first >= later >= known, f"{first}, {later}, {known}: torn, or stale after it was acknowledged"
        assert first >= last, f"{first} after {last}"
        last = first
        reads += 1
        if not reads % 64:
            with reader.snapshot() as moment:
                assert moment.one["n"] == moment.two["n"], "torn"
            rows = dict(two.select())
            assert len(rows) == 21, f"{len(rows)} rows"
    print(reads)


def pin(folder: Path) -> None:
    """Open a snapshot, say so, and wait to be killed."""
    with open_store(location(folder)).snapshot(600):
        print("pinned", flush=True)
        time.sleep(600)


def own(folder: Path, kills: int, most: int) -> None:
    """Fork so many writers and kill each after `most` writes at most; then tell the readers to stop."""
    shown = acked(folder)
    for kill in range(kills):
        pid = os.fork()
        if not pid:
            write(folder)
        goal = shown[0] + 1 + (most if kill % 2 else kill % most)
        end = time.monotonic() + PATIENCE_S
        while shown[0] < goal:
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the writer died of itself"
            assert time.monotonic() < end, "nothing was acknowledged for a minute"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    (folder / "stop").touch()
    print(shown[0])


ROLES: dict[str, Callable[..., None]] = {"own": own, "read": read, "pin": pin}

if __name__ == "__main__":
    ROLES[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:]))
