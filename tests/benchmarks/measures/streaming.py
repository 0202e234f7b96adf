"""W4: a long input, lazily: the rate, the memory, and how far a source runs ahead of who stops taking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from tests.benchmarks.measures.memory import peak_mb
from tests.benchmarks.measures.trial import Result, Trial, drain, watched
from tests.benchmarks.peers.base import How, Peer
from tests.benchmarks.work.jobs import NOOP

TAKEN = 1_000
HOW = How(batch=64)


class Counted:
    """Numbers out of a generator that counts how many were pulled."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pulled = 0

    def __iter__(self) -> Iterator[int]:
        for value in range(self.number):
            self.pulled = value + 1
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


def _pulled_ahead(peer: Peer, number: int, pause_s: float) -> int:
    source = Counted(number)
    results = iter(peer.dispatch(NOOP, iter(source), HOW))
    for _ in islice(results, TAKEN):
        pass
    time.sleep(pause_s)
    return source.pulled - TAKEN
