"""W10: processor time of all processes per item, as there are more items, more stages and more workers."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.benchmarks.catalogue import CURVES
from tests.benchmarks.measures.processor import spent_s
from tests.benchmarks.measures.trial import Result, Trial, drain
from tests.benchmarks.peers.base import How, Peer
from tests.benchmarks.work.jobs import NOOP, Job
from tests.benchmarks.work.text import TEXT, documents

# As many in flight as the most workers can use, everywhere, so that nothing else changes.
HOW = How(batch=64, in_flight=2 * max(CURVES["w10-workers"].points))

# The same work takes a sixth more or less processor time from one second to the next, so points take turns.
ROUNDS, LONG_ROUNDS = 9, 5


def items(trial: Trial) -> Result:
    """More items in a run."""
    sizes = {number: max(1, number // trial.sizes.shrink) for number in CURVES["w10-items"].points}
    # long turns for each point, since the machine is a fifth quicker or slower from one second to the next
    enough = sizes[1_000_000] // 4
    with _running([trial.peer]):
        turns = {
            number: partial(_cost, trial.peer, NOOP, range(size), max(1, enough // size))
            for number, size in sizes.items()
        }
        costs = in_turn(turns, LONG_ROUNDS)
    return _result(costs, spread(costs))


def stages(trial: Trial) -> Result:
    """More local stages of a pipe."""
    return _staged(trial, "local")


def chain(trial: Trial) -> Result:
    """More worker stages of a pipe."""
    return _staged(trial, "worker")


def _staged(trial: Trial, kind: str) -> Result:
    peers = {number: type(trial.peer)(trial.peer.workers) for number in CURVES["w10-stages"].points}
    for number, peer in peers.items():
        peer.lead_through([kind] * number)
    with _running(peers.values()):
        work = range(trial.sizes.staged)
        costs = in_turn({number: partial(_cost, peer, NOOP, work) for number, peer in peers.items()}, ROUNDS)
    return _result(costs, bend(costs))


def workers(trial: Trial) -> Result:
    """More workers in the pool, with work to do: where there is none, the switches between processes are measured."""
    peers = {number: type(trial.peer)(number) for number in CURVES["w10-workers"].points}
    work = documents(trial.sizes.analysed)
    with _running(peers.values()):
        costs = in_turn({number: partial(_cost, peer, TEXT, work) for number, peer in peers.items()}, ROUNDS)
    return _result(costs, spread(costs))


@contextmanager
def _running(peers: Collection[Peer]) -> Iterator[None]:
    """Peers all of whose workers have worked. Those whose turn it is not use no processor."""
    with contextlib.ExitStack() as stack:
        for peer in peers:
            peer.start()
            stack.callback(peer.stop)
            drain(peer.dispatch(NOOP, range(10_000), HOW), 10_000)
        yield


def _cost(peer: Peer, job: Job, work: Sequence[Any], runs: int = 1) -> float:
    """Microseconds per item of so many runs with all this."""
    before = spent_s()
    for _ in range(runs):
        drain(peer.dispatch(job, work, HOW), len(work))
    return (spent_s() - before) / (runs * len(work)) * 1e6


def in_turn(turns: Mapping[int, Callable[[], float]], rounds: int) -> dict[int, float]:
    """The median of each point. Every other round goes backwards, so that what drifts does so for all."""
    costs: dict[int, list[float]] = {point: [] for point in turns}
    for number in range(rounds):
        for point in sorted(turns, reverse=number % 2 == 1):
            costs[point].append(turns[point]())
    return {point: statistics.median(found) for point, found in costs.items()}


def _result(costs: dict[int, float], bent: float) -> Result:
    return {"bend": bent * 100} | {f"cpu_{point}": cost for point, cost in costs.items()}


def spread(costs: Mapping[int, float]) -> float:
    """Where an item should cost the same at all points: how much more the dearest costs than the cheapest."""
    return max(costs.values()) / min(costs.values()) - 1


def bend(costs: Mapping[int, float]) -> float:
    """Where an item should cost something once, and something for each stage: the least share such that there is a
    straight line which is off by no more than that share of the cost at any point.

    Neither part may be negative: what begins by costing nothing, and then more for each stage than for the one before,
    is no straight line.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _has_line(costs, middle) else (middle, high)
    return high


def _has_line(costs: Mapping[int, float], share: float) -> bool:
    """Whether some line goes through all points, each as high as it may be off."""
    bars = [(0, 0.0, float("inf"))]  # what is paid once
    bars += [(x, cost * (1 - share), cost * (1 + share)) for x, cost in sorted(costs.items())]
    pairs = list(itertools.combinations(bars, 2))
    least = max((low - high_before) / (x - before) for (before, _, high_before), (x, low, _) in pairs)
    most = min((high - low_before) / (x - before) for (before, low_before, _), (x, _, high) in pairs)
    return max(0.0, least) <= most
