"""Strategies in the simulation: whatever happens, order is kept where it is promised, and no item is lost."""

import random

import pytest

import slither_actors as slither
from slither_actors import Context, KeyPartition, WeightedBatch
from slither_actors.policy import Retry, Route, Skip
from slither_actors.testing import Crash, Simulation

pytestmark = pytest.mark.thorough

SEEDS = 24


def key_of(item):
    return item.payload[0]


KEYED = KeyPartition(key_of)
POLICIES = (
    "skip",
    Skip(isolate=True),
    Retry(backoff_s=0.5, then="skip", isolate=True),
    Retry(backoff_s=0.0, then="skip"),
)


class Work:
    """Notes which batches run in which order. Some fail the first time, some always, some kill their worker."""

    def __init__(self, rng):
        self.began = []
        self.acts = {}
        self.rng = rng
        self.seen = set()

    def items(self, count, keys):
        items = [(self.rng.randrange(keys), number) for number in range(count)]
        for item in items:
            self.acts[item] = self.rng.choices(["ok", "fails", "fails once", "kills"], [30, 1, 2, 1])[0]
        return items

    def __call__(self, payloads):
        self.began.append(list(payloads))
        acts = {self.acts[payload] for payload in payloads}
        fresh = [payload for payload in payloads if payload not in self.seen]
        self.seen.update(payloads)
        if "kills" in acts:
            raise Crash
        if "fails" in acts or any(self.acts[payload] == "fails once" for payload in fresh):
            raise ValueError("boom")
        return payloads


def play(seed, strategy_of, **options):
    rng = random.Random(seed)
    work = Work(rng)
    items = work.items(rng.choice([0, 1, 40, 120]), rng.choice([1, 3, 50]))
    simulation = Simulation(seed=seed, workers=rng.choice([1, 2, 4]), crashes=rng.choice([0.0, 0.05]), laziness=0.5)
    results = simulation.dispatch(
        iter(items),
        work,
        strategy=strategy_of(rng),
        batch_size=rng.choice([1, 3, 8]),
        max_in_flight=rng.choice([1, 2, 8]),
        ordering=options.pop("ordering", None) or rng.choice(["preserve", "as_completed"]),
        on_error=rng.choice(POLICIES),
        **options,
    )
    gone = [item.payload for end in (results.skipped, results.dropped, results.dead) for item in end]
    assert sorted([*(item.payload for item in results), *gone]) == sorted(items), "an item is lost or doubled"
    return items, work, results


def by_key(payloads):
    lanes = {}
    for key, number in payloads:
        lanes.setdefault(key, []).append(number)
    return lanes


@pytest.mark.parametrize("part", range(2))
def test_i8_batches_of_one_key_run_one_after_the_other_and_come_out_in_order(part):
    for seed in range(part, 2 * SEEDS, 2):
        _, work, results = play(seed, lambda rng: KeyPartition(key_of, max_size=rng.choice([None, 2])))
        for numbers in by_key([item.payload for item in results]).values():
            assert numbers == sorted(numbers), f"seed {seed}"
        for batch in work.began:
            assert len({key for key, _ in batch}) == 1, f"seed {seed}"
        for numbers in by_key([batch[0] for batch in work.began]).values():
            assert numbers == sorted(numbers), f"seed {seed}: one of them began before an earlier one was settled"


@pytest.mark.parametrize("strategy", [KEYED, WeightedBatch(9, lambda item: item.payload[1] % 7 + 1)])
def test_i8_what_survives_stands_in_the_order_of_the_input_though_batches_mix_it(strategy):
    for seed in range(SEEDS):
        items, _, results = play(seed, lambda rng: strategy, ordering="preserve")
        places = {payload: place for place, payload in enumerate(items)}
        order = [places[item.payload] for item in results]
        assert order == sorted(order), f"seed {seed}"


@pytest.mark.parametrize("isolate", [False, True])
def test_a_routed_item_stands_where_its_input_stood(isolate):
    def trouble(payloads):
        if any(number % 5 == 0 for _, number in payloads):
            raise ValueError("boom")
        return [(key, number, "done") for key, number in payloads]

    items = [(number % 3, number) for number in range(30)]
    policy = Route(lambda item, reason: (*item.payload, "routed"), isolate=isolate)
    for seed in range(20):
        simulation = Simulation(seed=seed, workers=2)
        results = simulation.dispatch(items, trouble, strategy=KEYED, batch_size=4, on_error=policy)
        assert [item.payload[1] for item in results] == list(range(30)), f"seed {seed}"
        routed = {item.payload[1] for item in results if item.payload[2] == "routed"}
        assert routed >= set(range(0, 30, 5))
        assert not isolate or routed == set(range(0, 30, 5))


def test_credit_by_weight_loses_nothing_and_leaves_nobody_idle_beside_work_that_it_allows():
    def weight(item):
        return item.payload[1] % 7 + 1

    for seed in range(SEEDS):
        play(seed, lambda rng: WeightedBatch(8, weight), max_in_flight_weight=random.Random(seed).choice([1, 9, 20]))


def test_batches_of_keys_are_in_order_for_a_session_too():
    """In that in which they were formed: the items of a later one may be older."""
    for seed in range(5):
        items = [(number % 3, number) for number in range(30)]
        simulation = Simulation(seed=seed)
        results = simulation.dispatch(
            items, lambda batch: batch, strategy=KEYED, batch_size=4, context=Context(session_id="a")
        )
        assert [item.payload for item in results] == items


def test_a_batch_waits_in_a_stage_for_as_long_as_it_says_in_virtual_time():
    class Waits(slither.Pipe):
        split = slither.local(lambda item, ctx: item.payload)
        work = slither.worker(lambda batch: batch, strategy=KeyPartition(lambda item: 1, max_wait_s=2.0))

    simulation = Simulation(seconds=0.001)

    def source():
        for number in range(192):
            simulation.sleep(0.5)
            yield number

    outputs = simulation.run_pipe(Waits, source())
    assert [item.payload for item in outputs.default] == list(range(192))
    sizes = [len(execution.items) for execution in simulation.report.executions]
    assert sizes == [32] * 6, "each lot of the source in its own time"
