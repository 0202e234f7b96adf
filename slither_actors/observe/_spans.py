"""Runs, batches and stages as spans: names, times and attributes. Pure, and without any of OpenTelemetry.

The names of attributes are all here, since the conventions of messaging may still change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.telemetry import Name

_SYSTEM = {"messaging.system": "slither"}
_OPERATION = {**_SYSTEM, "messaging.operation.name": "process", "messaging.operation.type": "process"}
_DESTINATION = "messaging.destination.name"
_COUNT = "messaging.batch.message_count"
_ERROR = "error.type"

# Attributes of our own, by what events call them.
_LABELS = {
    "system": "slither.system",
    "run": "slither.run.id",
    "session": "slither.session.id",
    "pipe": "slither.pipe",
    "stage": "slither.stage",
    "pool": "slither.pool",
    "worker": "slither.worker",
    "batch_ref": "slither.batch.ref",
    "attempt": "slither.batch.attempt",
    "queue_s": "slither.queue.duration",
    "run_s": "slither.work.duration",
    "outcome": "slither.outcome",
    "verdict": "slither.verdict",
    "error_type": _ERROR,
    "items_in": "slither.items.in",
    "items_out": "slither.items.out",
    "bytes_in": "slither.bytes.in",
    "bytes_out": "slither.bytes.out",
    "skipped": "slither.items.skipped",
    "dropped": "slither.items.dropped",
    "dead": "slither.items.dead",
}
_NS = 1_000_000_000


@attrs.frozen
class SpanWords:
    """A span that is over, in words; `error` is its type, "" where it is not known, and `None` where there was none."""

    name: str
    is_batch: bool
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    error: str | None


def attribute_of(label: str) -> str:
    """What a label of a metric is called in OpenTelemetry."""
    return _LABELS.get(label, f"slither.{label}")


def metric_attributes(names: tuple[str, ...], values: tuple[str, ...], convention: bool) -> dict[str, str]:
    """The labels of a metric as attributes; what is not known is left out."""
    found = {attribute_of(name): value for name, value in zip(names, values, strict=True) if value}
    if convention:
        given = dict(zip(names, values, strict=True))
        found |= {**_SYSTEM, "messaging.operation.name": "process", _DESTINATION: given["stage"] or given["pool"]}
    return found


def run_begun(event: Name, metadata: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and attributes of the span of a run that starts."""
    place, verb = ("pipe", "run") if event[:3] == telemetry.PIPE_RUN else ("pool", "dispatch")
    return f"{verb} {metadata[place]}", _attributes(metadata)


def run_ended(measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Attributes of the end of a run, and its error: one that halted or did not begin has one, one that was cancelled
    has none."""
    return _attributes(measurements) | _attributes(metadata), _error_of(metadata)


def work_done(event: Name, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> SpanWords:
    """The span of an attempt at a batch, while a worker ran it; or of a batch of a stage, from its arrival there."""
    attributes = _attributes(measurements) | _attributes(metadata)
    start_s, seconds = measurements["time_s"], measurements["duration_s"]
    is_batch = event[:3] == telemetry.BATCH
    if is_batch:
        start_s, seconds = start_s + measurements["queue_s"], measurements["run_s"]
        place = metadata.get("stage") or metadata["pool"]
        attributes |= {**_OPERATION, _DESTINATION: place, _COUNT: measurements["items_in"]}
        name = f"process {place}"
    else:
        name = f"stage {metadata['stage']}"
    start_ns = round(start_s * _NS)
    return SpanWords(name, is_batch, start_ns, start_ns + round(seconds * _NS), attributes, _error_of(metadata))


def run_of(metadata: Mapping[str, Any]) -> str:
    """The run that an event belongs to, whatever attempt to open it this was."""
    return str(metadata.get("run", "")).partition(".")[0]


def _attributes(found: Mapping[str, Any]) -> dict[str, Any]:
    return {_LABELS[key]: value for key, value in found.items() if key in _LABELS and value is not None}


def _error_of(metadata: Mapping[str, Any]) -> str | None:
    return str(metadata.get("error_type", "")) if metadata.get("outcome") == "error" else None
