"""`InlineSystem`: the calls of a system, without its processes."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest

import slither_actors as slither
from slither_actors.testing import Crash, FakeClock, Hang, InlineSystem, NotSimulated
from tests.helpers import jobs
from tests.helpers.forms import MISHAPS, POLICIES, in_each_form, without_names


def payloads(items: Any) -> list[Any]:
    return [item.payload for item in items]


class Counts(slither.Store):
    rows = slither.Table(kind="set")

    def load(self, tables):
        tables.rows.put("loaded", 1)

    @slither.view(mode="scalar", scope="session", timeout_s=5.0)
    def count_of(self, params, ctx):
        return self.rows.get(params["key"])


class Route(slither.Pipe):
    @slither.local
    def more(item, ctx):
        ctx.state["seen"] = ctx.state.get("seen", 0) + 1
        return item.payload + 1

    twice = slither.worker(jobs.double, batch_size=3)
    route = slither.router((lambda item: item.payload > 10, "large"))
    outputs = ["large"]


@pytest.fixture
def system() -> Any:
    with InlineSystem(stores=[Counts]) as made:
        yield made


@pytest.mark.parametrize("policy", ["halt", "isolate", "retry", "route"])
@pytest.mark.parametrize("mishap", MISHAPS[:2])
def test_every_form_gives_the_same(policy: str, mishap: str) -> None:
    with InlineSystem() as system:
        first, *others = without_names(mishap, in_each_form(system, [1, 2, 3, 4, mishap, 6, 7, 8], POLICIES[policy]))

    assert others == [first] * 3


def test_it_is_a_system_of_one_process(system: InlineSystem) -> None:
    assert isinstance(system, slither.System)
    assert set(payloads(system.dispatch(range(9), jobs.pids, batch_size=2))) == {os.getpid()}
    assert system.call_each(os.getpid) == [os.getpid()] * 2


def test_what_happens_is_the_same_every_time() -> None:
    def once() -> list[Any]:
        with InlineSystem(pools={"default": 3}) as system:
            options: dict[str, Any] = {"batch_size": 2, "ordering": "as_completed", "on_error": "skip"}
            results = system.dispatch([1, "raise", 3, 4, "_exit", 6, 7], mishaps_of_all_kinds, **options)
            return [payloads(results), payloads(results.skipped), system.clock.now]

    assert once() == once()


def mishaps_of_all_kinds(values):
    if "_exit" in values:
        raise Crash
    return jobs.mishaps(values)


def test_a_stream_pulls_no_further_than_a_real_one(system: InlineSystem) -> None:
    pulled = itertools.count()
    with system.stream((next(pulled) for _ in itertools.count()), jobs.same, batch_size=4, max_in_flight=2) as stream:
        assert payloads(itertools.islice(stream, 10)) == list(range(10))
    assert next(pulled) <= 12 + (2 + 4) * 4


def test_a_source_is_pulled_in_the_thread_that_asks(system: InlineSystem) -> None:
    threads = set()

    def source():
        for number in range(5):
            threads.add(threading.get_ident())
            yield number

    assert payloads(system.dispatch(source(), jobs.same)) == list(range(5))
    assert threads == {threading.get_ident()}


def test_pipes_route_keep_their_stages_and_stop(system: InlineSystem) -> None:
    system.start_pipe(Route)
    outputs = system.run_pipe(Route, range(10))
    with system.stream_pipe(Route, itertools.count()) as stream:
        streamed = [(item.payload, item.route) for item in itertools.islice(stream, 6)]

    assert (payloads(outputs.default), payloads(outputs.large)) == ([2, 4, 6, 8, 10], [12, 14, 16, 18, 20])
    assert streamed == [(2, "default"), (4, "default"), (6, "default"), (8, "default"), (10, "default"), (12, "large")]
    assert system.stop_pipe(Route).complete
    assert payloads(system.run_pipe(Route, [1]).default) == [4]


class Leaves(slither.Stage):
    @attrs.frozen
    class Options:
        note: str

    def handle_item(self, item, ctx):
        return item.payload

    def teardown(self):
        with open(self.options.note, "a") as file:
            file.write("left\n")


def test_stages_are_torn_down_with_their_pipe_and_with_the_system(tmp_path: Path) -> None:
    note = tmp_path / "note"

    class Leaving(slither.Pipe):
        only = slither.stage(Leaves, note=str(note))

    with InlineSystem(pipes=[Leaving]) as system:
        system.stop_pipe(Leaving)
        assert note.read_text() == "left\n"
        assert system.whereis("pipes/Leaving-1/only") is None
        system.start_pipe(Leaving)
    assert note.read_text() == "left\n" * 2


def counted(values, ctx):
    return [ctx.store("Counts").rows.increment("n", value, default=0) for value in values]


def viewed(values, ctx):
    return [ctx.view("count_of", key=value) for value in values]


def test_stores_and_views_are_those_of_all(system: InlineSystem) -> None:
    store = system.store(Counts)

    assert payloads(system.dispatch([1, 2, 3], counted)) == [1, 3, 6]
    assert (store.rows.get("n"), store.within(timeout_s=1.0).rows.increment("n")) == (6, 7)
    assert payloads(system.dispatch(["n", "loaded"], viewed)) == [7, 1]
    assert (store.reload(), store.rows.get("n")) == (2, None)


def stateful(values, ctx):
    ctx.state["n"] = ctx.state.get("n", 0) + len(values)
    return [ctx.state["n"]] * len(values)


def test_a_session_has_one_state_until_it_ends(system: InlineSystem) -> None:
    with system.session() as session:
        assert payloads(session.dispatch([1, 2, 3], stateful, batch_size=1)) == [1, 2, 3]
        assert session.submit("x", stateful).result(timeout=0) == 4
    with pytest.raises(slither.SessionLost):
        session.submit("x", stateful)
    with system.session() as session:
        assert session.submit("x", stateful).result(timeout=0) == 1


def test_a_session_whose_worker_dies_is_lost(system: InlineSystem) -> None:
    with system.session() as session:
        session.dispatch([1], stateful)
        with pytest.raises(slither.DispatchError) as failed:
            session.dispatch(["_exit"], mishaps_of_all_kinds)
        with pytest.raises(slither.SlitherError):
            session.submit("x", stateful).result(timeout=0)
    assert isinstance(failed.value.reason, slither.SessionLost | slither.WorkerCrashed)


def hanging(values):
    if 2 in values:
        raise Hang
    return values


def test_waiting_is_over_at_once() -> None:
    clock = FakeClock(100.0)
    with InlineSystem(clock=clock) as system:
        results = system.dispatch(range(4), hanging, batch_size=1, on_error="skip", timeout_s=3600.0)

    assert payloads(results) == [0, 1, 3]
    assert isinstance(results.skipped[0].meta["error"], slither.BatchTimeout)
    assert 3700.0 <= clock.now < 3702.0


def test_batches_take_the_time_that_they_are_said_to() -> None:
    with InlineSystem(seconds=lambda values: 31.0 if 2 in values else 1.0, pools={"default": 1}) as system:
        results = system.dispatch(range(4), jobs.same, batch_size=1, on_error="skip", timeout_s=30.0)

    assert payloads(results) == [0, 1, 3]
    assert isinstance(results.skipped[0].meta["error"], slither.BatchTimeout)
    assert 33.0 <= system.clock.now < 34.0
    with pytest.raises(slither.InvalidOption, match="InlineSystem: seconds"):
        InlineSystem(seconds=-1)


def test_a_deadline_is_one_of_its_clock() -> None:
    with InlineSystem() as system, pytest.raises(slither.DispatchError) as failed:
        system.dispatch(range(4), hanging, batch_size=1, timeout_s=60.0, deadline_s=5.0)
    assert isinstance(failed.value.reason, slither.DeadlineExceeded)


def test_a_stop_drains_and_removes_everything(system: InlineSystem) -> None:
    directory = Path(system._client.directory)
    stream = system.stream(itertools.count(), jobs.same, batch_size=2)
    taken = [next(stream).payload for _ in range(3)]
    report = system.stop()

    taken += payloads(stream)
    (run,) = report.runs
    assert taken == list(range(run.pulled))
    assert (stream.drained, report.complete, run.outcome) == (True, True, "drained")
    assert not directory.exists()
    with pytest.raises(slither.SystemDown):
        system.dispatch([1], jobs.same)
    with pytest.raises(slither.SystemDown):
        system.store(Counts)


class Broken(slither.Store):
    rows = slither.Table(kind="set")

    def load(self, tables):
        raise ValueError("no rows")


class Unready(slither.Stage):
    def setup(self, ctx):
        raise ValueError("not ready")

    def handle_item(self, item, ctx):
        return item.payload


class WithUnready(slither.Pipe):
    only = slither.stage(Unready)


def test_what_does_not_start_says_so(system: InlineSystem) -> None:
    with pytest.raises(slither.StartError, match="no rows"):
        InlineSystem(stores=[Broken])
    for _ in range(2):
        with pytest.raises(slither.StartError, match="not ready"):
            system.run_pipe(WithUnready, [1])
    with pytest.raises(slither.UnknownPool):
        system.dispatch([1], jobs.same, pool="gpu")
    with pytest.raises(slither.InvalidOption, match="batch_size"):
        system.dispatch([1], jobs.same, batch_sise=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda system: system.call("children/own", 1), "call"),
        (lambda system: system.cast("children/own", 1), "cast"),
        (lambda system: system.supervisor("children"), "supervisor"),
        (lambda system: system.resize_pool("default", 3), "resize_pool"),
        (lambda system: system.actor_system, "actor_system"),
        (lambda system: system.start_pipe(Route).submit(1), "submit"),
        (lambda system: InlineSystem(children=[slither.otp.ChildSpec("own", object)]), "children"),
    ],
)
def test_what_is_not_there_is_refused_by_name(system: InlineSystem, use: Any, named: str) -> None:
    with pytest.raises(NotSimulated, match=f"^{named}"):
        use(system)


def test_figures_are_those_of_a_system(system: InlineSystem) -> None:
    system.run_pipe(Route, [1])
    figures = system.statistics()

    assert (figures["pools"]["default"]["up"], list(figures["pipes"])) == (2, ["Route"])
    assert system.topology()["name"] == "inline"
    assert system.incidents() == ()
    assert system.whereis("pools/default/dispatcher") is not None


def test_events_are_heard(system: InlineSystem) -> None:
    with slither.telemetry.capture() as events:
        system.dispatch(range(4), jobs.same, batch_size=2)
        system.store(Counts).rows.put("a", 1)

    assert events.one("slither.dispatch.run.stop").measurements["items_out"] == 4
    assert events.one("slither.store.write").metadata["table"] == "rows"


def test_a_clock_goes_on_when_it_is_told() -> None:
    clock = FakeClock(5.0)
    clock.advance(2.5)

    assert (clock(), clock.now, repr(clock)) == (7.5, 7.5, "<FakeClock 7.5>")
    with pytest.raises(slither.InvalidOption, match="at least 0"):
        clock.advance(-1.0)
    with pytest.raises(slither.InvalidOption):
        FakeClock("now")  # type: ignore[arg-type]
    with pytest.raises(slither.InvalidOption, match="FakeClock"):
        InlineSystem(clock=5.0)  # type: ignore[arg-type]
