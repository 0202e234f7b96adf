"""Sessions on real processes: one worker each, in order, and a typed end."""

from __future__ import annotations

import gc
import os
import signal
import threading
import weakref
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors import (
    DispatchError,
    InvalidOption,
    KeyPartition,
    SessionLimit,
    SessionLost,
    WeightedBatch,
    WorkerBusy,
)
from tests.system.running import a_system
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(pools={"default": 2, "single": 1}) as running:
        yield running


def count(payloads, ctx):
    """Adds up, and says where."""
    out = []
    for payload in payloads:
        ctx.state["total"] = ctx.state.get("total", 0) + payload
        out.append((ctx.state["total"], os.getpid()))
    return out


def die(payloads):
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_five(payloads, ctx):
    return die(payloads) if 5 in payloads else count(payloads, ctx)


def begin_at_hundred(ctx):
    ctx.state["total"] = 100


def fail_to_begin(ctx):
    raise LookupError("no model")


def totals(results):
    return [item.payload[0] for item in results]


def tell_the_end(folder):
    def stop(ctx):
        Path(folder, str(ctx.session_id)).write_text(str(ctx.state["total"]))

    return stop


class Kept:
    living = weakref.WeakSet()

    def __init__(self):
        self.living.add(self)


class Twice(slither.Pipe):
    first = slither.worker(count, batch_size=1)

    @slither.local
    def note(item, ctx):
        ctx.state["seen"] = ctx.state.get("seen", 0) + 1
        return (item.payload, ctx.state["seen"])

    second = slither.worker("tests.system.test_sessions:add_again", batch_size=2)


def add_again(payloads, ctx):
    return [(payload[0], payload[1], ctx.state["total"], os.getpid()) for payload in payloads]


def test_a_session_works_in_one_process_and_finds_its_state_again(system):
    with system.session() as session:
        first = session.dispatch([1] * 50, count, batch_size=1)
        second = list(session.stream([1] * 50, count, batch_size=8, ordering="as_completed"))
        third = session.call_batch([1, 1], count)
        fourth = session.submit(1, count).result(LIMIT_S)

    found = [item.payload for item in (*first, *second, *third)] + [fourth]
    assert [total for total, _ in found] == list(range(1, 104))
    assert len({pid for _, pid in found}) == 1


def test_calls_of_many_sessions_from_many_threads_are_exact(system):
    sessions = [system.session() for _ in range(20)]
    answers = {session.id: [] for session in sessions}

    def drive(mine):
        for session in mine:
            futures = [session.submit(1, count) for _ in range(30)]
            answers[session.id] = [future.result(LIMIT_S) for future in futures]

    threads = [threading.Thread(target=drive, args=(sessions[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    for session in sessions:
        session.close()

    places = Counter()
    for found in answers.values():
        assert [total for total, _ in found] == list(range(1, 31))
        (pid,) = {pid for _, pid in found}
        places[pid] += 1
    assert sorted(places.values()) == [10, 10]


def test_a_session_that_only_has_a_name_is_sticky_too(system):
    context = slither.Context(session_id="by-name")
    totals_of = [totals(system.dispatch([1], count, context=context)) for _ in range(3)]

    assert totals_of == [[1], [2], [3]]
    assert totals(system.dispatch([1], count)) == [1]
    with system.session("by-name") as session:
        assert totals(session.dispatch([1], count)) == [4]
    assert totals(system.dispatch([1], count, context=context)) == [1]
    with system.session("by-name"):
        pass


def test_a_pipe_in_a_session_meets_its_dispatches_in_the_same_process(system):
    with system.session() as session:
        (before,) = session.dispatch([1], count)
        runs = [session.run_pipe(Twice, [1] * 5).default for _ in range(2)]
        (after,) = session.dispatch([1], count)

    rows = [item.payload for run in runs for item in run]
    assert {row[3] for row in rows} == {before.payload[1]} == {row[0][1] for row in rows}
    assert [row[0][0] for row in rows] == list(range(2, 12))
    assert [row[1] for row in rows] == list(range(1, 11))
    assert after.payload[0] == 12
    assert system.run_pipe(Twice, [1], session_id="another").default[0].payload[:2] != rows[-1][:2]


def test_a_run_without_a_session_is_told_one_of_its_own(system):
    ids = [system.call_batch([1], lambda xs, ctx: [ctx.session_id])[0].payload for _ in range(2)]

    assert len(set(ids)) == 2
    assert None not in ids


def test_whoever_used_a_session_is_told_when_its_dispatcher_dies(system):
    options = {"pool": "single", "context": slither.Context(session_id="told")}
    with system.session() as held:
        totals(held.dispatch([1], count, pool="single"))
        assert totals(system.dispatch([1, 2], count, **options)) == [1, 3]
        os.kill(system.whereis("pools/single/sessions").pid, signal.SIGKILL)

        eventually(lambda: system.whereis("pools/single/sessions"), "it is there again")
        with pytest.raises(SessionLost):
            held.dispatch([1], count, pool="single")
        with pytest.raises(SessionLost, match="pools/single/sessions died"):
            system.dispatch([3], count, **options)
        assert totals(system.dispatch([3], count, **options)) == [3]


def test_sessions_go_on_when_the_supervisor_of_their_pool_has_died(system):
    with system.session() as held:
        assert totals(held.dispatch([1], count, pool="single")) == [1]
        os.kill(system.whereis("pools/single").pid, signal.SIGKILL)

        with pytest.raises((SessionLost, DispatchError)):  # the second is what was under way when it died
            # Its dispatcher may live on for a moment, and answer what comes in time; none begins anew.
            eventually(lambda: totals(held.dispatch([1], count, pool="single")) == [1], "the session is lost")
        with system.session() as fresh:
            assert totals(fresh.dispatch([1, 2], count, pool="single")) == [1, 3]


@pytest.mark.failure
def test_a_killed_worker_ends_the_session_and_no_other(system):
    with system.session("other") as other, system.session("doomed") as session:
        pid = session.submit(1, count).result(LIMIT_S)[1]
        session.submit(1, count).result(LIMIT_S)
        while other.submit(0, count).result(LIMIT_S)[1] == pid:
            pytest.fail("two sessions of a pool of two share a worker")
        with pytest.raises(DispatchError) as caught:
            session.dispatch([1, 2, 5, 1], die_of_five, batch_size=1)
        for again in (lambda: session.dispatch([1], count), lambda: session.submit(1, count).result(LIMIT_S)):
            with pytest.raises(SessionLost, match="'doomed'"):
                again()
        assert other.submit(1, count).result(LIMIT_S)[0] == 1

    error = caught.value.reason
    assert isinstance(error, SessionLost)
    assert (error.session, error.epoch) == ("doomed", 1)
    assert "SIGKILL" in str(error)
    assert totals(caught.value.partial_results) == [3, 5]
    with system.session("doomed") as session:
        assert session.submit(1, count).result(LIMIT_S)[0] == 1


def test_calls_behind_a_death_fail_and_are_not_run_elsewhere(system):
    with system.session() as session:
        session.submit(1, count).result(LIMIT_S)
        before, doomed = session.submit(1, count), session.submit(5, die_of_five)
        behind = []
        with suppress(SessionLost):  # the loss may be known before all of them are sent
            for _ in range(2):
                behind.append(session.submit(1, die_of_five))
        assert before.result(LIMIT_S)[0] == 2
        for future in (doomed, *behind):
            assert isinstance(future.exception(LIMIT_S), SessionLost)


def test_a_session_that_is_rebuilt_goes_on_after_its_start_hook(system):
    with system.session(on_loss="rebuild", session_start=begin_at_hundred) as session:
        futures = [session.submit(number, die_of_five) for number in (1, 5, 1, 1)]
        assert futures[0].result(LIMIT_S)[0] == 101
        assert isinstance(futures[1].exception(LIMIT_S), SessionLost)
        assert [future.result(LIMIT_S)[0] for future in futures[2:]] == [101, 102]
        second = session.submit(5, die_of_five).exception(LIMIT_S)
        assert second.epoch == 2


def raise_once(payloads, ctx):
    """Notes what it is given, and raises at the first sight of 2."""
    seen = ctx.state.setdefault("seen", [])
    seen += payloads
    if payloads == [2] and seen.count(2) == 1:
        raise ValueError("once")
    return [list(seen)] * len(payloads)


def test_nothing_of_a_run_goes_past_a_batch_that_is_tried_again(system):
    with system.session() as session:
        retry = slither.Retry(max_attempts=2, backoff_s=0.05)
        results = session.dispatch([1, 2, 3, 4], raise_once, batch_size=1, on_error=retry)

    assert results[-1].payload == [1, 2, 2, 3, 4]


def test_a_start_hook_that_raises_fails_the_batch(system):
    with system.session(session_start=fail_to_begin) as session:
        with pytest.raises(slither.RemoteError, match="no model"):
            session.submit(1, count).result(LIMIT_S)
        with pytest.raises(DispatchError, match="no model"):
            session.dispatch([1], count)


def test_the_stop_hook_has_run_when_the_block_is_left(system, tmp_path):
    with system.session("s", session_stop=tell_the_end(tmp_path)) as session:
        session.submit(3, count)
        session.submit(4, count)

    assert (tmp_path / "s").read_text() == "7"


def test_a_session_that_idles_too_long_ends_with_its_stop_hook(system, tmp_path):
    session = system.session("idle", ttl_s=0.05, session_stop=tell_the_end(tmp_path))
    session.submit(3, count).result(LIMIT_S)
    eventually((tmp_path / "idle").exists, "the session did not end")

    with pytest.raises(SessionLost):
        session.submit(1, count).result(LIMIT_S)
    session.close()


def first_of(item):
    return item.payload[0]


def test_batches_by_key_run_in_the_order_in_which_they_were_formed(system):
    """In a session all batches are one line, whatever lanes their keys have."""

    def number(payloads, ctx):
        ctx.state["calls"] = ctx.state.get("calls", 0) + 1
        return [ctx.state["calls"]] * len(payloads)

    items = [("ann", 1), ("ann", 2), ("bob", 1)] * 10
    with system.session() as session:
        one_by_one = session.dispatch(items, number, strategy=KeyPartition(first_of, max_size=1))
        together = session.dispatch(items, number, strategy=KeyPartition(first_of))
    assert [item.payload for item in one_by_one] == list(range(1, 31))
    assert [item.payload for item in together] == [31, 31, 32] * 10


@pytest.fixture
def stay(tmp_path):
    """A job that works until its gate is opened for writing and closed."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def stay(payloads):
        gate.read_text()
        return payloads

    return stay, gate


def test_credit_by_weight_comes_back_from_a_batch_that_found_its_worker_busy(system, stay):
    job, gate = stay
    by = WeightedBatch(1, lambda item: 1)
    with system.session() as busy, system.session(mode="fail_fast") as hasty:
        assert totals(hasty.dispatch([1], count, pool="single")) == [1]
        held = busy.submit(1, job, pool="single")
        with gate.open("w"):
            refused = hasty.dispatch([1, 2], count, pool="single", strategy=by, max_in_flight_weight=1, on_error="skip")
        held.result(LIMIT_S)
        assert [type(item.meta["error"]) for item in refused.skipped] == [WorkerBusy] * 2


def test_one_that_does_not_wait_is_told_that_its_worker_is_busy(system, stay):
    stay, gate = stay
    with system.session() as busy, system.session(mode="fail_fast") as hasty:
        assert hasty.submit(1, count, pool="single").result(LIMIT_S)[0] == 1
        held = busy.submit(1, stay, pool="single")
        with gate.open("w"), pytest.raises(WorkerBusy):  # opened when the worker is in it
            hasty.submit(1, count, pool="single").result(LIMIT_S)
        held.result(LIMIT_S)
        assert hasty.submit(1, count, pool="single").result(LIMIT_S)[0] == 2


def test_a_hint_goes_elsewhere_while_its_worker_is_busy(system, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def stay(payloads):
        gate.read_text()
        return [os.getpid()] * len(payloads)

    with system.session(mode="hint") as flexible, ExitStack() as others:
        before = flexible.submit(1, keep).result(LIMIT_S)
        for _ in range(4):  # each goes where the fewest are, and of two such workers to the less busy one
            neighbour = others.enter_context(system.session())
            if neighbour.submit(1, count).result(LIMIT_S)[1] == before:
                break
        else:
            pytest.fail("of two workers one gets no session")
        held = neighbour.submit(1, stay)
        with gate.open("w"):
            total, after = flexible.submit(1, count).result(LIMIT_S)
        assert (total, after != before) == (1, True)
        assert held.result(LIMIT_S) == before
        assert sum(system.call_each(left)) == 0, "its former worker keeps nothing of it"


def test_a_pool_has_so_many_sessions_and_not_one_more(base):
    config = {"sessions": {"max_sessions": 2}}
    with a_system(pools={"default": 1}, config=config) as system:
        one, two, three = (system.session() for _ in range(3))
        for session in (one, two):
            session.submit(1, count).result(LIMIT_S)
        with pytest.raises(SessionLimit, match="2 sessions"):
            three.submit(1, count)
        one.close()
        assert three.submit(1, count).result(LIMIT_S)[0] == 1


def keep(payloads, ctx):
    ctx.state["kept"] = Kept()
    return [os.getpid()] * len(payloads)


def left():
    gc.collect()
    return len(Kept.living)


def test_states_of_sessions_are_freed(system):
    for _ in range(50):
        with system.session() as session:
            session.submit(1, keep).result(LIMIT_S)
            session.dispatch([1], keep)
    eventually(lambda: sum(system.call_each(left)) == 0, "states are kept")


def test_a_closed_session_refuses_work(system):
    session = system.session()
    future = session.submit(1, count)
    future.result(LIMIT_S)
    session.close()
    session.close()

    for call in (session.dispatch, session.submit, session.call_batch):
        with pytest.raises(SessionLost, match="ended"):
            call([1], count)


@pytest.mark.parametrize(
    "options", [{"mode": "now"}, {"on_loss": "ignore"}, {"ttl_s": 0}, {"session_start": 5}, {"session_id": ""}]
)
def test_a_wrong_option_is_refused(system, options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        system.session(**options)


def echo(payloads):
    return payloads


def never(payloads):
    raise ValueError("never")


class TwoInARow(slither.Pipe):
    first = slither.worker(echo, batch_size=1)
    second = slither.worker(echo, batch_size=1)


class PastOne(slither.Pipe):
    first = slither.worker(never, batch_size=1, on_error=slither.Route("late"))

    @slither.local
    def between(item, ctx):
        return item.payload

    @slither.local
    def late(item, ctx):
        return ("late", item.payload)


@pytest.mark.parametrize(("pipe", "made"), [(TwoInARow, lambda n: n), (PastOne, lambda n: ("late", n))])
def test_in_a_sticky_pipe_credit_comes_back_on_every_way(system, pipe, made):
    """Both stages of an edge are parts of one dispatcher then, and each side has its own word on it."""
    outputs = system.run_pipe(pipe, range(60), session_id=f"ways of {pipe.__name__}", deadline_s=60)
    assert [item.payload for item in outputs.default] == [made(n) for n in range(60)]
