"""A dispatcher's core among random batches, failures, deaths, recalls and slow consumers. A failing seed is printed."""

import itertools
import random

import pytest

from slither_actors.dispatch._core import CANCEL_GRACE_S, IDLE_S, DispatchCore
from slither_actors.dispatch.messages import Batch, Failed
from slither_actors.errors import SendQueueFull, WorkerCrashed
from slither_actors.policy import Retry, Skip
from slither_actors.workers.messages import LeaseRequest
from tests.unit.dispatch.playing_world import BOOM, Dispatcher, Service, World

SEEDS = 150


def play(world, services, *, limit=60_000, disturb=lambda: None):
    """Let things happen until nothing can; everything that must always be true is checked on the way."""
    for _ in range(limit):
        disturb()
        if not world.step():
            return
        for service in services:
            service.check()
    pytest.fail(f"still going on after {limit} steps, at {world.now:g} s")


def all_is_quiet(world):
    """Nothing is left behind anywhere."""
    for node in world.nodes.values():
        if isinstance(node, Dispatcher):
            core = node.core
            assert not core._runs
            assert len(core._desk) == 0, "a lease is leaked"
    assert not world.pool.book._held, "a lease is leaked"
    for worker in world.workers.values():
        assert not worker.jobs, "a worker keeps the state of a run that is over"
        assert not worker.queue


def random_acts(rng, count):
    rare = rng.choice([0, 0, 0.02, 0.1])
    all_bad = ["fail", "crash", "hang", "slow", "unread", "shaky", "brittle"]
    bad = rng.choice([*([act] for act in all_bad), all_bad])
    return [rng.choice(bad) if rng.random() < rare else "ok" for _ in range(count)]


def random_policy(rng):
    return rng.choice(
        [
            "skip",
            "halt",
            Skip(isolate=True),
            Retry(
                max_attempts=rng.randrange(1, 5),
                backoff_s=rng.choice([0.0, 0.01, 3.0]),
                on=rng.choice([Exception, Exception, ValueError]),
                then=rng.choice(["skip", "skip", "halt"]),
                isolate=rng.random() < 0.5,
            ),
        ]
    )


def random_service(world, name, dispatcher):
    rng = world.rng
    acts = random_acts(rng, rng.choice([0, 1, 5, 30, 60]))
    takes = None
    if rng.random() < 0.2:
        acts, takes = itertools.chain(acts, itertools.repeat("ok")), rng.randrange(1, 20)
    return Service(
        world,
        name,
        dispatcher,
        acts,
        size=rng.choice([1, 2, 7]),
        lazy=rng.choice([0.0, 0.5, 0.95]),
        takes=takes,
        max_in_flight=rng.choice([1, 2, 5, 8]),
        ordering=rng.choice(["preserve", "as_completed"]),
        on_error=random_policy(rng),
        timeout_s=rng.choice([2.0, 30.0]),
    )


def scenario(seed, refuses=0.0):
    world = World(seed)
    rng = world.rng
    for _ in range(rng.choice([1, 2, 4])):
        world.birth()
    dispatchers = [Dispatcher(world, f"dispatcher-{number}") for number in range(rng.choice([1, 1, 3]))]
    services = [
        random_service(world, f"run-{number}", rng.choice(dispatchers)) for number in range(rng.choice([1, 2, 5]))
    ]
    troubles = [rng.choice([0, 3, 10]), rng.choice([0, 0, 2])]
    world.refuses = refuses

    def disturb():
        if troubles[0] and world.workers and rng.random() < 0.01:
            troubles[0] -= 1
            world.death(rng.choice(list(world.workers)))
            world.birth()
        if troubles[1] and rng.random() < 0.01:
            troubles[1] -= 1
            world.pool.restart()

    play(world, services, disturb=disturb)
    for service in services:
        service.check_end()
    all_is_quiet(world)


@pytest.mark.parametrize("part", range(5))
def test_whatever_happens_nothing_is_lost_doubled_or_leaked(part):
    for seed in range(part, SEEDS, 5):
        try:
            scenario(seed)
        except BaseException:
            print(f"seed {seed}")
            raise


@pytest.mark.parametrize("part", range(5))
def test_a_message_that_is_refused_ends_its_run_alone_and_leaks_nothing(part):
    for seed in range(part, SEEDS, 5):
        try:
            scenario(seed, refuses=0.02)
        except BaseException:
            print(f"seed {seed}")
            raise


def test_a_run_that_is_refused_a_batch_ends_with_what_was_sent_before_and_others_go_on():
    world = World(1)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    large, small = (Service(world, name, dispatcher, ["ok"] * 40, size=1) for name in ("large", "small"))
    send = world.send

    def full(sender, to, message):
        if to == "large" and isinstance(message, Batch) and message.seq > 5:
            raise SendQueueFull(to, 2, 1)
        send(sender, to, message)

    world.send = full
    play(world, [large, small])
    assert (large.over, payloads(large)) == ("halted", list(range(5)))
    assert isinstance(large.error.error, SendQueueFull)
    assert payloads(small) == list(range(40))
    all_is_quiet(world)


def test_words_of_a_failure_that_are_too_large_go_without_the_results():
    core = DispatchCore()
    batch = Batch("r", 1, 1, (), ())
    core.refused("service", Failed("r", None, BOOM, 3, (batch,)), SendQueueFull("service", 2, 1), 0.0)
    ((to, failed),) = core.outbox
    assert (to, failed.run, failed.error, failed.batch_ref, failed.finished) == ("service", "r", BOOM, 3, ())


@pytest.mark.parametrize("message", [Failed("r", None, BOOM, 3, ()), LeaseRequest(1)])
def test_what_no_run_can_answer_for_is_an_error_of_the_dispatcher(message):
    with pytest.raises(SendQueueFull):
        DispatchCore().refused("somebody", message, SendQueueFull("somebody", 2, 1), 0.0)


def lone(acts, *, workers=2, seed=1, **options):
    """One run, played to its end."""
    world = World(seed)
    for _ in range(workers):
        world.birth()
    service = Service(world, "run", Dispatcher(world, "dispatcher"), acts, **options)
    play(world, [service])
    service.check_end()
    all_is_quiet(world)
    return service


def payloads(service):
    return [item.payload for batch in service.got for item in batch]


def test_items_that_a_worker_cannot_read_are_skipped_alone():
    service = lone(["ok", "unread", "ok", "unread", "unread", "ok"], size=2, on_error="skip")
    assert payloads(service) == [0, 2, 5]
    assert [item.payload for _, items in service.ended for item in items] == [None] * 3


def test_items_that_a_worker_cannot_read_halt_the_run_with_the_rest_of_their_batch_finished():
    service = lone(["ok", "unread", "ok"], size=2, workers=1, max_in_flight=1, on_error="halt")
    assert payloads(service) == [0]
    assert service.error.batch_ref == 1


def test_as_completed_lets_later_batches_out_first():
    service = lone(["slow", *["ok"] * 9], size=1, ordering="as_completed", max_in_flight=4)
    assert payloads(service)[0] != 0
    assert sorted(payloads(service)) == list(range(10))


def test_preserve_keeps_later_batches_behind_a_slow_one():
    assert payloads(lone(["slow", *["ok"] * 9], size=1, max_in_flight=4)) == list(range(10))


def test_a_halt_hands_over_what_stood_behind_a_slow_batch():
    acts = ["slow", *["ok"] * 4, "fail", *["ok"] * 50]
    for seed in range(20):
        service = lone(acts, size=1, max_in_flight=4, seed=seed)
        assert service.over == "halted"
        finished = payloads(service)
        assert set(finished) <= {1, 2, 3, 4}, "neither the slow one nor what never ran"
        assert len(finished) >= 3, "one may have waited behind the slow one"
        assert finished == sorted(finished)
        assert service.error.batch_ref == 6


def test_only_the_running_batch_is_charged_and_the_waiting_one_goes_elsewhere():
    service = lone(["crash", *["ok"] * 7], size=1, workers=1, on_error="skip", max_in_flight=8)
    ((ends, items),) = service.ended
    assert [item.payload for item in items] == [(0, "crash")]
    assert (ends.kind, ends.stage, ends.attempts) == ("skipped", "dispatcher", 1)
    assert ends.error.exit == "SIGKILL"
    assert payloads(service) == list(range(1, 8))


def test_a_dozen_crashes_lose_a_dozen_batches_and_no_more():
    service = lone((["crash"] + ["ok"] * 4) * 12, size=1, on_error="skip")
    assert len(service.ended) == 12
    assert len(payloads(service)) == 48


def test_a_hanging_batch_is_killed_at_its_time_and_those_behind_it_run():
    service = lone(["hang", *["ok"] * 5], size=1, workers=1, on_error="skip", timeout_s=2.0)
    ((ends, _),) = service.ended
    assert type(ends.error).__name__ == "BatchTimeout"
    assert ends.error.timeout_s == 2.0
    assert 2.0 <= service.world.now < 2.0 + 1.0
    assert payloads(service) == [1, 2, 3, 4, 5]


def test_a_cancelled_batch_is_killed_after_its_grace_and_the_worker_is_free():
    service = lone(["ok", "hang", *["ok"] * 20], size=1, workers=1, takes=1, ordering="as_completed", timeout_s=1e4)
    assert service.over == "closed"
    assert service.world.now <= 2 * CANCEL_GRACE_S + IDLE_S + 0.5


def test_an_endless_source_yields_at_once_and_stops_when_nobody_takes():
    world = World(5)
    world.birth()
    service = Service(world, "run", Dispatcher(world, "dispatcher"), itertools.repeat("ok"), size=3, lazy=1.0)
    for _ in range(5000):
        world.step()
        service.check()
    assert not service.got, "nobody takes"
    assert len(service.fed) == (service.options.max_in_flight + 2) * 3, "fed to the window and no further"
    service.lazy, service.takes = 0.0, 50
    play(world, [service])
    assert len(service.got) == 50


def test_two_runs_share_the_workers_by_turns():
    world = World(3)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    runs = [Service(world, name, dispatcher, ["ok"] * 8, size=1) for name in ("first", "second")]
    for _ in range(8):
        runs[0].feed(), runs[1].feed()
    while ("first", "dispatcher") in world.channels or ("second", "dispatcher") in world.channels:
        world.deliver(next(channel for channel in world.channels if channel[0] in ("first", "second")))
    play(world, runs)
    numbers = {number: run.name for run in runs for number, _ in run.job.executions}
    began = [number for worker in world.workers.values() for number in worker.history]
    order = [numbers[number] for number in began]
    assert all(abs(order[:n].count("first") - order[:n].count("second")) <= 2 for n in range(16)), order


def test_the_time_of_a_batch_begins_when_the_one_before_it_ends():
    world = World(1)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    patient = Service(world, "patient", dispatcher, ["slow"], size=1, timeout_s=1000.0)
    hasty = Service(world, "hasty", dispatcher, ["hang"], size=1, timeout_s=2.0, on_error="skip")
    for service in (patient, hasty):
        service.feed()
        while ("pool", "dispatcher") in world.channels or (service.name, "dispatcher") in world.channels:
            world.step()
    play(world, [patient, hasty])
    assert len(payloads(patient)) == 1
    ((ends, _),) = hasty.ended
    assert type(ends.error).__name__ == "BatchTimeout"
    assert world.now < 5.0 + 2.0 + 1.0


def test_a_new_pool_may_lease_to_others_what_the_old_one_leased_here():
    world = World(1)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    service = Service(world, "run", dispatcher, ["ok"] * 9, size=1, max_in_flight=8)
    while not world.workers["w1"].running:
        world.step()
    del world.nodes["pool"]  # it dies, and the new one has granted nothing yet
    given = len(world.workers["w1"].batches()) + sum(map(len, world.channels.values()))
    dispatcher.core.pool_up("new pool")
    for _ in range(500):
        world.step()
    assert len(service.job.executions) <= given + 1
    assert len(dispatcher.core._desk) == 0


def test_two_dispatchers_share_the_pool():
    world = World(3)
    world.birth()
    runs = [Service(world, f"run-{n}", Dispatcher(world, f"d{n}"), ["ok"] * 60, size=1) for n in range(2)]
    play(world, runs)
    for run in runs:
        run.check_end()
    assert all(len(run.job.executions) == 60 for run in runs)
    all_is_quiet(world)


def test_leases_are_kept_for_a_pause_and_given_back_after_it():
    world = World(1)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    first = Service(world, "first", dispatcher, ["ok"], size=1)
    while not first.over:
        world.step()
    assert world.pool.book._held
    before = world.now
    play(world, [first])
    assert not world.pool.book._held
    assert world.now - before < 2 * IDLE_S


def test_a_worker_that_comes_back_under_a_new_lease_has_kept_the_state_of_the_run():
    world = World(1)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    gate = []
    acts = itertools.chain(["ok"], (gate.pop() for _ in itertools.count()))
    service = Service(world, "run", dispatcher, acts, size=1, takes=2)
    service.feed()
    service.exhausted = True  # the source is slow
    play(world, [service])
    assert not world.pool.book._held, "given up meanwhile"
    gate.append("ok")
    service.exhausted = False
    service.takes = 2
    service.feed()
    service.exhausted = True
    play(world, [service])
    assert len(service.job.executions) == 2
    assert service.over == "closed"
    all_is_quiet(world)


def test_a_grant_for_a_worker_that_is_dead_already_loses_nothing():
    world = World(1)
    world.birth()
    dispatcher = Dispatcher(world, "dispatcher")
    service = Service(world, "run", dispatcher, ["ok"] * 4, size=1)
    while ("pool", "dispatcher") not in world.channels:
        world.step()
    world.death("w1")
    while ("registry", "dispatcher") in world.channels:
        world.deliver(("registry", "dispatcher"))  # the news of the death comes before the lease
    world.birth()
    play(world, [service])
    service.check_end()
    all_is_quiet(world)
    assert payloads(service) == [0, 1, 2, 3]


def test_random_scenarios_are_the_same_for_the_same_seed():
    def fingerprint():
        world = World(11)
        world.birth()
        service = Service(world, "run", Dispatcher(world, "d"), random_acts(random.Random(2), 40), on_error="skip")
        play(world, [service])
        return world.now, [len(batch) for batch in service.got]

    assert fingerprint() == fingerprint()


@pytest.mark.parametrize("act", ["shaky", "brittle"])
@pytest.mark.parametrize("isolate", [False, True])
def test_what_fails_once_is_mended_by_another_attempt(act, isolate):
    policy = Retry(max_attempts=2, isolate=isolate)
    service = lone([act if number % 5 == 0 else "ok" for number in range(40)], size=4, workers=2, on_error=policy)
    assert payloads(service) == list(range(40))
    assert not service.ended


def test_a_pause_holds_up_nobody_else_and_keeps_the_order():
    """The other worker goes on; what is finished behind the batch that waits comes out behind it."""
    for ordering in ("preserve", "as_completed"):
        service = lone(["shaky", *["ok"] * 7], size=1, workers=2, on_error=Retry(backoff_s=50.0), ordering=ordering)
        assert payloads(service) == [0, *range(1, 8)] if ordering == "preserve" else [*range(1, 8), 0]
        assert service.world.now > 45.0, "less than the pause, with all its jitter"


def test_a_pause_ends_in_its_time_whatever_else_goes_on():
    """The batch with the other worker takes five seconds."""
    policy = Retry(backoff_s=0.01)
    service = lone(["shaky", "slow"], size=1, workers=2, on_error=policy, ordering="as_completed")
    assert payloads(service) == [0, 1]


def test_each_attempt_fails_for_its_own_reason():
    """The first one overruns its time and is killed, the second one dies by itself."""
    service = lone(["sulky"], size=1, workers=2, on_error=Retry(max_attempts=2, then="skip"), timeout_s=2.0)
    ((ends, _),) = service.ended
    assert isinstance(ends.error, WorkerCrashed)


def test_the_first_half_runs_first():
    service = lone(["fail", *["ok"] * 7], size=8, workers=1, on_error=Skip(isolate=True))
    ids = tuple(item.id for item in service.fed)
    assert [items for _, items in service.job.executions][:3] == [ids, ids[:4], ids[4:]]


@pytest.mark.parametrize("act", ["fail", "crash", "hang"])
@pytest.mark.parametrize("culprits", [[], [0], [63], [17], [3, 4], [0, 21, 63]])
def test_bisecting_finds_the_culprits_and_nobody_else(act, culprits):
    """I16: with at most two more executions per halving and culprit."""
    acts = [act if number in culprits else "ok" for number in range(64)]
    service = lone(acts, size=64, workers=2, on_error=Skip(isolate=True), timeout_s=2.0)
    assert payloads(service) == [number for number in range(64) if number not in culprits]
    assert sorted(item.payload[0] for _, items in service.ended for item in items) == culprits
    assert len(service.job.executions) <= 1 + 2 * 6 * len(culprits)


def test_what_is_done_of_a_batch_in_parts_is_in_the_last_words():
    """The half without the culprit is finished when the run halts over the other one."""
    policy = Retry(max_attempts=1, isolate=True)
    service = lone(["ok"] * 8 + ["fail"] + ["ok"] * 7, size=16, workers=1, on_error=policy)
    assert service.over == "halted"
    assert payloads(service)[:8] == list(range(8))
    assert 8 not in payloads(service)
