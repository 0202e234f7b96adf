"""Stages of several processes, and rate limits, with real processes. Files tell how far things are; nothing waits for
a time to pass."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from slither_actors import InvalidOption, PipeError, Rate, StageDown
from tests.helpers.replicas import Held, InPairs, Slow, SlowWorkers, Together, note, notes
from tests.system.running import a_system, processes
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy"), pytest.mark.xdist_group("replicas")]


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(pools={"default": 1}) as system:
        yield system


@pytest.fixture
def aside():
    """Calls in other threads."""
    with ThreadPoolExecutor(2) as pool:
        yield pool.submit


def payloads(items):
    return [item.payload for item in items]


def pids_of(system, pipe):
    found = processes(system)
    return {name.rpartition("/")[2]: node["pid"] for name, node in found.items() if f"/{pipe}-" in name}


def test_replicas_work_at_the_same_time_under_names_of_their_own(system, tmp_path):
    outputs = system.run_pipe(Together, [(str(tmp_path), number, 3) for number in range(3)])
    names, pids, _ = zip(*payloads(outputs.default), strict=True)
    assert names == (0, 1, 2)
    pids_by_name = pids_of(system, "Together")
    assert set(pids) == {pids_by_name[f"replica-{number}"] for number in (1, 2, 3)}
    assert {"balancer", "meet", "after"} <= pids_by_name.keys()
    assert outputs.accounting.abandoned == 0


def test_each_replica_keeps_the_state_of_a_session_until_that_ends(system, tmp_path):
    def seen(session_id=None):
        inputs = [(str(tmp_path), number, 2) for number in range(2)]
        return [seen for _, _, seen in payloads(system.run_pipe(InPairs, inputs, session_id=session_id).default)]

    with system.session() as session:
        assert seen(session.id) == [1, 1]
        assert seen(session.id) == [2, 2]
        assert seen() == [1, 1]
        known = session.id
    assert seen(known) == [1, 1], "a session that has ended left nothing"


def test_a_replica_that_is_killed_ends_its_run_and_takes_no_other_process_along(system, tmp_path, aside):
    system.start_pipe(Held)
    before = pids_of(system, "Held")
    run = aside(system.run_pipe, Held, [(str(tmp_path), "first"), (str(tmp_path), "second")])
    eventually(lambda: len(notes(tmp_path)) == 2, "both replicas are at it")
    os.kill(int((tmp_path / "first").read_text()), signal.SIGKILL)
    with pytest.raises(PipeError) as failed:
        run.result(30)
    assert failed.value.stage == "hold"
    assert isinstance(failed.value.reason, StageDown)
    assert failed.value.reason.name.rpartition("/")[2] in ("replica-1", "replica-2")
    assert "SIGKILL" in failed.value.reason.exit
    note(tmp_path, "go")
    outputs = system.run_pipe(Held, [(str(tmp_path), "third"), (str(tmp_path), "fourth")])
    assert sorted(payloads(outputs.default)) == ["fourth", "third"]
    after = pids_of(system, "Held")
    assert [name for name in before if before[name] != after[name]] == [failed.value.reason.name.rpartition("/")[2]]


def test_a_run_that_is_cut_says_which_replicas_had_what(system, tmp_path, aside):
    run = aside(system.run_pipe, Held, [(str(tmp_path), "first"), (str(tmp_path), "second")])
    eventually(lambda: len(notes(tmp_path)) == 2, "both replicas are at it")
    stop = aside(system.stop_pipe, Held, drain=False)
    with pytest.raises(PipeError):
        run.result(30)
    note(tmp_path, "go")
    report = stop.result(30)
    assert report.runs_ended == 1
    places = [(name.split("/")[2], len(ids)) for run in report.runs for name, ids in run.places.items()]
    assert {stage for stage, _ in places} == {"hold"}
    assert sum(count for _, count in places) == 2


@pytest.mark.parametrize(("pipe", "stage", "burst"), [(Slow, "step", 1), (SlowWorkers, "work", 2)])
@pytest.mark.parametrize("session_id", [None, "a session"])
def test_a_rate_withholds_items_until_another_one_is_said(system, tmp_path, aside, pipe, stage, burst, session_id):
    system.set_rate(pipe, stage, Rate(0.001, burst=burst))
    inputs = [(str(tmp_path), f"item-{number}") for number in range(12)]
    run = aside(system.run_pipe, pipe, inputs, session_id=session_id)
    eventually(lambda: len(notes(tmp_path)) == burst or run.done(), "the burst goes at once")
    assert not run.done()
    assert len(notes(tmp_path)) == burst
    assert system.statistics()["pipes"][pipe.__name__]["rates"] == {stage: 0.001}
    system.set_rate(pipe, stage, None)
    assert payloads(run.result(30).default) == [f"item-{number}" for number in range(12)]
    assert system.statistics()["pipes"][pipe.__name__]["rates"] == {stage: None}
    system.stop_pipe(pipe)


def test_a_limit_holds_for_all_runs_together_and_for_those_that_come_later(system, tmp_path, aside):
    system.set_rate(Slow, "step", Rate(0.001, burst=2))
    for number in range(2):
        system.run_pipe(Slow, [(str(tmp_path), f"run-{number}")])
    late = aside(system.run_pipe, Slow, [(str(tmp_path), "late")])
    other = system.stream_pipe(Slow, [(str(tmp_path), "other")])
    system.set_rate(Slow, "step", Rate(0.002, burst=2))
    assert notes(tmp_path) == ["run-0", "run-1"]
    system.set_rate(Slow, "step", 1000)
    assert payloads(late.result(30).default) == ["late"]
    assert payloads(other) == ["other"]


@pytest.mark.parametrize(
    ("pipe", "stage", "rate", "named"),
    [
        (Slow, "step", 0, "rate"),
        (Slow, "step", "fast", "rate"),
        (Slow, "stop", 1, "step"),
        (Slow, 1, 1, "stage"),
        (Together, "meet", 1, "none does"),
        (SlowWorkers, "work", Rate(1, burst=1), "burst of at least 2"),
        (int, "step", 1, "subclass"),
    ],
)
def test_what_is_no_limit_is_refused_and_changes_nothing(system, pipe, stage, rate, named):
    with pytest.raises(InvalidOption, match=named):
        system.set_rate(pipe, stage, rate)
