"""What systems say of themselves when somebody looks: their statistics, as values of gauges and counters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import attrs

from slither_actors.errors import InvalidOption, shorten
from slither_actors.observe._instruments import Instrument, Kind
from slither_actors.observe._readings import Reading

# A look asks processes of the tree, and whoever scrapes may ask for each metric by itself.
_FRESH_S = 1.0


class Watched(Protocol):
    """A system that can be looked at."""

    @property
    def name(self) -> str: ...
    def statistics(self) -> dict[str, Any]: ...


def _figure(name: str, kind: Kind, unit: str, doc: str, *labels: str) -> Instrument:
    return Instrument(f"slither.{name}", kind, unit, doc, ("system", *labels))


_UP = _figure("system.up", "gauge", "{system}", "1 if the system answers, else 0.")
_PROCESSES = _figure("system.processes", "gauge", "{process}", "Processes of the tree that live.")
_INCIDENTS = _figure("system.incidents", "counter", "{incident}", "Deaths that nobody had asked for.")
_VERSION = _figure("store.version", "gauge", "{version}", "Version of the store, which each reload raises.", "store")
_STORED = _figure("store.size", "gauge", "{row}", "Rows in the table.", "store", "table")
# By the name of the figure of a pool.
_POOL = {
    "size": _figure("pool.size", "gauge", "{worker}", "Workers that the pool is to have.", "pool"),
    "up": _figure("pool.up", "gauge", "{worker}", "Workers that are up.", "pool"),
    "idle": _figure("pool.idle", "gauge", "{worker}", "Workers that no run has leased.", "pool"),
    "leased": _figure("pool.leased", "gauge", "{worker}", "Workers that a run has leased.", "pool"),
    "leaving": _figure("pool.leaving", "gauge", "{worker}", "Leased workers that are asked back.", "pool"),
    "retiring": _figure("pool.retiring", "gauge", "{worker}", "Workers that are being replaced.", "pool"),
    "quarantined": _figure("pool.quarantined", "gauge", "{worker}", "Workers that are kept down.", "pool"),
}

FIGURES: tuple[Instrument, ...] = (_UP, _PROCESSES, _INCIDENTS, *_POOL.values(), _VERSION, _STORED)


def readings_of(statistics: dict[str, Any]) -> Iterator[Reading]:
    """The values in the statistics of a system; what it did not know is left out. Pure."""
    system = statistics["system"]
    yield Reading(_PROCESSES, (system,), statistics["processes"])
    yield Reading(_INCIDENTS, (system,), statistics["incidents"])
    for pool, figures in statistics["pools"].items():
        for key, instrument in _POOL.items():
            if figures.get(key) is not None:
                yield Reading(instrument, (system, pool), figures[key])
    for store, figures in statistics["stores"].items():
        yield Reading(_VERSION, (system, store), figures["version"])
        for table, size in figures["tables"].items():
            yield Reading(_STORED, (system, store, table), size)


@attrs.define(eq=False)
class _Look:
    at: float
    readings: tuple[Reading, ...]


class Watch:
    """Looks at systems, each at most once a second; one that does not answer is down. Safe to use from any thread.

    Args:
        where: names the caller in errors.
        systems: handles of running systems.
        clock: tells the time.

    Raises:
        InvalidOption: one of them is no system.
    """

    def __init__(self, where: str, systems: tuple[Watched, ...], clock: Callable[[], float] = time.monotonic) -> None:
        for system in systems:
            if not callable(getattr(system, "statistics", None)):
                raise InvalidOption(
                    where, "systems", shorten(system), "systems, as slither_actors.start() returns them"
                )
        self._systems = systems
        self._clock = clock
        self._lock = threading.Lock()
        self._looks: dict[int, _Look] = {}

    def look(self) -> Iterator[Reading]:
        """The values of all of them; raises nothing."""
        for number, system in enumerate(self._systems):
            with self._lock:  # others who look meanwhile take what the first one sees
                seen = self._looks.get(number)
                if seen is None or self._clock() - seen.at >= _FRESH_S:
                    readings = _seen(system)
                    seen = self._looks[number] = _Look(self._clock(), readings)
            yield from seen.readings


def _seen(system: Watched) -> tuple[Reading, ...]:
    try:
        found = tuple(readings_of(system.statistics()))
    except Exception:  # it stops, is stopped or is down: whatever it says, the page with all the others must come
        return (Reading(_UP, (system.name,), 0),)
    return (Reading(_UP, (system.name,), 1), *found)
