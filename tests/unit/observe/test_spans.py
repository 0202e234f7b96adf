"""Events as spans, in words."""

from __future__ import annotations

import pytest

from slither_actors import telemetry
from slither_actors.observe._spans import metric_attributes, run_begun, run_ended, run_of, work_done
from tests.unit.observe import told

NS = 1_000_000_000


def words_of(report, *args, **kwargs):
    with telemetry.capture("slither") as events:
        report(*args, **kwargs)
    return work_done(*events[0])


def test_the_span_of_a_batch_is_the_time_that_a_worker_ran_it():
    words = words_of(told.batch_ran)
    assert (words.name, words.is_batch, words.error) == ("process predict", True, None)
    assert (words.start_ns, words.end_ns) == (1_001 * NS, 1_003 * NS)
    assert words.attributes["slither.queue.duration"] == 1.0
    assert words.attributes["messaging.batch.message_count"] == 5
    assert words.attributes["messaging.destination.name"] == "predict"


def test_the_span_of_a_stage_begins_when_its_batch_arrives_there():
    words = words_of(told.stage_ran)
    assert (words.name, words.is_batch, words.error) == ("stage predict", False, None)
    assert (words.start_ns, words.end_ns) == (999 * NS, 1_004 * NS)
    assert not [name for name in words.attributes if name.startswith("messaging")]


def test_a_batch_of_a_plain_dispatch_goes_by_its_pool():
    words = words_of(told.batch_ran, pipe=None, stage=None)
    assert words.name == "process gpu"
    assert "slither.stage" not in words.attributes


def test_what_failed_says_what_was_raised_and_never_what_it_said():
    words = words_of(told.batch_ran, "exception", outcome="error", error_type="ValueError", error="secret: 5")
    assert words.error == "ValueError"
    assert words.attributes["error.type"] == "ValueError"
    assert "secret: 5" not in words.attributes.values()


@pytest.mark.parametrize(("outcome", "error"), [("ok", None), ("drained", None), ("cancelled", None), ("error", "")])
def test_only_a_run_that_failed_has_an_error(outcome, error):
    attributes, found = run_ended({"items_in": 3}, {"outcome": outcome, "pipe": "Score", "trace": {"a": "b"}})
    assert found == error
    assert attributes == {"slither.items.in": 3, "slither.outcome": outcome, "slither.pipe": "Score"}


@pytest.mark.parametrize(
    ("event", "place", "name"),
    [(telemetry.PIPE_RUN, "pipe", "run Score"), (telemetry.DISPATCH_RUN, "pool", "dispatch Score")],
)
def test_a_run_is_called_after_what_runs(event, place, name):
    attributes = {"slither.run.id": "1-ab", f"slither.{place}": "Score"}
    assert run_begun((*event, "start"), {"run": "1-ab", place: "Score", "trace": {}}) == (name, attributes)


def test_a_further_attempt_to_open_a_run_is_the_same_run():
    assert run_of({"run": "1-ab.2"}) == run_of({"run": "1-ab"}) == "1-ab"
    assert run_of({}) == ""


def test_labels_of_metrics_are_attributes_and_those_of_the_conventions_where_these_know_them():
    names, values = ("pool", "pipe", "stage", "error_type"), ("gpu", "", "", "ValueError")
    plain = {"slither.pool": "gpu", "error.type": "ValueError"}
    assert metric_attributes(names, values, convention=False) == plain
    assert metric_attributes(names, values, convention=True) == plain | {
        "messaging.system": "slither",
        "messaging.operation.name": "process",
        "messaging.destination.name": "gpu",
    }
