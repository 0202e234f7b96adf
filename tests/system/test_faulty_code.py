"""What your code may do to its process: the tables of docs/failures.md."""

from __future__ import annotations

import threading

import pytest

import slither_actors as slither
from slither_actors import DispatchError, NoProcess, PipeError, RemoteError, StageDown, StartError, StoreLoadError
from slither_actors.otp import ChildSpec, SupervisorOptions
from tests.helpers import faulty
from tests.system.running import a_system, pid_of, restarted
from tests.system.waiting import eventually

pytestmark = pytest.mark.system

DEADLY = ["_exit", "crash"]
PATIENT_S = 50.0


@pytest.fixture(scope="module")
def flag(tmp_path_factory):
    """What a `load` is to do stands in this file."""
    return tmp_path_factory.mktemp("load") / "flag"


@pytest.fixture(scope="module")
def system(tidy, flag):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULTY_LOAD", str(flag))
        with a_system(stores=[faulty.Loading], children=[ChildSpec("own", faulty.Hapless)]) as running:
            running.supervisor("children").change(SupervisorOptions(intensity=1000))
            yield running


def payloads(items):
    return [item.payload for item in items]


@pytest.mark.parametrize("what", [*DEADLY, "memory"])
def test_code_of_a_worker(system, what):
    with pytest.raises(DispatchError) as caught:
        system.dispatch([what], faulty.do_all)
    reason = caught.value.reason
    assert isinstance(reason, RemoteError if what == "memory" else slither.WorkerCrashed)
    assert ("MemoryError: no more" in str(reason)) == (what == "memory")
    assert payloads(system.dispatch(["well"], faulty.do_all)) == ["well"]


@pytest.mark.parametrize("what", [*DEADLY, "memory"])
@pytest.mark.parametrize("pipe", [faulty.Local, faulty.Router, faulty.Custom])
def test_code_of_a_stage(system, pipe, what):
    if what == "memory":
        outputs = system.run_pipe(pipe_that_skips(pipe), ["well", what])
        assert [type(item.meta["error"]) for item in outputs.skipped] == [RemoteError] * outputs.skipped.total
        assert what in payloads(outputs.skipped)
    else:
        with pytest.raises(PipeError) as caught:
            system.run_pipe(pipe, [what])
        assert isinstance(caught.value.reason, StageDown)
        assert ("exit code 3" if what == "_exit" else "SIGSEGV") in str(caught.value)
    assert len(system.run_pipe(pipe, ["well"])[system_output(pipe)]) == 1


def pipe_that_skips(pipe):
    return type(f"Skipping{pipe.__name__}", (pipe,), {"on_error": "skip"})


def system_output(pipe):
    return "other" if pipe is faulty.Router else "default"


@pytest.mark.parametrize("pipe", [faulty.Local, faulty.Router, faulty.Custom])
def test_a_stage_that_hangs_is_killed_and_the_next_run_works(system, pipe):
    with pytest.raises(PipeError) as caught:
        system.run_pipe(pipe, ["hang"])
    assert isinstance(caught.value.reason, StageDown)
    assert "it hung: one message kept it busy for 1 s" in str(caught.value)
    assert len(system.run_pipe(pipe, ["well"])[system_output(pipe)]) == 1


@pytest.mark.parametrize("what", [*DEADLY, "memory"])
def test_set_up_of_a_stage(system, tmp_path, what):
    file = tmp_path / "flag"

    class Preparing(slither.Pipe):
        step = slither.stage(faulty.SetUp, flag=file)

    file.write_text(what)
    with pytest.raises(StartError, match=r"exit code 3|SIGSEGV|MemoryError: no more"):
        system.run_pipe(Preparing, [1])
    file.unlink()
    assert payloads(system.run_pipe(Preparing, [1]).default) == [1]
    system.stop_pipe(Preparing)


@pytest.mark.parametrize("what", [*DEADLY, "memory"])
def test_code_of_an_actor(system, what):
    name = "children/own"
    old = pid_of(system, name)
    with pytest.raises(NoProcess):
        system.call(name, what, PATIENT_S)
    restarted(system, name, old)
    assert system.call(name, "well", PATIENT_S) == "well"


def test_an_actor_that_hangs_is_killed_at_its_limit(system):
    spec = ChildSpec("hanging", faulty.Hapless, busy_limit_s=0.5)
    old = system.supervisor("children").start_child(spec).pid
    with pytest.raises(NoProcess):
        system.call("children/hanging", "hang", PATIENT_S)
    restarted(system, "children/hanging", old)
    assert system.call("children/hanging", "well", PATIENT_S) == "well"
    system.supervisor("children").terminate_child("hanging")
    (incident,) = [one for one in system.incidents() if one.pid == old]
    assert incident.ordered
    assert "ended with SIGKILL, which this system had sent" in incident.circumstances


@pytest.mark.parametrize("what", [*DEADLY, "memory"])
def test_load_of_a_store(system, flag, what):
    store = system.store(faulty.Loading)
    version, number = store.version, store.rows.get("number")
    flag.write_text(what)
    with pytest.raises(StoreLoadError, match="nothing was changed"):
        store.reload()
    flag.unlink()
    assert store.version == version
    assert store.rows.get("number") == number
    assert store.reload() == version + 1


def test_a_load_that_hangs_is_ended_by_a_restart_of_the_owner(system, flag):
    store, errors = system.store(faulty.Loading), []
    version = store.version
    flag.write_text("hang")
    flag.with_suffix(".begun").unlink()

    def reload():
        try:
            store.reload()
        except slither.SlitherError as error:
            errors.append(error)

    waiting = threading.Thread(target=reload)
    waiting.start()
    try:
        eventually(flag.with_suffix(".begun").exists, "it hangs")
        assert store.rows.get("number") == 1
    finally:
        flag.unlink()
    stores = system.supervisor("stores")
    stores.terminate_child("Loading")
    stores.restart_child("Loading")
    waiting.join(PATIENT_S)
    assert [type(error) for error in errors] == [StoreLoadError]
    assert store.version == version
    store.rows.put("number", 2)
    assert store.rows.get("number") == 2
