"""W8: counters in worker memory, reached by a key."""

from __future__ import annotations

import time

from tests.benchmarks.measures.trial import Result, Trial, running

SESSIONS = 8


def sticky(trial: Trial) -> Result:
    """Calls of one item each, eight unanswered at a time."""
    return _calls(trial, window=8)


def _calls(trial: Trial, window: int) -> Result:
    number = trial.sizes.calls
    calls = [(f"session {place % SESSIONS}", 1) for place in range(number)]
    with running(trial.peer) as peer:
        peer.sessions(calls[:SESSIONS], window)
        began = time.perf_counter()
        answers = peer.sessions(calls, window)
        took = time.perf_counter() - began
    if set(answers.values()) != {number // SESSIONS + 1}:
        raise RuntimeError(f"the counters are at {answers}")
    return {"calls_s": number / took}
