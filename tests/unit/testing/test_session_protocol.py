"""Sessions among random deaths, failures, pauses and rivals, in a simulation. The seed of a failure is in its error."""

import inspect
import itertools

import pytest

from slither_actors import Context, DispatchError, Retry, SessionLimit, SessionLost, Skip
from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.dispatch import _cutting, _former, _strategy_base, dispatcher, sessions, strategy
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.pipe import _formed_lane, stage
from slither_actors.testing import Crash, Simulation
from slither_actors.testing._faults import Faults
from slither_actors.testing._play import playing
from slither_actors.workers import pool
from slither_actors.workers.sessions import SessionTicket
from tests.unit.testing.random_pipes import shuffled

pytestmark = pytest.mark.thorough

SEEDS = 20
CONFIG = Config.of({"sessions": {"default_ttl_s": 30.0}})
MODES = ("wait", "wait", "hint", "hint", "fail_fast")
RETRY = Retry(max_attempts=3, backoff_s=0.01, then="skip")


def work(payloads, ctx):
    ctx.state["seen"] = ctx.state.get("seen", 0) + len(payloads)
    if any(payload % 17 == 5 for payload in payloads):
        raise ValueError("boom")
    return payloads


def begin(ctx):
    ctx.state["begun"] = True


def end(ctx):
    assert ctx.state["begun"]


def random_ticket(rng, name):
    start, stop = (Code.of(begin), Code.of(end)) if rng.random() < 0.5 else (None, None)
    return SessionTicket(name, 0, rng.choice(MODES), rng.random() < 0.5, 30.0, start, stop)


def add_run(play, rng, tickets):
    takes = rng.choice([None, None, None, 5])
    options = DispatchOptions(
        batch_size=rng.choice([1, 3]),
        max_in_flight=rng.choice([1, 8]),
        ordering=rng.choice(["preserve", "as_completed"]),
        on_error=rng.choice(["skip", "skip", "halt", RETRY, Skip(isolate=True)]),
        timeout_s=2.0,
    )
    ticket = rng.choice([*tickets, None])  # all that open a session agree on what it is
    context = Context(session_id=ticket.id if ticket else None)
    items = itertools.count() if takes else range(rng.choice([1, 6, 15]))
    play.dispatch(
        items, Code.of(work), options, context=context, leave_after=takes, ticket=ticket, holds=rng.random() < 0.5
    )


def scenario(seed, **faults):
    rng = shuffled(seed)
    sizes = {"workers": rng.choice([1, 2, 3]), "laziness": rng.choice([0.0, 0.3, 0.9])}
    tickets = [random_ticket(rng, f"s{number}") for number in range(rng.choice([1, 2, 4]))]
    with playing(seed, Faults(**sizes, **faults), CONFIG) as play:
        for _ in range(rng.choice([1, 3, 5])):
            add_run(play, rng, tickets)
        play.go()
    return play


FAULTS = {
    "nothing": {"repeats": 0.0},
    "repeats": {"repeats": 0.3},
    "workers": {"crashes": 0.1, "hangs": 0.02},
    "all": {"crashes": 0.03, "hangs": 0.01, "node_crashes": 0.002, "pool_crashes": 0.02, "refusals": 0.002},
}


@pytest.mark.parametrize("faults", FAULTS)
def test_sessions_keep_every_invariant_whatever_goes_wrong(faults):
    for seed in range(SEEDS):
        scenario(seed, **FAULTS[faults])


def kills_once(payloads, ctx):
    ctx.state["seen"] = [*ctx.state.get("seen", ()), *payloads]
    if 3 in payloads:
        raise Crash
    return [list(ctx.state["seen"])] * len(payloads)


def test_a_dispatch_in_a_session_is_as_sticky_as_in_a_system():
    simulation = Simulation(workers=3, config={"sessions": {"default_ttl_s": 5.0}})
    context = Context(session_id="a")
    results = simulation.dispatch(range(3), kills_once, batch_size=1, context=context)
    assert [item.payload for item in results] == [[0], [0, 1], [0, 1, 2]]
    assert len({execution.worker for execution in simulation.report.executions}) == 1
    assert simulation.report.virtual_s > 5.0, "the state is freed when nobody has used the session for so long"

    with pytest.raises(DispatchError) as caught:
        simulation.dispatch(range(9), kills_once, batch_size=1, context=context)
    assert isinstance(caught.value.reason, SessionLost)
    assert len(caught.value.partial_results) == 3


STRATEGIES = (_strategy_base, strategy, _cutting, _former, _formed_lane)


@pytest.mark.parametrize("module", [dispatcher, sessions, pool, stage, *STRATEGIES])
def test_no_actor_that_is_played_has_a_clock_of_its_own(module):
    assert "monotonic" not in inspect.getsource(module)


class Ended:
    states = []


def note_end(ctx):
    Ended.states.append(ctx.state["seen"])


def test_blocks_that_hold_a_session_share_it_and_the_last_one_ends_it():
    Ended.states.clear()
    ticket = SessionTicket("a", ttl_s=1e6, stop=Code.of(note_end))
    with playing(2, Faults(workers=3, seconds=1.0), Config()) as play:
        for _ in range(2):
            options = DispatchOptions(batch_size=1)
            play.dispatch(range(4), Code.of(work), options, context=Context(session_id="a"), ticket=ticket, holds=True)
        play.go()
    assert [log.how for log in play.logs] == ["done", "done"]
    assert len({execution.worker for execution in play.report().executions}) == 1
    assert Ended.states == [8]
    assert play.world.now < 100.0, "it did not have to idle first"


def test_a_session_that_there_is_no_place_for_is_refused():
    with playing(1, Faults(), Config.of({"sessions": {"max_sessions": 1}})) as play:
        logs = [
            play.dispatch([1], Code.of(kills_once), DispatchOptions(), context=Context(session_id=name))
            for name in "ab"
        ]
        play.go()
    assert sorted(log.how for log in logs) == ["done", "refused"]
    (refusal,) = [log.refusal for log in logs if log.refusal]
    assert isinstance(refusal, SessionLimit)
