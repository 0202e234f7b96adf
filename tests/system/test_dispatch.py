"""Plain dispatch over real workers: what goes in, what comes out, and what is said when it cannot."""

from __future__ import annotations

import functools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import slither_actors as slither
from slither_actors import (
    Call,
    Context,
    Executor,
    InvalidOption,
    Item,
    NotImportable,
    NotPicklable,
    UnknownPool,
    WorkerCrashed,
)
from tests.helpers import jobs
from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.running import a_system
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

JOBS = "tests.helpers.jobs"


def payloads(results):
    return [item.payload for item in results]


class LocalExecutor(Executor):
    """Defined where no worker can import it."""

    def execute_batch(self, items, ctx):
        return [item.with_payload(-item.payload) for item in items]


@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 4), (4, 4), (5, 4), (1000, 64), (300, 1)])
def test_all_results_come_in_the_order_of_the_inputs(system, count, size):
    results = system.dispatch(range(count), jobs.double, batch_size=size)
    assert payloads(results) == [2 * number for number in range(count)]
    assert isinstance(results, list)
    assert (len(results.skipped), len(results.dropped), len(results.dead)) == (0, 0, 0)


def test_nothing_in_nothing_called_nothing_out(system):
    assert system.dispatch([], f"{JOBS}:double") == []
    assert system.call_batch([], jobs.double) == []


@pytest.mark.parametrize("ordering", ["as_completed", "preserve"])
def test_as_completed_gives_the_same_items_and_really_is_as_completed(system, tmp_path, ordering):
    """The first item waits for one that the other worker runs meanwhile."""
    twelfth = tmp_path / "twelfth"

    def work(payloads):
        if payloads == [0]:
            eventually(twelfth.exists, "the other worker goes on")
        elif payloads == [12]:
            twelfth.touch()
        return payloads

    results = payloads(system.dispatch(range(20), work, batch_size=1, max_in_flight=20, ordering=ordering))
    assert sorted(results) == list(range(20))
    assert results.index(0) > 5 if ordering == "as_completed" else results == list(range(20))


def test_the_first_batch_runs_before_the_source_is_at_its_end(system, tmp_path):
    begun = tmp_path / "begun"

    def source():
        yield 1
        eventually(begun.exists, "the first batch runs")
        yield 2

    def work(payloads):
        begun.touch()
        return payloads

    assert payloads(system.dispatch(source(), work, batch_size=1)) == [1, 2]


def test_items_keep_id_meta_and_route(system):
    items = [Item.wrap(number).with_meta(n=number).with_route("r") for number in range(5)]
    results = system.dispatch(items, jobs.double, batch_size=2)
    assert [(i.id, i.payload, i.meta, i.route, i.parent_id) for i in results] == [
        (item.id, 2 * item.payload, item.meta, "r", None) for item in items
    ]


def test_payloads_and_items_may_be_mixed(system):
    item = Item.wrap("b").with_meta(n=1)
    results = system.dispatch(["a", item, "c"], jobs.same)
    assert payloads(results) == ["a", "b", "c"]
    assert results[1] == item


@pytest.mark.parametrize("size", [10_000, 200_000, 3_000_000])
def test_large_payloads_of_all_kinds_come_back_whole(system, size):
    given = [b"x" * size, bytearray(b"y" * size), "z" * size, {"deep": [b"w" * size]}]
    assert payloads(system.dispatch(given, jobs.same, batch_size=3)) == given


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (f"{JOBS}:double", [2, 4, 6]),
        (jobs.double, [2, 4, 6]),
        (Call(f"{JOBS}:double"), [2, 4, 6]),
        (lambda values: [value + 1 for value in values], [2, 3, 4]),
        (functools.partial(jobs.scaled, 5), [5, 10, 15]),
        (LocalExecutor, [-1, -2, -3]),
        (jobs.with_context, [(1, True), (2, True), (3, True)]),
    ],
    ids=["path", "function", "call", "lambda", "partial", "class", "ctx"],
)
def test_every_form_of_executor_works(system, executor, expected):
    assert payloads(system.dispatch([1, 2, 3], executor, batch_size=2)) == expected


def test_the_state_lives_as_long_as_the_run_in_each_worker(system):
    first = payloads(system.dispatch(range(40), jobs.counted, batch_size=1))
    counts = {pid: [n for who, n in first if who == pid] for pid, _ in first}
    for numbers in counts.values():
        assert numbers == list(range(1, len(numbers) + 1))
    second = payloads(system.dispatch(range(2), jobs.counted, batch_size=1))
    assert all(number <= 2 for _, number in second), "another run begins anew"


def test_the_state_outlives_a_pause_in_which_the_workers_are_given_back(system):
    def slow_source():
        yield 1
        threading.Event().wait(0.35)
        yield 2

    options = {"batch_size": 1, "max_in_flight": 1}
    counts = dict(payloads(system.dispatch(slow_source(), jobs.counted, **options)))
    assert len(counts) == 2 or list(counts.values()) == [2], "the same worker goes on counting"


def test_the_context_reaches_the_function(system):
    def describe(values, ctx):
        return [(ctx.stage, ctx.session_id, ctx.metadata, bool(ctx.run_id))] * len(values)

    context = Context(stage="s", session_id="me", metadata={"a": 1})
    assert payloads(system.dispatch([1], describe, context=context)) == [("s", "me", {"a": 1}, True)]


def test_each_call_has_a_run_id_also_where_the_context_is_the_callers_own(system):
    def name(values, ctx):
        return [ctx.run_id] * len(values)

    context = Context(metadata={"a": 1})
    (first,), (second,) = (payloads(system.dispatch([1], name, context=context)) for _ in range(2))
    assert first != second
    assert None not in (first, second, *system.call_each(lambda ctx: ctx.run_id, context=context))
    assert payloads(system.call_batch([1], name, context=Context(run_id="mine"))) == ["mine"]


def test_one_ready_batch_runs_whole_on_one_worker(system):
    results = system.call_batch(range(500), jobs.pids)
    assert len(results) == 500
    assert len(set(payloads(results))) == 1


def test_one_ready_batch_raises_what_happened(system):
    with pytest.raises(slither.RemoteError, match="ValueError: boom"):
        system.call_batch(["raise"], jobs.mishaps)
    with pytest.raises(slither.ResultCountMismatch):
        system.call_batch(["too few", 1], jobs.mishaps)


def test_a_function_is_called_once_on_every_worker(system):
    pids = system.call_each(os.getpid)
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    first, second = system.call_each(lambda ctx: ctx.run_id)
    assert first == second
    assert first
    with pytest.raises(slither.RemoteError, match="ZeroDivisionError"):
        system.call_each(lambda: 1 / 0)


def test_an_error_on_one_worker_leaves_the_others_alive_and_makes_nobody_wait(system, tmp_path):
    before = system.call_each(os.getpid)

    def one_fails(first=str(before[0]), mark=str(tmp_path / "done")):
        import os
        import time

        if str(os.getpid()) == first:
            raise KeyError("first")
        time.sleep(0.2)
        open(mark, "w").close()

    began = time.monotonic()
    with pytest.raises(slither.RemoteError, match="KeyError"):
        system.call_each(functools.partial(one_fails))
    assert time.monotonic() - began < AT_ONCE_S
    assert (tmp_path / "done").exists(), "the others were not cut short"
    assert system.call_each(os.getpid) == before


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(system):
    def slow():
        import time

        time.sleep(0.3)
        return "old"

    with pytest.raises(slither.CallTimeout, match="worker pools/default/workers/worker-"):
        system.call_each(slow, timeout_s=0.05)
    assert system.call_each(lambda: "new") == ["new", "new"]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda s: s.dispatch([1], "no_such_module:f"), NotImportable, "no module 'no_such_module'"),
        (lambda s: s.dispatch([1], "os:no_such_function"), NotImportable, "no attribute 'no_such_function'"),
        (lambda s: s.dispatch([1], "os"), NotImportable, "package.module:function"),
        (lambda s: s.dispatch([1], jobs.two_parameters), InvalidOption, "(payloads, other)"),
        (lambda s: s.dispatch([1], f"{JOBS}:two_parameters"), InvalidOption, "(payloads, other)"),
        (lambda s: s.dispatch([1], 3), InvalidOption, "executor is 3"),
        (lambda s: s.dispatch([1], jobs.same, pool="gpu"), UnknownPool, "'gpu'; this system has: default"),
        (lambda s: s.dispatch([1], jobs.same, batch_size=0), InvalidOption, "batch_size is 0"),
        (lambda s: s.dispatch(5, jobs.same), InvalidOption, "items is 5"),
        (lambda s: s.dispatch([1, threading.Lock()], jobs.same), NotPicklable, "item 1 of the input (lock)"),
        (lambda s: s.dispatch([1], jobs.same, context={}), InvalidOption, "a Context"),
        (lambda s: s.stream(5, jobs.same), InvalidOption, "stream: items is 5"),
        (lambda s: s.call_batch(5, jobs.same), InvalidOption, "call_batch: items is 5"),
        (lambda s: s.call_batch([1], jobs.same, timeout_s=-1), InvalidOption, "timeout_s is -1"),
        (lambda s: s.stream([1], jobs.two_parameters), InvalidOption, "(payloads, other)"),
        (lambda s: s.stream([1], 3), InvalidOption, "stream: executor is 3"),
        (lambda s: s.call_batch([1], jobs.two_parameters), InvalidOption, "(payloads, other)"),
        (lambda s: s.call_each(jobs.same), InvalidOption, "no parameter, or one named ctx"),
        (lambda s: s.call_each(f"{JOBS}:same"), InvalidOption, "no parameter, or one named ctx"),
        (lambda s: s.call_batch([], jobs.same, timeout_s=0), InvalidOption, "call_batch: timeout_s is 0"),
        (lambda s: s.call_batch([], 5), InvalidOption, "executor is 5"),
        (lambda s: s.dispatch([1], jobs.same, on_end=3), InvalidOption, "dispatch: on_end is 3"),
        (lambda s: s.stream([1], jobs.same, on_end=3), InvalidOption, "stream: on_end is 3"),
        (lambda s: s.dispatch([1], jobs.same, on_end=lambda item: 1), InvalidOption, "a function of item and end"),
        (lambda s: s.stop_pipe(slither.Pipe, drain="no"), InvalidOption, "stop_pipe: drain is 'no'"),
        (lambda s: s.call_each(functools.partial(os._exit, 3)), WorkerCrashed, "exit code 3"),
        (lambda s: s.call_each(os.getpid, context=5), InvalidOption, "call_each: context is 5"),
        (lambda s: s.call_each(os.getpid, timeout_s="x"), InvalidOption, "call_each: timeout_s is 'x'"),
        (lambda s: s.call_each(os.getpid, pool=["x"]), InvalidOption, "call_each: pool is ['x']"),
        (lambda s: s.stop(timeout_s="x"), InvalidOption, "stop: timeout_s is 'x'"),
        (lambda s: s.stop(timeout_s=-1), InvalidOption, "stop: timeout_s is -1"),
        (lambda s: s.call_each(os.getpid, pool="gpu"), UnknownPool, "gpu"),
        (lambda s: s.call_each("os:no_such_function"), NotImportable, "no_such_function"),
    ],
)
def test_what_cannot_work_is_one_clear_error_and_the_system_goes_on(system, make, error, text):
    with pytest.raises(error) as caught:
        make(system)
    assert text in str(caught.value)
    assert payloads(system.dispatch([1], jobs.double)) == [2]


def package():
    return slither.__file__


def test_workers_import_the_package_that_the_service_imported(system):
    assert set(system.call_each(package)) == {slither.__file__}


def test_what_the_source_raises_reaches_the_caller_as_it_is(system):
    def broken():
        yield from range(100)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        system.dispatch(broken(), jobs.same, batch_size=4)
    assert payloads(system.dispatch([1], jobs.double)) == [2]


def test_many_threads_may_use_one_system(system):
    def work(number):
        return payloads(system.dispatch(range(number, number + 200), jobs.double, batch_size=8))

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(work, range(12)))
    assert found == [[2 * n for n in range(number, number + 200)] for number in range(12)]


def test_two_runs_of_one_dispatcher_do_not_mix_even_in_one_thread(system):
    first = system.stream(range(100), jobs.double, batch_size=3)
    second = system.stream(range(1000, 1100), jobs.same, batch_size=5)
    pairs = [(a.payload, b.payload) for a, b in zip(first, second, strict=True)]
    assert pairs == [(2 * n, 1000 + n) for n in range(100)]


def test_a_run_may_feed_another_one(system):
    inner = (item.payload for item in system.stream(range(200), jobs.double, batch_size=7))
    assert payloads(system.dispatch(inner, jobs.double, batch_size=5)) == [4 * n for n in range(200)]


def test_two_systems_do_not_meet(tidy, system):
    with a_system(pools={"default": 1, "other": 1}) as second:
        mine, theirs = set(system.call_each(os.getpid)), set(second.call_each(os.getpid))
        assert not mine & theirs
        assert payloads(second.dispatch([1], jobs.double, pool="other")) == [2]
        with pytest.raises(UnknownPool, match="'other'; this system has: default"):
            system.dispatch([1], jobs.double, pool="other")
    assert payloads(system.dispatch([1], jobs.double)) == [2], "stopping one leaves the other alone"


def test_a_stopped_system_says_so_at_once(tidy):
    read = []

    def source():
        for number in range(1000):
            read.append(number)
            yield number

    with a_system(pools={"default": 1}) as system:
        stream = system.stream(source(), jobs.double, batch_size=1)
        next(stream)
    assert payloads(stream) == [2 * number for number in read[1:]], "what was read is there"
    for call in (
        lambda: system.dispatch([1], jobs.double),
        lambda: system.call_each(os.getpid),
        lambda: system.topology(),
    ):
        with pytest.raises(slither.SystemDown, match="it was stopped"):
            call()
    system.stop()


@pytest.mark.failure
def test_stopping_ends_runs_in_other_threads_with_an_error(tidy):
    with a_system(pools={"default": 1}) as system, ThreadPoolExecutor(1) as threads:
        begun = threading.Event()

        def source():
            yield 1
            begun.set()
            yield jobs.Slow(60, 2)

        run = threads.submit(lambda: system.dispatch(source(), jobs.run_slow, batch_size=1))
        assert begun.wait(PATIENCE_S)
        system.stop(0.5)
        error = run.exception(5)
        assert isinstance(error, slither.DispatchError)
        assert isinstance(error.reason, slither.SystemStopping)
        assert [item.payload for item in error.partial_results] == [1]


def test_batches_by_weight_are_formed_by_a_function_of_the_program(system):
    limit = 10  # in the closure: no dispatcher needs to know the function
    words = ["aaaa", "bbbb", "cc", "dddddddddddd", "e", "ffffffffff"]
    strategy = slither.WeightedBatch(limit, lambda item: len(item.payload) * (limit // 10))

    results = system.dispatch(words, lambda batch: [(word, len(batch)) for word in batch], strategy=strategy)

    together = {"aaaa": 3, "bbbb": 3, "cc": 3, "dddddddddddd": 1, "e": 1, "ffffffffff": 1}
    assert payloads(results) == [(word, together[word]) for word in words]


@pytest.mark.parametrize("policy", ["skip", slither.Skip(isolate=True), slither.Retry(then="skip")])
def test_an_item_without_a_weight_is_skipped_alone(system, policy):
    strategy = slither.WeightedBatch(10, lambda item: item.payload)
    ended = []
    results = system.stream(
        [1, -1, "x", 2], jobs.same, strategy=strategy, on_error=policy, on_end=lambda *end: ended.append(end)
    )
    assert payloads(results) == [1, 2]
    assert payloads(results.skipped) == [-1, "x"]
    assert [end for _, end in ended] == ["skipped", "skipped"]


def test_an_item_without_a_weight_halts_the_run(system):
    strategy = slither.WeightedBatch(10, lambda item: item.payload, max_size=1)
    with pytest.raises(slither.DispatchError, match="an item weighs 0, which is no finite number above 0") as caught:
        system.dispatch([1, 2, 0, 3], jobs.same, strategy=strategy)
    assert set(payloads(caught.value.partial_results)) <= {1, 2}


def test_a_batch_that_waits_for_a_slow_source_goes_out_when_it_is_told_to(system):
    def slow():
        for number in range(4):
            time.sleep(0.03 * (number == 2))
            yield number

    strategy = slither.FixedBatch(100, max_wait_s=0.02)
    results = system.dispatch(slow(), lambda batch: [len(batch)] * len(batch), strategy=strategy)
    assert payloads(results)[0] <= 3, "the first batch has waited for the third item, and not for the end"
