"""What an event says, as values of instruments. Pure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from slither_actors.observe._instruments import RULES, Instrument, Rule
from slither_actors.telemetry import Name

# Series that one metric has at most. What comes after them is counted together.
MOST_SERIES = 1_000
_REST = "other"


@attrs.frozen
class Reading:
    """A value for the series with these labels; one that is "" is not known."""

    instrument: Instrument
    labels: tuple[str, ...]
    value: float


class Readings:
    """Turns events into values. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, set[tuple[str, ...]]] = {}
        self._open: Counter[str] = Counter()  # what has started and not stopped

    def of(self, event: Name, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Reading]:
        """The values that an event gives; none for one that feeds no instrument."""
        for rule in RULES.get(event, ()):
            value = self._value(rule, measurements, metadata)
            if value is not None:
                yield Reading(rule.instrument, self._labels(rule, event, metadata), value)

    def _value(self, rule: Rule, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> float | None:
        if rule.instrument.kind == "gauge":
            return rule.by if self._is_paired(rule, metadata) else None
        if rule.measurement is not None:
            return measurements.get(rule.measurement)
        return rule.by if not rule.again or measurements.get("attempt", 1) > 1 else None

    def _is_paired(self, rule: Rule, metadata: Mapping[str, Any]) -> bool:
        """Whether this start or stop counts: a stop whose start nobody heard would lead below zero."""
        key = f"{rule.instrument.name} {metadata.get('run') or metadata.get('session')}"
        with self._lock:
            known = self._open[key] + rule.by
            if known > 0:
                self._open[key] = known
            else:
                del self._open[key]
            return known >= 0

    def _labels(self, rule: Rule, event: Name, metadata: Mapping[str, Any]) -> tuple[str, ...]:
        labels = tuple(_label(name, rule, event, metadata) for name in rule.instrument.labels)
        with self._lock:
            series = self._series.setdefault(rule.instrument.name, set())
            if labels in series:
                return labels
            if len(series) < MOST_SERIES:
                series.add(labels)
                return labels
        return (_REST,) * len(labels)


def _label(name: str, rule: Rule, event: Name, metadata: Mapping[str, Any]) -> str:
    if name == "end":
        return rule.end or ""
    if name == "branch":
        return str(metadata.get("supervisor", "")).partition("/")[0]
    found = metadata.get(name)
    if found is None and name == "operation":
        return event[-2]
    return "" if found is None else str(found)
