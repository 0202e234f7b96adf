"""Strategies over real processes: what travels together, what runs one after the other, and in what order it comes."""

from __future__ import annotations

import itertools
import os
import time

import pytest

import slither_actors as slither
from slither_actors import DispatchError, KeyPartition, PipeError, StrategyError, WeightedBatch
from tests.helpers import jobs, strategies
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

USERS = [(f"user {number * number % 7}", number) for number in range(200)]


@pytest.fixture
def run(system):
    """Runs pipes, and stops them afterwards."""
    started = []

    def run_pipe(pipe, inputs, **options):
        started.append(pipe)
        return system.run_pipe(pipe, inputs, **options)

    yield run_pipe
    for pipe in started:
        system.stop_pipe(pipe)


def payloads(items):
    return [item.payload for item in items]


def by_user(results):
    """The numbers of each user's items, as they came."""
    found = {}
    for user, number, *_ in results:
        found.setdefault(user, []).append(number)
    return found


def key_or_none(item):
    return item.payload if item.payload != 3 else []


# -- in a dispatch


def test_items_of_one_key_travel_together_and_come_back_in_the_order_of_the_input(system):
    by = KeyPartition(lambda item: item.payload[0], max_size=8)
    results = payloads(system.dispatch(USERS, strategies.users_together, strategy=by))
    assert [result[:2] for result in results] == USERS
    assert max(size for _, _, size in results) == 8


def test_as_completed_keeps_the_order_of_each_key(system):
    by = KeyPartition(strategies.user_of, max_size=4)
    results = payloads(system.dispatch(USERS, jobs.same, strategy=by, ordering="as_completed"))
    assert by_user(results) == by_user(USERS)
    assert results != USERS, "batches mix the input"


def test_batches_of_one_key_run_one_at_a_time(system, tmp_path):
    def alone(batch):
        held = tmp_path / batch[0][0]
        with open(held, "x"):  # fails if another batch of this key holds it
            time.sleep(0.001)
        held.unlink()
        return batch

    by = KeyPartition(strategies.user_of, max_size=4)
    assert payloads(system.dispatch(USERS, alone, strategy=by)) == USERS


def test_a_batch_that_is_tried_again_comes_before_the_next_of_its_key(system, tmp_path):
    def shaky(batch):
        seen = tmp_path / f"{batch[0][0]} {batch[0][1]}"
        if not seen.exists():
            seen.touch()
            if batch[0][1] % 3 == 0:
                os._exit(3)
            raise ValueError("not yet")
        return [(user, number, time.monotonic()) for user, number in batch]

    by = KeyPartition(strategies.user_of, max_size=4)
    again = slither.Retry(max_attempts=2, backoff_s=0.01)
    results = payloads(system.dispatch(USERS[:40], shaky, strategy=by, on_error=again))
    assert [result[:2] for result in results] == USERS[:40]
    for user in by_user(USERS):
        began = [moment for of, _, moment in results if of == user]
        assert began == sorted(began)


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
@pytest.mark.parametrize("kinds", [1, 3, 10**9])
def test_an_endless_stream_yields_whatever_the_keys_and_is_never_far_ahead(system, ordering, kinds):
    pulled = []
    source = (pulled.append(number) or number for number in itertools.count())
    by = KeyPartition(lambda item: item.payload % kinds)
    with system.stream(source, jobs.same, strategy=by, batch_size=8, max_in_flight=2, ordering=ordering) as stream:
        for taken, _ in enumerate(itertools.islice(stream, 500)):
            assert len(pulled) - taken <= (2 + 4) * 8
        if ordering == "preserve":
            assert next(stream).payload == 500


def test_a_stream_that_nobody_takes_is_pulled_to_the_ceiling_and_no_further(system):
    pulled = []
    source = (pulled.append(number) or number for number in itertools.count())
    by = KeyPartition(lambda item: item.payload == 0)
    with system.stream(source, jobs.same, strategy=by, batch_size=4, max_in_flight=2) as stream:
        assert next(stream).payload == 0, "its key never comes again, and it is not held for ever"
        assert len(pulled) <= (2 + 4) * 4


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (lambda item: [item.payload], "a key of type list is not hashable"),
        (lambda item: 1 / (item.payload - 2) and [], "a key of type list is not hashable"),
    ],
)
def test_a_key_that_is_none_halts_the_run(system, key, said):
    with pytest.raises(DispatchError, match=said):
        system.dispatch([1, 2, 3], jobs.same, strategy=KeyPartition(key))


@pytest.mark.parametrize("policy", ["skip", slither.Retry(then="skip")])
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_an_item_without_a_key_is_skipped_alone(system, policy, ordering):
    values = [1, [2], 3, {4}, 0, 5]
    by = KeyPartition(lambda item: 1 / item.payload if isinstance(item.payload, int) else item.payload)
    results = system.dispatch(values, jobs.same, strategy=by, on_error=policy, ordering=ordering)
    assert sorted(payloads(results)) == [1, 3, 5]
    assert payloads(results.skipped) == [[2], {4}, 0]
    assert [type(item.meta["error"]).__name__ for item in results.skipped] == [
        "InvalidOutcome",
        "InvalidOutcome",
        "RemoteError",
    ]


@pytest.mark.parametrize("strategy", [KeyPartition(key_or_none), WeightedBatch(4, key_or_none), strategies.Forgetful()])
@pytest.mark.parametrize("session_id", [None, "s"])
def test_an_item_that_fits_into_no_batch_is_routed_in_its_place(system, strategy, session_id):
    policy = slither.Route(lambda item, reason: (item.payload, type(reason).__name__))
    context = slither.Context(session_id=session_id)
    values = [1, 2, 3, 1, 3]
    results = payloads(system.dispatch(values, jobs.same, strategy=strategy, on_error=policy, context=context))
    kind = "StrategyError" if isinstance(strategy, strategies.Forgetful) else "InvalidOutcome"
    assert results == [1, 2, (3, kind), 1, (3, kind)]


def test_a_stream_of_nothing_but_items_that_fit_into_no_batch_yields(system):
    policy, by = slither.Route(lambda item, reason: "routed"), KeyPartition(key_or_none)
    with system.stream(itertools.repeat(3), jobs.same, strategy=by, on_error=policy, deadline_s=20) as stream:
        assert payloads(itertools.islice(stream, 100)) == ["routed"] * 100


def test_an_item_that_has_no_weight_and_cannot_travel_is_skipped_too(system, tmp_path):
    stuck = (number for number in ())
    by = WeightedBatch(10, lambda item: item.payload)
    file = tmp_path / "ends"
    results = system.dispatch([1, stuck, -1, 2], jobs.same, strategy=by, on_error="skip", ends_file=file)
    assert payloads(results) == [1, 2]
    assert payloads(results.skipped) == [stuck, -1]
    unpickled, minus_one = slither.read_ends(file)
    assert (unpickled.pickled, unpickled.end) == (None, "skipped")
    assert minus_one.item().payload == -1
    assert "weighs -1, which is no finite number above 0" in minus_one.reason


def test_an_item_that_cannot_travel_is_named_by_its_place(system):
    values = [0, 1, 2, (number for number in ()), 4]
    by = KeyPartition(lambda item: item.payload == 1)
    with pytest.raises(slither.NotPicklable, match=r"item 3 of the input \(generator\)"):
        system.dispatch(values, jobs.same, strategy=by)


def test_a_halt_hands_over_what_is_finished_in_the_order_of_the_input(system):
    def fails(batch):
        if 40 in batch:
            raise ValueError("forty")
        return batch

    by = KeyPartition(lambda item: item.payload % 5)
    with pytest.raises(DispatchError, match="forty") as caught:
        system.dispatch(range(100), fails, strategy=by, batch_size=4)
    finished = payloads(caught.value.partial_results)
    assert finished == sorted(finished)
    assert not {40, 45, 50} & set(finished)


def test_results_that_do_not_tell_what_they_were_made_of_take_the_place_of_their_batch(system):
    class Fresh(slither.Executor):
        def execute_batch(self, items, ctx):
            return [slither.Item(0, item.payload, parent_id=7) for item in items]

    by = KeyPartition(lambda item: item.payload % 3)
    assert payloads(system.dispatch(range(100), Fresh, strategy=by, batch_size=4)) == list(range(100))


def test_the_same_item_many_times_comes_back_as_often(system):
    item = slither.Item.wrap(1)
    by = KeyPartition(lambda item: item.payload, max_size=2)
    assert payloads(system.dispatch([item, item, slither.Item.wrap(2), item], jobs.same, strategy=by)) == [1, 1, 2, 1]


def test_workers_never_have_more_than_the_credit_by_weight(system, tmp_path):
    def weigh(batch):
        mark = tmp_path / str(os.getpid())
        mark.write_text(str(sum(batch)))
        time.sleep(0.01)
        total = 0
        for other in tmp_path.iterdir():
            total += int(other.read_text() or 0)
        mark.write_text("0")
        return [total] * len(batch)

    by = WeightedBatch(6, lambda item: item.payload)
    weights = [3, 3, 5, 1, 20, 6, 2, 2, 2] * 4
    seen = payloads(system.dispatch(weights, weigh, strategy=by, max_in_flight_weight=10))
    assert max(total for total, weight in zip(seen, weights, strict=True) if weight != 20) <= 10
    assert {total for total, weight in zip(seen, weights, strict=True) if weight == 20} == {20}, "alone"


def test_a_strategy_of_the_program_s_own(system):
    results = system.dispatch(range(5), strategies.sizes, strategy=strategies.Pairs())
    assert payloads(results) == [(0, 2), (1, 2), (2, 2), (3, 2), (4, 1)]


def test_a_strategy_that_loses_items_is_found_out(system):
    with pytest.raises(DispatchError, match="Forgetful lost 1 of its items") as caught:
        system.dispatch(range(6), jobs.same, strategy=strategies.Forgetful())
    assert isinstance(caught.value.reason, StrategyError)
    results = system.dispatch(range(6), jobs.same, strategy=strategies.Forgetful(), on_error="skip")
    assert payloads(results) == [0, 1, 2, 4, 5]
    assert payloads(results.skipped) == [3]


def test_a_strategy_that_does_not_start_is_told_before_anything_is_pulled(system):
    class Broken(strategies.Pairs):
        def start(self, batch_size):
            raise OSError("no disk")

    source = iter([1, 2])
    with pytest.raises(StrategyError, match="Broken does not start: OSError: no disk"):
        system.dispatch(source, jobs.same, strategy=Broken())
    assert next(source) == 1


# -- in pipes


@pytest.mark.parametrize("pipe", [strategies.ByUser, strategies.ByUserAtOnce])
def test_the_stage_before_forms_the_batches_of_a_stage_by_key(run, pipe):
    outputs = run(pipe, [*USERS[:100], ([], 100), *USERS[100:]])
    results = payloads(outputs.default)
    assert [result[:2] for result in results] == USERS
    assert max(size for _, _, size in results) == 4
    (skipped,) = outputs.skipped
    assert (skipped.payload, skipped.meta["stage"]) == (([], 100), "work")
    assert "a key of type list is not hashable" in str(skipped.meta["error"])


def test_a_key_has_one_lane_whichever_stage_it_comes_from(run, tmp_path):
    def alone(batch):
        with open(tmp_path / batch[0][0], "x") as held:  # fails if another batch of this key holds it
            time.sleep(0.001)
        os.unlink(held.name)
        return [(*row, len(batch)) for row in batch]

    class TwoWays(slither.Pipe):
        fork = slither.router((lambda item: item.payload[1] % 2 == 0, "work"))
        detour = slither.local(strategies.same)
        work = slither.worker(alone, strategy=KeyPartition(strategies.user_of, max_size=2))

    results = payloads(run(TwoWays, USERS).default)
    assert sorted(result[:2] for result in results) == sorted(USERS)


@pytest.mark.parametrize("pipe", [strategies.ByUser, strategies.ByUserAtOnce])
def test_a_stream_of_a_pipe_keeps_the_order_of_each_key(system, pipe):
    with system.stream_pipe(pipe, USERS) as stream:
        results = payloads(stream)
    assert by_user(results) == by_user(USERS)
    system.stop_pipe(pipe)


@pytest.mark.parametrize("pipe", [strategies.ByUser, strategies.ByUserAtOnce])
def test_an_endless_stream_of_a_pipe_yields_whatever_the_keys(system, pipe):
    source = ((f"user {number}", number) for number in itertools.count())
    with system.stream_pipe(pipe, source) as stream:
        assert len(list(itertools.islice(stream, 300))) == 300
    system.stop_pipe(pipe)


def test_the_policy_of_the_stage_that_named_the_strategy_holds(run):
    class Halts(slither.Pipe):
        keep = slither.local(on_error="skip")(strategies.same)
        work = slither.worker(jobs.same, strategy=KeyPartition(lambda item: item.payload), on_error="halt")

    with pytest.raises(PipeError, match="a key of type list is not hashable") as caught:
        run(Halts, [1, [2], 3])
    assert caught.value.stage == "work"


@pytest.mark.parametrize("policy", [slither.Route("odd"), slither.Retry(then=slither.Route("odd"))])
@pytest.mark.parametrize("stages", [{}, {"keep": slither.local(strategies.same)}])
def test_an_item_that_fits_into_no_batch_goes_where_the_policy_of_its_stage_says(run, policy, stages):
    work = slither.worker(jobs.same, strategy=KeyPartition(key_or_none), on_error=policy)
    pipe = type(slither.Pipe)("Odd", (slither.Pipe,), {**stages, "work": work, "outputs": ["odd"]})
    outputs = run(pipe, [1, 3, 2, 3])
    assert payloads(outputs.default) == [1, 2]
    assert payloads(outputs.odd) == [3, 3]
    assert {(item.meta["stage"], item.meta["attempts"]) for item in outputs.odd} == {("work", 0)}


def test_weights_form_batches_of_what_a_stage_emits(run):
    outputs = run(strategies.ByWeight, [2, 20, 0, 4])
    assert payloads(outputs.default) == [(2, 3)] * 3 + [(20, 1)] * 3 + [(4, 2), (4, 2), (4, 1)]
    assert payloads(outputs.skipped) == [0, 0, 0]


def test_a_strategy_of_one_s_own_forms_batches_behind_a_router(run):
    outputs = run(strategies.InPairs, [1, 2, "out", 3])
    assert payloads(outputs.default) == [(1, 2), (2, 2), (3, 1)]
    assert payloads(outputs.out) == ["out"]


def test_a_strategy_that_loses_items_in_a_stage_halts_the_run_in_the_name_of_its_own(run):
    with pytest.raises(PipeError, match="Forgetful lost 1 of its items") as caught:
        run(strategies.ForgetsInPairs, range(6))
    assert caught.value.stage == "work"


def test_a_batch_in_a_stage_goes_out_at_its_time_though_nothing_comes(run, tmp_path):
    mark = tmp_path / "seen"

    def work(batch):
        mark.touch()
        return batch

    class InTime(slither.Pipe):
        keep = slither.local(lambda item: item.payload)
        work_ = slither.worker(work, strategy=slither.FixedBatch(1000, max_wait_s=0.02))

    def source():
        yield from range(32)  # as many as travel to the first stage together
        eventually(mark.exists, "a worker has the items though there are no more")
        yield 32

    assert payloads(run(InTime, source()).default) == list(range(33))


def test_a_strategy_that_cannot_be_imported_travels_by_value(run):
    limit = 3

    class Local(slither.Pipe):
        keep = slither.local(lambda item: item.payload)
        work = slither.worker(
            lambda batch: [len(batch)] * len(batch),
            strategy=KeyPartition(lambda item: item.payload % limit),
        )

    assert payloads(run(Local, range(9)).default) == [3] * 9
