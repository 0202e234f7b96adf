"""Events as spans and metrics of OpenTelemetry's SDK."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel, and OpenTelemetry's SDK")

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from slither_actors import telemetry
from slither_actors.errors import InvalidOption
from slither_actors.observe import otel
from slither_actors.observe._instruments import BUCKETS_S
from tests.unit.observe import told
from tests.unit.observe.test_figures import STATISTICS, Told

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Exported:
    """What two providers export, and the handle that feeds them."""

    def __init__(self, *systems, sampler=None, **options):
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])
        self.handle = otel.instrument(*systems, tracer_provider=self.provider, meter_provider=self.meters, **options)

    def spans(self):
        return {span.name: span for span in self._spans.get_finished_spans()}

    def points(self):
        """By the name of the metric, and the values of its attributes."""
        data = self._reader.get_metrics_data()
        scopes = data.resource_metrics[0].scope_metrics if data is not None else []
        return {
            (metric.name, *sorted(map(str, point.attributes.values()))): point
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        }


@pytest.fixture
def export():
    made = []

    def make(*systems, **options):
        made.append(Exported(*systems, **options))
        return made[-1]

    yield make
    for one in made:
        one.handle.close()
        one.provider.shutdown()
        one.meters.shutdown()


def test_a_run_is_a_span_below_the_callers_with_its_work_below_it(export):
    exported = export()
    with exported.provider.get_tracer("caller").start_as_current_span("caller") as caller:
        told.run_started()
    told.batch_ran()
    told.stage_ran()
    told.run_stopped()

    spans = exported.spans()
    run = spans["run Score"]
    assert run.parent.span_id == caller.get_span_context().span_id
    assert {span.context.trace_id for span in spans.values()} == {run.context.trace_id}
    for name, kind in (("process predict", trace.SpanKind.CONSUMER), ("stage predict", trace.SpanKind.INTERNAL)):
        assert (spans[name].parent.span_id, spans[name].kind) == (run.context.span_id, kind)
    assert (spans["process predict"].start_time, spans["process predict"].end_time) == (1_001 * 10**9, 1_003 * 10**9)
    assert run.attributes["slither.items.out"] == 4
    assert run.status.status_code is trace.StatusCode.UNSET


def test_the_headers_of_a_run_lead_to_its_span(export):
    exported = export()
    headers = told.run_started()
    told.run_stopped()

    run = exported.spans()["run Score"].context
    assert headers["traceparent"] == f"00-{run.trace_id:032x}-{run.span_id:016x}-{int(run.trace_flags):02x}"


def test_headers_that_the_caller_gives_come_before_what_is_current_there(export):
    exported = export()
    with exported.provider.get_tracer("caller").start_as_current_span("caller"):
        headers = told.run_started("pool", "gpu", trace={"traceparent": CALLER})
        told.run_stopped("pool", "gpu")

    run = exported.spans()["dispatch gpu"]
    assert f"{run.context.trace_id:032x}-{run.parent.span_id:016x}" == CALLER[3:52]
    assert f"{run.context.span_id:016x}" == headers["traceparent"][36:52]


def test_headers_of_something_else_leave_the_parent_to_what_is_current(export):
    exported = export()
    with exported.provider.get_tracer("caller").start_as_current_span("caller") as caller:
        told.run_started(trace={"baggage": "tenant=a"})
    told.run_stopped()
    assert exported.spans()["run Score"].parent.span_id == caller.get_span_context().span_id


def test_runs_side_by_side_keep_their_work_apart(export):
    exported = export()
    told.run_started(name="A", run="1-aa")
    told.run_started(name="B", run="2-bb")
    told.batch_ran(run="2-bb.2", stage="second")
    told.batch_ran(run="1-aa", stage="first")
    told.run_stopped(name="A", run="1-aa")
    told.run_stopped(name="B", run="2-bb")

    spans = exported.spans()
    assert spans["process first"].parent.span_id == spans["run A"].context.span_id
    assert spans["process second"].parent.span_id == spans["run B"].context.span_id


def test_failures_are_errors_by_their_type(export):
    exported = export()
    told.run_started()
    told.batch_ran("exception", outcome="error", error_type="ValueError")
    told.run_stopped(outcome="error")

    batch, run = exported.spans()["process predict"], exported.spans()["run Score"]
    assert (batch.status.status_code, batch.status.description) == (trace.StatusCode.ERROR, "ValueError")
    assert (run.status.status_code, run.status.description) == (trace.StatusCode.ERROR, None)


def test_work_of_runs_that_nobody_saw_begin_is_no_trace_of_its_own(export):
    exported = export()
    told.batch_ran()
    told.run_stopped()
    assert exported.spans() == {}


class NoRuns(Sampler):
    """Would take their batches and stages all the same."""

    def should_sample(self, parent_context, trace_id, name, *args, **kwargs):
        return SamplingResult(Decision.DROP if name.startswith("run") else Decision.RECORD_AND_SAMPLE)

    def get_description(self):
        return "no runs"


def test_what_is_not_sampled_has_no_work_and_tells_the_others_so(export):
    exported = export(sampler=NoRuns())
    headers = told.run_started()
    told.batch_ran()
    told.run_stopped()
    assert exported.spans() == {}
    assert int(headers["traceparent"][-2:], 16) & trace.TraceFlags.SAMPLED == 0


def test_spans_of_runs_that_are_open_end_with_the_instrumentation(export):
    exported = export()
    told.run_started()
    exported.handle.close()
    told.run_stopped()
    assert list(exported.spans()) == ["run Score"]


def test_metrics_are_fed_under_the_names_of_the_conventions(export):
    exported = export()
    told.run_started()
    told.batch_ran()
    told.batch_ran("exception", outcome="error", error_type="ValueError")
    told.run_stopped()

    points = exported.points()
    where = ("Score", "gpu", "predict", "predict", "process", "slither")
    assert points["messaging.process.duration", *sorted((*where, "ok"))].sum == 2.0
    assert points["messaging.process.duration", *sorted((*where, "error", "ValueError"))].count == 1
    assert points["messaging.client.consumed.messages", *sorted(where)].value == 10
    assert points["slither.pipe.run.items", "Score", "skipped"].value == 3
    assert points["slither.pipe.run.active", "Score"].value == 0
    duration = points["slither.pipe.run.duration", "Score", "ok"]
    assert (duration.sum, duration.explicit_bounds) == (2.0, BUCKETS_S)


def test_systems_are_looked_at_when_metrics_are_collected_until_the_end(export):
    system = Told(STATISTICS)
    exported = export(system)
    assert system.asked == 0
    points = exported.points()
    assert points["slither.store.size", "Features", "features", "s"].value == 1000
    assert points["slither.system.incidents", "s"].value == 2
    assert points["slither.system.up", "s"].value == 1
    assert system.asked == 1

    exported.handle.close()
    assert [name for name, *_ in exported.points() if name == "slither.system.up"] == []


@pytest.mark.parametrize(
    ("options", "has_spans", "has_points"), [({"traces": False}, False, True), ({"metrics": False}, True, False)]
)
def test_either_can_be_left_out(export, options, has_spans, has_points):
    exported = export(**options)
    told.run_started()
    told.run_stopped()
    assert (bool(exported.spans()), bool(exported.points())) == (has_spans, has_points)


def test_batches_can_be_left_out(export):
    export(batches=False)
    assert not telemetry.listening(telemetry.BATCH)
    assert not telemetry.listening(telemetry.STAGE)


class Broken(SpanProcessor):
    """Fails wherever it is asked."""

    def on_start(self, span, parent_context=None):
        raise ConnectionError("the collector is away")

    def on_end(self, span):
        raise ConnectionError("the collector is away")


def test_an_exporter_that_raises_harms_no_run_and_no_metric(export, caplog):
    exported = export()
    exported.provider.add_span_processor(Broken())
    with caplog.at_level(logging.WARNING):
        told.run_started()
        told.batch_ran()
        told.run_stopped()
    assert exported.points()["slither.pipe.run.active", "Score"].value == 0
    assert [record.name for record in caplog.records] == ["slither_actors.observe._hearing"]


def test_without_an_sdk_nothing_is_exported_and_the_trace_still_travels():
    """The no-op tracer of the API hands on what it is given."""
    with otel.instrument(tracer_provider=trace.NoOpTracerProvider()):
        assert told.run_started() == {}
        headers = told.run_started("pool", "gpu", trace={"traceparent": CALLER})
        told.batch_ran()
        told.run_stopped()
    assert headers["traceparent"] == CALLER


def test_a_misspelt_option_and_what_is_no_system_are_refused():
    with pytest.raises(InvalidOption, match="batches"):
        otel.instrument(batch=False)  # type: ignore[call-arg]
    with pytest.raises(InvalidOption, match="systems is 'gpu'"):
        otel.instrument("gpu")  # type: ignore[arg-type]
    assert not telemetry.listening(telemetry.BATCH)
