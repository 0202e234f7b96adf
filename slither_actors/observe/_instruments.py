"""What is measured: the metrics that events feed, the same for every adapter. Data, and nothing else.

A label has few values, whatever is run: no run, session, batch, worker, process or item is one. `end` says what became
of items, `branch` is the part of the tree that a supervisor belongs to.
"""

from __future__ import annotations

from typing import Literal

import attrs

from slither_actors import telemetry
from slither_actors.telemetry import Name

Kind = Literal["counter", "gauge", "histogram"]

# Bounds of histograms of seconds: those of OpenTelemetry's conventions, and one more at each end.
BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 60.0)


@attrs.frozen
class Instrument:
    """One metric.

    Attributes:
        name: dotted.
        kind: whether it only grows, goes up and down, or is a distribution.
        unit: "s" for seconds, or what is counted, in braces.
        doc: what it tells, in a sentence.
        labels: what tells its series apart.
        convention: its name in OpenTelemetry's conventions, where they have one.
    """

    name: str
    kind: Kind
    unit: str
    doc: str
    labels: tuple[str, ...] = ()
    convention: str | None = None


@attrs.frozen
class Rule:
    """One thing that an event means for an instrument.

    Attributes:
        instrument: which one.
        measurement: the number of the event that it is given; without one, the event itself is counted.
        end: what became of the items counted.
        by: what counting it adds.
        again: count it only if it was no first attempt.
    """

    instrument: Instrument
    measurement: str | None = None
    end: str | None = None
    by: int = 1
    again: bool = False


def _timed(name: str, doc: str, *labels: str, convention: str | None = None) -> Instrument:
    return Instrument(f"slither.{name}.duration", "histogram", "s", doc, labels, convention)


def _counted(name: str, unit: str, doc: str, *labels: str, convention: str | None = None) -> Instrument:
    return Instrument(f"slither.{name}", "counter", unit, doc, labels, convention)


def _run(event: Name, place: str) -> dict[Name, tuple[Rule, ...]]:
    area = event[1]
    took = _timed(f"{area}.run", "How long runs took.", place, "outcome")
    items = _counted(f"{area}.run.items", "{item}", "What became of the items of runs.", place, "end")
    open_now = Instrument(f"slither.{area}.run.active", "gauge", "{run}", "Runs that are open.", (place,))
    ends = (("items_out", "out"), ("skipped", "skipped"), ("dropped", "dropped"), ("dead", "dead"))
    counts = (Rule(items, measurement, end) for measurement, end in ends)
    return {
        (*event, "start"): (Rule(open_now),),
        (*event, "stop"): (Rule(took, "duration_s"), *counts, Rule(open_now, by=-1)),
    }


def _batch() -> tuple[Rule, ...]:
    where = ("pool", "pipe", "stage")
    ran = "How long workers ran batches, each attempt by itself."
    items = "Items in the batches that workers ran."
    return (
        Rule(_timed("batch", ran, *where, "outcome", "error_type", convention="messaging.process.duration"), "run_s"),
        Rule(_timed("batch.queue", "How long batches waited for a worker.", *where), "queue_s"),
        Rule(
            _counted("batch.items", "{message}", items, *where, convention="messaging.client.consumed.messages"),
            "items_in",
        ),
        Rule(_counted("batch.retries", "{batch}", "Attempts after the first one.", *where), again=True),
    )


def _stage() -> tuple[Rule, ...]:
    where = ("pipe", "stage")
    items = _counted("stage.items", "{item}", "Items that went into stages, and came out of them.", *where, "end")
    took = _timed("stage", "How long batches were in a stage, waiting included.", *where, "outcome", "error_type")
    return (
        Rule(took, "duration_s"),
        Rule(_timed("stage.queue", "How long they waited there.", *where), "queue_s"),
        Rule(items, "items_in", "in"),
        Rule(items, "items_out", "out"),
    )


def _session() -> dict[Name, tuple[Rule, ...]]:
    event = telemetry.SESSION
    open_now = Instrument("slither.session.active", "gauge", "{session}", "Blocks of sessions that are open.")
    losses = _counted("session.losses", "{session}", "Sessions whose worker died.", "pool", "end")
    took = _timed("session", "How long blocks of sessions took.", "outcome")
    return {
        (*event, "start"): (Rule(open_now),),
        (*event, "stop"): (Rule(took, "duration_s"), Rule(open_now, by=-1)),
        (*event, "lost"): (Rule(losses, end="lost"),),
        (*event, "rebuild"): (Rule(losses, end="rebuilt"),),
    }


def _processes() -> dict[Name, tuple[Rule, ...]]:
    worker, supervisor = telemetry.WORKER, telemetry.SUPERVISOR
    up = _timed("worker.start", "How long workers took to come up.", "pool")
    stops = _counted("worker.stops", "{worker}", "Workers that ended.", "pool", "outcome", "reason")
    recycles = _counted("worker.recycles", "{worker}", "Workers that were worn out.", "pool")
    quarantines = _counted("worker.quarantines", "{worker}", "Workers that were kept down.", "pool")
    restarts = _counted("supervisor.restarts", "{process}", "Processes restarted.", "branch", "reason")
    away = _timed("supervisor.restart", "How long processes were away that were restarted.", "branch")
    give_ups = _counted("supervisor.give_ups", "{process}", "Supervisors that gave up.", "branch")
    return {
        (*worker, "start"): (Rule(up, "duration_s"),),
        (*worker, "stop"): (Rule(stops),),
        (*worker, "recycle"): (Rule(recycles),),
        (*worker, "quarantine"): (Rule(quarantines),),
        (*supervisor, "restart"): (Rule(restarts), Rule(away, "away_s")),
        (*supervisor, "give_up"): (Rule(give_ups),),
    }


def _stores() -> dict[Name, tuple[Rule, ...]]:
    load = Rule(
        _timed("store.load", "How long loads, reloads and restores took.", "store", "operation", "outcome"),
        "duration_s",
    )
    written = _counted("store.rows", "{row}", "Rows written.", "store", "table")
    wrote = _timed("store.write", "How long writes took.", "store", "table", "operation", "outcome")
    viewed = _timed("view", "How long calls of views took.", "store", "view", "outcome")
    loads = [(*telemetry.STORE, what, end) for what in ("load", "reload", "restore") for end in ("stop", "exception")]
    return {
        **dict.fromkeys(loads, (load,)),
        telemetry.STORE_WRITE: (Rule(wrote, "duration_s"), Rule(written, "rows")),
        **dict.fromkeys([(*telemetry.VIEW, "stop"), (*telemetry.VIEW, "exception")], (Rule(viewed, "duration_s"),)),
    }


RULES: dict[Name, tuple[Rule, ...]] = {
    **_run(telemetry.DISPATCH_RUN, "pool"),
    **_run(telemetry.PIPE_RUN, "pipe"),
    **dict.fromkeys([(*telemetry.BATCH, "stop"), (*telemetry.BATCH, "exception")], _batch()),
    **dict.fromkeys([(*telemetry.STAGE, "stop"), (*telemetry.STAGE, "exception")], _stage()),
    **_session(),
    **_processes(),
    **_stores(),
}

INSTRUMENTS: tuple[Instrument, ...] = tuple(
    {rule.instrument.name: rule.instrument for rules in RULES.values() for rule in rules}.values()
)
