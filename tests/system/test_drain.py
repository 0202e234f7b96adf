"""A system that stops: nothing more is read, what was read comes to its end, and the report says what became of it."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

import slither_actors as slither
from tests.helpers import jobs
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy_each")]

# Who waits this long for a drain would wait forever.
ENDLESS_S = 120.0


class Counting:
    """An endless source that tells what was read of it."""

    def __init__(self):
        self.read = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.read += 1
        return self.read - 1


class Taker(threading.Thread):
    """Takes a stream, or makes a call, in a thread of its own."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.result, self.error = call, None, None
        self.start()

    def run(self):
        try:
            self.result = self.call()
        except BaseException as error:
            self.error = error


class Line(slither.Pipe):
    @slither.local
    def prepare(item, ctx):
        return item.payload

    work = slither.worker(jobs.same, batch_size=8, max_in_flight=2)

    @slither.local
    def finish(item, ctx):
        return slither.Drop("odd") if item.payload % 2 else item.payload


def test_what_was_read_comes_to_its_end_and_nothing_more_is_read():
    sources = [Counting() for _ in range(3)]
    with a_system() as system:
        stream = system.stream(sources[0], jobs.same, batch_size=4)
        piped = system.stream_pipe(Line, sources[1])
        takers = [
            Taker(lambda: [item.payload for item in stream]),
            Taker(lambda: [item.payload for item in piped]),
            Taker(lambda: system.dispatch(sources[2], jobs.same, batch_size=4)),
        ]
        eventually(lambda: all(source.read > 60 for source in sources), "all flow")
        report = system.stop()
    for taker in takers:
        taker.join(PATIENCE_S)
    reads = [source.read for source in sources]

    assert takers[0].result == list(range(reads[0]))
    assert takers[1].result == list(range(0, reads[1], 2))
    error = takers[2].error
    assert isinstance(error, slither.DispatchError)
    assert isinstance(error.reason, slither.Drained)
    assert [item.payload for item in error.partial_results] == list(range(reads[2]))
    assert error.reason.pulled == reads[2]
    assert stream.drained
    assert piped.drained
    assert report.complete
    assert (report.system, report.pipe, report.runs_finished, report.runs_ended) == (system.name, None, 3, 0)
    by_kind = {(run.kind, run.name, run.pulled): run for run in report.runs}
    whole = by_kind["pipe", "Line", reads[1]]
    assert (whole.outcome, whole.finished, whole.dropped.count) == ("drained", (reads[1] + 1) // 2, reads[1] // 2)
    assert by_kind["dispatch", "default", reads[0]].finished == reads[0]
    assert report.pulled == sum(reads)
    assert [source.read for source in sources] == reads


def test_what_nobody_asks_for_is_kept_for_whoever_asks_later():
    source = Counting()
    with a_system() as system:
        stream = system.stream(source, jobs.same, batch_size=4)
        taken = [next(stream).payload]
        report = system.stop()
        taken += [item.payload for item in stream]
    assert taken == list(range(source.read))
    assert report.complete
    assert (report.runs[0].outcome, report.finished) == ("drained", source.read)


def test_a_source_that_is_at_its_end_was_not_cut():
    with a_system() as system:
        stream = system.stream(range(8), jobs.same, batch_size=4)
        next(stream)
        (run,) = system.stop().runs
        rest = [item.payload for item in stream]
    assert (run.outcome, run.pulled, run.finished) == ("finished", 8, 8)
    assert rest == list(range(1, 8))
    assert not stream.drained


def test_a_stop_is_one_and_every_caller_gets_its_report():
    with a_system() as system:
        stream = system.stream(itertools.count(), jobs.same)
        next(stream)
        stops = [Taker(system.stop) for _ in range(3)]
        reports = [system.stop()]
        for stop in stops:
            stop.join(PATIENCE_S)
            reports.append(stop.result)
        assert reports == [reports[0]] * 4
        assert reports[0].runs
        for late in (lambda: system.dispatch([1], jobs.same), lambda: system.stream_pipe(Line, [1])):
            with pytest.raises(slither.SystemDown):
                late()


def test_what_is_not_finished_in_time_is_cut_and_named(tmp_path):
    """One item hangs in its worker, others wait behind it, and what was finished is there."""
    hanging = tmp_path / "hanging"
    with a_system(pools={"default": 1}) as system:
        items = [1, 2, str(hanging), 4, 5]
        taker = Taker(lambda: system.dispatch(items, jobs.touch_and_hang, batch_size=1, max_in_flight=1))
        eventually(hanging.exists, "it hangs")
        report = system.stop(0.5)
    taker.join(PATIENCE_S)
    assert isinstance(taker.error, slither.DispatchError)
    assert isinstance(taker.error.reason, slither.SystemStopping)
    assert [item.payload for item in taker.error.partial_results] == [1, 2]
    assert (report.runs_finished, report.runs_ended, report.complete) == (0, 1, False)
    (run,) = report.runs
    assert (run.outcome, run.finished, run.abandoned.count) == ("cut", 2, run.pulled - 2)
    first, *others = run.abandoned.ids
    assert run.places == {"pools/default/workers/worker-1": (first,), "pools/default/dispatcher": tuple(others)}
    assert report.abandoned == run.abandoned


class Stuck(slither.Pipe):
    @slither.local
    def prepare(item, ctx):
        return item.payload

    @slither.local
    def hang(item, ctx):
        if item.payload == 3:
            time.sleep(60)
        return item.payload


def test_stop_pipe_gives_the_same_report_and_cuts_what_a_stuck_stage_holds():
    with a_system(pools={"default": 1}) as system:
        assert system.stop_pipe(Stuck) == slither.DrainReport("Stuck", 0, 0, 0.0)
        taker = Taker(lambda: system.run_pipe(Stuck, range(5)))
        eventually(lambda: system.statistics()["pipes"], "it runs")
        eventually(lambda: len(system._client.runs._runs) == 1, "the run is open")
        report = system.stop_pipe(Stuck, timeout_s=0.5)
        taker.join(PATIENCE_S)
        assert isinstance(taker.error, slither.PipeError)
        assert isinstance(taker.error.reason, slither.StageDown)
        (run,) = report.runs
        assert (report.pipe, report.system, run.outcome, run.pulled) == ("Stuck", None, "cut", 5)
        assert run.finished + run.abandoned.count == 5
        assert run.abandoned
        assert system.dispatch([1], jobs.same), "others go on"


def test_a_stop_from_within_a_run_cuts_that_one_and_does_not_wait_for_it():
    with a_system() as system:
        reports = []

        def source():
            yield from range(100)
            reports.append(system.stop(ENDLESS_S))
            yield 100

        with pytest.raises(slither.DispatchError) as caught:
            system.dispatch(source(), jobs.same, batch_size=4)
    assert isinstance(caught.value.reason, slither.SystemStopping)
    (report,) = reports
    assert [run.outcome for run in report.runs] == ["cut"]
    assert report.duration_s < ENDLESS_S / 2


def test_calls_of_a_session_are_answered_before_the_stop():
    with a_system() as system:
        session = system.session()
        futures = [session.submit(number, jobs.double) for number in range(20)]
        system.stop()
        assert [future.result(0) for future in futures] == [2 * number for number in range(20)]
        with pytest.raises(slither.SystemDown):
            session.submit(1, jobs.double)


def test_a_block_that_is_left_by_an_error_is_not_drained():
    source = Counting()
    takers = []

    def fail():
        with a_system() as system:
            takers.append(Taker(lambda: system.dispatch(source, jobs.same)))
            eventually(lambda: source.read > 200, "it flows")
            raise KeyError("mine")

    with pytest.raises(KeyError):
        fail()
    (taker,) = takers
    taker.join(PATIENCE_S)
    assert isinstance(taker.error, slither.DispatchError)
    assert isinstance(taker.error.reason, slither.SystemStopping)
