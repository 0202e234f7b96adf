"""W4: a long input, lazily: the rate, the memory, and how far a source runs ahead of who takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from tests.benchmarks.measures.memory import PssPeak, peak_mb
from tests.benchmarks.measures.trial import Result, Trial, drain, watched
from tests.benchmarks.peers.base import How, Peer
from tests.benchmarks.work.jobs import NOOP

TAKEN = 1_000
HOW = How(batch=64)


class Counted:
    """Numbers out of a generator that counts how many were pulled; whoever takes results counts those."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pulled = 0
        self.taken = 0
        self.distance = 0  # the most that were pulled and not taken

    def __iter__(self) -> Iterator[int]:
        for value in range(self.number):
            self.pulled = value + 1
            self.distance = max(self.distance, self.pulled - self.taken)
            yield value


def lazily(trial: Trial) -> Result:
    """Few items, then many, then a consumer that pauses after a thousand."""
    few, many, peer = trial.sizes.few, trial.sizes.many, trial.peer
    result: Result = {}
    peer.start()
    drain(peer.dispatch(NOOP, iter(Counted(few)), HOW), few)
    result["peak_few_mb"] = peak_mb()
    result["items_s"] = many / drain(peer.dispatch(NOOP, iter(Counted(many)), HOW), many)
    result["growth"] = peak_mb() / result["peak_few_mb"]
    result["pulled_ahead"] = _pulled_ahead(peer, many, trial.sizes.pause_s)
    with watched(trial, lambda: result | {"stop": "hangs"}):
        peer.stop()
    return result


def steadily(trial: Trial) -> Result:
    """Few items, then ten times as many: the largest memory of each, and how far the source ever was ahead."""
    few, many, peer = trial.sizes.few, trial.sizes.many, trial.peer
    peer.start()
    _taken(peer, few // 10)
    peak_few, distance_few = _peak(peer, few)
    peak, distance = _peak(peer, many)
    with watched(trial, lambda: {"stop": "hangs"}):
        peer.stop()
    return {
        "growth": peak / peak_few,
        "peak_few_mb": peak_few,
        "peak_mb": peak,
        "distance": max(distance_few, distance),
        "credit": peer.credit(HOW),
    }


def _peak(peer: Peer, number: int) -> tuple[float, int]:
    with PssPeak() as peak:
        distance = _taken(peer, number)
    return peak.mb, distance


def _taken(peer: Peer, number: int) -> int:
    """Take all results; how far the source was ahead at most."""
    source = Counted(number)
    for _ in peer.dispatch(NOOP, iter(source), HOW):
        source.taken += 1
    if source.taken != number:
        raise RuntimeError(f"{source.taken} results instead of {number}")
    return source.distance


def _pulled_ahead(peer: Peer, number: int, pause_s: float) -> int:
    source = Counted(number)
    results = iter(peer.dispatch(NOOP, iter(source), HOW))
    for _ in islice(results, TAKEN):
        pass
    time.sleep(pause_s)
    return source.pulled - TAKEN
