"""Stages of several processes and with rate limits, simulated with everything around them."""

import itertools

import pytest

from slither_actors import (
    Emit,
    FixedBatch,
    Item,
    KeyPartition,
    Pipe,
    Rate,
    Retry,
    RouteTo,
    Stage,
    StageDown,
    local,
    router,
    stage,
    worker,
)
from slither_actors.config import Config
from slither_actors.context import Context
from slither_actors.pipe.pipe import PipeType
from slither_actors.testing._faults import Faults
from slither_actors.testing._play import playing

SEEDS = range(2)


def pipe(*, outputs=("out",), **stages):
    return PipeType("Many", (Pipe,), {"outputs": list(outputs), "__module__": __name__, **stages})


def stream(kind, inputs, seed=0, *, leave_after=None, **faults):
    """A run as `stream_pipe` has it: with the results in the order in which they came."""
    with playing(seed, Faults(**faults), Config()) as play:
        log = play.pipe(kind, inputs, Context(), leave_after=leave_after)
        play.go()
    return log, play


def payloads(log, route="default"):
    return [item.payload for item in log.got if item.route == route]


def same(values):
    return values


def one(item):
    return item.payload


def several(item):
    """Nothing, one or up to seventy of one."""
    return [(item.payload, number) for number in range((0, 1, 3, 40)[item.payload % 4])]


ALL_OF_SEVERAL = [made for number in range(24) for made in several(Item.wrap(number))]


def is_third(item):
    return item.payload % 3 == 0


def fails_at_first(item, ctx):
    tries = ctx.state.setdefault("tries", {})
    tries[item.payload] = tries.get(item.payload, 0) + 1
    if item.payload % 5 == 0 and tries[item.payload] < 3:
        raise ValueError(item.payload)
    return item.payload


def count(item, ctx):
    ctx.state["count"] = ctx.state.get("count", 0) + 1
    return ctx.state["count"]


class Own(Stage):
    def handle_item(self, item, ctx):
        return item


class ByBatch(Stage):
    def handle_batch(self, items, ctx):
        return [Emit([item.payload, -item.payload]) for item in items]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_replicas_make_comes_in_the_order_of_the_input(seed):
    chain = pipe(
        first=local(replicas=3)(one),
        again=local(replicas=4, on_error=Retry(max_attempts=3, backoff_s=0.05))(fails_at_first),
        some=worker(same, batch_size=7),
        last=local(many=True, replicas=2)(several),
        then=stage(Own, replicas=5, rate=Rate(5000)),
    )
    log, _ = stream(chain, range(24), seed, laziness=0.3)
    assert payloads(log) == ALL_OF_SEVERAL
    assert log.ends.accounting.abandoned == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_each_way_out_of_replicas_has_its_order(seed):
    split = pipe(
        outputs=("out", "thirds"), sort=router((is_third, "thirds"), replicas=3), both=stage(ByBatch, replicas=3)
    )
    log, _ = stream(split, range(1, 50), seed)
    assert payloads(log, "thirds") == [*range(3, 50, 3)]
    assert payloads(log) == [sign * n for n in range(1, 50) if n % 3 for sign in (1, -1)]


def test_without_order_all_comes_nevertheless_and_what_is_made_first_comes_first():
    unordered = pipe(spread=local(many=True, replicas=4, ordered=False)(several))
    came = [payloads(stream(unordered, range(24), seed)[0]) for seed in SEEDS]
    assert all(sorted(results) == ALL_OF_SEVERAL for results in came)
    assert any(results != ALL_OF_SEVERAL for results in came)


@pytest.mark.parametrize("seed", SEEDS)
def test_endless_items_and_endless_input_flow_through_replicas(seed):
    endless = pipe(grow=local(many=True, replicas=3)(lambda item: itertools.count()), end=local(one))
    log, _ = stream(endless, itertools.count(), seed, leave_after=120)
    assert payloads(log)[:120] == [*range(120)], "all of the first item, which has no end"


def test_a_replica_or_a_balancer_that_dies_ends_the_run_or_was_not_needed():
    outcomes = set()
    for seed in range(8):
        chain = pipe(step=local(replicas=3)(one), end=local(rate=Rate(100_000))(one))
        log, play = stream(chain, range(20), seed, node_crashes=0.02)
        outcomes.add((log.how, bool(play.tree.deaths)))
        assert payloads(log) == [*range(20)][: len(log.got)], "also what was finished when it ended"
        if log.halt is not None:
            assert isinstance(log.halt.error, StageDown)
            assert log.halt.stage in ("step", "end")
    assert "halted" in {how for how, died in outcomes if died}


def test_each_replica_has_a_state_of_its_own_that_lives_as_long_as_the_run():
    counts = payloads(stream(pipe(step=local(replicas=3)(count)), range(60))[0])
    assert counts.count(1) == 3, "every replica began to count"
    assert max(counts) < 60


def test_batches_for_a_worker_stage_are_full_though_pieces_are_small():
    for strategy in (FixedBatch(10), FixedBatch(10, max_wait_s=60.0)):
        chain = pipe(step=local(replicas=4)(one), work=worker(same, strategy=strategy))
        _, play = stream(chain, range(45))
        assert [len(execution.items) for execution in play.report().executions] == [10, 10, 10, 10, 5]


def test_rates_take_their_time_and_no_more():
    slow = pipe(step=local(replicas=2, rate=Rate(100, burst=10))(one), work=worker(same, rate=Rate(50, burst=8)))
    log, play = stream(slow, range(108), seconds=0.0)
    assert len(log.got) == 108
    assert (108 - 8) / 50 <= play.world.now < 1.3 * (108 - 8) / 50


def test_what_goes_to_a_formed_stage_by_a_route_of_its_own_arrives():
    chain = pipe(
        step=local(replicas=3)(lambda item: RouteTo("work", item.payload)),
        plain=local(one),
        work=worker(same, strategy=KeyPartition(lambda item: item.payload % 3)),
    )
    log, _ = stream(chain, range(70))
    assert sorted(payloads(log)) == [*range(70)]
