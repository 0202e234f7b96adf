"""Further attempts and bisecting over real processes: what fails once is mended, and only culprits are given up."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

import slither_actors as slither
from slither_actors import BatchTimeout, DispatchError, PipeError, RemoteError, Retry, Skip, WorkerCrashed
from tests.helpers.patience import in_ample_time, none_is_late
from tests.system.running import a_system

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

# Attempts that follow each other without a pause, and items that are given up instead of the run.
AT_ONCE = {"backoff_s": 0.0, "then": "skip"}


@pytest.fixture(scope="module")
def system(tidy):
    with a_system() as running:
        yield running


class Busy(OSError):
    """Lives in this module, which no dispatcher imports."""


def is_first_time(folder, what):
    try:
        os.close(os.open(os.path.join(folder, str(what)), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def trouble(values, ctx):
    """Does what a value says: always, or the first time."""
    for value in values:
        what, _, when = str(value).partition(" ")
        if when == "once" and not is_first_time(ctx.metadata["folder"], value):
            continue
        if what == "raise":
            raise Busy(value)
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "hang":
            time.sleep(60)
    return values


@pytest.fixture
def folder(tmp_path):
    return slither.Context(metadata={"folder": str(tmp_path)})


def payloads(items):
    return [item.payload for item in items]


@pytest.mark.parametrize("mishap", ["raise once", "kill once", "hang once"])
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_what_fails_once_is_mended_by_another_attempt(system, tmp_path, mishap, ordering):
    given = [*range(10), mishap, *range(11, 40)]
    options = {"batch_size": 4, "on_error": Retry(**AT_ONCE), "ordering": ordering}

    @in_ample_time
    def check(limit_s):
        folder = tmp_path / str(limit_s)
        folder.mkdir()
        context = slither.Context(metadata={"folder": str(folder)})
        results = system.dispatch(given, trouble, timeout_s=limit_s, context=context, **options)
        none_is_late([*results.skipped, *results.dead])
        assert sorted(map(str, payloads(results))) == sorted(map(str, given))
        if ordering == "preserve":
            assert payloads(results) == given
        assert not results.skipped
        assert not results.dead


def test_each_of_many_crashes_is_mended(system, folder):
    """A run that loses a worker again and again delivers everything, and spends no restart budget."""
    given = [value for number in range(8) for value in (f"kill once {number}", number)]
    results = system.dispatch(given, trouble_by_name, batch_size=1, on_error=Retry(**AT_ONCE), context=folder)
    assert payloads(results) == given


def trouble_by_name(values, ctx):
    for value in values:
        if str(value).startswith("kill") and is_first_time(ctx.metadata["folder"], value):
            os.kill(os.getpid(), signal.SIGKILL)
    return values


@pytest.mark.parametrize(("mishap", "error"), [("raise", RemoteError), ("kill", WorkerCrashed), ("hang", BatchTimeout)])
def test_what_never_succeeds_is_dead_with_all_its_attempts(system, folder, mishap, error):
    policy = Retry(max_attempts=2, **AT_ONCE)

    @in_ample_time
    def check(limit_s):
        results = system.dispatch(
            [1, mishap, 3, 4], trouble, batch_size=2, on_error=policy, timeout_s=limit_s, context=folder
        )
        none_is_late(results.dead, but=[1, mishap] if error is BatchTimeout else ())
        assert payloads(results) == [3, 4]
        assert payloads(results.dead) == [1, mishap]
        for item in results.dead:
            assert type(item.meta["error"]) is error
            assert item.meta["attempts"] == 2
        assert not results.skipped


def test_then_halt_ends_the_run_when_the_attempts_are_used_up(system, folder):
    with pytest.raises(DispatchError, match="Busy: raise") as caught:
        system.dispatch(
            [1, 2, "raise", 4], trouble, batch_size=2, max_in_flight=1, on_error=Retry(backoff_s=0.0), context=folder
        )
    assert payloads(caught.value.partial_results) == [1, 2]


def test_only_errors_that_are_worth_it_are_tried_again(system, folder):
    """By class, also one of the user's own that no dispatcher can import."""
    for on, end in [(Busy, "dead"), (OSError, "dead"), (KeyError, "skipped"), (WorkerCrashed, "skipped")]:
        results = system.dispatch(["raise"], trouble, on_error=Retry(on=on, **AT_ONCE), context=folder)
        assert payloads(getattr(results, end)) == ["raise"], on
        assert getattr(results, end)[0].meta["attempts"] == (3 if end == "dead" else 1)


@pytest.mark.parametrize("policy", [Skip(isolate=True), Retry(max_attempts=2, isolate=True, **AT_ONCE)])
@pytest.mark.parametrize("mishap", ["raise", "kill"])
def test_bisecting_gives_up_the_culprits_alone(system, folder, policy, mishap):
    given = [*range(5), mishap, *range(6, 30), mishap, *range(31, 40)]
    results = system.dispatch(given, trouble, batch_size=16, on_error=policy, context=folder)
    assert payloads(results) == [value for value in given if value != mishap]
    ended = results.dead if isinstance(policy, Retry) else results.skipped
    assert payloads(ended) == [mishap, mishap]
    assert {item.meta["attempts"] for item in ended} == {2 if isinstance(policy, Retry) else 1}


class Model(slither.Executor):
    """Cannot be made the first time, nor the second."""

    def __init__(self):
        for attempt in ("first", "second"):
            if is_first_time(os.environ["MODEL_FOLDER"], attempt):
                raise ConnectionError("the model server is busy")

    def execute_batch(self, items, ctx):
        return items


def test_an_executor_that_cannot_be_made_is_tried_again(base, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_FOLDER", str(tmp_path))
    with a_system(pools={"default": 1}) as system:
        results = system.dispatch(range(20), Model, batch_size=10, on_error=Retry(**AT_ONCE))
    assert payloads(results) == list(range(20))


def test_what_is_no_payload_is_refused_by_name(system):
    with pytest.raises(DispatchError, match="of the kind Retry"):
        system.dispatch([1], lambda values: [Retry() for _ in values])


def test_a_pause_holds_up_no_other_batch(system, folder):
    policy = Retry(backoff_s=1.0, jitter=0.0)
    stream = system.stream(
        ["raise once", *range(50)], trouble, batch_size=1, on_error=policy, ordering="as_completed", context=folder
    )
    arrived = [item.payload for item in stream]
    assert arrived[-1] == "raise once"
    assert len(arrived) == 51


def test_a_stream_that_is_left_during_a_pause_is_over_at_once(system, folder):
    policy = Retry(backoff_s=600.0)
    endless = itertools.chain(["raise once"], itertools.count())
    with system.stream(
        endless, trouble, batch_size=1, on_error=policy, ordering="as_completed", context=folder
    ) as stream:
        next(stream)
    assert not system._client._endpoints._lent
    assert payloads(system.dispatch(range(5), trouble, context=folder)) == list(range(5))


class Careful(slither.Pipe):
    @slither.local
    def look(item, ctx):
        if item.payload == "look once" and is_first_time(ctx.metadata["folder"], "looked"):
            raise Busy("look")
        return item

    work = slither.worker(trouble, batch_size=4)

    @slither.local(on_error=Skip())
    def last(item):
        if item.payload == "never":
            raise KeyError("never")
        return item

    on_error = {"*": Retry(backoff_s=0.01, then="skip", isolate=True)}


def test_in_a_pipe_each_stage_tries_again_by_its_policy(system, folder):
    given = [1, "look once", 2, "kill once", 3, "raise", 4, "never", 5]
    outputs = system.run_pipe(Careful, given, metadata=folder.metadata)
    assert payloads(outputs.default) == [1, "look once", 2, "kill once", 3, 4, 5]
    assert [ending(item) for item in outputs.dead] == [("raise", "work", 3)]
    assert [ending(item) for item in outputs.skipped] == [("never", "last", 1)]


def ending(item):
    return item.payload, item.meta["stage"], item.meta["attempts"]


def test_a_pipe_whose_attempts_are_used_up_ends_under_halt(system, folder):
    class Strict(slither.Pipe):
        work = slither.worker(trouble, batch_size=1, on_error=Retry(max_attempts=2, backoff_s=0.0))

    with pytest.raises(PipeError, match="work") as caught:
        system.run_pipe(Strict, [1, "raise"], metadata=folder.metadata)
    assert isinstance(caught.value.reason, RemoteError)
