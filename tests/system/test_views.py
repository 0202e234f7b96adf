"""Views of stores: who can call them, how long they live, and what is reported of them."""

from __future__ import annotations

import os

import pytest

import slither_actors as slither
from slither_actors import telemetry
from slither_actors.store.views import ProcessStores
from tests.helpers import stores
from tests.helpers.stores import Features
from tests.system.running import a_system, processes

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stores")]


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(stores=[Features, Features.named("eu")], pools={"default": 1}) as running:
        yield running


def worker_pids(system):
    return {node["pid"] for name, node in processes(system).items() if "/workers/" in name}


def results(system, function, *calls, **options):
    return [item.payload for item in system.dispatch(list(calls), function, **options)]


GLOBAL = ("look_all", "remember_for_ever", "who")
OF_SESSIONS = ("broken", "look", "remember", "too_few", "too_slow", "write")


def test_worker_code_calls_a_view_by_its_name_and_it_runs_there(system):
    system.store(Features).features.put("here", 1)
    (tier, here) = results(system, stores.view, ("look", {"key": "user:42"}), ("look", {"key": "here"}))
    assert (tier, here) == ({"tier": "gold"}, 1)
    ((stage, session, pid),) = results(system, stores.view, ("who", {}), context=slither.Context(stage="s"))
    assert (stage, pid in worker_pids(system)) == ("s", True)
    assert session, "there is one, if only a fresh one"


def test_of_two_stores_of_one_class_the_one_with_its_name_is_meant_and_others_are_named(system):
    system.store("eu").features.put("where", "eu")
    found = results(system, stores.view, ("look", {"key": "where"}), ("eu.look", {"key": "where"}))
    assert found == ["none", "eu"]


def test_a_batch_view_gets_all_at_once_and_a_scalar_one_is_called_for_each(system):
    asked = [{"key": "user:42"}, {"key": "loads"}]
    calls = ("look_all", asked), ("look", asked), ("look_all", [])
    at_once, one_by_one, none = results(system, stores.view_batch, *calls)
    assert at_once == [({"tier": "gold"}, 2), (1, 2)]
    assert one_by_one == [{"tier": "gold"}, 1]
    assert none == []
    assert results(system, stores.view, ("look_all", {"key": "loads"})) == [(1, 1)]


def test_a_view_takes_no_longer_than_it_may(system):
    (found,) = results(system, stores.view, ("too_slow", {}))
    assert found == ("ViewTimeout", "view too_slow of store Features took longer than timeout_s=0.1")


def test_what_a_view_raises_or_gets_wrong_reaches_who_called_it(system):
    found = results(system, stores.view, ("broken", {}), ("too_few", {}), ("look", {}))
    assert found == [
        ("LookupError", "no luck"),
        ("ResultCountMismatch", "view too_few got 1 items and gave 0 results; it must give one per item"),
        ("KeyError", "'key'"),
    ]


def test_a_view_that_is_not_there_is_named_with_those_that_are(system):
    (found,) = results(system, stores.view, ("loook", {}))
    known = ", ".join(sorted(GLOBAL + OF_SESSIONS))
    assert found == ("UnknownView", f"no view is called 'loook' here; there are: {known}")


def test_views_are_listed_by_scope_and_running_makes_them_no_more(system):
    for _ in range(3):
        listed = results(system, stores.views, "session", "global", None)
        assert listed == [OF_SESSIONS, GLOBAL, tuple(sorted(OF_SESSIONS + GLOBAL))]


def test_a_pipe_sees_the_session_views_of_the_stores_that_it_names(system):
    outputs = system.run_pipe(stores.Unnamed, [None, "session"])
    assert [item.payload for item in outputs.default] == [GLOBAL, ()]
    assert [item.payload for item in system.run_pipe(stores.Writing, ["x"]).default] == [("x", {"tier": "gold"}, 1)]


def test_what_a_view_of_a_session_keeps_dies_with_the_session_and_what_a_global_one_keeps_does_not(system):
    def asked(name, **options):
        return results(system, stores.view, (name, {}), (name, {}), **options)

    assert asked("remember") == asked("remember") == [1, 2], "each run begins anew"
    with system.session("s") as session:
        context = slither.Context(session_id="s")
        assert [asked("remember", context=context) for _ in range(2)] == [[1, 2], [3, 4]]
        assert [item.payload for item in session.dispatch([("remember", {})], stores.view)] == [5]
    with system.session("s"):
        assert asked("remember", context=slither.Context(session_id="s")) == [1, 2]
    before = asked("remember_for_ever")
    assert asked("remember_for_ever") == [before[-1] + 1, before[-1] + 2]


def test_runs_that_share_a_session_do_not_end_each_others_views(system):
    with system.session("shared") as session:
        stream = session.stream(iter([("remember", {})] * 300), stores.view, batch_size=1)
        first = next(stream).payload
        with pytest.raises(slither.DispatchError):
            session.dispatch([1], stores.read_handle)
        rest = [item.payload for item in stream]
    assert [first, *rest] == list(range(1, 301))


def test_a_view_that_writes_goes_to_the_owner_and_reads_it_at_once(system):
    (pid,) = results(system, stores.view, ("write", {"key": "by a view"}))
    assert system.store(Features).features["by a view"] == pid != os.getpid()


def test_a_view_reports_its_start_and_its_end(system, store_access):
    context = slither.Context(session_id="s").bind({}, store_access.run(None, {}))
    with telemetry.capture(telemetry.VIEW) as events:
        assert context.view_batch("look_all", [{"key": 1}, {"key": 2}]) == [(None, 2), (None, 2)]
        with pytest.raises(LookupError):
            context.view("broken")
        with pytest.raises(slither.ViewTimeout):
            context.view("too_slow")
    said = [(event.name[-1], event.metadata["view"], event.metadata.get("outcome")) for event in events]
    assert said == [
        ("start", "look_all", None),
        ("stop", "look_all", "ok"),
        ("start", "broken", None),
        ("exception", "broken", "error"),
        ("start", "too_slow", None),
        ("exception", "too_slow", "error"),
    ]
    assert events[1].measurements["items_in"] == events[1].measurements["items_out"] == 2
    assert events[1].metadata | {"outcome": 0} == {
        "store": "Features",
        "view": "look_all",
        "scope": "global",
        "mode": "batch",
        "outcome": 0,
    }


@pytest.fixture
def store_access(system):
    access = ProcessStores(system._client.directory, interrupts=True)
    yield access
    access.close()


def test_a_scope_that_nobody_wrote_down_is_what_the_configuration_says(tidy_each):
    config = {"bridge": {"default_scope": "global"}}
    with a_system(stores=[Features], pools={"default": 1}, config=config) as system:
        outputs = system.run_pipe(stores.Unnamed, ["session", "global"])
        assert [item.payload for item in outputs.default] == [(), tuple(sorted(OF_SESSIONS + GLOBAL))]


def test_a_context_that_no_process_has_bound_knows_no_store():
    with pytest.raises(slither.UnknownStore, match="this system has: none"):
        slither.Context().store(Features)
    with pytest.raises(slither.UnknownView, match="there are: none"):
        slither.Context().view("look")
    with pytest.raises(slither.UnknownView):
        slither.Context().view_batch("look", [])
    assert slither.Context().views() == ()
