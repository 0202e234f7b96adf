"""The page that Prometheus reads."""

from __future__ import annotations

import socket
import urllib.request

import pytest

pytest.importorskip("prometheus_client", reason="needs the extra prometheus")

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from slither_actors import telemetry
from slither_actors.errors import InvalidOption, SystemDown
from slither_actors.observe import prometheus
from slither_actors.observe._figures import FIGURES
from slither_actors.observe._instruments import INSTRUMENTS
from tests.unit.observe import told
from tests.unit.observe.test_figures import STATISTICS, Told


@pytest.fixture
def registry():
    return CollectorRegistry()


def read(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        return page.read().decode()


def test_events_are_metrics(registry):
    with prometheus.instrument(registry=registry):
        told.run_started()
        assert registry.get_sample_value("slither_pipe_run_active", {"pipe": "Score"}) == 1
        told.batch_ran("exception", outcome="error", error_type="ValueError", attempt=2)
        told.run_stopped()

        where = {"pool": "gpu", "pipe": "Score", "stage": "predict"}
        failed = where | {"outcome": "error", "error_type": "ValueError"}
        assert registry.get_sample_value("slither_batch_duration_seconds_sum", failed) == 2.0
        assert registry.get_sample_value("slither_batch_duration_seconds_bucket", failed | {"le": "2.5"}) == 1
        assert registry.get_sample_value("slither_batch_duration_seconds_bucket", failed | {"le": "1.0"}) == 0
        assert registry.get_sample_value("slither_batch_retries_total", where) == 1
        assert registry.get_sample_value("slither_pipe_run_items_total", {"pipe": "Score", "end": "skipped"}) == 3
        assert registry.get_sample_value("slither_pipe_run_active", {"pipe": "Score"}) == 0


def test_systems_are_looked_at_whenever_the_page_is_read(registry):
    system = Told(STATISTICS, SystemDown("s", ("it was stopped",)))
    with prometheus.instrument(system, registry=registry):
        assert system.asked == 0  # also not by what registers it
        labels = {"system": "s", "store": "Features", "table": "features"}
        assert registry.get_sample_value("slither_store_size", labels) == 1000
        assert registry.get_sample_value("slither_system_incidents_total", {"system": "s"}) == 2
        assert registry.get_sample_value("slither_pool_leased", {"system": "s", "pool": "gpu"}) is None


def test_no_port_is_opened_until_it_is_served_and_then_only_on_this_machine(registry, monkeypatch):
    bound = []
    bind = socket.socket.bind
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: bound.append(address) or bind(self, address))
    with prometheus.instrument(Told(STATISTICS), registry=registry) as instrumentation:
        assert bound == []
        port = instrumentation.serve(0)
        assert [host for host, *_ in bound] == ["127.0.0.1"]
        families = {family.name: family for family in text_string_to_metric_families(read(port))}
        for one in (*INSTRUMENTS, *FIGURES):
            assert families[prometheus.name_of(one)].documentation == one.doc
    with pytest.raises(OSError, match="refused"):
        read(port)
    with pytest.raises(InvalidOption, match="closed"):
        instrumentation.serve(0)


def test_names_are_by_the_rules_of_prometheus():
    for one in (*INSTRUMENTS, *FIGURES):
        name = prometheus.name_of(one)
        assert (one.unit == "s") == name.endswith("_seconds")
        assert not name.endswith(("_total", "_count", "_sum", "_bucket"))


def test_one_registry_has_the_metrics_once_and_is_free_again_after_the_end(registry):
    with prometheus.instrument(registry=registry) as first:
        with pytest.raises(InvalidOption, match=r"prometheus\.instrument: registry is .* no metrics of this library"):
            prometheus.instrument(registry=registry)
        first.close()
        with prometheus.instrument(registry=registry, batches=False):
            assert not telemetry.listening(telemetry.BATCH)
    assert not telemetry.listening(telemetry.PIPE_RUN)
    assert list(registry.collect()) == []


def test_what_is_no_system_is_refused(registry):
    with pytest.raises(InvalidOption, match=r"prometheus\.instrument: systems is 'gpu'"):
        prometheus.instrument("gpu", registry=registry)  # type: ignore[arg-type]
    assert list(registry.collect()) == []
