"""W1, W2, W3, W5: how much gets through."""

from __future__ import annotations

import random

from tests.benchmarks.measures.trial import Result, Trial, drain, running
from tests.benchmarks.peers.base import How
from tests.benchmarks.work.jobs import NAP, NOOP, Job


def ordered(trial: Trial) -> Result:
    """W1: nothing but transport, batches of 64, results in order."""
    return _noops(trial, How(batch=64), trial.sizes.noops)


def completed(trial: Trial) -> Result:
    """W1: the same as batches complete."""
    return _noops(trial, How(batch=64, ordered=False), trial.sizes.noops)


def single(trial: Trial) -> Result:
    """W1: a message per item."""
    return _noops(trial, How(batch=1), trial.sizes.singles)


def _noops(trial: Trial, how: How, number: int) -> Result:
    with running(trial.peer) as peer:
        took = drain(peer.dispatch(NOOP, range(number), how), number)
    return {"items_s": number / took}


def text(trial: Trial) -> Result:
    """W2: work for a processor; beside it, before and after, bare processes that do the same."""
    from tests.benchmarks.peers.limits import BareForks
    from tests.benchmarks.work.text import TEXT, documents

    number = trial.sizes.documents
    distinct = documents(min(number, 5_000))
    work = [distinct[place % len(distinct)] for place in range(number)]
    how = How(batch=50)
    bare = BareForks(trial.peer.workers)
    same = trial.peer.bare(TEXT)
    before = drain(bare.dispatch(same, work, how), number)
    with running(trial.peer, TEXT, work[:64]) as peer:
        took = drain(peer.dispatch(TEXT, work, how), number)
    after = drain(bare.dispatch(same, work, how), number)
    return {"items_s": number / took, "of_bare": (before + after) / 2 / took}


def arrays_back(trial: Trial) -> Result:
    """W3: arrays there and back."""
    from tests.benchmarks.work.arrays import DOUBLED

    return _arrays(trial, DOUBLED, directions=2)


def arrays_there(trial: Trial) -> Result:
    """W3: arrays there, a number back."""
    from tests.benchmarks.work.arrays import SUMMED

    return _arrays(trial, SUMMED, directions=1)


def _arrays(trial: Trial, job: Job, directions: int) -> Result:
    from tests.benchmarks.work.arrays import ARRAY_MB, arrays

    number, how = trial.sizes.arrays, How(batch=4)
    with running(trial.peer, job, list(arrays(16))) as peer:
        took = drain(peer.dispatch(job, arrays(number), how), number)
    return {"mb_s": number * ARRAY_MB * directions / took}


def naps(trial: Trial) -> Result:
    """W5: sleeps of 1 to 20 ms as they complete, against what perfect sharing would take."""
    chance = random.Random(11)
    work = [chance.uniform(1, 20) for _ in range(trial.sizes.naps)]
    with running(trial.peer) as peer:
        took = drain(peer.dispatch(NAP, work, How(batch=1, ordered=False)), len(work))
    return {"of_ideal": sum(work) / 1000 / peer.workers / took}
