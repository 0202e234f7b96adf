"""Dispatchers among random batches, failures, deaths, recalls and slow consumers, in a simulation. A failing seed is in
the error."""

import itertools

import pytest

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._patience import CANCEL_GRACE_S, IDLE_S
from slither_actors.dispatch.messages import Batch, Failed
from slither_actors.errors import DispatchError, RemoteError, SendQueueFull, WorkerCrashed
from slither_actors.policy import Retry, Skip
from slither_actors.testing import Simulation
from slither_actors.testing._service import attended
from slither_actors.workers.messages import LeaseGranted, LeaseRequest, LeaseReturned
from tests.unit.dispatch.playing_acts import ActRun, lone, play_acts, random_acts, shuffled

pytestmark = pytest.mark.thorough

SEEDS = 150
BOOM = RemoteError("ValueError", "boom", "", ("builtins.ValueError", "builtins.Exception"))


def remember(payloads, ctx):
    seen = ctx.state.setdefault("seen", [])
    seen += payloads
    return [list(seen)] * len(payloads)


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


def random_run(play, rng):
    acts, takes = random_acts(rng, rng.choice([0, 1, 5, 30, 60])), None
    if rng.random() < 0.2:
        acts, takes = itertools.chain(acts, itertools.repeat("ok")), rng.randrange(1, 20)
    return ActRun(
        play,
        acts,
        size=rng.choice([1, 2, 7]),
        takes=takes,
        max_in_flight=rng.choice([1, 2, 5, 8]),
        ordering=rng.choice(["preserve", "as_completed"]),
        on_error=random_policy(rng),
        timeout_s=rng.choice([2.0, 30.0]),
    )


def scenario(seed, **faults):
    rng = shuffled(seed)
    chances = {
        "workers": rng.choice([1, 2, 4]),
        "laziness": rng.choice([0.0, 0.5, 0.95]),
        "crashes": rng.choice([0.0, 0.01, 0.05]),
    }
    with play_acts(seed, **chances, **faults) as play:
        runs = [random_run(play, rng) for _ in range(rng.choice([1, 2, 5]))]
        play.go()
    for run in runs:
        run.check_end()


@pytest.mark.parametrize("part", range(5))
def test_whatever_happens_nothing_is_lost_doubled_or_leaked(part):
    for seed in range(part, SEEDS, 5):
        scenario(seed)


@pytest.mark.parametrize("part", range(5))
def test_a_message_that_is_refused_ends_its_run_alone_and_leaks_nothing(part):
    for seed in range(part, SEEDS, 5):
        scenario(seed, refusals=0.02)


def test_a_run_that_is_refused_a_batch_ends_with_what_was_sent_before_and_others_go_on():
    with play_acts(workers=1) as play:
        large, small = (ActRun(play, ["ok"] * 40, size=1) for _ in range(2))

        def is_full(message):
            return (
                isinstance(message, Batch) and message.run == large.log.name and message.edge == 2 and message.seq > 5
            )

        play.world.refuses = is_full
        play.go()
    assert (large.log.how, large.payloads) == ("halted", list(range(5)))
    assert isinstance(large.error, SendQueueFull)
    assert small.payloads == list(range(40))


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


def test_items_that_a_worker_cannot_read_are_skipped_alone():
    service = lone(["ok", "unread", "ok", "unread", "unread", "ok"], size=2, on_error="skip")
    assert service.payloads == [0, 2, 5]
    assert [item.payload for _, _, item in service.ended] == [None] * 3


def test_items_that_a_worker_cannot_read_halt_the_run_with_the_rest_of_their_batch_finished():
    service = lone(["ok", "unread", "ok"], size=2, workers=1, max_in_flight=1, on_error="halt")
    assert service.payloads == [0]
    assert service.log.halt.batch_ref == 1


def test_as_completed_lets_later_batches_out_first():
    service = lone(["slow", *["ok"] * 9], size=1, ordering="as_completed", max_in_flight=4)
    assert service.payloads[0] != 0
    assert sorted(service.payloads) == list(range(10))


def test_preserve_keeps_later_batches_behind_a_slow_one():
    assert lone(["slow", *["ok"] * 9], size=1, max_in_flight=4).payloads == list(range(10))


def test_a_halt_hands_over_what_stood_behind_a_slow_batch():
    acts = ["slow", *["ok"] * 4, "fail", *["ok"] * 50]
    for seed in range(20):
        service = lone(acts, size=1, max_in_flight=4, seed=seed)
        assert service.log.how == "halted"
        finished = service.payloads
        assert set(finished) <= {1, 2, 3, 4}, "neither the slow one nor what never ran"
        assert len(finished) >= 3, "one may have waited behind the slow one"
        assert finished == sorted(finished)
        assert service.log.halt.batch_ref == 6


def test_only_the_running_batch_is_charged_and_the_waiting_one_goes_elsewhere():
    service = lone(["crash", *["ok"] * 7], size=1, workers=1, on_error="skip", max_in_flight=8)
    ((kind, number, item),) = service.ended
    assert (kind, number) == ("skipped", 0)
    assert (item.meta["stage"], item.meta["attempts"]) == (None, 1)
    assert item.meta["error"].exit == "SIGSEGV"
    assert service.payloads == list(range(1, 8))


def test_a_dozen_crashes_lose_a_dozen_batches_and_no_more():
    service = lone((["crash"] + ["ok"] * 4) * 12, size=1, on_error="skip")
    assert len(service.ended) == 12
    assert len(service.payloads) == 48


def test_a_hanging_batch_is_killed_at_its_time_and_those_behind_it_run():
    service = lone(["hang", *["ok"] * 5], size=1, workers=1, on_error="skip", timeout_s=2.0)
    ((_, _, item),) = service.ended
    assert type(item.meta["error"]).__name__ == "BatchTimeout"
    assert item.meta["error"].timeout_s == 2.0
    assert 2.0 <= service.play.world.now < 2.0 + 1.0
    assert service.payloads == [1, 2, 3, 4, 5]


def test_a_cancelled_batch_is_killed_after_its_grace_and_the_worker_is_free():
    service = lone(["ok", "hang", *["ok"] * 20], size=1, workers=1, takes=1, ordering="as_completed", timeout_s=1e4)
    assert service.log.how == "left"
    assert service.play.world.now <= 2 * CANCEL_GRACE_S + IDLE_S + 0.5


def test_an_endless_source_yields_at_once_and_stops_when_nobody_takes():
    """The window is fed while nothing has come, and no further."""
    with play_acts(5, workers=1, laziness=0.0) as play:
        ahead = []

        def watched():
            while True:
                ahead.append(len(run.log.pulled) - len(run.log.got))
                yield "slow"

        run = ActRun(play, watched(), size=3, takes=60)
        play.go()
    assert len(run.payloads) == 60
    window = (run.options.max_in_flight + 2) * 3
    assert max(ahead) == window - 1, "the last item of the window sees the others"


def test_two_runs_share_the_workers_by_turns():
    with play_acts(3, workers=1) as play:
        runs = [ActRun(play, ["slow"] * 8, size=1) for _ in range(2)]
        play.go()
    first = runs[0].log.name
    order = [execution.run == first for execution in play.report().executions]
    assert len(order) == 16
    # what the worker had when the second one came is ahead of that
    assert all(abs(2 * sum(order[:n]) - n) <= 3 for n in range(16)), order


@pytest.mark.parametrize("seed", range(5))
def test_what_is_still_running_when_a_run_is_halted_is_killed_after_its_grace(seed):
    def work(payloads):
        if 3 in payloads:
            raise ValueError("boom")
        return payloads

    def source():
        simulation.sleep(1.0)  # until all workers are up
        yield from range(9)

    simulation = Simulation(seed=seed, workers=2, seconds=lambda payloads: 3600.0 if payloads == [0] else 0.01)
    with pytest.raises(DispatchError) as caught:
        simulation.dispatch(source(), work, batch_size=1, max_in_flight=2, timeout_s=9000.0)
    assert simulation.report.virtual_s < CANCEL_GRACE_S + 2.0
    assert len(simulation.report.deaths) == 1
    assert [item.payload for item in caught.value.partial_results] == [1, 2]


@pytest.mark.parametrize("seed", range(10))
def test_the_time_of_a_batch_begins_when_the_one_before_it_ends(seed):
    with play_acts(seed, workers=1) as play:
        patient = ActRun(play, ["slow"], size=1, timeout_s=1000.0)
        hasty = ActRun(play, ["hang"], size=1, timeout_s=2.0, on_error="skip")
        play.go()
    assert len(patient.payloads) == 1
    ((_, _, item),) = hasty.ended
    assert type(item.meta["error"]).__name__ == "BatchTimeout"
    assert play.world.now < 5.0 + 2.0 + 1.0


def test_leases_are_kept_for_a_pause_and_given_back_after_it():
    with play_acts(workers=1) as play, attended(play._parties):
        run = ActRun(play, ["ok"], size=1)
        play.world.play(lambda: run.log.how != "")
        before = play.world.now
        assert [type(m) for _, _, _, _, m in play.world.trace._events].count(LeaseGranted) == 2, "sent and heard"
        assert not any(isinstance(m, LeaseReturned) for _, _, _, _, m in play.world.trace._events)
        play.world.play()
        returned = [now for now, what, _, _, m in play.world.trace._events if isinstance(m, LeaseReturned)]
    assert before + IDLE_S / 2 < returned[0] < before + 2 * IDLE_S


def test_a_worker_that_comes_back_under_a_new_lease_has_kept_the_state_of_the_run():
    def slowly():
        yield 1
        simulation.sleep(10 * IDLE_S)  # the lease is given up meanwhile
        yield 2

    simulation = Simulation(workers=1, laziness=0.0)
    results = simulation.dispatch(slowly(), remember, batch_size=1)
    assert [item.payload for item in results] == [[1], [1, 2]]
    assert simulation.report.trace.count("sends LeaseReturned") == 2


@pytest.mark.parametrize("seed", range(10))
def test_a_grant_for_a_worker_that_is_dead_already_loses_nothing(seed):
    with play_acts(seed, workers=1) as play, attended(play._parties):
        run = ActRun(play, ["ok"] * 4, size=1)
        granted = "pools/default/leases#1", "pools/default/dispatcher#1"
        play.world.play(lambda: any(isinstance(m, LeaseGranted) for m in play.world.channels.get(granted, ())))
        play.tree.death("pools/default/workers/worker-1#1", "SIGKILL", "is killed")
        play.go()
    run.check_end()
    assert run.payloads == [0, 1, 2, 3]


def test_random_scenarios_are_the_same_for_the_same_seed():
    def fingerprint():
        with play_acts(11, crashes=0.05) as play:
            ActRun(play, random_acts(shuffled(2), 40), on_error=Retry(isolate=True, then="skip"))
            play.go()
        return play.report().trace

    assert fingerprint() == fingerprint()


@pytest.mark.parametrize("act", ["shaky", "brittle"])
@pytest.mark.parametrize("isolate", [False, True])
def test_what_fails_once_is_mended_by_another_attempt(act, isolate):
    policy = Retry(max_attempts=2, isolate=isolate)
    service = lone([act if number % 5 == 0 else "ok" for number in range(40)], size=4, workers=2, on_error=policy)
    assert service.payloads == list(range(40))
    assert not service.ended


def test_a_pause_holds_up_nobody_else_and_keeps_the_order():
    """The other worker goes on; what is finished behind the batch that waits comes out behind it."""
    for ordering in ("preserve", "as_completed"):
        service = lone(["shaky", *["ok"] * 7], size=1, workers=2, on_error=Retry(backoff_s=50.0), ordering=ordering)
        assert service.payloads == [0, *range(1, 8)] if ordering == "preserve" else [*range(1, 8), 0]
        assert service.play.world.now > 45.0, "less than the pause, with all its jitter"


def test_a_pause_ends_in_its_time_whatever_else_goes_on():
    """The batch with the other worker takes five seconds."""
    policy = Retry(backoff_s=0.01)
    service = lone(["shaky", "slow"], size=1, workers=2, on_error=policy, ordering="as_completed")
    assert service.payloads == [0, 1]


def test_each_attempt_fails_for_its_own_reason():
    """The first one overruns its time and is killed, the second one dies by itself."""
    service = lone(["sulky"], size=1, workers=2, on_error=Retry(max_attempts=2, then="skip"), timeout_s=2.0)
    ((_, _, item),) = service.ended
    assert isinstance(item.meta["error"], WorkerCrashed)


def test_the_first_half_runs_first():
    service = lone(["fail", *["ok"] * 7], size=8, workers=1, on_error=Skip(isolate=True))
    assert service.executions[:3] == [tuple(range(8)), tuple(range(4)), tuple(range(4, 8))]


@pytest.mark.parametrize("act", ["fail", "crash", "hang"])
@pytest.mark.parametrize("culprits", [[], [0], [63], [17], [3, 4], [0, 21, 63]])
def test_bisecting_finds_the_culprits_and_nobody_else(act, culprits):
    """I16: with at most two more executions per halving and culprit."""
    acts = [act if number in culprits else "ok" for number in range(64)]
    service = lone(acts, size=64, workers=2, on_error=Skip(isolate=True), timeout_s=2.0)
    assert service.payloads == [number for number in range(64) if number not in culprits]
    assert sorted(number for _, number, _ in service.ended) == culprits
    assert len(service.executions) <= 1 + 2 * 6 * len(culprits)


def test_what_is_done_of_a_batch_in_parts_is_in_the_last_words():
    """The half without the culprit is finished when the run halts over the other one."""
    policy = Retry(max_attempts=1, isolate=True)
    service = lone(["ok"] * 8 + ["fail"] + ["ok"] * 7, size=16, workers=1, on_error=policy)
    assert service.log.how == "halted"
    assert service.payloads[:8] == list(range(8))
    assert 8 not in service.payloads
