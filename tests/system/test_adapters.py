"""OpenTelemetry and Prometheus over a running system."""

from __future__ import annotations

import os
import urllib.request

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel, and OpenTelemetry's SDK")
pytest.importorskip("prometheus_client", reason="needs the extra prometheus")

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import slither_actors as slither
from slither_actors.observe import otel, prometheus
from tests.helpers import jobs, traced

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def test_spans_of_user_code_in_stages_and_workers_are_below_the_run_of_the_caller(system, provider, exporter):
    tracer = provider.get_tracer("caller")
    with otel.instrument(tracer_provider=provider, metrics=False), tracer.start_as_current_span("caller") as caller:
        items = system.run_pipe(traced.Traced, range(3)).default

    here = caller.get_span_context()
    (run,) = [span for span in exporter.get_finished_spans() if span.name == "run Traced"]
    assert (run.context.trace_id, run.parent.span_id) == (here.trace_id, here.span_id)
    made = [item.payload[place] for item in items for place in ("stage", "worker")]
    assert {(trace, parent) for trace, parent, _ in made} == {(here.trace_id, run.context.span_id)}
    assert os.getpid() not in {pid for _, _, pid in made}
    assert len({pid for _, _, pid in made}) >= 2


def test_batches_and_stages_are_below_the_run_that_they_are_a_part_of(system, provider, exporter):
    with otel.instrument(tracer_provider=provider, metrics=False):
        system.run_pipe(traced.Traced, range(3))
        with pytest.raises(slither.DispatchError):
            system.dispatch(["raise"], jobs.mishaps)

    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    below = sorted((names[span.parent.span_id], span.name) for span in spans if span.parent is not None)
    assert below == [
        ("dispatch default", "process default"),
        ("run Traced", "process infer"),
        ("run Traced", "process infer"),
        ("run Traced", "stage infer"),
        ("run Traced", "stage infer"),
        ("run Traced", "stage prepare"),
    ]
    assert {span.name for span in spans if not span.status.is_unset} == {"dispatch default", "process default"}
    (failed,) = [span for span in spans if span.name == "process default"]
    assert (failed.attributes["error.type"], failed.attributes["slither.verdict"]) == ("ValueError", "halt")


class Away(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise ConnectionError("the collector is away")


def test_an_exporter_that_raises_ends_no_run(system, provider):
    provider.add_span_processor(Away())
    with otel.instrument(tracer_provider=provider, metrics=False):
        assert len(system.dispatch(range(10), jobs.same)) == 10


def test_the_page_of_prometheus_tells_of_events_and_of_the_system(system):
    with prometheus.instrument(system, registry=CollectorRegistry()) as metrics:
        system.dispatch(range(10), jobs.same, batch_size=5)
        system.dispatch(["raise", 2], jobs.mishaps, batch_size=1, on_error="skip")
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.serve(0)}/metrics", timeout=30) as answer:
            page = answer.read().decode().splitlines()

    assert 'slither_dispatch_run_duration_seconds_count{outcome="ok",pool="default"} 2.0' in page
    assert 'slither_dispatch_run_items_total{end="out",pool="default"} 11.0' in page
    assert 'slither_dispatch_run_items_total{end="skipped",pool="default"} 1.0' in page
    labels = 'error_type="ValueError",outcome="error",pipe="",pool="default",stage=""'
    assert f"slither_batch_duration_seconds_count{{{labels}}} 1.0" in page
    assert f'slither_pool_size{{pool="default",system="{system.name}"}} 2.0' in page
    assert f'slither_system_up{{system="{system.name}"}} 1.0' in page


def test_no_process_of_the_tree_imports_any_of_it(system):
    """Also where the service has, and a run goes on with its trace."""
    with otel.instrument(metrics=False):
        system.dispatch([1], traced.headers)
    assert "opentelemetry" in {name.split(".")[0] for name in traced.imported()}
    with (
        slither.start(pools={"default": 1}) as fresh,
        otel.instrument(fresh),
        prometheus.instrument(fresh, registry=CollectorRegistry()),
    ):
        fresh.dispatch([1], traced.headers)
        assert fresh.call_each(traced.imported) == [[]]
