"""Stores in a running system: who reads, who writes, who loads, and what a death costs."""

from __future__ import annotations

import os
import pickle
import signal
import threading

import pytest

import slither_actors as slither
from slither_actors import telemetry
from tests.helpers import stores
from tests.helpers.patience import PATIENCE_S
from tests.helpers.stores import Broken, Features
from tests.system.running import a_system, kill, pid_of, processes, restarted
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stores")]

OWNER = "stores/Features"


@pytest.fixture(scope="module")
def system(tidy, tmp_path_factory):
    durable = tmp_path_factory.mktemp("durable")
    with a_system(stores=[Features, Features.named("eu", durable)]) as running:
        yield running


@pytest.fixture
def store(system):
    return system.store(Features)


@pytest.fixture
def order(base):
    """Says what the next `load` does."""
    file = base / "orders"
    yield file.write_text
    file.unlink(missing_ok=True)


def payloads(items):
    return [item.payload for item in items]


def test_the_tables_are_loaded_when_start_returns(store):
    assert store.features.get("user:42") == {"tier": "gold"}
    assert store.version == 1


def test_a_store_is_found_by_its_class_by_its_name_and_by_a_handle_that_travels(system, store):
    assert system.store("Features").name == system.store(Features.named("Features")).name == store.name
    loads = store.features["loads"]
    assert pickle.loads(pickle.dumps(store)).features["loads"] == loads
    assert payloads(system.dispatch([store], stores.read_handle)) == [loads]


def test_a_handle_that_travelled_gives_back_all_it_opened(store):
    guest = pickle.loads(pickle.dumps(store))
    guest.features.put("guest", 1)
    (line,) = guest._calls.lines._idle
    assert not line.closed
    also = guest.within(5)
    guest.close()
    assert line.closed
    for use in (lambda: guest.features.get("guest"), lambda: guest.features.put("guest", 2), lambda: also.version):
        with pytest.raises(slither.StoreUnavailable, match="cannot be used: this handle was closed"):
            use()
    assert store.features["guest"] == 1


@pytest.mark.parametrize("wrong", ["Feature", "us", Broken])
def test_a_store_that_is_not_there_is_named_with_those_that_are(system, wrong):
    with pytest.raises(slither.UnknownStore, match="this system has: Features, eu"):
        system.store(wrong)


@pytest.mark.parametrize("wrong", [None, 5, int])
def test_what_is_no_store_is_refused(system, wrong):
    with pytest.raises(slither.InvalidOption, match="the name of a store, or its class"):
        system.store(wrong)


def test_a_handle_names_the_tables_that_there_are(store):
    with pytest.raises(AttributeError, match="no attribute 'feature'; tables of this one: features, mirror, tags"):
        _ = store.feature
    with pytest.raises(slither.InvalidOption, match="allowed: features, mirror, tags"):
        store.table("feature")
    assert store.table("tags") is store.tags
    with pytest.raises(AttributeError, match=r"tags is a table; write to it with tags\.put"):
        store.tags = {}


def test_two_stores_of_one_class_do_not_meet(system, store):
    eu = system.store("eu")
    eu.features.put("who", "eu")
    store.features.put("who", "default")
    assert (eu.features["who"], store.features["who"]) == ("eu", "default")


def test_a_write_is_seen_at_once_wherever_it_was_made(system, store):
    keys = [f"w{number}" for number in range(40)]
    assert all(payloads(system.dispatch(keys, stores.write, batch_size=5)))
    assert set(store.features.get_many(keys)) == set(keys)


def test_threads_of_a_worker_write_side_by_side(system, store):
    assert payloads(system.dispatch([1], stores.write_from_threads)) == [8]
    assert store.features["threads"] == 8


def test_stages_and_workers_of_a_pipe_write_and_call_views(system, store):
    outputs = system.run_pipe(stores.Writing, [1, 2, 3])
    assert payloads(outputs.default) == [(number, {"tier": "gold"}, 1) for number in (1, 2, 3)]
    assert store.tags.get("prepared") == [1, 2, 3]


def test_many_threads_write_and_nothing_is_lost(store):
    def count():
        for _ in range(25):
            store.features.increment("count", default=0)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.features["count"] == 200


def test_a_stored_none_and_a_key_with_several_values_are_told_apart(store):
    store.features.put("nothing", None)
    assert store.features.get("nothing", "default") is None
    assert "nothing" in store.features
    assert store.features["nothing"] is None
    with pytest.raises(KeyError):
        store.features["never"]
    store.tags.put("wide", (1, 2, 3))
    store.tags.put("wide", 4)
    assert store.tags.get("wide") == store.tags.get_all("wide") == [(1, 2, 3), 4]
    store.mirror.put(1, "one")
    assert store.mirror[1.0] == "one"


def test_a_transaction_is_one_commit_or_nothing(store):
    with store.transaction() as writes:
        writes.features.put("t", 1)
        writes.mirror.put("t", 1)
        writes.features.increment("t", 5)
        assert store.features.get("t") is None
    assert (store.features["t"], store.mirror["t"], writes.results) == (6, 1, [None, None, 6])
    with pytest.raises(slither.InvalidOption), store.transaction() as writes:  # noqa: PT012
        writes.features.put("t", "changed")
        writes.features.increment("user:42")
    with pytest.raises(ZeroDivisionError), store.transaction() as writes:
        writes.table("features").put("t", 1 / 0)
    assert store.features["t"] == 6


def test_a_function_that_raises_in_an_update_harms_nobody(system, store):
    before = pid_of(system, OWNER)
    with pytest.raises(ZeroDivisionError):
        store.features.update("loads", lambda value: 1 / 0)
    with pytest.raises(KeyError):
        store.features.update("never", lambda value: value)
    assert store.features.update("loads", lambda value: value + 1) == 2
    assert pid_of(system, OWNER) == before


def test_a_source_that_is_slow_blocks_no_other_writer(store):
    written = []

    def rows():
        yield "bulk 1", 1
        store.features.put("meanwhile", 1)
        written.append(store.features.get("bulk 1"))
        yield "bulk 2", 2

    assert store.features.bulk_insert(rows()) == 2
    assert written == [None]
    assert store.features["bulk 2"] == 2


def test_a_source_that_raises_inserts_nothing(store):
    def rows():
        yield "torn bulk", 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        store.features.bulk_insert(rows())
    assert "torn bulk" not in store.features


def test_the_event_of_a_write_counts_what_was_written(store):
    store.features.put("gone soon", 1)
    with telemetry.capture(telemetry.STORE_WRITE) as events:
        store.features.delete("gone soon")
        store.features.delete("gone soon")
        store.features.bulk_insert([("e1", 1), ("e2", 2)])
        with pytest.raises(slither.InvalidOption):
            store.features.increment("user:42")
    assert [(one.metadata["operation"], one.measurements["rows"], one.metadata["outcome"]) for one in events] == [
        ("Delete", 1, "ok"),
        ("Delete", 0, "ok"),
        ("BulkInsert", 2, "ok"),
        ("Increment", 0, "error"),
    ]
    assert {one.metadata["store"] for one in events} == {"Features"}


def test_hooks_of_stages_and_of_sessions_use_stores_too(system, store):
    outputs = system.run_pipe(stores.Hooked, ["a"])
    assert payloads(outputs.default) == [("a", {"tier": "gold"}, ("look_all", "remember_for_ever", "who"))]
    with system.session("hooked", session_start=stores.begin_session) as session:
        assert session.submit("begun", stores.known).result(PATIENCE_S) == ("hooked", {"tier": "gold"})


# -- load and reload


def test_a_reload_replaces_everything_at_once_and_waits_for_nobody_who_reads(store, order, tmp_path):
    marker, release = tmp_path / "marker", tmp_path / "release"
    order(f"wait {marker} {release}")
    store.features.put("before", 1)
    version = store.version
    done = []
    thread = threading.Thread(target=lambda: done.append(store.reload()))
    thread.start()
    eventually(marker.exists, "load has not begun")
    assert store.features["before"] == 1
    assert store.version == version
    release.touch()
    thread.join(PATIENCE_S)
    assert done == [version + 1] == [store.version]
    assert "before" not in store.features
    assert store.features["user:42"] == {"tier": "gold"}


def test_a_reload_that_is_given_up_may_still_happen(store, order, tmp_path):
    marker, release = tmp_path / "marker", tmp_path / "release"
    order(f"wait {marker} {release}")
    version, impatient = store.version, pickle.loads(pickle.dumps(store.within(0.05)))
    with pytest.raises(slither.WriteInDoubt, match=r"its owner did not answer within 0\.05 s"):
        impatient.reload()
    impatient.close()
    assert store.version == version
    release.touch()
    eventually(lambda: store.version == version + 1, "the reload was not done after all")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("raise the source is down", "ValueError: the source is down"),
        ("return False", "load returned a str; it fills the tables and returns nothing, or raises"),
        ("exit", "SystemExit: 3"),
        ("interrupt", "KeyboardInterrupt"),
    ],
)
def test_a_load_that_fails_changes_nothing(system, store, order, what, says):
    before, version, pid = dict(store.features.select()), store.version, pid_of(system, OWNER)
    order(what)
    with telemetry.capture(telemetry.STORE) as events, pytest.raises(slither.StoreLoadError, match=says) as caught:
        store.reload()
    assert "tests/helpers/stores.py" in "".join(caught.value.__notes__) or what.startswith("return")
    assert [event.name[2:] for event in events] == [("reload", "start"), ("reload", "exception")]
    assert events[1].metadata["outcome"] == "error"
    assert (dict(store.features.select()), store.version, pid_of(system, OWNER)) == (before, version, pid)
    store.features.put("after", 1)
    assert store.features["after"] == 1


def test_load_may_carry_over_what_was_there(store, order):
    store.features.put("kept", 1)
    order("carry")
    with telemetry.capture(telemetry.STORE) as events:
        version = store.reload()
    assert store.features["kept"] == 1
    assert [event.name[2:] for event in events] == [("reload", "start"), ("reload", "stop")]
    assert (events[1].metadata["outcome"], events[1].metadata["version"]) == ("ok", version)


def test_reloads_leave_nothing_behind(system, store):
    def size():
        return (store.path / "data.mdb").stat().st_size

    for _ in range(5):
        store.reload()
    after, descriptors = size(), len(os.listdir(f"/proc/{pid_of(system, OWNER)}/fd"))
    for _ in range(30):
        store.reload()
    assert size() == after
    assert len(os.listdir(f"/proc/{pid_of(system, OWNER)}/fd")) == descriptors


def test_a_snapshot_shows_one_moment_of_all_tables(store):
    store.features.put("s", 1)
    with store.snapshot() as moment:
        store.features.put("s", 2)
        assert moment.features["s"] == 1
    with pytest.raises(slither.SnapshotExpired):
        moment.features.get("s")


def test_a_dump_comes_back_whole(store, tmp_path):
    store.features.put("dumped", 1)
    store.dump(tmp_path / "dump")
    store.features.put("dumped", 2)
    version = store.version
    assert store.restore(tmp_path / "dump") == store.version > version
    assert store.features["dumped"] == 1
    (tmp_path / "none").write_text("no dump")
    with pytest.raises(slither.StoreLoadError):
        store.restore(tmp_path / "none")


def test_figures_of_stores_stand_among_those_of_the_system(system, store):
    figures = system.statistics()["stores"]
    assert figures["Features"] == {
        "version": store.version,
        "tables": {name: len(store.table(name)) for name in ("features", "mirror", "tags")},
    }
    assert {OWNER, "stores/eu"} <= processes(system).keys()
    assert list(processes(system)).index(OWNER) > 0


# -- deaths


def test_the_death_of_the_owner_costs_nothing_that_was_acknowledged(system, store):
    store.features.put("kept through death", 1)
    version = store.version
    old = kill(system, OWNER)
    assert store.features["kept through death"] == 1, "readers do not ask the owner"
    store.features.put("after death", 2)
    restarted(system, OWNER, old)
    assert (store.features["kept through death"], store.features["after death"]) == (1, 2)
    assert store.version == version, "what is there is not loaded again"


def test_a_write_under_which_the_owner_dies_is_carried_out_once(system, store):
    """The owner is stopped, so what it is sent lies there when it is killed."""
    store.features.put("once", 0)
    results = []
    old = pid_of(system, OWNER)
    os.kill(old, signal.SIGSTOP)
    threads = [threading.Thread(target=lambda: results.append(store.features.increment("once"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    os.kill(old, signal.SIGKILL)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(results) == [1, 2, 3, 4]
    assert store.features["once"] == 4
    restarted(system, OWNER, old)


def test_a_writer_without_an_owner_gives_up_in_its_time_and_says_what_is_known(system, store):
    old = pid_of(system, OWNER)
    os.kill(old, signal.SIGSTOP)
    try:
        with pytest.raises(slither.WriteInDoubt, match=r"its owner did not answer within 0.05 s"):
            store.within(0.05).features.put("in doubt", 1)
        with store.snapshot() as moment:
            assert moment.features["user:42"] == store.features["user:42"], "readers do not ask the owner"
    finally:
        os.kill(old, signal.SIGCONT)
    store.features.put("after doubt", 1)
    assert store.features["in doubt"] == 1, "it was carried out after all"


def test_a_load_that_kills_the_owner_fails_and_is_not_tried_again(system, store, order):
    store.features.put("survives", 1)
    old, version = pid_of(system, OWNER), store.version
    order("die")
    with pytest.raises(slither.StoreLoadError, match="the owner's process died of it"):
        store.reload()
    restarted(system, OWNER, old)
    assert (store.features["survives"], store.version) == (1, version)


# -- starts and ends


def test_a_load_that_fails_is_the_failure_of_the_start(tidy_each):
    with (
        telemetry.capture(telemetry.STORE) as events,
        pytest.raises(slither.StartError, match="ValueError: the source is down") as caught,
    ):
        slither.start(stores=[Broken], pools={"default": 1})
    assert [(event.name[2:], event.metadata.get("outcome")) for event in events] == [
        (("load", "start"), None),
        (("load", "exception"), "error"),
    ]
    cause = caught.value.__cause__
    assert isinstance(cause, slither.StoreLoadError)
    assert (cause.store, cause.reason) == ("Broken", "ValueError: the source is down")
    assert "tests/helpers/stores.py" in cause.__notes__[0]


def test_a_load_that_kills_its_process_is_the_failure_of_the_start_too(tidy_each, order):
    order("die")
    with pytest.raises(slither.StartError) as caught:
        slither.start(stores=[Features], pools={})
    cause = caught.value.__cause__
    assert isinstance(cause, slither.StoreLoadError)
    assert (cause.store, cause.reason) == ("Features", "the owner's process died of it")
    assert str(caught.value).endswith(": SIGKILL")


def test_a_handle_outlives_its_system_with_clear_errors_and_a_durable_store_its_tables(tidy_each, tmp_path):
    folder = tmp_path / "db"
    with (
        telemetry.capture(telemetry.STORE) as events,
        a_system(stores=[Features.named("eu", folder), Features], pools={}) as system,
    ):
        loads = [(event.metadata["store"], event.metadata["version"]) for event in events if event.name[-1] == "stop"]
        assert sorted(loads) == [("Features", 1), ("eu", 1)]
        store, other = system.store("eu"), system.store("Features")
        store.features.put("durable", 1)
        with pytest.raises(slither.StartError, match=r"another process writes to .*db") as caught:
            slither.start(stores=[Features.named("us", folder)], pools={})
        assert isinstance(caught.value.__cause__, slither.StoreUnavailable)
        travelled = pickle.dumps(other)
    late = [
        lambda: store.features.put("late", 1),
        lambda: other.within(1).features.put("late", 1),
        lambda: other.features.get("loads"),
        lambda: list(other.features.select()),
        lambda: other.version,
        other.statistics,
        other.reload,
        lambda: other.dump(tmp_path / "late"),
        lambda: system.store("eu"),
    ]
    for use in late:
        with pytest.raises(slither.SystemDown):
            use()
    with pytest.raises(slither.StoreUnavailable, match="its system is over"):
        pickle.loads(travelled)
    assert not other.path.parent.exists()
    with (
        telemetry.capture(telemetry.STORE) as events,
        a_system(stores=[Features.named("eu", folder)], pools={}) as system,
    ):
        assert not events
        assert system.store("eu").features["durable"] == 1
        assert system.store(Features).version == 1, "it was loaded, and what is there holds"


def test_tables_in_memory_go_with_a_host_that_is_killed(tidy_each):
    with a_system(stores=[Features], pools={}) as system:
        folder = system.store(Features).path.parent
        assert folder.is_dir()
        os.kill(system._client._host.pid, signal.SIGKILL)
    assert not folder.exists()
