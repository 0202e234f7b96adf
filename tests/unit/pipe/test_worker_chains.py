"""A worker stage behind a worker stage, with batches of its own size, in the simulation."""

import collections

import pytest

import slither_actors as slither
from slither_actors import Context, DispatchConfig, FixedBatch, Retry, Route, Skip
from slither_actors.context import SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.otp.ref import Ref
from slither_actors.pipe.plan import run_plan
from slither_actors.testing import Simulation


def same(payloads):
    return payloads


def picky(payloads):
    if any(payload % 50 == 7 for payload in payloads):
        raise ValueError("boom")
    return payloads


def sized(payloads):
    """The size of its batch beside each payload."""
    return [(payload, len(payloads)) for payload in payloads]


def chain(first, second):
    """A pipe of two worker stages."""

    class Chain(slither.Pipe):
        before = first
        behind = second

    return Chain


def batches(items):
    """How many batches there were of each size."""
    sizes = collections.Counter(size for _, size in (item.payload for item in items))
    assert all(count % size == 0 for size, count in sizes.items())
    return {size: count // size for size, count in sizes.items()}


@pytest.mark.parametrize(
    ("first", "second"), [(8, 3), (3, 8), (4, 4), (1, 100), (16, 4), (4, 16), (100, 1)], ids=lambda size: str(size)
)
def test_each_worker_stage_has_batches_of_its_own_size(first, second):
    pipe = chain(slither.worker(same, batch_size=first, max_in_flight=2), slither.worker(sized, batch_size=second))
    outputs = Simulation(seed=first).run_pipe(pipe, range(250))
    assert [item.payload[0] for item in outputs.default] == list(range(250))
    whole, rest = divmod(250, second)
    assert batches(outputs.default) == {second: whole} | ({rest: 1} if rest else {})


def test_a_fixed_batch_is_a_size_too():
    pipe = chain(slither.worker(same, batch_size=8), slither.worker(sized, strategy=FixedBatch(5)))
    assert batches(Simulation().run_pipe(pipe, range(20)).default) == {5: 4}


@pytest.mark.parametrize(("first", "second", "parcel_size"), [(8, 3, 3), (3, 8, 0), (4, 4, 0)])
def test_results_are_encoded_in_the_size_of_the_next_stage_where_that_is_smaller(first, second, parcel_size):
    """Else each part of a batch would carry the whole."""
    pipe = chain(slither.worker(same, batch_size=first), slither.worker(sized, batch_size=second))
    refs = {name: Ref(name, 1, f"/{name}", number) for number, name in enumerate(["before", "behind"], 1)}
    plan = run_plan("r", pipe.definition, refs, "/service", SealedContext.of(Context()), DispatchConfig(), Deadline())
    assert [node.plan.job.parcel_size for node in plan.nodes] == [parcel_size, 0]


def test_batches_that_lost_items_are_not_filled_up_with_others_that_are_whole():
    """Else each batch from there on would be made of two, and each result would travel twice."""
    first = slither.worker(picky, batch_size=10, on_error=Skip(isolate=True))
    outputs = Simulation().run_pipe(chain(first, slither.worker(sized, batch_size=10)), range(100))
    assert [item.payload for item in outputs.skipped] == [7, 57]
    assert batches(outputs.default) == {10: 8, 9: 2}


def test_a_batch_that_ran_in_parts_is_whole_to_the_next_stage():
    policy = Retry(max_attempts=1, isolate=True, then=Route("behind"))
    pipe = chain(slither.worker(picky, batch_size=10, on_error=policy), slither.worker(sized, batch_size=10))
    outputs = Simulation().run_pipe(pipe, range(100))
    assert sorted(item.payload[0] for item in outputs.default) == list(range(100))
    assert batches(outputs.default) == {10: 10}


def test_an_endless_source_yields_though_all_that_may_be_on_the_way_fills_no_batch():
    pipe = chain(slither.worker(same, batch_size=1, max_in_flight=1), slither.worker(sized, batch_size=90))
    outputs = Simulation().run_pipe(pipe, iter(int, 1), leave_after=90)
    assert batches(outputs.default) == {90: 1}


def test_what_fails_in_the_second_stage_is_a_batch_of_its_own_size():
    """Workers of both stages die now and then; the first one lets that be no reason to halt, whatever the seed is."""
    first = slither.worker(same, batch_size=3, on_error=Retry(max_attempts=20))
    pipe = chain(first, slither.worker(picky, batch_size=10, on_error=Skip(isolate=False)))
    outputs = Simulation(crashes=0.02, seed=4).run_pipe(pipe, range(100))
    skipped = [item.payload for item in outputs.skipped]
    assert {*range(10), *range(50, 60)} <= {*skipped}
    assert sorted([*(item.payload for item in outputs.default), *skipped]) == list(range(100))


@pytest.mark.parametrize("session_id", [None, "s"])
@pytest.mark.parametrize(("max_wait_s", "late"), [(2.0, False), (None, True)])
def test_a_batch_that_is_not_full_waits_between_two_worker_stages_for_as_long_as_it_says(max_wait_s, late, session_id):
    """The source pauses after each batch of the first stage, for longer than the second one waits."""
    simulation = Simulation(seconds=0.001)

    def source():
        for number in range(12):
            if number % 3 == 0:
                simulation.sleep(10.0)
            yield number

    pipe = chain(
        slither.worker(same, batch_size=3), slither.worker(sized, strategy=FixedBatch(100, max_wait_s=max_wait_s))
    )
    outputs = simulation.run_pipe(pipe, source(), session_id=session_id)
    assert [item.payload[0] for item in outputs.default] == list(range(12))
    assert batches(outputs.default) == ({12: 1} if late else {3: 4})
