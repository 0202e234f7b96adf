"""One item that becomes very many, in running systems: what flows is pulled, and nothing else."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress

import pytest

import slither_actors as slither
from tests.helpers import jobs
from tests.system.running import a_system
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT = 1_000_000


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(config={"queue_limit_bytes": LIMIT}) as running:
        yield running


def numbers(item):
    """As many as the payload says, or without end; writes down how far it was asked, and that it was closed."""
    note, count = item.payload
    pulled = 0
    try:
        for number in range(count) if count is not None else itertools.count():
            pulled += 1
            if pulled % 1000 == 0:
                write(note, pulled)
            yield number
    finally:
        write(note, f"closed after {pulled}")


def write(note, text):
    """At once: whoever reads meanwhile finds the old text or the new one."""
    new = note.with_suffix(".new")
    new.write_text(str(text))
    new.replace(note)


class Many(slither.Pipe):
    numbers = slither.local(many=True)(numbers)
    work = slither.worker(jobs.same, batch_size=50, max_in_flight=2)
    last = slither.local(lambda item: item)


def taken(items):
    return [item.payload for item in items]


def test_an_endless_generator_flows_as_it_is_taken_and_is_closed_with_the_stream(system, tmp_path):
    note = tmp_path / "note"
    with system.stream_pipe(Many, [(note, None)]) as stream:
        assert taken(itertools.islice(stream, 5000)) == list(range(5000))
        threading.Event().wait(0.2)  # all that may be on the way has its time to come
        assert int(note.read_text()) <= 7000
    eventually(lambda: "closed" in note.read_text(), "the generator is closed")
    assert int(note.read_text().split()[-1]) < 7000


def test_a_huge_answer_comes_whole_and_in_order(system, tmp_path):
    outputs = system.run_pipe(Many, [(tmp_path / "first", 20_000), (tmp_path / "second", 20_000)])
    assert taken(outputs.default) == [*range(20_000), *range(20_000)]
    assert (tmp_path / "second").read_text() == "closed after 20000"


def test_a_run_goes_through_a_stage_whose_other_run_never_ends(system, tmp_path):
    with system.stream_pipe(Many, [(tmp_path / "endless", None)]) as stream:
        next(stream)
        for n in range(20):
            assert taken(system.run_pipe(Many, [(tmp_path / "short", n)]).default) == list(range(n))
        assert taken(itertools.islice(stream, 3000)) == list(range(1, 3001))


def test_a_generator_that_never_answers_in_time_still_lets_others_in(system, tmp_path):
    """It takes a while for each number, so every number is a turn of its own."""

    class Slow(slither.Pipe):
        @slither.local
        def step(item):
            def slowly():
                while True:
                    threading.Event().wait(0.02)
                    yield item.payload

            return slither.Emit(slowly()) if item.payload == "slow" else item

    with system.stream_pipe(Slow, ["slow"]) as stream:
        next(stream)
        assert taken(system.run_pipe(Slow, ["quick"]).default) == ["quick"]
        assert taken(itertools.islice(stream, 3)) == ["slow"] * 3


def test_results_of_a_stage_too_large_for_a_slow_consumer_end_their_run_alone(system):
    class Inflate(slither.Pipe):
        inflate = slither.local(lambda item: [b"x" * item.payload])

    stream = system.stream_pipe(Inflate, itertools.repeat(100_000))
    other = system.stream_pipe(Inflate, itertools.repeat(1))
    next(other)
    with pytest.raises(slither.PipeError) as caught:
        # more and more slowly, so that it is slower than the stage on any machine
        sum(1 for number, _ in enumerate(itertools.islice(stream, 1000)) if not threading.Event().wait(number * 0.001))
    assert isinstance(caught.value.reason, slither.errors.SendQueueFull)
    assert len(list(itertools.islice(other, 500))) == 500
    other.close()
    with suppress(slither.SlitherError):
        system.stop_pipe(Inflate)
