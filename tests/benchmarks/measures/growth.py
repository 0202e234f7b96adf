"""W10: processor time of all processes per item, as there are more items, more stages and more workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.catalogue import CURVES
from tests.benchmarks.measures.processor import spent_s
from tests.benchmarks.measures.trial import Result, Trial, drain
from tests.benchmarks.peers.base import How, Peer
from tests.benchmarks.work.jobs import NOOP, Job
from tests.benchmarks.work.text import TEXT, documents

# As many in flight as the most workers can use, everywhere, so that nothing else changes.
HOW = How(batch=64, in_flight=2 * max(CURVES["w10-workers"].points))

# What disturbs makes it dearer, never cheaper.
TURNS = 3


def items(trial: Trial) -> Result:
    """More items in a run."""
    with _running(trial.peer) as peer:
        sizes = {number: max(1, number // trial.sizes.shrink) for number in _points("w10-items")}
        costs = {number: _cost(peer, NOOP, range(size), trial) for number, size in sizes.items()}
    return _result(costs, _spread(costs))


def stages(trial: Trial) -> Result:
    """More local stages of a pipe."""
    return _staged(trial, "local")


def chain(trial: Trial) -> Result:
    """More worker stages of a pipe."""
    return _staged(trial, "worker")


def _staged(trial: Trial, kind: str) -> Result:
    costs = {}
    for number in _points("w10-stages"):
        peer = type(trial.peer)(trial.peer.workers)
        peer.lead_through([kind] * number)
        with _running(peer):
            costs[number] = _cost(peer, NOOP, range(trial.sizes.staged), trial)
    return _result(costs, bend(costs))


def workers(trial: Trial) -> Result:
    """More workers in the pool, with work to do: where there is none, the switches between processes are measured."""
    costs = {}
    texts = documents(max(100, trial.sizes.documents // 5))
    for number in _points("w10-workers"):
        with _running(type(trial.peer)(number)) as peer:
            costs[number] = _cost(peer, TEXT, texts, trial)
    return _result(costs, _spread(costs))


def _points(curve: str) -> tuple[int, ...]:
    return CURVES[curve].points


@contextmanager
def _running(peer: Peer) -> Iterator[Peer]:
    """A peer all of whose workers have worked."""
    peer.start()
    try:
        drain(peer.dispatch(NOOP, range(10_000), HOW), 10_000)
        yield peer
    finally:
        peer.stop()


def _cost(peer: Peer, job: Job, work: Sequence[Any], trial: Trial) -> float:
    """Microseconds per item of runs with all this: the least of a few measurements of as many runs as it takes."""
    number = len(work)
    runs = 1 if job is TEXT else max(1, trial.sizes.grown // number // TURNS)
    costs = []
    for _ in range(TURNS if number < trial.sizes.many else 1):
        before = spent_s()
        for _ in range(runs):
            drain(peer.dispatch(job, work, HOW), number)
        costs.append((spent_s() - before) / (runs * number) * 1e6)
    return min(costs)


def _result(costs: dict[int, float], bent: float) -> Result:
    return {"bend": bent * 100} | {f"cpu_{point}": cost for point, cost in costs.items()}


def _spread(costs: dict[int, float]) -> float:
    """How much more the dearest costs than the cheapest, where all should cost the same."""
    return max(costs.values()) / min(costs.values()) - 1


def bend(costs: dict[int, float]) -> float:
    """How far the costs are at most from the straight line that fits them best, in proportion."""
    weights = {x: 1 / y**2 for x, y in costs.items()}
    whole = sum(weights.values())
    mean_x = sum(weights[x] * x for x in costs) / whole
    mean_y = sum(weights[x] * y for x, y in costs.items()) / whole
    spread = sum(weights[x] * (x - mean_x) ** 2 for x in costs)
    slope = sum(weights[x] * (x - mean_x) * (y - mean_y) for x, y in costs.items()) / spread
    return max(abs(mean_y + slope * (x - mean_x) - y) / y for x, y in costs.items())
