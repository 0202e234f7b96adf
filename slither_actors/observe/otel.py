"""OpenTelemetry: runs as spans, with their batches and stages below them, and metrics.

Needs the extra `otel`, which brings OpenTelemetry's API; the SDK and its exporters are the service's choice. All of it
runs in the service: what happens in other processes is told there by telemetry. User code in those goes on with the
trace of the run by the headers in `ctx.trace`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from slither_actors import __version__
from slither_actors._keywords import known_keywords
from slither_actors.observe._figures import FIGURES, Watch, Watched
from slither_actors.observe._hearing import Handler, Hearing
from slither_actors.observe._instruments import BUCKETS_S, INSTRUMENTS, Instrument
from slither_actors.observe._readings import Reading, Readings
from slither_actors.observe._spans import metric_attributes, run_begun, run_ended, run_of, work_done
from slither_actors.telemetry import BATCH, STAGE, Name

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics as otel_metrics
    from opentelemetry import propagate, trace
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        f"{__name__} needs OpenTelemetry's API: pip install 'slither_actors[otel]'", name=_missing.name
    ) from None

__all__ = ["Instrumentation", "instrument"]

_LIBRARY = "slither_actors"


@known_keywords
def instrument(
    *systems: Watched,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: otel_metrics.MeterProvider | None = None,
    traces: bool = True,
    metrics: bool = True,
    batches: bool = True,
) -> Instrumentation:
    """Export what all systems of this process do from now on, until the result is closed.

    The span of a run is a child of the span that is current where the run is begun. What an exporter or a processor of
    spans raises is logged once, and harms no run; one that is slow holds up the thread that reports, so let it work in
    the background, as `BatchSpanProcessor` does.

    Args:
        systems: handles whose statistics become metrics too.
        tracer_provider: where spans go; the global one by default.
        meter_provider: where metrics go; the global one by default.
        traces: whether to make spans.
        metrics: whether to feed metrics.
        batches: whether batches and stages are part of both; without them it is runs alone, and what concerns sessions,
            processes and stores.

    Raises:
        InvalidOption: one of `systems` is none.
    """
    watch = Watch("otel.instrument", systems)
    handlers: list[Handler] = []
    closing: list[Callable[[], None]] = []
    if metrics:
        meters = _Meters(otel_metrics.get_meter(_LIBRARY, __version__, meter_provider), watch)
        handlers.append(meters.handle)
        closing.append(meters.close)
    if traces:
        tracing = _Tracing(trace.get_tracer(_LIBRARY, __version__, tracer_provider))
        handlers.append(tracing.handle)
        closing.append(tracing.close)
    hearing = Hearing("otel", tuple(handlers), batches=batches, rest=metrics)
    return Instrumentation(hearing, closing)


class Instrumentation:
    """What `instrument` began. A context manager; `close` ends it."""

    def __init__(self, hearing: Hearing, closing: Iterable[Callable[[], None]]) -> None:
        self._hearing = hearing
        self._closing = tuple(closing)

    def close(self) -> None:
        """Export no more; repeating it does no harm. Spans of runs that are still open end now."""
        self._hearing.close()
        for close in self._closing:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Tracing:
    """Spans of runs that are open, by run."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._lock = threading.Lock()
        self._open: dict[str, trace.Span] = {}

    def handle(self, event: Name, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        if event[:3] in (BATCH, STAGE):
            self._work(event, measurements, metadata)
        elif event[1:] in (("dispatch", "run", "start"), ("pipe", "run", "start")):
            self._start(event, metadata)
        elif event[1:] in (("dispatch", "run", "stop"), ("pipe", "run", "stop")):
            self._stop(measurements, metadata)

    def _start(self, event: Name, metadata: Mapping[str, Any]) -> None:
        here, headers = otel_context.get_current(), metadata["trace"]
        parent = propagate.extract(headers, here) if headers else here
        name, attributes = run_begun(event, metadata)
        span = self._tracer.start_span(name, parent, attributes=attributes)
        with self._lock:
            self._open[run_of(metadata)] = span
        propagate.inject(headers, trace.set_span_in_context(span, parent))

    def _stop(self, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        with self._lock:
            span = self._open.pop(run_of(metadata), None)
        if span is not None:
            attributes, error = run_ended(measurements, metadata)
            span.set_attributes(attributes)
            _mark(span, error)
            span.end()

    def _work(self, event: Name, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        with self._lock:
            run = self._open.get(run_of(metadata))
        if run is None or not run.is_recording():
            return
        words = work_done(event, measurements, metadata)
        kind = trace.SpanKind.CONSUMER if words.is_batch else trace.SpanKind.INTERNAL
        above = trace.set_span_in_context(run)
        span = self._tracer.start_span(words.name, above, kind, words.attributes, start_time=words.start_ns)
        _mark(span, words.error)
        span.end(words.end_ns)

    def close(self) -> None:
        with self._lock:
            left, self._open = self._open, {}
        for span in left.values():
            span.end()


def _mark(span: trace.Span, error: str | None) -> None:
    if error is not None:
        span.set_status(trace.StatusCode.ERROR, error or None)


class _Meters:
    """Metrics that events feed, and what systems say when metrics are collected."""

    def __init__(self, meter: otel_metrics.Meter, watch: Watch) -> None:
        self._readings = Readings()
        self._watch: Watch | None = watch
        self._feeds = {one.name: _feed(meter, one) for one in INSTRUMENTS}
        for figure in FIGURES:
            self._observe(meter, figure)

    def handle(self, event: Name, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        for reading in self._readings.of(event, measurements, metadata):
            self._feeds[reading.instrument.name](reading.value, _attributes(reading))

    def _observe(self, meter: otel_metrics.Meter, figure: Instrument) -> None:
        def observe(options: otel_metrics.CallbackOptions) -> Iterator[otel_metrics.Observation]:
            watch = self._watch
            for reading in watch.look() if watch is not None else ():
                if reading.instrument is figure:
                    yield otel_metrics.Observation(reading.value, _attributes(reading))

        is_counter = figure.kind == "counter"
        create = meter.create_observable_counter if is_counter else meter.create_observable_gauge
        create(figure.name, [observe], figure.unit, figure.doc)

    def close(self) -> None:
        self._watch = None  # nothing can be taken back from a meter


def _feed(meter: otel_metrics.Meter, one: Instrument) -> Callable[[float, dict[str, str]], None]:
    name = one.convention or one.name
    feed: Callable[[float, dict[str, str]], None]
    if one.kind == "histogram":
        feed = meter.create_histogram(name, one.unit, one.doc, explicit_bucket_boundaries_advisory=BUCKETS_S).record
    elif one.kind == "gauge":
        feed = meter.create_up_down_counter(name, one.unit, one.doc).add
    else:
        feed = meter.create_counter(name, one.unit, one.doc).add
    return feed


def _attributes(reading: Reading) -> dict[str, str]:
    one = reading.instrument
    return metric_attributes(one.labels, reading.labels, one.convention is not None)
