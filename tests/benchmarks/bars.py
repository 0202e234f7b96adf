"""The bars: what the figures have to reach. Reported, never asserted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.benchmarks.catalogue import CURVES, OURS, PEERS, PIPE, WORKLOADS
from tests.benchmarks.measures.faults import BATCH
from tests.benchmarks.results import Results

Value = Callable[[Results], float | None]

# What a stream of batches of 64 with 8 in flight may pull ahead: (max_in_flight + 4) * batch_size.
CREDIT = (8 + 4) * 64


class Mark(NamedTuple):
    """One height: a value, and what it has to be at least, or at most.

    Attributes:
        value: the figure out of the results.
        limit: the height.
        unit: what is written behind both.
        at_least: whether more is better.
    """

    value: Value
    limit: float
    unit: str
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g} {self.unit}"


class Bar(NamedTuple):
    """A bar: the height to reach first, and the goal behind it."""

    name: str
    what: str
    first: Mark | None
    goal: Mark | None = None


class Standing(NamedTuple):
    """Where the results stand at a bar, as words."""

    bar: str
    what: str
    value: str
    first: str
    goal: str
    reached: str


def of(key: str, workload: str, peer: str = OURS) -> Value:
    """A figure as it is."""
    return lambda results: results.median(workload, peer, key)


def times(key: str, workload: str, *peers: str, peer: str = OURS) -> Value:
    """A figure as a multiple of the best of other peers'; `None` where none of those was measured."""

    def value(results: Results) -> float | None:
        ours = results.median(workload, peer, key)
        theirs = [results.median(workload, name, key) for name in peers]
        known = [figure for figure in theirs if figure]
        return ours / max(known) if ours is not None and known else None

    return value


def share_of_w1(results: Results) -> float | None:
    """The rate of a long stream as a multiple of that of a short one."""
    long, short = results.median("w4", OURS, "items_s"), results.median("w1-ordered", OURS, "items_s")
    return long / short if long and short else None


def share_of_credit(peer: str) -> Value:
    """How far a source was ahead at most, as a multiple of what credit allows."""

    def value(results: Results) -> float | None:
        distance, credit = (results.median("w4-long", peer, key) for key in ("distance", "credit"))
        return distance / credit if distance is not None and credit else None

    return value


KINDS = (("stream", OURS), ("pipe", PIPE))
LIBRARIES = ("process_pool", "process_pool_map", "mp_pool", "pebble", "mpire", "loky", "ray", "dask", "xoscar")
LOOP = "x bounded ProcessPool loop"

BARS = (
    Bar(
        "P1",
        "stream, no-op, batches of 64",
        Mark(times("items_s", "w1-ordered", "process_pool"), 1.2, LOOP),
        Mark(times("items_s", "w1-ordered", "mp_pool"), 1.0, "x Pool.imap"),
    ),
    Bar(
        "P2",
        "stream, no-op, batches of 1",
        Mark(times("items_s", "w1-single", "process_pool"), 1.0, LOOP),
        Mark(times("items_s", "w1-single", *LIBRARIES), 1.0, "x best peer measured"),
    ),
    Bar(
        "P3",
        "text analysis through a pipe",
        Mark(of("of_bare", "w2", PIPE), 0.9, "x two bare processes"),
        Mark(of("of_bare", "w2", PIPE), 0.97, "x two bare processes"),
    ),
    Bar(
        "P4",
        "1 MB arrays there and back",
        Mark(times("mb_s", "w3-back", "ray"), 1.0, "x Ray tasks"),
        Mark(times("mb_s", "w3-back", "shared_memory"), 0.8, "x shared memory"),
    ),
    Bar(
        "P7",
        "interpreter start to the first result",
        Mark(of("first_result_s", "w6"), 0.5, "s", at_least=False),
        Mark(of("first_result_s", "w6"), 0.25, "s", at_least=False),
    ),
    Bar(
        "P7",
        "idle PSS of the whole tree",
        Mark(of("idle_mb", "w6"), 100, "MB", at_least=False),
        Mark(of("idle_mb", "w6"), 65, "MB", at_least=False),
    ),
    Bar(
        "P5",
        "store reads, random keys",
        Mark(times("reads_s", "w9-random", "lmdb"), 0.45, "x LMDB by hand"),
        Mark(times("reads_s", "w9-random", "lmdb"), 0.8, "x LMDB by hand"),
    ),
    Bar(
        "P5",
        "store reads, hot keys",
        Mark(times("reads_s", "w9-hot", "redis"), 10.0, "x Redis"),
        Mark(times("reads_s", "w9-hot", "lmdb"), 3.0, "x LMDB by hand"),
    ),
    Bar(
        "P6",
        "store writes, one by one",
        Mark(times("writes_s", "w9-writes", "redis"), 1.0, "x Redis"),
        Mark(times("writes_s", "w9-writes", "redis"), 5.0, "x Redis"),
    ),
    Bar(
        "P6",
        "store writes, in bulk",
        Mark(of("rows_s", "w9-bulk"), 300_000, "rows/s"),
        Mark(of("rows_s", "w9-bulk"), 1_000_000, "rows/s"),
    ),
    Bar("P8", "peak memory, all items against a tenth", Mark(of("growth", "w4"), 1.05, "x", at_least=False)),
    *(
        Bar("P8", f"the same of all processes together, {kind}", Mark(of("growth", "w4-long", peer), 1.05, "x", False))
        for kind, peer in KINDS
    ),
    Bar("P8", "pulled ahead of a pause", Mark(of("pulled_ahead", "w4"), CREDIT, "items", at_least=False)),
    *(
        Bar("P8", f"source ahead at most, {kind}", Mark(share_of_credit(peer), 1.0, "x credit", at_least=False))
        for kind, peer in KINDS
    ),
    Bar("P8", "rate of a long stream", None, Mark(share_of_w1, 0.8, "x W1")),
    Bar("P9", "killed once, with Retry: lost", Mark(of("lost", "w7-once"), 0, "items", at_least=False)),
    Bar(
        "P9",
        "killed, with skip: lost",
        Mark(of("lost", "w7-killed"), BATCH, "items", at_least=False),
        Mark(of("lost", "w7-killed"), 1, "items", at_least=False),
    ),
    Bar("P9", "killed, with skip: new worker", Mark(of("replaced_ms", "w7-killed"), 200, "ms", at_least=False)),
    Bar(
        "P9",
        "killed, with skip: time of the run",
        Mark(of("slowdown", "w7-killed"), 1.3, "x undisturbed", at_least=False),
    ),
    *(
        Bar("P11", f"{WORKLOADS[curve].title}, {kind}", Mark(of("bend", curve, peer), 15.0, "% bent", at_least=False))
        for curve in CURVES
        for kind, peer in KINDS
        if PEERS[peer].takes_part_in(curve)
    ),
)


def standings(results: Results) -> list[Standing]:
    """All bars against the results."""
    return [_standing(bar, results) for bar in BARS]


def _standing(bar: Bar, results: Results) -> Standing:
    marks = [mark for mark in (bar.first, bar.goal) if mark is not None]
    values = [mark.value(results) for mark in marks]
    shown = dict.fromkeys(_shown(mark, value) for mark, value in zip(marks, values, strict=True) if value is not None)
    return Standing(
        bar.name,
        bar.what,
        " / ".join(shown) or "not measured",
        str(bar.first or "-"),
        str(bar.goal or "-"),
        _reached(bar, results),
    )


def _reached(bar: Bar, results: Results) -> str:
    """The highest mark that is met; "goal" takes no first mark to be met, since the two may be held against others."""
    answers = {}
    for name, mark in (("goal", bar.goal), ("first", bar.first)):
        value = mark.value(results) if mark else None
        if mark and value is not None:
            answers[name] = mark.met(value)
    if not answers:
        return "not measured"
    return next((name for name, met in answers.items() if met), "no")


def _shown(mark: Mark, value: float) -> str:
    return f"{value:,.0f} {mark.unit}" if value >= 100 else f"{value:.3g} {mark.unit}"
