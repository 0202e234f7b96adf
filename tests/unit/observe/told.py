"""Events as the library reports them, made up."""

from __future__ import annotations

from slither_actors import telemetry

RUN = {"system": "s", "run": "1-ab"}


def run_started(place="pipe", name="Score", run="1-ab", trace=None):
    trace = {} if trace is None else trace
    event = telemetry.PIPE_RUN if place == "pipe" else telemetry.DISPATCH_RUN
    telemetry.emit((*event, "start"), {}, {"system": "s", "run": run, place: name, "trace": trace})
    return trace


def run_stopped(place="pipe", name="Score", run="1-ab", outcome="ok", **counts):
    event = telemetry.PIPE_RUN if place == "pipe" else telemetry.DISPATCH_RUN
    measured = {"duration_s": 2.0, "queue_s": 0.5, "run_s": 1.5, "items_in": 7, "items_out": 4, "skipped": 3}
    measured |= {"dropped": 0, "dead": 0, **counts}
    about = {"system": "s", "run": run, place: name, "trace": {}, "outcome": outcome}
    telemetry.emit((*event, "stop"), measured, about)


def batch_ran(end="stop", run="1-ab", attempt=1, **about):
    measured = {"time_s": 1_000.0, "duration_s": 3.0, "queue_s": 1.0, "run_s": 2.0, "attempt": attempt, "items_in": 5}
    about = {"system": "s", "run": run, "pipe": "Score", "stage": "predict", "pool": "gpu", "outcome": "ok"} | about
    telemetry.emit((*telemetry.BATCH, end), measured, about | {"worker": "pools/gpu/workers/worker-1", "batch_ref": 9})


def stage_ran(end="stop", run="1-ab", **about):
    measured = {"time_s": 999.0, "duration_s": 5.0, "queue_s": 2.0, "run_s": 2.0, "attempt": 1, "items_in": 5}
    about = {"system": "s", "run": run, "pipe": "Score", "stage": "predict", "outcome": "ok"} | about
    telemetry.emit((*telemetry.STAGE, end), measured | ({"items_out": 4} if end == "stop" else {}), about)
