"""Prometheus: metrics of what the systems of this process do, and a page for it to read.

Needs the extra `prometheus`. All of it runs in the service: what happens in other processes is told there by telemetry,
so nothing has to be shared between processes. No port is opened until `serve` is called.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, cast

from slither_actors._keywords import known_keywords
from slither_actors.errors import InvalidOption, shorten
from slither_actors.observe._figures import FIGURES, Watch, Watched
from slither_actors.observe._hearing import Hearing
from slither_actors.observe._instruments import BUCKETS_S, INSTRUMENTS, Instrument
from slither_actors.observe._readings import Readings
from slither_actors.telemetry import Name

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        f"{__name__} needs prometheus_client: pip install 'slither_actors[prometheus]'", name=_missing.name
    ) from None

__all__ = ["Instrumentation", "instrument"]


@known_keywords
def instrument(*systems: Watched, registry: CollectorRegistry | None = None, batches: bool = True) -> Instrumentation:
    """Keep metrics of what all systems of this process do from now on, until the result is closed.

    Args:
        systems: handles whose statistics are looked at whenever the metrics are read.
        registry: where the metrics are registered; the one that prometheus_client calls `REGISTRY` by default.
        batches: whether batches and stages are measured too; runs, sessions, processes and stores always are.

    Raises:
        InvalidOption: one of `systems` is none, or the registry has metrics of this library.
    """
    return Instrumentation(systems, REGISTRY if registry is None else registry, batches)


class Instrumentation:
    """What `instrument` began. A context manager; `close` ends it."""

    def __init__(self, systems: tuple[Watched, ...], registry: CollectorRegistry, batches: bool) -> None:
        self._page = _Page(Watch("prometheus.instrument", systems))
        self._registry = registry
        self._lock = threading.Lock()
        self._servers: list[tuple[Any, threading.Thread]] = []
        self._closed = False
        try:
            registry.register(cast(Any, self._page))
        except ValueError:
            allowed = "a registry that has no metrics of this library yet"
            raise InvalidOption("prometheus.instrument", "registry", shorten(registry), allowed) from None
        self._hearing = Hearing("prometheus", (self._page.handle,), batches=batches, rest=True)

    def serve(self, port: int, host: str = "127.0.0.1") -> int:
        """Serve all metrics of the registry over HTTP, in threads of their own, until this is closed.

        Args:
            port: where; 0 for any that is free.
            host: the address to listen at. Whoever can reach it can read them.

        Returns:
            The port.

        Raises:
            InvalidOption: this is closed. OSError: nobody can listen there.
        """
        with self._lock:
            if self._closed:
                raise InvalidOption("prometheus.serve", "the instrumentation", "closed", "one that is open")
            server, thread = start_http_server(port, host, self._registry)
            self._servers.append((server, thread))
        return int(server.server_port)

    def close(self) -> None:
        """Measure and serve no more, and take the metrics out of the registry; repeating it does no harm."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for server, thread in self._servers:
                server.shutdown()
                server.server_close()
                thread.join()
        self._hearing.close()
        self._registry.unregister(cast(Any, self._page))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Page:
    """A collector, as prometheus_client means it: of what events feed, and of what systems say when it is read."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._readings = Readings()
        self._fed = {one.name: _made(one) for one in INSTRUMENTS}

    def handle(self, event: Name, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        for reading in self._readings.of(event, measurements, metadata):
            metric = self._fed[reading.instrument.name]
            series = metric.labels(*reading.labels) if reading.labels else metric
            feed = series.observe if reading.instrument.kind == "histogram" else series.inc
            feed(reading.value)

    def describe(self) -> Iterator[Any]:
        for metric in self._fed.values():
            yield from metric.describe()
        yield from self._families().values()

    def collect(self) -> Iterator[Any]:
        for metric in self._fed.values():
            yield from metric.collect()
        families = self._families()
        for reading in self._watch.look():
            families[reading.instrument.name].add_metric(reading.labels, reading.value)
        yield from families.values()

    def _families(self) -> dict[str, Any]:
        return {one.name: _family(one) for one in FIGURES}


def name_of(one: Instrument) -> str:
    """What an instrument is called by the rules of Prometheus, without the `_total` that it puts behind counters."""
    return one.name.replace(".", "_") + ("_seconds" if one.unit == "s" else "")


def _made(one: Instrument) -> Any:
    name = name_of(one)
    if one.kind == "histogram":
        return Histogram(name, one.doc, one.labels, registry=None, buckets=BUCKETS_S)
    return (Gauge if one.kind == "gauge" else Counter)(name, one.doc, one.labels, registry=None)


def _family(one: Instrument) -> Any:
    family = GaugeMetricFamily if one.kind == "gauge" else CounterMetricFamily
    return family(name_of(one), one.doc, labels=one.labels)
