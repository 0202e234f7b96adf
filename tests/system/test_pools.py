"""Pools with options, over real workers: environment, adapter, commands and warm-up."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import slither_actors as slither
from slither_actors import (
    Command,
    InvalidOption,
    NoProcess,
    PoolOptions,
    RemoteError,
    StartError,
    SystemDown,
)
from tests.helpers import adapters
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, kill
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

PATH = "tests.helpers.adapters"


@pytest.fixture(scope="module")
def system(tidy):
    pools = {
        "default": 1,
        "gpu": PoolOptions(2, adapter=adapters.Scorer, warm_up=adapters.warm_up, environment={"OMP_NUM_THREADS": "3"}),
        "path": PoolOptions(1, adapter=f"{PATH}:Leaves", environment={"LEAVES": "/tmp"}),
    }
    with a_system(pools=pools) as running:
        yield running


def payloads(results):
    return [item.payload for item in results]


def test_a_command_is_called_on_payloads_by_every_kind_of_call(system):
    score = Command("score")
    assert payloads(system.dispatch(range(10), score, pool="gpu", batch_size=3)) == [10 * n for n in range(10)]
    assert payloads(system.stream(range(4), score, pool="gpu")) == [0, 10, 20, 30]
    assert payloads(system.call_batch([1, 2], score, pool="gpu")) == [10, 20]
    assert payloads(system.call_batch([1, 2], Command("plain"), pool="gpu")) == [-1, -2]


def test_a_command_without_payloads_is_called_once_on_every_worker(system):
    figures = system.call_each(Command("figures"), pool="gpu")
    assert len({pid for pid, _ in figures}) == 2


def test_one_object_serves_all_runs_of_a_worker(system):
    before = sum(batches for _, batches in system.call_each(Command("figures"), pool="gpu"))
    for _ in range(2):
        system.dispatch(range(4), Command("score"), pool="gpu", batch_size=1)
    after = sum(batches for _, batches in system.call_each(Command("figures"), pool="gpu"))
    assert after == before + 8


def test_the_environment_is_set_before_any_import_and_the_warm_up_ran_once(system):
    context = slither.Context(metadata={"tag": "mine"})
    (told,) = payloads(system.call_batch([0], Command("tell"), pool="gpu", context=context))
    assert told[1:] == ("3", ["warm None"], "mine")
    assert system.call_batch([0], lambda payloads: [os.environ.get("OMP_NUM_THREADS")])[0].payload != "3"


def test_what_a_command_raises_follows_the_policy(system):
    results = system.dispatch(range(5), Command("break_on_three"), pool="gpu", batch_size=1, on_error="skip")
    assert payloads(results) == [0, 1, 2, 4]
    (skipped,) = results.skipped
    assert isinstance(skipped.meta["error"], RemoteError)


def test_a_command_is_a_stage_of_a_pipe(system):
    class Scoring(slither.Pipe):
        score = slither.worker(Command("score"), pool="gpu")

    assert payloads(system.run_pipe(Scoring, [1, 2, 3]).default) == [10, 20, 30]


def test_a_command_is_called_in_a_session_and_one_that_the_pool_lacks_is_refused_there_too(system):
    with system.session() as session:
        assert session.submit(2, Command("plain"), pool="gpu").result(PATIENCE_S) == -2
        with pytest.raises(InvalidOption, match="scores"):
            session.submit(2, Command("scores"), pool="gpu")


def test_a_command_that_the_pool_lacks_is_refused_before_anything_is_pulled(system):
    def never():
        raise AssertionError("pulled")
        yield

    with pytest.raises(InvalidOption, match=r"a command of Scorer: .*score.*did you mean 'score'"):
        system.dispatch(never(), Command("scores"), pool="gpu")
    with pytest.raises(InvalidOption, match=r"pool 'default'.* only where the pool has an adapter"):
        system.stream(never(), Command("score"))
    with pytest.raises(InvalidOption, match="the list of payloads"):
        system.call_batch(never(), Command("figures"), pool="gpu")
    with pytest.raises(InvalidOption, match="no parameter"):
        system.call_each(Command("score"), pool="gpu")


def test_a_stage_whose_command_the_pool_lacks_is_refused_at_its_start(system):
    class Lacking(slither.Pipe):
        predict = slither.worker(Command("predict"), pool="gpu")

    with pytest.raises(InvalidOption, match=r"stage predict of pipe Lacking.*'predict'.*score"):
        system.run_pipe(Lacking, [1])


def test_an_adapter_that_only_workers_can_import_refuses_there(system, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, PATH)
    with pytest.raises(InvalidOption, match="a command of Leaves: pid; did you mean 'pid'"):
        system.dispatch([1], Command("pit"), pool="path")
    assert len(system.dispatch([1], Command("pid"), pool="path")) == 1


def test_an_adapter_is_torn_down_when_its_worker_stops(tmp_path):
    options = PoolOptions(2, adapter=adapters.Leaves, environment={"LEAVES": str(tmp_path)})
    with a_system(pools={"default": options}) as system:
        pids = set(map(str, system.call_each("os:getpid")))
        assert not list(tmp_path.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == pids


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PoolOptions(2, warm_up=adapters.fail), "warm_up .*fail.*stays cold"),
        (PoolOptions(1, warm_up=adapters.leave), "warm_up .*leave.*SystemExit: 3"),
        (PoolOptions(1, warm_up="nowhere_at_all:load"), "warm_up nowhere_at_all:load.*no module"),
        (PoolOptions(1, warm_up="os.path:join"), "warm_up.*no parameter"),
        (PoolOptions(1, adapter=adapters.Broken), "adapter .*Broken.*no model here"),
        # a module that nobody imports here, else the service refuses it
        (PoolOptions(1, adapter="wave:Wave_read"), "adapter wave:Wave_read.*a subclass of slither_actors"),
    ],
)
def test_a_worker_that_is_not_ready_fails_the_start_with_the_reason(options, words):
    with pytest.raises(StartError, match=f"(?s){words}"):
        a_system(pools={"default": options}).__enter__()


def test_the_adapter_is_torn_down_if_the_warm_up_fails(tmp_path):
    options = PoolOptions(1, adapter=adapters.Leaves, warm_up=adapters.fail, environment={"LEAVES": str(tmp_path)})
    with pytest.raises(StartError, match="stays cold"):
        a_system(pools={"default": options}).__enter__()
    assert len(list(tmp_path.iterdir())) == 1


def test_statistics_tell_who_has_the_workers_of_a_pool(tmp_path):
    go = tmp_path / "go"

    def wait(payloads):
        eventually(go.exists, "the test has looked")
        return payloads

    with a_system(pools={"default": 2, "other": PoolOptions(1)}) as system:

        def figures(**wanted):
            found = system.statistics()["pools"]["default"]
            return found if wanted.items() <= found.items() else None

        quiet = eventually(lambda: figures(idle=2), "all workers are idle")
        assert {name: figure for name, figure in quiet.items() if figure} == {"size": 2, "up": 2, "idle": 2}
        assert set(quiet.values()) == {0, 2}
        with ThreadPoolExecutor() as threads:
            run = threads.submit(system.dispatch, range(1), wait)
            try:
                busy = eventually(lambda: (now := figures())["leased"] and now, "a worker is leased")
                assert busy["leased"] + busy["idle"] == 2
                assert system.statistics()["pools"]["other"]["leased"] == 0
            finally:
                go.touch()
            run.result(PATIENCE_S)
        kill(system, "pools/default/workers/worker-1")
        eventually(lambda: figures(restarts=1, up=2, idle=2), "it is back")


def test_a_new_worker_is_made_ready_before_it_takes_work(system):
    kill(system, "pools/gpu/workers/worker-1")
    told = payloads(system.dispatch(range(20), Command("tell"), pool="gpu", batch_size=1, on_error="skip"))
    assert {entry[1:3] for entry in ((pid, threads, tuple(warm)) for pid, threads, warm, _ in told)} == {
        ("3", ("warm None",))
    }


def test_a_warm_up_that_fails_later_spends_the_restart_budget(tmp_path):
    options = PoolOptions(1, warm_up=adapters.fail_the_second_time, environment={"MARKER": str(tmp_path / "marker")})
    with a_system(pools={"default": options}) as system:
        kill(system, "pools/default/workers/worker-1")

        def is_down():
            try:
                system.topology()
            except SystemDown as error:
                return str(error)
            except NoProcess:
                pass  # it is ending
            return ""

        assert "cold again" in eventually(is_down, "the budget is spent")
