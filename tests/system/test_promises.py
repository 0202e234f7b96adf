"""The sentences of README.md and docs/ that promise something, each with the test that would fail without it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import slither_actors as slither
from tests.helpers.patience import in_ample_time, none_is_late
from tests.system.waiting import eventually

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def system(base: Path) -> Iterator[slither.System]:
    with slither.start(pools={"default": 2}) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> slither.Context:
    """A folder that the functions below are told of."""
    return slither.Context(metadata={"folder": str(tmp_path)})


# -- what workers run


def same(values: list[int]) -> list[int]:
    return values


def first_waits_for_last(values: list[int], ctx: slither.Context) -> list[int]:
    """The batch of 0 is done only after the batch of 39 has begun."""
    flag = Path(ctx.metadata["folder"], "last")
    if 39 in values:
        flag.touch()
    elif 0 in values:
        eventually(flag.exists, "the last batch began")
    return values


def killing(values: list[int], ctx: slither.Context) -> list[int]:
    """Notes what it began; the batch of 20 kills its worker."""
    with Path(ctx.metadata["folder"], "begun").open("a") as begun:
        begun.write("".join(f"{value}\n" for value in values))
    if 20 in values:
        os.kill(os.getpid(), signal.SIGKILL)
    return values


def always_killing(values: list[int]) -> list[int]:
    os.kill(os.getpid(), signal.SIGKILL)
    return values


def hanging(values: list[int]) -> list[int]:
    if 2 in values:
        time.sleep(60)
    return values


def failing(values: list[int]) -> list[int]:
    if 6 in values:
        raise ValueError("six")
    return values


# -- pipes


class Mixed(slither.Pipe):
    """Something ends in every place there is."""

    @slither.local
    def check(item: slither.Item) -> object:
        if item.payload % 10 == 1:
            raise ValueError("ends in 1")
        return slither.Drop("ends in 2") if item.payload % 10 == 2 else item.payload

    work = slither.worker(failing, batch_size=5)
    split = slither.router((lambda item: item.payload % 2 == 0, "even"))
    outputs = ["even"]
    on_error = {"*": "skip"}


class Long(slither.Pipe):
    before = slither.local(lambda item: item.payload)
    work = slither.worker(same, batch_size=10, max_in_flight=3)
    after = slither.router((lambda item: True, "out"))
    outputs = ["out"]


class Fragile(slither.Pipe):
    @slither.local
    def look(item: slither.Item) -> object:
        if item.payload == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return item.payload


# -- order


def test_results_stand_in_the_order_of_their_inputs(system: slither.System, folder: slither.Context) -> None:
    results = system.dispatch(range(40), first_waits_for_last, batch_size=5, context=folder)

    assert [item.payload for item in results] == list(range(40))


def test_as_completed_gives_the_order_up(system: slither.System, folder: slither.Context) -> None:
    results = system.dispatch(range(40), first_waits_for_last, batch_size=5, ordering="as_completed", context=folder)

    values = [item.payload for item in results]
    assert sorted(values) == list(range(40))
    assert values[0] != 0


def test_each_output_of_a_pipe_stands_in_the_order_of_the_inputs(system: slither.System) -> None:
    outputs = system.run_pipe(Mixed, (value for value in range(300) if value % 5))

    for name in ("even", "default"):
        values = [item.payload for item in outputs[name]]
        assert values == sorted(values)
        assert values


# -- every item ends in one recorded place


def test_every_item_ends_in_exactly_one_place(system: slither.System) -> None:
    outputs = system.run_pipe(Mixed, range(100))

    places = [outputs.even, outputs.default, outputs.skipped, outputs.dropped, outputs.dead]
    assert sum(map(len, places)) == 100
    assert len({item.id for place in places for item in place}) == 100
    assert len(outputs.skipped) == 10 + 5  # ten end in 1; one batch of five holds the 6
    assert len(outputs.dropped) == 10


def test_a_halted_dispatch_gives_what_was_finished(system: slither.System) -> None:
    with pytest.raises(slither.DispatchError) as caught:
        system.dispatch(range(20), failing, batch_size=5, max_in_flight=1)

    assert [item.payload for item in caught.value.partial_results] == [0, 1, 2, 3, 4]
    assert caught.value.batch_ref == 2
    assert str(caught.value.reason) == "ValueError: six"


def test_a_stream_yields_what_was_finished_before_it_raises(system: slither.System) -> None:
    stream = system.stream(range(20), failing, batch_size=5, max_in_flight=1)

    assert [next(stream).payload for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(slither.DispatchError):
        next(stream)


# -- what a crash loses


def test_a_worker_that_dies_loses_its_running_batch_and_nothing_runs_twice(
    system: slither.System, folder: slither.Context
) -> None:
    results = system.dispatch(range(100), killing, batch_size=5, on_error="skip", context=folder)

    assert [item.payload for item in results.skipped] == [20, 21, 22, 23, 24]
    assert isinstance(results.skipped[0].meta["error"], slither.WorkerCrashed)
    assert len(results) == 95
    begun = Counter(Path(folder.metadata["folder"], "begun").read_text().splitlines())
    assert begun == {str(value): 1 for value in range(100)}


def test_batches_that_kill_their_workers_spend_no_restart_budget(system: slither.System) -> None:
    results = system.dispatch(range(12), always_killing, batch_size=1, on_error="skip")

    assert (len(results), results.skipped.total) == (0, 12)
    assert [item.payload for item in system.dispatch(range(3), same)] == [0, 1, 2]


def test_a_batch_over_its_time_costs_itself_alone(system: slither.System) -> None:
    @in_ample_time
    def check(limit_s: float) -> None:
        results = system.dispatch(range(8), hanging, batch_size=2, timeout_s=limit_s, on_error="skip")

        none_is_late(results.skipped, but=(2, 3))
        assert [item.payload for item in results.skipped] == [2, 3]
        assert isinstance(results.skipped[0].meta["error"], slither.BatchTimeout)
        assert [item.payload for item in results] == [0, 1, 4, 5, 6, 7]


def test_a_stage_that_dies_ends_its_open_runs_and_is_there_for_the_next(system: slither.System) -> None:
    with pytest.raises(slither.PipeError) as caught:
        system.run_pipe(Fragile, ["live", "die"])

    assert caught.value.stage == "look"
    assert isinstance(caught.value.reason, slither.StageDown)
    assert [item.payload for item in system.run_pipe(Fragile, ["live"]).default] == ["live"]


# -- what blocks, and how far ahead


class Counting:
    """An endless source that knows how far it was pulled, and by whom."""

    def __init__(self) -> None:
        self.pulled = 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        while True:
            self.threads.add(threading.get_ident())
            self.pulled += 1
            yield self.pulled


def furthest(source: Counting, stream: slither.Stream, take: int) -> int:
    """How far the source was ahead, at most, while so many items were taken."""
    ahead = 0
    with stream:
        for taken, _ in zip(range(take), stream, strict=False):
            ahead = max(ahead, source.pulled - taken)
    return ahead


@pytest.mark.parametrize(("batch_size", "max_in_flight"), [(1, 1), (10, 3), (64, 8)])
def test_a_source_is_pulled_in_bounds(system: slither.System, batch_size: int, max_in_flight: int) -> None:
    source = Counting()
    stream = system.stream(source, same, batch_size=batch_size, max_in_flight=max_in_flight)

    assert furthest(source, stream, 40 * batch_size) <= (max_in_flight + 4) * batch_size


def test_the_source_of_a_pipe_is_pulled_in_bounds(system: slither.System) -> None:
    source = Counting()

    # Two batches of 32 on each edge to a stage and to the loop, and on the one to the workers what they may have.
    assert furthest(source, system.stream_pipe(Long, source), 1000) <= 64 + (3 + 2) * 10 + 64 + 64


def test_a_loop_that_stops_stops_the_source_which_only_its_thread_pulls(system: slither.System) -> None:
    source = Counting()
    with system.stream(source, same, batch_size=4) as stream:
        next(stream)
        before = source.pulled
        system.dispatch(range(100), same, batch_size=1)  # plenty of time for whoever would pull

        assert source.pulled == before
    assert source.threads == {threading.get_ident()}


# -- at home on a machine


def test_nothing_listens_on_a_port(system: slither.System) -> None:
    processes = psutil.Process().children(recursive=True)

    assert len(processes) > 5
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that an earlier test left is just ending
            assert process.net_connections(kind="inet") == []


def test_anything_but_linux_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(slither.errors.UnsupportedPlatform, match="darwin is not supported"):
        slither.start()


def test_a_pipe_that_a_run_started_stops_when_it_idles_and_a_kept_one_does_not(
    system: slither.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.start_pipe(Long)
    system.run_pipe(Mixed, [3])
    monkeypatch.setattr("slither_actors.system.pipes.IDLE_S", 0.0)

    eventually(lambda: "Mixed" not in system.statistics()["pipes"], "the idle pipe is stopped")
    assert "Long" in system.statistics()["pipes"]
    assert [item.payload for item in system.run_pipe(Mixed, [3]).default] == [3]
    system.stop_pipe(Long)
    assert "Long" not in system.statistics()["pipes"]


# -- the failure tables of docs/dispatch.md and docs/pipe.md


class Unprepared(slither.Stage):
    def setup(self, ctx: slither.Context) -> None:
        raise LookupError("no model here")

    def handle_item(self, item: slither.Item, ctx: slither.Context) -> object:
        return item


class Unstartable(slither.Pipe):
    stage = slither.stage(Unprepared)


def test_what_the_source_raises_comes_through(system: slither.System) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        system.dispatch(broken(), same)


def test_an_item_that_cannot_travel_is_named(system: slither.System) -> None:
    with pytest.raises(slither.NotPicklable, match=r"item 1 of the input \(lock\)"):
        system.dispatch([0, threading.Lock()], same)


def test_a_function_that_cannot_be_imported_ends_the_run_whatever_the_policy(system: slither.System) -> None:
    with pytest.raises(slither.NotImportable, match="there is no module 'no_such_module'"):
        system.dispatch([1], "no_such_module:work", on_error="skip")


def test_a_setup_that_raises_is_a_start_error_with_its_traceback(system: slither.System) -> None:
    with pytest.raises(slither.StartError, match="LookupError: no model here"):
        system.run_pipe(Unstartable, [1])


def test_a_dispatcher_that_dies_ends_its_open_runs_and_is_there_for_the_next(system: slither.System) -> None:
    with system.stream(range(10_000), same, batch_size=1) as stream:
        next(stream)
        (pools,) = [child for child in system.topology()["children"] if child["name"] == "pools"]
        (pool,) = pools["children"]
        (dispatcher,) = [child["pid"] for child in pool["children"] if child["name"] == "dispatcher"]
        os.kill(dispatcher, signal.SIGKILL)
        with pytest.raises(slither.DispatchError) as caught:
            list(stream)

    assert isinstance(caught.value.reason, slither.StageDown)
    assert [item.payload for item in system.dispatch([1, 2], same)] == [1, 2]


def test_a_stage_that_dies_too_often_takes_its_pipe_through_a_new_start(system: slither.System) -> None:
    for _ in range(5):
        with pytest.raises(slither.PipeError):
            system.run_pipe(Fragile, ["die"])

    assert [item.payload for item in system.run_pipe(Fragile, ["live"]).default] == ["live"]
