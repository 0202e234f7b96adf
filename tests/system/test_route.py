"""Failed items that flow on: replaced by what a function makes of them, or to another place of the pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

import slither_actors as slither
from slither_actors import DispatchError, InvalidOption, Item, RemoteError, Retry, Route, Skip, WorkerCrashed
from slither_actors.errors import DefinitionError
from tests.system.running import a_system

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


@pytest.fixture(scope="module")
def system(tidy):
    with a_system() as running:
        yield running


def tenfold(payloads):
    """Cannot do negative numbers, and dies of -9."""
    if -9 in payloads:
        os.kill(os.getpid(), signal.SIGKILL)
    if min(payloads) < 0:
        raise ValueError("negative")
    return [payload * 10 for payload in payloads]


def excuse(item, reason):
    return f"{item.payload}: {type(reason).__name__}"


def payloads(items):
    return [item.payload for item in items]


# -- dispatches


@pytest.mark.parametrize("call", ["dispatch", "stream"])
def test_what_a_function_makes_of_an_item_takes_its_place_in_the_order(system, call):
    policy = Route(excuse, isolate=True)
    results = getattr(system, call)([1, -2, 3, -9, 5], tenfold, batch_size=4, on_error=policy)
    assert payloads(results) == [10, "-2: RemoteError", 30, "-9: WorkerCrashed", 50]
    assert (len(results.skipped), len(results.dropped), len(results.dead)) == (0, 0, 0)


def test_without_isolate_the_whole_batch_is_routed_item_by_item(system):
    results = system.dispatch([1, -2, 3], tenfold, batch_size=2, on_error=Route(excuse))
    assert payloads(results) == ["1: RemoteError", "-2: RemoteError", 30]


def test_the_function_runs_in_the_thread_that_takes_the_results_and_may_be_any_closure(system):
    seen = []

    def note(item, reason):
        seen.append((threading.get_ident(), os.getpid(), item.payload, str(reason)))
        return item

    (item,) = system.dispatch([-1], tenfold, on_error=Route(note))
    assert seen == [(threading.get_ident(), os.getpid(), -1, "ValueError: negative")]
    assert item.payload == -1
    assert isinstance(item.meta["error"], RemoteError)
    assert (item.meta["stage"], item.meta["attempts"]) == (None, 1)


def test_an_item_of_one_s_own_takes_its_place_as_it_is(system):
    other = Item.wrap("other")
    (item,) = system.dispatch([-1], tenfold, on_error=Route(lambda item, reason: other))
    assert (item.id, item.payload) == (other.id, "other")


def test_after_all_attempts_an_item_may_be_routed(system):
    policy = Retry(max_attempts=2, backoff_s=0.0, then=Route(excuse), isolate=True)
    results = system.dispatch([1, -2], tenfold, batch_size=2, on_error=policy)
    assert payloads(results) == [10, "-2: RemoteError"]
    assert results[1].meta["attempts"] == 2


def boom(item, reason):
    raise KeyError(item.payload)


@pytest.mark.failure
@pytest.mark.parametrize("wrong", [boom, lambda item, reason: slither.Drop("no"), lambda item, reason: Skip()])
def test_where_there_is_no_replacement_the_item_is_dead_and_the_record_names_both_errors(system, wrong):
    results = system.dispatch([1, -2], tenfold, batch_size=1, on_error=Route(wrong))
    assert payloads(results) == [10]
    (item,) = results.dead
    assert item.payload == -2
    assert "in the function of Route, for an item that failed with <RemoteError: 'ValueError: neg" in str(
        item.meta["error"]
    )


def test_a_dispatch_has_no_other_places(system):
    with pytest.raises(InvalidOption, match=r"on_error is Route\(to='review'.*only a stage of a pipe has other places"):
        system.dispatch([1], tenfold, on_error=Route("review"))


@pytest.mark.parametrize("wrong", [None, 1, lambda item: item, tenfold])
def test_what_cannot_route_is_refused(wrong):
    with pytest.raises(InvalidOption, match=r"Route: to is .*; allowed: a plain function of item and reason"):
        Route(wrong)


# -- pipes


class Review(slither.Pipe):
    """A worker stage's failures go to an output, a later stage's too."""

    work = slither.worker(tenfold, batch_size=2, on_error=Route("review", isolate=True))

    @slither.local(on_error=Route("review"))
    def check(item, ctx):
        if item.payload == 70:
            raise ValueError("seventy")
        return item.payload + 1

    outputs = ["review"]


def test_failed_items_reach_an_output_as_they_came(system):
    outputs = system.run_pipe(Review, [1, -2, 3, -9, 7])
    assert payloads(outputs.default) == [11, 31]
    assert payloads(outputs.review) == [-2, -9, 70]
    stages = [(item.route, item.meta["stage"], type(item.meta["error"])) for item in outputs.review]
    assert stages == [
        ("review", "work", RemoteError),
        ("review", "work", WorkerCrashed),
        ("review", "check", RemoteError),
    ]


def double(payloads):
    return [payload * 2 for payload in payloads]


def note_between(payloads):
    return [("between", payload) for payload in payloads]


class Detour(slither.Pipe):
    """To a later stage, past the one in between."""

    first = slither.worker(tenfold, batch_size=1, on_error=Route("mend"))
    between = slither.worker(note_between, batch_size=1, then="again")

    @slither.local
    def mend(item, ctx):
        return ("mended", item.payload, str(item.meta["error"]))

    again = slither.worker("builtins:list", batch_size=2)


def test_failed_items_reach_a_later_stage_past_others(system):
    outputs = system.run_pipe(Detour, [1, -2, 3])
    assert payloads(outputs.default) == [("between", 10), ("mended", -2, "ValueError: negative"), ("between", 30)]


class ToWorker(slither.Pipe):
    first = slither.worker(tenfold, batch_size=1, on_error=Route("second"))

    @slither.local
    def between(item, ctx):
        return item.payload + 1

    second = slither.worker(double, batch_size=4)


def test_failed_items_reach_a_later_worker_stage(system):
    assert payloads(system.run_pipe(ToWorker, [1, -2, 3]).default) == [22, -4, 62]


def where_it_ran(item, reason):
    return (item.payload, os.getpid())


class ByFunction(slither.Pipe):
    on_error = {"*": Route(where_it_ran)}
    work = slither.worker(tenfold, batch_size=1)

    @slither.local
    def last(item, ctx):
        if isinstance(item.payload, int):
            raise ValueError(item.payload)
        return (*item.payload, os.getpid())


def test_a_function_runs_where_the_item_is_read_next_in_a_pipe(system):
    made = payloads(system.run_pipe(ByFunction, [1, -2]).default)
    (ten, own), (two, router, stage) = made
    assert (ten, two) == (10, -2)
    assert own == router == stage
    assert own != os.getpid()


class LastWorker(slither.Pipe):
    work = slither.worker(tenfold, batch_size=1, on_error=Route(where_it_ran))


def test_behind_the_last_worker_stage_that_is_the_service(system):
    assert payloads(system.run_pipe(LastWorker, [1, -2]).default) == [10, (-2, os.getpid())]


class WorkerToWorker(slither.Pipe):
    first = slither.worker(tenfold, batch_size=1, on_error=Route(lambda item, reason: 100))
    second = slither.worker(double, batch_size=4)


def test_between_two_worker_stages_it_runs_in_a_worker(system):
    assert payloads(system.run_pipe(WorkerToWorker, [1, -2, 3]).default) == [20, 200, 60]


class Raising(slither.Pipe):
    on_error = {"*": Route(boom)}
    work = slither.worker(tenfold, batch_size=1)

    @slither.local
    def last(item, ctx):
        if item.payload == 30:
            raise ValueError("thirty")
        return item.payload


def test_in_pipes_too_an_item_whose_function_raises_is_dead(system):
    outputs = system.run_pipe(Raising, [1, -2, 3])
    assert payloads(outputs.default) == [10]
    assert sorted(payloads(outputs.dead)) == [-2, 30]
    assert {item.meta["error"].type_name for item in outputs.dead} == {"KeyError"}


def test_a_place_that_a_stage_cannot_reach_is_refused_when_the_pipe_is_defined():
    with pytest.raises(DefinitionError, match=r"late: its error policy routes to 'early', which it cannot reach"):

        class Backwards(slither.Pipe):
            early = slither.worker(tenfold)
            late = slither.worker(tenfold, on_error=Route("early"))


def test_the_policy_for_all_stages_must_fit_each(system):
    with pytest.raises(DefinitionError, match=r"second: its error policy routes to 'second', which it cannot reach"):

        class Loop(slither.Pipe):
            on_error = {"*": Route("second")}
            first = slither.worker(tenfold)
            second = slither.worker(tenfold)


class Stuck(slither.Pipe):
    """What the function gives cannot travel."""

    @slither.local(on_error=Route(lambda item, reason: threading.Lock()))
    def first(item, ctx):
        if item.payload < 0:
            raise ValueError("negative")
        return item.payload

    @slither.local
    def second(item, ctx):
        return item.payload


def test_a_replacement_that_cannot_travel_is_dead_and_the_run_ends(system):
    outputs = system.run_pipe(Stuck, [1, -2, 3])
    assert payloads(outputs.default) == [1, 3]
    (item,) = outputs.dead
    assert item.payload == -2


class Unpicklable(slither.Pipe):
    """An answer that cannot travel is routed at the very end of the run, to an edge that was packed already."""

    @slither.local(on_error=Route("late"), then="early")
    def first(item, ctx):
        return threading.Lock() if item.payload < 0 else item.payload

    @slither.local
    def late(item, ctx):
        return ("late", item.payload)

    @slither.local
    def early(item, ctx):
        return item.payload


def test_nothing_is_left_behind_when_the_last_item_is_routed_while_it_is_packed(system):
    outputs = system.run_pipe(Unpicklable, [1, -2])
    assert sorted(payloads(outputs.default), key=str) == [("late", -2), 1]


def test_halt_after_routing_is_still_a_halt(system):
    with pytest.raises(DispatchError):
        system.dispatch([-1], tenfold, on_error=Retry(max_attempts=1, then="halt"))


def marks_a_file(item, reason):
    with open(item.meta["note"], "a") as note:
        note.write(f"{os.getpid()}\n")
    return item.payload


class Recorded(slither.Pipe):
    """The second stage fails with what the function of the first one's policy gave."""

    first = slither.worker(tenfold, batch_size=1, on_error=Route(marks_a_file))
    second = slither.worker(tenfold, batch_size=1, on_error="skip")


def test_a_function_is_not_called_again_to_record_how_an_item_ended(system, tmp_path):
    item = Item.wrap(-1).with_meta(note=str(tmp_path / "note"))
    outputs = system.run_pipe(Recorded, [item])
    (ended,) = outputs.skipped
    assert (ended.payload, ended.meta["stage"]) == (-1, "second")
    pids = (tmp_path / "note").read_text().split()
    assert len(pids) == 1
    assert int(pids[0]) != os.getpid()


def test_the_record_of_an_item_without_a_replacement_tells_its_attempts(system):
    policy = Retry(max_attempts=2, backoff_s=0.0, then=Route(boom))
    (item,) = system.dispatch([-1], tenfold, on_error=policy).dead
    assert item.meta["attempts"] == 2


def cancelled(item, reason):
    raise asyncio.CancelledError


def test_whatever_a_function_raises_is_the_end_of_its_item_alone(system):
    results = system.dispatch([1, -2], tenfold, batch_size=1, on_error=Route(cancelled))
    assert (payloads(results), payloads(results.dead)) == ([10], [-2])


class Accepting(slither.Pipe):
    work = slither.worker(tenfold, batch_size=1, then="accept", on_error=Route(lambda item, reason: Item.wrap("new")))
    outputs = ["accept"]


def test_an_item_of_one_s_own_reaches_the_output_that_the_stage_leads_to(system):
    assert payloads(system.run_pipe(Accepting, [1, -2]).accept) == [10, "new"]
