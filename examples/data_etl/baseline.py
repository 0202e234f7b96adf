"""The same rows and the same two changes of the schema, in five ways. A result tells how many rows met two schemas."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from queue import SimpleQueue
from typing import Any, Final

from .schemas import PHASES, entries, rows, schema
from .work import validate

SIZE: Final = 6_000
WORK: Final = ("schemas", "work")

Row = dict[str, Any]


def make(size: int) -> list[list[Row]]:
    """The inputs: rows of three forms."""
    return [list(rows(phase, size // PHASES, seed=1948, first=phase * size)) for phase in range(1, PHASES + 1)]


def judge(expected: dict[str, int], got: dict[str, int]) -> str:
    """What is wrong with a result; nothing where it is the same."""
    if got["torn"]:
        return f"WRONG: {got['torn']:,} of {expected['rows']:,} rows were validated by parts of two schemas"
    return "" if got["rows"] == expected["rows"] else f"WRONG: {got['rows']:,} rows came out"


def _tally(results: Iterable[Row]) -> dict[str, int]:
    phases = [len(result["phases"]) for result in results]
    return {"rows": len(phases), "torn": len(phases) - phases.count(1)}


def plain_loop(inputs: list[list[Row]], workers: int) -> dict[str, int]:
    """One row after another; the schema changes between two of them."""
    results = []
    for phase, part in enumerate(inputs, 1):
        now = schema(phase)
        results += [validate(row, now["fields"], now["products"].get) for row in part]
    return _tally(results)


def _feed(inputs: list[list[Row]], reload: Callable[[int], object]) -> Iterator[Row]:
    """Rows; beside the last fifth of each form the next schema is loaded."""
    for phase, part in enumerate(inputs, 1):
        reloading = threading.Thread(target=reload, args=(phase + 1,))
        for place, row in enumerate(part):
            if phase < PHASES and place == len(part) * 4 // 5:
                reloading.start()
            yield row
        if phase < PHASES:
            reloading.join()


def _in_threads(inputs: list[list[Row]], workers: int, check: Callable[[Row], Row], reload: Any) -> dict[str, int]:
    waiting: SimpleQueue[Row | None] = SimpleQueue()
    results: list[Row] = []

    def work() -> None:
        while (row := waiting.get()) is not None:
            results.append(check(row))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for row in _feed(inputs, reload):
        waiting.put(row)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return _tally(results)


def naive_threads(inputs: list[list[Row]], workers: int) -> dict[str, int]:
    """All threads read one schema, and a reload overwrites it entry by entry as it reads them."""
    shared: dict[str, dict[str, Row]] = {"fields": {}, "products": {}}

    def reload(phase: int) -> None:
        shared["fields"].clear()
        for table, key, entry in entries(phase):
            shared[table][key] = entry

    def check(row: Row) -> Row:
        return validate(row, shared["fields"].copy(), shared["products"].get)

    reload(1)
    return _in_threads(inputs, workers, check, reload)


def careful_threads(inputs: list[list[Row]], workers: int) -> dict[str, int]:
    """A reload makes a new schema aside, and one assignment puts it in force; a row looks once."""
    shared = {"now": schema(1)}

    def reload(phase: int) -> None:
        shared["now"] = schema(phase)

    def check(row: Row) -> Row:
        now = shared["now"]
        return validate(row, now["fields"], now["products"].get)

    return _in_threads(inputs, workers, check, reload)


def _in_process(order: tuple[int, list[Row]]) -> list[Row]:
    """A batch by the schema of the phase that is sent with it; each process loads each schema for itself."""
    now = schema(order[0])
    return [validate(row, now["fields"], now["products"].get) for row in order[1]]


def process_pool(inputs: list[list[Row]], workers: int) -> dict[str, int]:
    """Batches to processes; which schema is in force has to be sent with each of them."""
    in_force = [1]
    batch: list[Row] = []

    def batches() -> Iterator[tuple[int, list[Row]]]:
        for row in _feed(inputs, lambda phase: in_force.__setitem__(0, phase)):
            batch.append(row)
            if len(batch) == 50:
                yield in_force[0], batch.copy()
                batch.clear()
        yield in_force[0], batch

    with ProcessPoolExecutor(workers) as pool:
        return _tally(result for results in pool.map(_in_process, batches()) for result in results)


def with_slither(inputs: list[list[Row]], workers: int) -> dict[str, int]:
    """The pipe of the example; one call puts the next schema in force for every process."""
    import slither_actors as slither

    from .pipe import RowPipe, Schemas

    with slither.start(stores=[Schemas], pools={"default": workers}) as system:
        source = _feed(inputs, lambda phase: system.store(Schemas).reload())
        with system.stream_pipe(RowPipe, source) as stream:
            return _tally(item.payload for item in stream)
