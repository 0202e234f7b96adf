"""Streams: nothing is pulled that was not asked for, and whoever stops taking stops everything."""

from __future__ import annotations

import gc
import itertools
import random
import signal
import threading
import time
from contextlib import suppress

import pytest

import slither_actors as slither
from tests.helpers import jobs
from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


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


@pytest.mark.failure
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
    assert time.monotonic() - began < AT_ONCE_S


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


@pytest.mark.failure
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


def test_on_end_may_close_the_stream(system):
    stream = system.stream(
        itertools.cycle(["raise", 1]), jobs.mishaps, batch_size=1, on_error="skip", on_end=lambda *_: stream.close()
    )
    assert list(stream) == []
    assert open_runs(system) == 0


class Taking(threading.Thread):
    """Takes all of a stream in a thread of its own; `pause` is called after each item."""

    def __init__(self, stream, pause=lambda: None):
        super().__init__(daemon=True)
        self.stream, self.pause = stream, pause
        self.taken, self.error = [], None
        self.start()

    def run(self):
        try:
            for item in self.stream:
                self.taken.append(item.payload)
                self.pause()
        except BaseException as error:
            self.error = error


def waiting(system, source):
    """A stream, and a thread that waits for the rest of it for a minute."""
    stream = system.stream(source, jobs.run_slow, batch_size=1, max_in_flight=2)
    taking = Taking(stream)
    eventually(lambda: taking.taken == [0] and source.pulled == 5 and stream._waiting.locked(), "it waits")
    return stream, taking


class Sluggish(Counting):
    def __iter__(self):
        for number in super().__iter__():
            yield jobs.Slow(60, number) if number else 0


def test_closing_ends_the_iteration_of_another_thread_that_waits_for_a_result(system):
    source = Sluggish()
    stream, taking = waiting(system, source)
    stream.close()
    taking.join(PATIENCE_S)
    assert not taking.is_alive()
    assert taking.error is None
    assert taking.taken == [0]
    assert open_runs(system) == 0
    assert source.pulled == 5, "nothing more is pulled"
    assert list(stream) == []


def test_closing_ends_the_iteration_of_another_thread_that_is_busy_with_an_item(system):
    """It has the rest of a batch before it, and gets nothing of that either."""
    busy, go_on = threading.Event(), threading.Event()

    def pause():
        busy.set()
        assert go_on.wait(PATIENCE_S)

    stream = system.stream(itertools.count(), jobs.same, batch_size=64)
    taking = Taking(stream, pause)
    assert busy.wait(PATIENCE_S)
    stream.close()
    assert open_runs(system) == 0, "nobody waits for a result, so it is over at once"
    go_on.set()
    taking.join(PATIENCE_S)
    assert (taking.taken, taking.error) == ([0], None)


def test_closing_ends_the_iteration_of_another_thread_that_is_in_the_source_as_soon_as_that_answers(system):
    pulling, go_on = threading.Event(), threading.Event()

    def source():
        pulling.set()
        assert go_on.wait(PATIENCE_S)
        yield 1

    stream = system.stream(source(), jobs.same, batch_size=1)
    taking = Taking(stream)
    assert pulling.wait(PATIENCE_S)
    stream.close()
    go_on.set()
    taking.join(PATIENCE_S)
    assert (taking.taken, taking.error) == ([], None)
    assert open_runs(system) == 0


@pytest.mark.parametrize("seed", range(20))
def test_closing_at_any_moment_ends_the_iteration_and_harms_no_other_run(system, seed):
    stream = system.stream(itertools.count(), jobs.same, batch_size=1 + seed % 7)
    taking = Taking(stream)
    threading.Event().wait(random.Random(seed).uniform(0.0, 0.01))
    stream.close()
    taking.join(PATIENCE_S)
    assert not taking.is_alive()
    assert taking.error is None
    assert len(system.dispatch(range(50), jobs.same, batch_size=1)) == 50
    assert open_runs(system) == 0


def test_a_thread_that_asks_while_another_one_waits_is_told_so(system):
    stream, taking = waiting(system, Sluggish())
    for ask in (next, list):
        with pytest.raises(slither.errors.StreamBusy, match="another thread waits for results of this stream"):
            ask(stream)
    stream.close()
    taking.join(PATIENCE_S)
    assert taking.taken == [0], "the one who waited was not disturbed"


def test_a_source_that_takes_from_the_stream_it_feeds_is_told_so(system):
    def source():
        yield next(stream)

    stream = system.stream(source(), jobs.same)
    with pytest.raises(slither.errors.StreamBusy):
        next(stream)
    assert open_runs(system) == 0


def test_threads_may_take_turns_and_each_item_goes_to_one_of_them(system):
    lock, stream = threading.Lock(), system.stream(range(2000), jobs.same, batch_size=3)

    def turns():
        while True:
            with lock:
                item = next(stream, None)
            if item is None:
                return
            yield item

    threads = [Taking(turns()) for _ in range(3)]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(number for thread in threads for number in thread.taken) == list(range(2000))


@pytest.mark.failure
def test_ctrl_c_while_a_stream_waits_comes_out_and_it_can_be_closed_in_finally(system):
    source = Sluggish()
    stream = system.stream(source, jobs.run_slow, batch_size=1, max_in_flight=2)
    next(stream)

    def interrupt():
        eventually(stream._waiting.locked, "it waits")
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    alarm = threading.Thread(target=interrupt)
    alarm.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    finally:
        stream.close()
        alarm.join()
    assert open_runs(system) == 0
    assert len(system.dispatch(range(10), jobs.double, batch_size=1)) == 10


def test_a_failing_batch_ends_the_stream_after_what_came_before_it(system):
    given = [*range(100), "raise", *range(100)]
    taken = []
    with pytest.raises(slither.DispatchError) as caught:
        taken.extend(item.payload for item in system.stream(given, jobs.mishaps, batch_size=4, max_in_flight=1))
    assert isinstance(caught.value.reason, slither.RemoteError)
    assert caught.value.__cause__ is caught.value.reason
    assert caught.value.partial_results == [], "it has been yielded"
    assert caught.value.batch_ref == 26
    assert taken == list(range(100))


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
    assert time.monotonic() - began < AT_ONCE_S
    system.stop_pipe(Slow)


def test_two_streams_of_one_pipe_run_side_by_side(system):
    first, second = system.stream_pipe(Long, range(300)), system.stream_pipe(Long, range(1000, 1300))
    taken = [(a.payload, b.payload) for a, b in zip(first, second, strict=True)]
    assert sorted(a for a, _ in taken) == list(range(300))
    assert sorted(b for _, b in taken) == list(range(1000, 1300))


def test_nothing_of_all_this_is_still_running(system):
    eventually(lambda: open_runs(system) == 0, "no run is open")


def test_what_a_stream_that_is_closed_leaves_behind_is_counted(system):
    source = Sluggish()  # whose second item takes a minute
    with system.stream(source, jobs.run_slow, batch_size=1, max_in_flight=2) as stream:
        next(stream)
    counts = stream.accounting
    assert counts.inputs == source.pulled
    assert counts.outputs == 1
    assert counts.abandoned == source.pulled - counts.outputs > 0
