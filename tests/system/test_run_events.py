"""What the library reports of its runs: one start and one stop each, with what became of the items."""

from __future__ import annotations

from contextlib import suppress

import pytest

import slither_actors as slither
from slither_actors import telemetry
from tests.helpers import jobs

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


class Picky(slither.Pipe):
    step = slither.local(on_error="skip")(lambda item: slither.Drop("odd") if item.payload % 2 else 1 // item.payload)


def of_one_run(events, prefix):
    """The stop of a run, after its start and with the same metadata."""
    start, stop = events
    assert (start.name, stop.name) == ((*prefix, "start"), (*prefix, "stop"))
    assert start.metadata == {key: value for key, value in stop.metadata.items() if key != "outcome"}
    assert start.measurements == {}
    assert 0 < stop.measurements["duration_s"] < 60
    counts = {key: value for key, value in stop.measurements.items() if key != "duration_s"}
    return stop.metadata, counts


def test_a_dispatch_is_reported(system):
    with telemetry.capture("slither") as events:
        system.dispatch([1, 2, "raise"], jobs.mishaps, batch_size=1, on_error="skip")
    about, counts = of_one_run(events, telemetry.DISPATCH_RUN)
    assert (about["system"], about["pool"], about["outcome"]) == (system.name, "default", "ok")
    assert counts == {"items_in": 3, "items_out": 2, "skipped": 1, "dropped": 0, "dead": 0}


def test_a_pipe_run_is_reported(system):
    with telemetry.capture("slither") as events:
        system.run_pipe(Picky, range(5))
    about, counts = of_one_run(events, telemetry.PIPE_RUN)
    assert (about["pipe"], about["outcome"]) == ("Picky", "ok")
    assert counts == {"items_in": 5, "items_out": 2, "skipped": 1, "dropped": 2, "dead": 0}


def test_a_halt_is_an_error(system):
    with telemetry.capture("slither") as events, suppress(slither.DispatchError):
        system.dispatch(["raise"], jobs.mishaps)
    assert of_one_run(events, telemetry.DISPATCH_RUN)[0]["outcome"] == "error"


@pytest.mark.parametrize("taken", [0, 1])
def test_a_stream_that_is_closed_was_cancelled(system, taken):
    with telemetry.capture("slither") as events:
        stream = system.stream(range(1000), jobs.same, batch_size=1)
        for _ in range(taken):
            next(stream)
        stream.close()
        stream.close()
    about, counts = of_one_run(events, telemetry.DISPATCH_RUN)
    assert about["outcome"] == "cancelled"
    assert counts["items_out"] == taken
