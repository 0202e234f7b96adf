"""W6: from nothing to the first result, what an idle peer holds, and the way back to nothing."""

from __future__ import annotations

import time

from tests.benchmarks.measures.memory import family, pss_mb
from tests.benchmarks.measures.trial import Result, Trial, drain
from tests.benchmarks.peers.base import How
from tests.benchmarks.work.jobs import NOOP

IDLE_S = 0.5


def startup(trial: Trial) -> Result:
    """The driver adds `stop_s`, the time from `stopping` to the end of the interpreter."""
    peer = trial.peer
    peer.start()
    results = iter(peer.dispatch(NOOP, range(2), How(batch=1)))
    next(results)
    first = time.monotonic()
    drain(results, 1)
    time.sleep(IDLE_S)
    result = {"first_result_s": first - trial.began, "idle_mb": pss_mb(), "processes": sum(1 for _ in family())}
    result["stopping"] = time.monotonic()
    peer.stop()
    return result
