"""What events mean as values of instruments."""

from __future__ import annotations

import pytest

from slither_actors import telemetry
from slither_actors.observe import _readings
from slither_actors.observe._readings import Readings
from tests.unit.observe import told


@pytest.fixture
def heard():
    """A function that reports something, and returns what that means."""
    readings = Readings()

    def hear(report, *args, **kwargs):
        with telemetry.capture("slither") as events:
            report(*args, **kwargs)
        return [
            (reading.instrument.name, reading.labels, reading.value)
            for event in events
            for reading in readings.of(*event)
        ]

    return hear


def test_a_run_counts_while_it_is_open_and_then_with_what_became_of_its_items(heard):
    assert heard(told.run_started) == [("slither.pipe.run.active", ("Score",), 1)]
    assert heard(told.run_stopped) == [
        ("slither.pipe.run.duration", ("Score", "ok"), 2.0),
        ("slither.pipe.run.items", ("Score", "out"), 4),
        ("slither.pipe.run.items", ("Score", "skipped"), 3),
        ("slither.pipe.run.items", ("Score", "dropped"), 0),
        ("slither.pipe.run.items", ("Score", "dead"), 0),
        ("slither.pipe.run.active", ("Score",), -1),
    ]


def test_a_run_that_began_before_anybody_listened_is_never_less_than_none(heard):
    assert "slither.dispatch.run.active" not in [name for name, _, _ in heard(told.run_stopped, "pool", "gpu")]
    heard(told.run_started, "pool", "gpu")
    assert heard(told.run_stopped, "pool", "gpu")[-1] == ("slither.dispatch.run.active", ("gpu",), -1)
    assert heard(told.run_stopped, "pool", "gpu")[-1] != ("slither.dispatch.run.active", ("gpu",), -1)


def test_two_blocks_of_one_session_are_two(heard):
    event, about = telemetry.SESSION, {"system": "s", "session": "one", "outcome": "ok"}
    for _ in range(2):
        assert heard(telemetry.emit, (*event, "start"), {}, about) == [("slither.session.active", (), 1)]
    for _ in range(2):
        stopped = heard(telemetry.emit, (*event, "stop"), {"duration_s": 1.0}, about)
        assert stopped[-1] == ("slither.session.active", (), -1)


def test_each_attempt_at_a_batch_is_measured_and_those_after_the_first_are_counted(heard):
    where = ("gpu", "Score", "predict")
    first = [
        ("slither.batch.duration", (*where, "ok", ""), 2.0),
        ("slither.batch.queue.duration", where, 1.0),
        ("slither.batch.items", where, 5),
    ]
    assert heard(told.batch_ran) == first
    failed = {"outcome": "error", "error_type": "ValueError"}
    assert heard(told.batch_ran, "exception", attempt=2, **failed) == [
        ("slither.batch.duration", (*where, "error", "ValueError"), 2.0),
        *first[1:],
        ("slither.batch.retries", where, 1),
    ]


def test_a_stage_that_raised_gave_nothing_out(heard):
    assert [value[1:] for value in heard(told.stage_ran) if value[0] == "slither.stage.items"] == [
        (("Score", "predict", "in"), 5),
        (("Score", "predict", "out"), 4),
    ]
    raised = heard(told.stage_ran, "exception", outcome="error", error_type="ValueError")
    assert [value[1:] for value in raised if value[0] == "slither.stage.items"] == [(("Score", "predict", "in"), 5)]


def test_the_dispatch_of_no_pipe_has_no_stage(heard):
    assert heard(told.batch_ran, pipe=None, stage=None)[1] == ("slither.batch.queue.duration", ("gpu", "", ""), 1.0)


@pytest.mark.parametrize(
    ("supervisor", "branch"), [("pipes/Score-7", "pipes"), ("pools/gpu/workers", "pools"), ("root", "root")]
)
def test_a_restart_is_told_by_the_part_of_the_tree(heard, supervisor, branch):
    """A pipe that is started anew has a supervisor of another name each time."""
    about = {"supervisor": supervisor, "process": "x", "reason": "killed", "error": "killed by SIGKILL"}
    restart = heard(telemetry.emit, (*telemetry.SUPERVISOR, "restart"), {"away_s": 0.1}, about)
    assert restart == [
        ("slither.supervisor.restarts", (branch, "killed"), 1),
        ("slither.supervisor.restart.duration", (branch,), 0.1),
    ]


def test_loads_of_stores_are_told_apart_by_what_they_are(heard):
    about = {"store": "Features", "version": 2, "outcome": "ok"}
    for what in ("load", "reload", "restore"):
        loaded = heard(telemetry.emit, (*telemetry.STORE, what, "stop"), {"duration_s": 0.5}, about)
        assert loaded == [("slither.store.load.duration", ("Features", what, "ok"), 0.5)]


def test_series_beyond_the_limit_are_counted_together(heard, monkeypatch):
    monkeypatch.setattr(_readings, "MOST_SERIES", 2)
    names = [heard(told.run_started, name=name, run=name)[0][1] for name in ("A", "B", "C", "A", "D")]
    assert names == [("A",), ("B",), ("other",), ("A",), ("other",)]


def test_what_is_not_of_the_library_means_nothing(heard):
    with telemetry.capture() as events:
        telemetry.emit(("shop", "sale"), {"duration_s": 1.0}, {})
    assert list(Readings().of(*events[0])) == []
