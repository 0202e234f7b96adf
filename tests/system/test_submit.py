"""Items that are submitted to a started pipe one by one: each future gets what came of its item, and nothing else."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait

import pytest

import slither_actors as slither
from slither_actors import (
    DeadlineExceeded,
    InvalidOption,
    Item,
    ItemDead,
    ItemDropped,
    ItemEnded,
    ItemSkipped,
    NotPicklable,
    PipeError,
    PipeFull,
    PipeStopped,
    RemoteError,
    Retry,
    Route,
    StageDown,
)
from slither_actors.dispatch._deadline import Deadline
from tests.helpers.gates import Gate, is_gate, passed
from tests.helpers.patience import ever_longer
from tests.system.running import a_system, processes
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT_S = 30.0


def at_work(payloads):
    """Waits at gates, fails for the unlucky, tags the rest."""
    for payload in payloads:
        if is_gate(payload):
            passed(payload)
        if payload == "unlucky":
            raise ValueError("out of luck")
    return payloads


@pytest.fixture
def started(system):
    """Starts pipes, and stops them afterwards."""
    running = []

    def start(pipe, **options):
        running.append(system.start_pipe(pipe, **options))
        return running[-1]

    yield start
    for one in running:
        one.stop(drain=False)


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


class Sorting(slither.Pipe):
    @slither.local(on_error="skip")
    def check(item):
        if item.payload == "drop":
            return slither.Drop("not wanted")
        if item.payload == "bad":
            raise KeyError("bad")
        return item.payload

    work = slither.worker(at_work, batch_size=1, max_in_flight=2)
    again = slither.worker(at_work, batch_size=8, on_error=Retry(max_attempts=2, backoff_s=0.0, then="skip"))
    route = slither.router((lambda item: isinstance(item.payload, str), "texts"))
    outputs = ["texts"]


def outcome(future):
    return future.exception(LIMIT_S) or future.result(LIMIT_S)


def test_the_future_gets_the_item_with_its_output(started):
    running = started(Sorting)
    given = Item.wrap("text").with_meta(number=1)
    item = running.submit(given).result(LIMIT_S)
    assert (item.id, item.payload, item.route, item.meta) == (given.id, "text", "texts", {"number": 1})
    other = running.submit(5).result(LIMIT_S)
    assert (other.payload, other.route) == (5, "default")


def test_one_that_leaves_the_flow_is_an_error_with_its_end(started):
    running = started(Sorting)
    skipped, dropped = outcome(running.submit("bad")), outcome(running.submit("drop"))
    assert type(skipped) is ItemSkipped
    assert (skipped.pipe, skipped.item.payload, skipped.item.meta["stage"]) == ("Sorting", "bad", "check")
    assert skipped.reason is skipped.item.meta["error"] is skipped.__cause__
    assert isinstance(skipped.reason, RemoteError)
    assert skipped.partial_results == []
    assert type(dropped) is ItemDropped
    assert "not wanted" in str(dropped)
    with pytest.raises(ItemEnded):
        running.submit("bad").result(LIMIT_S)
    assert running.submit("good").result(LIMIT_S).payload == "good"
    counts = running.accounting
    assert (counts.inputs, counts.outputs, counts.skipped, counts.dropped, counts.abandoned) == (4, 1, 2, 1, 0)


class GivingUp(slither.Pipe):
    work = slither.worker(at_work, batch_size=1, on_error=Retry(max_attempts=2, backoff_s=0.0, then="skip"))


class Halting(slither.Pipe):
    first = slither.local(lambda item: item)
    work = slither.worker(at_work, batch_size=1, on_error=Retry(max_attempts=2, backoff_s=0.0))


def test_one_whose_attempts_are_used_up_is_dead(started):
    dead = outcome(started(GivingUp).submit("unlucky"))
    assert type(dead) is ItemDead
    assert dead.item.meta["attempts"] == 2


def test_where_a_policy_halts_it_halts_for_the_item_alone(started, gate):
    running = started(Halting)
    beside = running.submit(gate.path)
    gate.await_reached()
    error = outcome(running.submit("unlucky"))
    assert type(error) is PipeError
    assert (error.pipe, error.stage, error.partial_results) == ("Halting", "work", {"default": []})
    assert "out of luck" in str(error.reason)
    gate.open()
    assert beside.result(LIMIT_S).payload == gate.path
    assert running.submit(1).result(LIMIT_S).payload == 1
    assert running.accounting.inputs == 3, "all in one run"


class Parts(slither.Pipe):
    """Nested lists fall apart in two steps."""

    @slither.local(many=True, on_error="skip")
    def apart(item):
        for part in item.payload:
            if part == "unlucky":
                raise ValueError("out of luck")
            yield part

    @slither.local(on_error=Route("failed"))
    def again(item):
        if isinstance(item.payload, list):
            return slither.Emit(again_parts(item.payload))
        return slither.Drop("zero") if item.payload == 0 else item.payload

    work = slither.worker(at_work, batch_size=3)
    outputs = ["failed"]


def again_parts(parts):
    for part in parts:
        if part == "boom":
            raise ValueError("boom")
        yield part


def payloads(items):
    return [item.payload for item in items]


def test_one_that_becomes_many_gets_all_of_them_in_the_order_in_which_they_were_made(started):
    running = started(Parts)
    futures = [running.submit([n, [n + 1, n + 2], n + 3, [], [n + 4]]) for n in range(1, 40)]
    for n, future in enumerate(futures, 1):
        results = future.result(LIMIT_S)
        assert payloads(results) == [n, n + 1, n + 2, n + 3, n + 4]
        assert payloads(results.dropped) == [[]]
    assert running.accounting.abandoned == 0


def test_the_ends_of_parts_stand_beside_the_others(started):
    results = started(Parts).submit([1, 0, 2, 0]).result(LIMIT_S)
    assert isinstance(results, slither.Results)
    assert (payloads(results), payloads(results.dropped)) == ([1, 2], [0, 0])
    assert results.accounting.abandoned == 0
    assert results.accounting.born == 4


def test_one_that_fails_while_it_becomes_others_says_what_it_became(started):
    error = outcome(started(Parts).submit([1, [2, 3], "unlucky", 4]))
    assert type(error) is ItemSkipped
    assert error.item.payload == [1, [2, 3], "unlucky", 4]
    assert payloads(error.partial_results) == [1, 2, 3]


def test_a_part_that_fails_and_is_routed_is_one_of_the_results(started):
    results = started(Parts).submit([1, [2, "boom", 3], 4]).result(LIMIT_S)
    assert [(item.payload, item.route) for item in results] == [
        (1, "default"),
        (2, "default"),
        ([2, "boom", 3], "failed"),
        (4, "default"),
    ]
    assert results.accounting.abandoned == 0


def test_one_that_becomes_nothing_is_dropped(started):
    assert type(outcome(started(Parts).submit([]))) is ItemDropped


ONE = Item.wrap("always the same")


class Renaming(slither.Executor):
    def execute_batch(self, items, ctx):
        return [Item.wrap(item.payload) for item in reversed(items)][::-1]


class Renamed(slither.Pipe):
    """Wherever user code may give items of its own."""

    first = slither.local(lambda item: Item.wrap(item.payload))
    twice = slither.local(lambda item: [ONE, ONE, item] if item.payload == "twice" else [item], many=True)
    work = slither.worker(Renaming)
    last = slither.local(lambda item: fail(item), on_error=Route(lambda item, reason: Item.wrap("mended")))


def fail(item):
    if item.payload == "fail":
        raise ValueError
    return slither.RouteTo("default", Item.wrap(item.payload))


def test_items_of_one_s_own_are_found_all_the_same(started):
    running = started(Renamed)
    futures = [running.submit(payload) for payload in (1, "twice", "fail", 2)]
    assert [payloads(future.result(LIMIT_S)) for future in futures] == [
        [1],
        [ONE.payload, ONE.payload, "twice"],
        ["mended"],
        [2],
    ]


def test_what_cannot_travel_fails_alone(started):
    running = started(Sorting)
    futures = [running.submit(payload) for payload in (1, threading.Lock(), 2)]
    assert [getattr(outcome(future), "payload", type(outcome(future))) for future in futures] == [1, NotPicklable, 2]
    assert running.accounting.abandoned == 0


class Batching(slither.Pipe):
    """Each way to a worker stage wants full batches, and none of these will come."""

    first = slither.worker(at_work, batch_size=500)
    second = slither.worker(at_work, batch_size=400)
    third = slither.local(lambda item: item)
    fourth = slither.worker(at_work, batch_size=300)
    fifth = slither.local(lambda item: item)
    sixth = slither.worker(at_work, strategy=slither.KeyPartition(lambda item: item.payload))


class Behind(slither.Pipe):
    first = slither.local(lambda item: item)
    work = slither.worker(at_work, batch_size=500)


class ByKey(slither.Pipe):
    work = slither.worker(at_work, strategy=slither.KeyPartition(lambda item: item.payload, max_size=5))


class BehindBalancer(slither.Pipe):
    first = slither.local(rate=100_000)(lambda item: item)
    work = slither.worker(at_work, strategy=slither.KeyPartition(lambda item: item.payload))


@pytest.mark.parametrize("pipe", [Batching, Behind, ByKey, BehindBalancer])
def test_nobody_waits_for_a_batch_to_be_full(started, pipe):
    running = started(pipe)
    assert running.submit(1).result(LIMIT_S).payload == 1
    assert payloads(future.result(LIMIT_S) for future in [running.submit(n % 3) for n in range(50)]) == [
        n % 3 for n in range(50)
    ]


def sizes(payloads):
    return [len(payloads)] * len(payloads)


class Full(slither.Pipe):
    first = slither.local(lambda item: item)
    work = slither.worker(sizes, batch_size=4)


def test_while_more_come_batches_are_filled(started):
    running = started(Full, max_wait_s=LIMIT_S)
    assert payloads(future.result(LIMIT_S) for future in [running.submit(n) for n in range(12)]) == [4] * 12


def filled(running):
    """What a pipe takes while nothing of it comes to its end, and what it says then."""
    futures = []
    while True:
        try:
            futures.append(running.submit(len(futures), timeout_s=0.05))
        except PipeFull as full:
            return futures, full


def test_who_finds_no_room_waits_or_is_told(started, gate):
    running = started(Halting, max_queued=3)
    held = [running.submit(gate.path) for _ in range(2)]  # both workers
    gate.await_reached()
    taken, full = filled(running)
    assert "pipe Halting has 3 items waiting" in str(full)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(running.submit, "late")
        gate.open()
        late.result(LIMIT_S)
    assert not wait([*held, *taken], LIMIT_S).not_done
    assert [future.result().payload for future in taken] == [*range(len(taken))]
    assert late.result().result(LIMIT_S).payload == "late"


def test_who_would_have_to_make_room_does_not_wait_for_it(started, gate):
    running = started(Halting, max_queued=1)
    said = []

    def refill(future):
        try:
            for _ in range(10_000):
                running.submit("refilled")
        except slither.SlitherError as error:
            said.append(error)

    first = running.submit(gate.path)
    first.add_done_callback(refill)
    gate.await_reached()
    gate.open()
    eventually(lambda: said, "it is told")
    assert type(said[0]) is PipeFull
    assert running.submit("on").result(LIMIT_S).payload == "on"


def test_what_waits_can_be_cancelled_and_what_is_under_way_cannot(started, gate):
    running = started(Halting, max_queued=2)
    first = running.submit(gate.path)
    gate.await_reached()
    waiting, _ = filled(running)
    assert not first.cancel()
    assert waiting[-1].cancel()
    assert waiting[-1].cancel(), "it stays so"
    waiting.append(running.submit("in its place", timeout_s=0))
    gate.open()
    with pytest.raises(CancelledError):
        waiting[-2].result(LIMIT_S)
    got = [future.result(LIMIT_S).payload for future in waiting if not future.cancelled()]
    assert got == [*range(len(waiting) - 2), "in its place"]
    assert running.accounting.inputs == 1 + len(got)


def test_one_that_is_under_way_is_not_taken_twice(started, gate):
    running = started(Halting)
    item = Item.wrap(gate.path)
    future = running.submit(item)
    with pytest.raises(InvalidOption, match="under way already"):
        running.submit(item)
    gate.open()
    assert future.result(LIMIT_S).id == item.id
    assert running.submit(item).result(LIMIT_S).id == item.id, "later it may come again"


def test_an_event_loop_can_wait(started):
    running = started(Sorting)

    async def all_of_them():
        futures = [asyncio.wrap_future(running.submit(number)) for number in range(100)]
        return [item.payload for item in await asyncio.gather(*futures)]

    assert asyncio.run(all_of_them()) == list(range(100))


def test_many_threads_get_each_its_own_and_nothing_is_remembered(started):
    running = started(Parts, max_queued=50)
    words = {0: lambda n: [n], 1: lambda n: [n, [n, n]], 2: lambda n: [], 3: lambda n: [n, "unlucky"]}

    def submitted(start):
        return [(n, running.submit(words[n % 4](n))) for n in range(start, start + 240)]

    with ThreadPoolExecutor(5) as pool:
        futures = list(itertools.chain.from_iterable(pool.map(submitted, range(4, 1204, 240))))
    for n, future in futures:
        said = outcome(future)
        if n % 4 == 0:
            assert payloads(said) == [n]
        elif n % 4 == 1:
            assert payloads(said) == [n, n, n]
        elif n % 4 == 2:
            assert type(said) is ItemDropped
        else:
            assert (type(said), payloads(said.partial_results)) == (ItemSkipped, [n])
    feeder = running._feeder
    eventually(lambda: not feeder.submissions.under_way, "the table is empty")
    assert feeder.submissions.queued == 0
    assert not feeder._lineage
    assert (running.accounting.inputs, running.accounting.abandoned) == (1200, 0)


def test_a_stop_lets_come_to_its_end_what_was_submitted(system, gate):
    running = system.start_pipe(Halting, max_queued=5000)
    futures = [running.submit(gate.path), *(running.submit(number) for number in range(2000))]
    gate.await_reached()
    threading.Timer(0.1, gate.open).start()
    report = running.stop()
    assert all(future.done() for future in futures)
    assert [future.result().payload for future in futures[1:]] == list(range(2000))
    (run,) = report.runs
    assert (report.complete, run.outcome, run.pulled, run.finished) == (True, "drained", 2001, 2001)
    with pytest.raises(PipeStopped, match="pipe Halting was stopped"):
        running.submit(1)


def test_a_stop_right_behind_the_first_item_loses_nothing(system):
    running = system.start_pipe(Sorting)
    futures = [running.submit(number) for number in range(3)]
    running.stop()
    assert [future.result(0).payload for future in futures] == [0, 1, 2]
    assert not any("Sorting" in name for name in processes(system))


def test_what_there_is_no_time_for_ends_with_that(system, gate):
    running = system.start_pipe(Halting, max_queued=1000)
    futures = [running.submit(gate.path) for _ in range(3)] + [running.submit(number) for number in range(500)]
    gate.await_reached()
    blocked = ThreadPoolExecutor(1)
    more = blocked.submit(lambda: [running.submit(number) for number in range(2000)])
    report = running.stop(drain=False)
    assert all(future.done() for future in futures)
    for future in futures[3:]:
        error = future.exception()
        assert error is None or (type(error) is PipeError and isinstance(error.reason, StageDown))
    assert isinstance(futures[0].exception().reason, StageDown)
    assert len({id(future.exception()) for future in futures if future.exception()}) > 1, "each has its own"
    with pytest.raises(PipeStopped):
        more.result(LIMIT_S)
    assert (report.runs_ended, report.runs[0].outcome) == (1, "cut")
    blocked.shutdown()


def test_the_end_of_the_system_is_the_end_of_its_pipes(tidy, gate):
    with a_system() as system:
        running = system.start_pipe(Sorting)
        futures = [running.submit(number) for number in range(200)]
    assert [future.result(0).payload for future in futures] == list(range(200))
    with pytest.raises(slither.SystemDown):
        running.submit(1)


def test_a_system_without_time_says_so(tidy, gate):
    with a_system() as system:
        running = system.start_pipe(Halting)
        futures = [running.submit(gate.path) for _ in range(4)]
        gate.await_reached()
        system.stop(drain=False)
        assert {type(future.exception(0).reason) for future in futures} == {slither.SystemStopping}
    gate.open()


def test_leaving_the_block_stops_the_pipe(system):
    with system.start_pipe(Sorting) as running:
        future = running.submit(1)
    assert future.result(0).payload == 1
    assert not any("Sorting" in name for name in processes(system))


def test_several_handles_share_the_processes_and_nothing_else(system):
    class Counting(slither.Pipe):
        @slither.local
        def count(item, ctx):
            ctx.state["count"] = ctx.state.get("count", 0) + 1
            return ctx.state["count"]

    one, other = system.start_pipe(Counting), system.start_pipe(Counting)
    before = {name for name in processes(system) if "Counting" in name}
    got = [payloads([handle.submit(0).result(LIMIT_S) for _ in range(3)]) for handle in (one, other)]
    assert got == [[1, 2, 3], [1, 2, 3]], "a handle's items share one run, and its state"
    assert payloads(system.run_pipe(Counting, [0, 0]).default) == [1, 2]
    assert {name for name in processes(system) if "Counting" in name} == before
    one.stop()
    with pytest.raises(PipeStopped):
        other.submit(1)


def test_a_handle_that_nobody_holds_ends_its_run(system):
    running = system.start_pipe(Sorting)
    future = running.submit(1)
    assert future.result(LIMIT_S).payload == 1
    name = "slither-feeds-Sorting"
    assert any(thread.name == name for thread in threading.enumerate())
    del running
    gc.collect()
    eventually(lambda: not any(thread.name == name for thread in threading.enumerate()), "its thread ends")
    assert system.stop_pipe(Sorting).runs == ()


def test_a_callback_that_raises_harms_nobody(started, caplog):
    running = started(Sorting)

    def leave(future):
        raise SystemExit(3)

    running.submit(1).add_done_callback(leave)
    assert running.submit(2).result(LIMIT_S).payload == 2
    assert running.submit(3).result(LIMIT_S).payload == 3


class Noting(slither.Executor):
    """What it is told of each item, by the items and by the run."""

    def execute_batch(self, items, ctx):
        for item in items:
            if is_gate(item.payload):
                passed(item.payload)
        seen = ctx.state.setdefault("seen", [])
        seen += [item.payload for item in items]
        return [item.with_payload((ctx.session_id, os.getpid(), list(seen), item.meta)) for item in items]


class Telling(slither.Pipe):
    here = slither.local(lambda item: item.with_meta(here=item.meta["user"]) if item.meta else item)
    there = slither.worker(Noting, batch_size=8)


def test_metadata_are_the_item_s_own_wherever_it_is(started):
    running = started(Telling)
    given = Item.wrap(1).with_meta(user="given", mine=True)
    futures = [running.submit(given, metadata={"user": "a"}), running.submit(2, metadata={"user": "b"})]
    metas = [future.result(LIMIT_S).payload[3] for future in futures]
    assert metas == [{"user": "a", "mine": True, "here": "a"}, {"user": "b", "here": "b"}]
    assert given.meta == {"user": "given", "mine": True}


def test_items_of_a_session_meet_its_worker_and_its_state_and_no_others(started):
    running = started(Telling)
    futures = {}
    for number in range(12):
        futures[number] = running.submit(number, session_id=("anna", "bert", None)[number % 3])
    told = {number: future.result(LIMIT_S).payload for number, future in futures.items()}
    for name, first in (("anna", 0), ("bert", 1)):
        mine = [told[number] for number in range(first, 12, 3)]
        assert {session for session, *_ in mine} == {name}
        assert len({pid for _, pid, *_ in mine}) == 1, "one worker"
        assert mine[-1][2] == list(range(first, 12, 3)), "in order, and nothing of others"
    assert {told[2][0]}.isdisjoint({"anna", "bert"})
    counts = running.accounting
    assert (counts.inputs, counts.outputs, counts.abandoned) == (12, 12, 0)


def test_the_state_of_a_session_outlives_its_run_and_nothing_else_does(started):
    running = started(Telling)
    assert running.submit(1, session_id="carl").result(LIMIT_S).payload[2] == [1]
    eventually(lambda: (gc.collect() and False) or not running._of_sessions, "its run ends")
    assert running.submit(2, session_id="carl").result(LIMIT_S).payload[2] == [1, 2]
    assert running.accounting.inputs == 2


def test_a_stop_lets_the_items_of_sessions_come_to_their_end_and_takes_no_more(system):
    running = system.start_pipe(Telling)
    futures = [running.submit(number, session_id=f"s{number % 3}") for number in range(9)]
    report = running.stop()
    assert [future.result(0).payload[0] for future in futures] == [f"s{number % 3}" for number in range(9)]
    assert (report.complete, report.finished) == (True, 9)
    for session in ("s1", "new", None):
        with pytest.raises(PipeStopped):
            running.submit(1, session_id=session)


def test_one_whose_time_is_over_fails_by_itself(started, gate, tmp_path):
    running = started(Halting, max_queued=2)
    held = running.submit(gate.path)  # one worker, and the other one:
    gate.await_reached()
    other = Gate(tmp_path / "other")
    for limit_s in ever_longer(0.2):
        doomed = running.submit(other.path, deadline_s=limit_s)
        eventually(lambda future=doomed: other.reached or future.done(), "it is under way, or late before that")
        if other.reached:
            break
    waiting, _ = filled(running)
    assert waiting[-1].cancel()
    late = running.submit("late", deadline_s=0.2)
    for future, given_s, stage in ((doomed, limit_s, "under way"), (late, 0.2, "in the queue")):
        error = future.exception(LIMIT_S)
        assert type(error) is PipeError, stage
        assert error.reason.__reduce__() == DeadlineExceeded(given_s, "the item").__reduce__(), stage
        assert f"the item took longer than deadline_s={given_s:g}" in str(error)
    assert not any(future.done() for future in (held, *waiting[:-1]))
    room = running.submit("in its place", timeout_s=0, deadline_s=1000)
    for patience_s in (None, 1000):
        with pytest.raises(PipeFull):  # it waits for room no longer than it has time
            running.submit("too many", deadline_s=0.05, timeout_s=patience_s)
    of_another = running.submit("of a session", session_id="anna", timeout_s=0)
    gate.open()
    other.open()
    assert of_another.result(LIMIT_S).payload == "of a session", "which has a queue of its own"
    assert held.result(LIMIT_S).payload == gate.path
    assert [future.result(LIMIT_S).payload for future in waiting[:-1]] == [*range(len(waiting) - 1)]
    assert room.result(LIMIT_S).payload == "in its place"
    eventually(lambda: not running._feeder.submissions.under_way, "what was late is forgotten")
    counts = running.accounting
    assert counts.inputs == counts.outputs >= len(waiting) + 1, "what was under way went its way"


def test_one_whose_deadline_nothing_can_keep_is_taken_back_and_fails(started, gate, monkeypatch):
    def refuse(thread):
        if thread.name.startswith("slither-deadlines-"):
            raise RuntimeError("can't start new thread")
        return start(thread)

    running = started(Halting, max_queued=2)
    held = [running.submit(gate.path), running.submit(gate.path)]  # both workers
    gate.await_reached()
    waiting, _ = filled(running)
    assert waiting[-1].cancel()
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", refuse)
    error = running.submit("unkept", deadline_s=1000).exception(0)
    assert (type(error), str(error)) == (RuntimeError, "can't start new thread")
    monkeypatch.undo()
    room = running.submit("in its place", timeout_s=0, deadline_s=1000)
    gate.open()
    assert room.result(LIMIT_S).payload == "in its place"
    assert [future.result(LIMIT_S).payload for future in held] == [gate.path] * 2


def test_where_no_thread_can_be_had_all_that_wait_are_told_and_later_ones_are_fed(started, monkeypatch):
    running, again, beside = started(Sorting), [], []

    def refuse(thread):
        if not thread.name.startswith("slither-feeds-"):
            return start(thread)
        if not beside:  # as another thread may, which relies on this one, and tries once more
            beside.append(running.submit(2))
            beside[0].add_done_callback(lambda _: again.append(running.submit(3)))
        raise RuntimeError("can't start new thread")

    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", refuse)
    futures = [running.submit(1), *beside, *again]
    assert [str(future.exception(0)) for future in futures] == ["can't start new thread"] * 3
    monkeypatch.undo()
    assert running.submit(4).result(LIMIT_S).payload == 4


def test_at_its_deadline_an_item_tells_what_had_come_out_of_it(started, gate):
    class Halves(slither.Pipe):
        apart = slither.local(lambda item: slither.Emit(item.payload))
        work = slither.worker(at_work, batch_size=1)

    running, item = started(Halves), Item.wrap(["first", gate.path])
    future = running.submit(item)
    feeder = running._feeder
    eventually(lambda: feeder._lineage.known(item.id), "the first half is out")
    feeder.expire(item.id, future, Deadline(1.0, 1.0))  # as the thread of the deadlines does
    error = future.exception(0)
    assert isinstance(error.reason, DeadlineExceeded)
    assert payloads(error.partial_results["default"]) == ["first"]


@pytest.mark.parametrize(
    "wrong", [{"session_id": ""}, {"session_id": 5}, {"metadata": 5}, {"metadata": {1: 2}}, {"deadline_s": 0}]
)
def test_what_means_nothing_of_an_item_is_refused(started, wrong):
    running = started(Telling)
    with pytest.raises(InvalidOption, match=f"submit.*{next(iter(wrong))}"):
        running.submit(1, **wrong)
    assert running.accounting.inputs == 0


@pytest.mark.parametrize(
    ("wrong", "what"),
    [({"max_queued": 0}, "max_queued"), ({"max_wait_s": 0}, "max_wait_s"), ({"idle_stop_s": -1}, "idle_stop_s")],
)
def test_options_that_mean_nothing_are_refused_before_anything_starts(system, wrong, what):
    with pytest.raises(InvalidOption, match=what):
        system.start_pipe(Sorting, **wrong)
    assert not any("Sorting" in name for name in processes(system))


def test_a_time_that_is_none_is_refused(started):
    with pytest.raises(InvalidOption, match="timeout_s"):
        started(Sorting).submit(1, timeout_s=-1)
