"""What the library reports of its runs: one start and one stop each, with what became of the items."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import slither_actors as slither
from slither_actors import telemetry
from tests.helpers import jobs

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


class Notes(slither.Store):
    notes = slither.Table()

    @slither.view
    def noted(self, params, ctx):
        return self.notes.get(params["key"])


def note(payloads, ctx):
    store = ctx.store(Notes)
    for payload in payloads:
        store.notes.put(payload, ctx.stage)
    return [ctx.view("noted", key=payload) for payload in payloads]


def reload(ctx):
    return ctx.store("Notes").reload()


class Noting(slither.Pipe):
    stores = [Notes]
    here = slither.local(lambda item, ctx: ctx.store(Notes).notes.put("here", 1) or item.payload)
    there = slither.worker(note, batch_size=2)


class Picky(slither.Pipe):
    step = slither.local(on_error="skip")(lambda item: slither.Drop("odd") if item.payload % 2 else 1 // item.payload)


def of_one_run(events, prefix):
    """The stop of a run, after its start and with the same metadata."""
    start, stop = events.named(prefix)
    assert (start.name, stop.name) == ((*prefix, "start"), (*prefix, "stop"))
    assert start.metadata == {key: value for key, value in stop.metadata.items() if key != "outcome"}
    assert start.measurements == {}
    assert 0 < stop.measurements["duration_s"] < 60
    times = ("duration_s", "queue_s", "run_s")
    counts = {key: value for key, value in stop.measurements.items() if key not in times}
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


@pytest.fixture(scope="module")
def noting():
    with slither.start(stores=[Notes], pools={"default": 1}) as system:
        system.run_pipe(Noting, ["warm"])
        yield system


def test_what_happens_to_stores_in_stages_and_workers_is_heard_in_the_service(noting):
    """By handlers that were attached when the processes were there already, all before the run is over."""
    with telemetry.capture("slither") as events:
        noting.run_pipe(Noting, ["a", "b", "c"])
    writes = [event for event in events if event.name == telemetry.STORE_WRITE]
    assert len(writes) == 6
    assert {event.metadata["outcome"] for event in writes} == {"ok"}
    assert {(event.metadata["store"], event.metadata["operation"]) for event in writes} == {("Notes", "Put")}
    for end in ("start", "stop"):
        views = [event for event in events if event.name == (*telemetry.VIEW, end)]
        assert [event.metadata["view"] for event in views] == ["noted"] * 3
    assert events[-1].name == (*telemetry.PIPE_RUN, "stop")


def test_a_handler_that_takes_its_time_has_heard_all_when_the_run_ends(noting):
    heard, never = [], threading.Event()
    telemetry.attach("slow", telemetry.STORE_WRITE, lambda *event: never.wait(0.01) or heard.append(event))
    try:
        noting.dispatch(range(20), note, batch_size=20)
        assert len(heard) == 20
    finally:
        telemetry.detach("slow")


def test_a_handler_may_run_something_itself(noting):
    """It does not wait for what it would have to hear itself."""
    results = []
    telemetry.attach("curious", telemetry.VIEW, lambda *event: results.append(noting.dispatch([1], jobs.same)))
    try:
        noting.dispatch(["a"], note)
    finally:
        telemetry.detach("curious")
    assert len(results) == 2


def test_a_reload_in_a_worker_is_heard_in_the_service(noting):
    with telemetry.capture((*telemetry.STORE, "reload")) as events:
        noting.call_each(reload)
    assert [event.name[-1] for event in events] == ["start", "stop"]
    assert events[-1].metadata["outcome"] == "ok"


def relayed(ctx):
    """What the bus of this process hands on."""
    return telemetry.interest().prefixes


def test_only_what_somebody_listens_to_is_sent(noting):
    """Who listens when a run begins is what counts, not who did once."""
    with telemetry.capture("slither"):
        (everything,) = noting.call_each(relayed)
    with telemetry.capture("slither.bridge"):
        assert noting.call_each(relayed) == [(telemetry.VIEW,)]
    assert telemetry.STORE_WRITE in everything
    assert noting.call_each(relayed) == [()]
