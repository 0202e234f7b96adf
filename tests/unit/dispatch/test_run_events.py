"""What telemetry hears of a run: one start, one stop, and headers that travel in between."""

from __future__ import annotations

import pytest

from slither_actors import telemetry
from slither_actors.dispatch._run_events import RunEvents


@pytest.fixture
def events():
    return RunEvents(("made", "up"), {"run": "1"}, {"given": "a"})


def test_each_is_told_once(events):
    with telemetry.capture("made") as heard:
        events.start()
        events.start()
        events.opened()
        events.stop("ok", {"items_in": 3})
        events.stop("error")

    start, stop = heard
    assert (start.name, start.measurements) == (("made", "up", "start"), {})
    assert start.metadata == {"run": "1", "trace": {"given": "a"}}
    assert (stop.name, stop.metadata) == (("made", "up", "stop"), start.metadata | {"outcome": "ok"})
    assert stop.measurements["items_in"] == 3
    assert stop.measurements["duration_s"] == pytest.approx(
        stop.measurements["queue_s"] + stop.measurements["run_s"], abs=1e-9
    )


def test_one_that_never_opened_has_only_waited_and_read_nothing(events):
    with telemetry.capture("made") as heard:
        events.start()
        events.stop("error")

    measured = heard.one("made.up.stop").measurements
    assert measured["queue_s"] == measured["duration_s"] > 0
    assert {key for key, value in measured.items() if value == 0} == {
        *("run_s", "items_in", "items_out", "skipped", "dropped", "dead")
    }


def test_what_a_handler_adds_travels_with_what_the_caller_gave(events):
    telemetry.attach("tracer", "made.up.start", lambda name, numbers, labels: labels["trace"].update(added="b"))
    try:
        assert events.start() == {"given": "a", "added": "b"}
        assert events.start() == {"given": "a", "added": "b"}
    finally:
        telemetry.detach("tracer")


def test_what_is_no_text_does_not_travel(events):
    """It would fail the run."""
    telemetry.attach("tracer", "made", lambda name, numbers, labels: labels["trace"].update(lock=object(), b="c"))
    try:
        assert events.start() == {"given": "a", "b": "c"}
    finally:
        telemetry.detach("tracer")
