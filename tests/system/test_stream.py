"""Streams: nothing is pulled that was not asked for, and whoever stops taking stops everything."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from contextlib import suppress

import pytest

import slither_actors as slither
from tests.helpers import jobs
from tests.system.running import a_system, nothing_left_behind
from tests.system.waiting import eventually

pytestmark = pytest.mark.system


@pytest.fixture(scope="module", autouse=True)
def tidy(base):
    with nothing_left_behind(base):
        yield


@pytest.fixture(scope="module")
def system(tidy):
    with a_system() as running:
        yield running


class Counting:
    """An endless source that knows how far it was pulled, and whether it was closed."""

    def __init__(self, stop=None):
        self.pulled = 0
        self.stop = stop

    def __iter__(self):
        while self.stop is None or self.pulled < self.stop:
            self.pulled += 1
            yield self.pulled - 1


class Same(slither.Stage):
    def handle_item(self, item, ctx):
        return item


class Long(slither.Pipe):
    """All kinds of stages one after the other."""

    first = slither.local(lambda item: item)
    work = slither.worker(jobs.same, batch_size=8, max_in_flight=2)
    own = slither.stage(Same)
    last = slither.router((lambda item: item.payload % 2, "odd"))
    outputs = ["odd"]


def test_an_endless_source_yields_at_once_and_in_order(system):
    with system.stream(itertools.count(), jobs.double) as stream:
        assert [item.payload for item in itertools.islice(stream, 1000)] == [2 * n for n in range(1000)]


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
@pytest.mark.parametrize("in_flight", [1, 2, 8])
@pytest.mark.parametrize("size", [1, 5, 64])
def test_the_source_is_never_further_ahead_than_promised(system, size, in_flight, ordering):
    """At every step, and when the consumer stands still while everything that is under way arrives."""
    source, bound = Counting(), (in_flight + 4) * size
    with system.stream(source, jobs.same, batch_size=size, max_in_flight=in_flight, ordering=ordering) as stream:
        for taken, _ in enumerate(stream, 1):
            assert source.pulled - taken <= bound, f"{source.pulled - taken} ahead after {taken}"
            if taken in (1, 3 * size):
                before = source.pulled
                threading.Event().wait(0.03)
                assert source.pulled == before, "nobody pulls while nobody takes"
            if taken > 20 * size:
                break


def pipe_bound(definition):
    """What may be on the way, computed from the definition: for each edge its window, in batches of its consumer.

    A stage or the service lets two batches of 32 come, a dispatcher two more than it may have in flight, in its own
    batch size. Each stage has an edge from the one before it, and one to the service.
    """
    total = 0
    for stage in definition.stages:
        options = getattr(stage.declaration, "options", {})
        if stage.declaration.kind == "worker":
            total += (options.get("max_in_flight", 8) + 2) * options.get("batch_size", 64)
        else:
            total += 2 * 32
        total += 2 * 32
    return total


class OneStage(slither.Pipe):
    only = slither.local(lambda item: item)


class OneWorker(slither.Pipe):
    only = slither.worker(jobs.same, batch_size=1, max_in_flight=1)


class SmallWorkers(slither.Pipe):
    first = slither.local(lambda item: item)
    work = slither.worker(jobs.same, batch_size=3, max_in_flight=1, ordering="as_completed")
    more = slither.worker(jobs.same, batch_size=50, max_in_flight=3)
    last = slither.local(lambda item: item)


@pytest.mark.parametrize("pipe", [OneStage, OneWorker, SmallWorkers, Long])
def test_a_pipe_holds_at_most_two_batches_of_its_consumer_per_edge(system, pipe):
    source, bound = Counting(), pipe_bound(pipe.definition)
    with system.stream_pipe(pipe, source) as stream:
        for taken, _ in enumerate(stream, 1):
            assert source.pulled - taken <= bound, f"{source.pulled - taken} ahead after {taken}, {bound} allowed"
            if taken in (1, 300):
                before = source.pulled
                threading.Event().wait(0.1)
                assert source.pulled == before
            if taken > 1000:
                break


def test_a_closed_stream_pulls_no_more_and_yields_no_more(system):
    source = Counting()
    stream = system.stream(source, jobs.same, batch_size=4)
    assert next(stream).payload == 0
    stream.close()
    stream.close()
    before = source.pulled
    assert list(stream) == []
    assert source.pulled == before
    with pytest.raises(StopIteration):
        next(stream)


def test_a_stream_that_was_never_begun_can_be_closed(system):
    source = Counting()
    system.stream(source, jobs.same).close()
    assert source.pulled == 0


def test_closing_closes_the_source(system):
    closed = threading.Event()

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.set()

    with system.stream(source(), jobs.same) as stream:
        next(stream)
    assert closed.is_set()


@pytest.mark.parametrize("leave", ["close", "break", "error"])
def test_the_workers_of_a_cancelled_stream_are_free_after_about_a_second(system, leave):
    def source():
        yield 0
        yield jobs.Slow(60, 1)
        yield jobs.Slow(60, 2)
        while True:
            yield 3

    options = {"batch_size": 1, "max_in_flight": 2, "ordering": "as_completed"}
    if leave == "close":
        with system.stream(source(), jobs.run_slow, **options) as stream:
            next(stream)
    elif leave == "break":
        for _ in system.stream(source(), jobs.run_slow, **options):
            break
    else:
        with suppress(KeyError), system.stream(source(), jobs.run_slow, **options) as stream:
            for _ in stream:
                raise KeyError("in the loop")
    began = time.monotonic()
    assert len(system.dispatch(range(10), jobs.double, batch_size=1)) == 10
    assert time.monotonic() - began < 2.5


def open_runs(system):
    """Endpoints that are lent to runs."""
    return len(system._client._endpoints._lent)


def test_leaving_a_loop_ends_the_run_without_waiting_for_the_garbage_collector(system):
    before, source = open_runs(system), Counting()
    gc.disable()
    try:
        for _ in system.stream(source, jobs.same):
            break
        assert open_runs(system) == before
    finally:
        gc.enable()


def test_a_stream_that_is_forgotten_is_closed(system):
    before = open_runs(system)
    stream = system.stream(Counting(), jobs.same)
    del stream
    other = iter(system.stream(Counting(), jobs.same))
    next(other)
    assert open_runs(system) == before + 1
    del other
    gc.collect()
    assert open_runs(system) == before


def test_a_loop_may_run_over_a_stream_that_nobody_else_holds(system):
    taken = 0
    for item in system.stream(range(500), jobs.double, batch_size=3):
        assert item.payload == 2 * taken
        taken += 1
        if taken % 100 == 0:
            gc.collect()
    assert taken == 500


@pytest.mark.parametrize("kind", ["stream", "stream_pipe"])
def test_what_the_source_raises_reaches_the_consumer_after_what_was_finished(system, kind):
    def source():
        yield from range(100)
        raise KeyError("mine")

    before = open_runs(system)
    stream = (
        system.stream(source(), jobs.same, batch_size=5, max_in_flight=1)
        if kind == "stream"
        else system.stream_pipe(Long, source())
    )
    taken = []
    with pytest.raises(KeyError, match="mine"):
        taken.extend(stream)
    assert open_runs(system) == before


def test_a_source_may_close_the_stream_it_feeds(system):
    def source():
        yield from range(20)
        stream.close()
        yield 99

    stream = system.stream(source(), jobs.same, batch_size=1, max_in_flight=1)
    assert len(list(stream)) <= 20
    assert open_runs(system) == 0


def test_a_failing_batch_ends_the_stream_after_what_came_before_it(system):
    given = [*range(100), "raise", *range(100)]
    taken = []
    with pytest.raises(slither.DispatchError) as caught:
        taken.extend(item.payload for item in system.stream(given, jobs.mishaps, batch_size=4))
    assert isinstance(caught.value.reason, slither.RemoteError)
    assert caught.value.__cause__ is caught.value.reason
    assert caught.value.partial_results == [], "it has been yielded"
    assert taken == list(range(len(taken)))


def test_a_stream_keeps_the_newest_thousand_ends_and_counts_all(system):
    stream = system.stream(["raise"] * 2500, jobs.mishaps, batch_size=10, on_error="skip")
    assert list(stream) == []
    assert stream.skipped.total == 2500
    assert len(stream.skipped) == 1000


def test_the_ends_of_a_stream_grow_while_it_runs(system):
    seen = []
    given = itertools.chain.from_iterable(("raise", number) for number in itertools.count())
    with system.stream(
        given, jobs.mishaps, batch_size=1, on_error="skip", on_end=lambda item, end: seen.append(end)
    ) as stream:
        for item in stream:
            if item.payload == 50:
                break
        assert stream.skipped.total == len(seen) >= 50


def test_a_pipe_streams_without_end_with_the_outputs_name_on_each_item(system):
    with system.stream_pipe(Long, itertools.count()) as stream:
        for item in itertools.islice(stream, 1000):
            assert item.route == ("odd" if item.payload % 2 else "default")


def test_a_pipe_that_is_left_lets_its_source_go_and_its_workers_work(system):
    def source():
        yield 0
        yield from (jobs.Slow(60, 1) for _ in itertools.count())

    class Slow(slither.Pipe):
        work = slither.worker(jobs.run_slow, batch_size=1, max_in_flight=2)

    for _ in system.stream_pipe(Slow, source()):
        break
    began = time.monotonic()
    assert len(system.dispatch(range(10), jobs.double, batch_size=1)) == 10
    assert time.monotonic() - began < 2.5
    system.stop_pipe(Slow)


def test_two_streams_of_one_pipe_run_side_by_side(system):
    first, second = system.stream_pipe(Long, range(300)), system.stream_pipe(Long, range(1000, 1300))
    taken = [(a.payload, b.payload) for a, b in zip(first, second, strict=True)]
    assert sorted(a for a, _ in taken) == list(range(300))
    assert sorted(b for _, b in taken) == list(range(1000, 1300))


def test_nothing_of_all_this_is_still_running(system):
    eventually(lambda: open_runs(system) == 0, 1.0, "no run is open")
