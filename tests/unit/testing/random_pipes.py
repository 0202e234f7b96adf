"""Small pipes of random shape, whose stages do with each item what a hash of it says."""

import functools
import random

from slither_actors import (
    Drop,
    Emit,
    Fail,
    KeyPartition,
    Pipe,
    Rate,
    RouteTo,
    Stage,
    WeightedBatch,
    local,
    router,
    stage,
    worker,
)
from slither_actors.pipe.declarations import StageDeclaration, WorkerDeclaration
from slither_actors.pipe.pipe import PipeType
from slither_actors.policy import Retry, Route, Skip

OUTPUTS = ("kept", "other")


def draw(salt, item_id, sides):
    """A number below `sides`, the same for the same item."""
    return hash((salt, item_id)) % sides


def step(salt, ways, odd, item):
    """What a stage makes of an item; `odd` of 100 do not simply go on."""
    if draw(salt, item.payload, 100) >= odd:
        return item.payload
    match draw(salt + 1, item.payload, 7):
        case 0:
            return Drop("not wanted")
        case 1:
            return Fail("bad")
        case 2:
            raise ValueError("boom")
        case 3:
            return Emit([item.payload * 100 + n for n in range((0, 1, 2, 3, 70)[draw(salt + 2, item.payload, 5)])])
        case 4:
            return RouteTo(ways[draw(salt + 3, item.payload, len(ways))], item.payload)
        case 5:
            return Emit(half_way(item.payload))
        case _:
            return item.with_meta(salt=salt)


def half_way(payload):
    yield payload * 100
    yield RouteTo("kept", payload * 100 + 1)
    raise ValueError("half-way")


def work(salt, odd, payloads):
    if any(draw(salt, payload, 200) < odd for payload in payloads):
        raise ValueError("boom")
    return payloads


def key_of(item):
    return draw(13, item.payload, 5)


def weight_of(item):
    return draw(17, item.payload, 4)  # no weight at all for a quarter


def is_even(item):
    return item.payload % 2 == 0


class Batches(Stage):
    """The same by the batch."""

    def handle_batch(self, items, ctx):
        ctx.state["seen"] = ctx.state.get("seen", 0) + len(items)
        if any(draw(7, item.payload, 100) == 0 for item in items):
            raise ValueError("boom")
        return [item.payload for item in items]


def random_policy(rng):
    retry = Retry(max_attempts=rng.randrange(1, 4), backoff_s=0.01, then=rng.choice(["skip", "skip", "halt"]))
    way_out = rng.choice([Route("kept", isolate=rng.random() < 0.5), Route(excused), Retry(then=Route(excused))])
    return rng.choice(["skip", "skip", Skip(isolate=True), retry, way_out, "halt"])


def excused(item, reason):
    if draw(11, item.payload, 10) == 0:
        raise LookupError("no excuse")
    return item.payload + 1


def spread(rng):
    """Of how many processes a stage is, and how much it is given."""
    replicas, rate = rng.choice([1, 1, 1, 2, 3, 5]), rng.choice([None, None, None, 2000, Rate(300, burst=3)])
    return {"replicas": replicas, "ordered": rng.random() < 0.7, "rate": rate}


def one_process(declaration):
    """Whether all that a stage makes is made in one place, where a strategy can form batches of it."""
    return not isinstance(declaration, WorkerDeclaration) and declaration.replicas == 1


def random_pipe(rng):
    """Up to four stages."""
    names = [f"stage_{number}" for number in range(rng.randrange(1, 5))]
    body = {"outputs": list(OUTPUTS), "on_error": {"*": random_policy(rng)}, "__module__": __name__}
    for number, name in enumerate(names):
        later = [*names[number + 1 :], *OUTPUTS]
        is_worker = rng.random() < 0.4
        # where an item goes behind a worker is the only way, and every stage must be reached
        ways = [*names[number + 1 : number + 2], *(() if names[number + 1 :] else OUTPUTS)] if is_worker else later
        then = rng.choice(ways) if rng.random() < 0.2 else None
        salt, odd = rng.randrange(1000), rng.choice([0, 5, 40])
        match 0 if is_worker else rng.randrange(1, 4):
            case 0:
                executor = functools.partial(work, salt, odd // 5)
                options = {
                    "batch_size": rng.choice([1, 3, 8]),
                    "max_in_flight": rng.choice([1, 2, 4]),
                    "ordering": rng.choice(["preserve", "as_completed"]),
                    "timeout_s": 2.0,
                }
                if all(one_process(before) for before in body.values() if isinstance(before, StageDeclaration)):
                    options["strategy"] = rng.choice([None, KeyPartition(key_of), WeightedBatch(5, weight_of)])
                rate = rng.choice([None, None, None, Rate(60, burst=8)])
                body[name] = worker(executor, then=then, rate=rate, **options)
            case 1 | 2:
                body[name] = local(then=then, **spread(rng))(functools.partial(step, salt, later, odd))
            case _:
                flow = {"then": then} | spread(rng)
                body[name] = rng.choice([router((is_even, rng.choice(later)), **flow), stage(Batches, **flow)])
    return PipeType("Random", (Pipe,), body)


def shuffled(seed):
    return random.Random(f"pipe {seed}")
