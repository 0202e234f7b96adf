"""W7: an item kills its worker, always or once, or hangs; what becomes of the other items."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.measures.trial import Result, Trial, drain, watched
from tests.benchmarks.peers.base import How, NotPossible
from tests.benchmarks.work.jobs import Doomed, job_of, replaced_after_s

BATCH = 10


def killed(trial: Trial) -> Result:
    """An item kills every worker that gets it."""
    return _fault(trial, "kill", How(BATCH, ordered=False, tolerant=True))


def killed_once(trial: Trial) -> Result:
    """An item kills the first worker that gets it; a peer that tries again delivers everything."""
    return _fault(trial, "once", How(BATCH, ordered=False, tolerant=True, retries=True))


def hanging(trial: Trial) -> Result:
    """An item never ends, and batches have a time limit."""
    return _fault(trial, "hang", How(BATCH, ordered=False, tolerant=True, timeout_s=trial.sizes.timeout_s))


def _fault(trial: Trial, end: str, how: How) -> Result:
    peer, number = trial.peer, trial.sizes.doomed
    seen: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        peer.start()
        harmless = job_of(Doomed("never", -1, folder))
        undisturbed_s = drain(peer.dispatch(harmless, range(number), how._replace(timeout_s=None)), number)
        results = peer.dispatch(job_of(Doomed(end, number // 2, folder)), range(number), how)
        began = time.perf_counter()
        with watched(trial, lambda: {"outcome": "hangs", "lost": number - len(seen)}, lambda: len(seen)):
            facts: Result = {"outcome": _run(results, seen), "lost": number - len(seen)}
        if facts["outcome"] == "completes":
            facts["slowdown"] = (time.perf_counter() - began) / undisturbed_s
        replaced = replaced_after_s(folder)
        if replaced is not None and end != "hang":
            facts["replaced_ms"] = replaced * 1000
        with watched(trial, lambda: facts | {"stop": "hangs"}):
            peer.stop()
    return facts


def _run(results: Iterator[Any], seen: set[int]) -> str:
    try:
        for result in results:
            seen.add(result)
    except NotPossible:
        raise
    except Exception as error:
        return f"raises {type(error).__name__}"
    return "completes"
