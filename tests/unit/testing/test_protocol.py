"""The whole flow protocol, all parties together, under every fault there is. The seed of a failure is in its error."""

import itertools

import pytest

from slither_actors import FixedBatch, KeyPartition, Pipe, Retry, RouteTo, Skip, WeightedBatch, local, worker
from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.context import Context
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.testing._faults import Faults
from slither_actors.testing._play import playing
from tests.unit.testing.random_pipes import draw, random_pipe, shuffled

pytestmark = pytest.mark.thorough

SEEDS = 80


def same(payloads):
    return payloads


def weight(item):
    return 1 + item.payload % 5


STRATEGIES = (None, FixedBatch(3), WeightedBatch(7, weight), FixedBatch(5, max_wait_s=0.01), KeyPartition(weight))


def add_dispatch(play, rng):
    items = itertools.count() if (takes := rng.choice([None, None, None, 20])) else range(rng.choice([0, 1, 40]))
    options = DispatchOptions(
        batch_size=rng.choice([1, 4]),
        max_in_flight=rng.choice([1, 3, 8]),
        ordering=rng.choice(["preserve", "as_completed"]),
        on_error=rng.choice(["skip", "halt", Skip(isolate=True), Retry(max_attempts=2, then="skip")]),
        strategy=rng.choice(STRATEGIES),
        timeout_s=2.0,
    )
    play.dispatch(items, Code.of(same), options, leave_after=takes)


def scenario(seed, **faults):
    rng = shuffled(seed)
    sizes = {"workers": rng.choice([1, 2, 3]), "laziness": rng.choice([0.0, 0.3, 0.9])}
    with playing(seed, Faults(**sizes, **faults), Config()) as play:
        for _ in range(rng.choice([1, 1, 2])):
            takes = rng.choice([None, None, None, 10])
            play.pipe(random_pipe(rng), range(rng.choice([0, 3, 50, 120])), Context(), leave_after=takes)
        for _ in range(rng.choice([0, 1, 2])):
            add_dispatch(play, rng)
        play.go()
    return play


class Endless(Pipe):
    """Each input becomes others, without end, and those become several."""

    on_error = {"*": "skip"}
    outputs = ["short"]

    @local(many=True)
    def numbers(item):
        for number in itertools.count():
            yield RouteTo("short", number) if draw(1, number, 3) == 0 else number

    square = worker(same, batch_size=5)

    @local(many=True, replicas=2)
    def again(item):
        return range(draw(2, item.payload, 4))


FAULTS = {
    "nothing": {"repeats": 0.0},
    "repeats": {"repeats": 0.3},
    "workers": {"crashes": 0.1, "hangs": 0.02, "repeats": 0.05, "recycles": 0.1},
    "pools": {"pool_crashes": 0.05, "crashes": 0.03, "repeats": 0.05, "recycles": 0.1},
    "nodes": {"node_crashes": 0.002, "crashes": 0.03, "hangs": 0.01, "repeats": 0.05},
    "all": {"node_crashes": 0.001, "pool_crashes": 0.02, "crashes": 0.03, "refusals": 0.001, "recycles": 0.05},
}


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize("part", range(2))
def test_every_invariant_holds_whatever_goes_wrong(part, faults):
    for seed in range(part, SEEDS, 2):
        scenario(seed, **FAULTS[faults])


@pytest.mark.parametrize("faults", ["workers", "all"])
def test_the_accounts_of_a_run_that_is_left_add_up_though_its_items_go_on_becoming_others(faults):
    for seed in range(8):
        with playing(seed, Faults(workers=2, laziness=0.9, **FAULTS[faults]), Config()) as play:
            for takes in (1, 150):
                play.pipe(Endless, [1, 2], Context(), leave_after=takes)
            play.go()
