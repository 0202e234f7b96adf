"""One measurement of one peer, in an interpreter that runs nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.benchmarks.peers.base import How, Peer
from tests.benchmarks.work.jobs import NOOP, Job

Result = dict[str, Any]
HANGS = 3


class Sizes(NamedTuple):
    """How much work the workloads do, and how long they wait for a peer that hangs."""

    noops: int = 200_000
    singles: int = 5_000
    documents: int = 15_000
    arrays: int = 400
    few: int = 100_000
    many: int = 1_000_000
    naps: int = 600
    doomed: int = 2_000
    calls: int = 5_000
    rows: int = 100_000
    reads: int = 200_000
    writes: int = 10_000
    pause_s: float = 1.0
    timeout_s: float = 2.0
    patience_s: float = 10.0
    staged: int = 20_000
    analysed: int = 2_000
    shrink: int = 1


QUICK = Sizes(
    2_000,
    100,
    200,
    16,
    2_000,
    10_000,
    40,
    200,
    200,
    500,
    1_000,
    50,
    0.1,
    0.5,
    3.0,
    staged=200,
    analysed=100,
    shrink=200,
)


class Trial(NamedTuple):
    """What a measurement is given.

    Attributes:
        peer: not started yet.
        sizes: how much to do.
        began: when the driver was about to start this interpreter, on the monotonic clock.
        report: writes a result at once; a later one takes its place.
    """

    peer: Peer
    sizes: Sizes
    began: float
    report: Callable[[Result], None]


@contextmanager
def running(peer: Peer, job: Job = NOOP, warm_up: Sequence[Any] = range(64)) -> Iterator[Peer]:
    """A peer whose workers have done some of the job already."""
    peer.start()
    try:
        drain(peer.dispatch(job, warm_up, How(batch=1)), len(warm_up))
        yield peer
    finally:
        peer.stop()


def drain(results: Iterable[Any], expected: int) -> float:
    """Take all results; how many seconds that took.

    Raises:
        RuntimeError: there were more or fewer than expected.
    """
    began = time.perf_counter()
    number = 0
    for _ in results:
        number += 1
    took = time.perf_counter() - began
    if number != expected:
        raise RuntimeError(f"{number} results instead of {expected}")
    return took


@contextmanager
def watched(trial: Trial, result: Callable[[], Result], progress: Callable[[], int] = int) -> Iterator[None]:
    """Something that may hang: when nothing has moved for `patience_s`, the interpreter ends with this result."""
    over = threading.Event()

    def watch() -> None:
        before = 0
        while not over.wait(trial.sizes.patience_s):
            if progress() == before:
                trial.report(result())
                os._exit(HANGS)
            before = progress()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
