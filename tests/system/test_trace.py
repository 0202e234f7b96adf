"""Headers of tracing travel with a run to all user code of it, whoever puts them there."""

from __future__ import annotations

import threading

import pytest

import slither_actors as slither
from slither_actors import telemetry
from tests.helpers import traced

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

GIVEN = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture
def tracer():
    """A tracing library that numbers the runs; gives the threads in which it was asked."""
    asked = []

    def start(event, measurements, metadata):
        if event[-1] == "start":
            asked.append(threading.current_thread())
            metadata["trace"]["number"] = f"{len(asked)} of {metadata['run']}"

    telemetry.attach("tracer", telemetry.DISPATCH_RUN, start)
    telemetry.attach("tracer of pipes", telemetry.PIPE_RUN, start)
    yield asked
    telemetry.detach("tracer")
    telemetry.detach("tracer of pipes")


def test_they_reach_stages_and_workers(system, tracer):
    with telemetry.capture(telemetry.PIPE_RUN) as events:
        (item,) = system.run_pipe(traced.Headers, ["a"]).default
    expected = {"number": f"1 of {events[0].metadata['run']}"}
    assert item.payload == {"stage": expected, "worker": expected}
    assert [event.metadata["trace"] for event in events] == [expected, expected]


def test_they_reach_whatever_else_runs(system, tracer):
    (dispatched,) = system.dispatch([1], traced.headers)
    (streamed,) = system.stream([1], traced.headers)
    (called,) = system.call_batch([1], traced.headers)
    with system.session() as session:
        (in_session,) = session.dispatch([1], traced.headers)
    heads = [item.payload["number"].split()[0] for item in (dispatched, streamed, called, in_session)]
    assert heads == ["1", "2", "3", "4"]


def test_whoever_adds_them_is_asked_in_the_thread_that_wants_the_run(system, tracer):
    """What is current there is what a trace goes on from."""
    system.dispatch([1], traced.headers)
    system.run_pipe(traced.Headers, [1])
    assert tracer == [threading.current_thread()] * 2


def test_what_the_caller_gives_travels_without_any_library(system):
    context = slither.Context(trace=GIVEN)
    (item,) = system.dispatch([1], traced.headers, context=context)
    assert item.payload == GIVEN
    assert system.call_each(traced.headers_here, context=context) == [GIVEN] * 2


def test_nobody_has_any_without_both(system):
    (item,) = system.run_pipe(traced.Headers, [1]).default
    assert item.payload == {"stage": {}, "worker": {}}


def test_a_run_that_cannot_be_opened_has_an_end_too(system):
    """Or its span would stay open."""
    with telemetry.capture(telemetry.PIPE_RUN) as events, pytest.raises(slither.StartError):
        system.run_pipe(traced.Broken, [1])
    start, stop = events
    assert (start.name[-1], stop.name[-1]) == ("start", "stop")
    assert stop.metadata == start.metadata | {"outcome": "error"}
    assert stop.measurements["items_in"] == 0
