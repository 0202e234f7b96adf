"""The first table of failures in docs/dispatch.md: each row is played under each policy, and its words are compared."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import slither_actors as slither
from slither_actors import DispatchError, NotImportable, NotPicklable, Retry, Route
from tests.helpers import jobs
from tests.helpers.tables import table_below
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.thorough]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "dispatch.md").read_text("utf-8")
ROWS = {row[0]: row for row in table_below("### What counts as a failure", DOCUMENT)}


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    raise OSError("unreadable")


def gives_unreadable(values: list[Any]) -> list[Any]:
    return [Unreadable() if value == "bad" else value for value in values]


def nothing_weighs(item: slither.Item) -> int:
    return 0 if item.payload == "bad" else 1


@attrs.frozen
class Case:
    """How a row is played: of three batches the second has an item that is well and a bad one."""

    bad: Any
    executor: Any = jobs.mishaps
    options: dict[str, Any] = attrs.field(factory=dict)
    spares_others: bool = True
    rival: bool = False  # whether another run has all workers


WEIGHTS = slither.WeightedBatch(2, nothing_weighs)
CASES = {
    "the function raises, `SystemExit` too": [Case("raise"), Case("exit")],
    "it returns too few or too many results": [Case("too few"), Case("too many")],
    "it returns no list, or an answer that only stages may give": [Case("none"), Case("text"), Case("only for stages")],
    "a result cannot be pickled": [Case("lock")],
    "a result can be pickled, but not unpickled": [Case("bad", gives_unreadable)],
    "an item can be pickled, but not unpickled in the worker": [Case(Unreadable(), jobs.same)],
    "the executor cannot be made": [Case("bad", jobs.Broken, spares_others=False)],
    "the worker is killed, crashes or exits": [Case("kill"), Case("segfault"), Case("_exit")],
    "the batch takes longer than `timeout_s`": [Case("hang", options={"timeout_s": 0.4})],
    "the batch waits longer than `queue_timeout_s` while others have all workers": [
        Case("bad", jobs.same, {"queue_timeout_s": 0.05}, spares_others=False, rival=True)
    ],
    "an item has no weight, by the function of its `WeightedBatch`": [Case("bad", jobs.same, {"strategy": WEIGHTS})],
    "the function cannot be imported in the worker": [Case("bad", "tests.helpers.no_such_module:work")],
    "an item cannot be pickled": [Case(threading.Lock(), jobs.same)],
}


def in_its_place(item: slither.Item, reason: BaseException) -> str:
    return "routed"


POLICIES: tuple[Any, ...] = ("halt", "skip", Retry(max_attempts=2, backoff_s=0.0, then="skip"), Route(in_its_place))


def note_and_hang(paths: list[str]) -> None:
    Path(paths[0]).touch()
    threading.Event().wait()


@contextlib.contextmanager
def a_rival(system: slither.System, folder: Path) -> Iterator[None]:
    """Another run, which has all workers when the block begins."""
    notes = [folder / f"begun-{number}" for number in range(system.statistics()["pools"]["default"]["size"])]
    with system.stream(map(str, notes), note_and_hang, batch_size=1, timeout_s=3600.0) as stream:
        consumer = threading.Thread(target=list, args=(stream,))
        consumer.start()
        eventually(lambda: all(note.exists() for note in notes), "all workers hang")
        yield
        stream.close()
        consumer.join()


def played(system: slither.System, case: Case, policy: Any) -> tuple[str, str]:
    """The reason, and what becomes of whom."""
    given = [1, 2, 3, case.bad, 4, 5]
    try:
        results = system.dispatch(given, case.executor, batch_size=2, on_error=policy, **case.options)
    except (DispatchError, NotImportable, NotPicklable) as error:
        return f"`{type(getattr(error, 'reason', error)).__name__}`", "the run ends"
    ended = {end: list(getattr(results, end)) for end in ("skipped", "dropped", "dead")}
    routed = [item for item in results if item.payload == "routed"]
    assert len(results) + sum(map(len, ended.values())) == len(given)
    healthy = [item.payload for item in results if item.payload in (1, 2, 4, 5)]
    assert healthy == ([1, 2, 4, 5] if case.spares_others else [])
    who = "item" if 3 in [item.payload for item in results] else "batch"
    if routed:
        return "", f"{who} replaced"
    ((end, items),) = [(end, items) for end, items in ended.items() if items]
    (reason,) = {type(item.meta["error"]).__name__ for item in items}
    (attempts,) = {item.meta["attempts"] for item in items}
    return f"`{reason}`", f"{who} `.{end}`, {attempts} attempt{'' if attempts == 1 else 's'}"


@pytest.mark.parametrize("row", ROWS)
def test_each_cell_of_the_table_is_what_happens(system: slither.System, row: str, tmp_path: Path) -> None:
    for case in CASES[row]:
        with a_rival(system, tmp_path) if case.rival else contextlib.nullcontext():
            found = [played(system, case, policy) for policy in POLICIES]
        (reason,) = {reason for reason, _ in found} - {""}
        assert (row, reason, *(what for _, what in found)) == ROWS[row]


def test_every_case_is_a_row() -> None:
    assert set(ROWS) == set(CASES)
