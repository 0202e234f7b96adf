"""`Simulation`, as its users see it."""

import itertools
import os
import subprocess
import sys

import attrs
import pytest

from slither_actors import (
    DispatchError,
    Drop,
    Emit,
    Executor,
    FixedBatch,
    InvalidOption,
    Pipe,
    PipeError,
    ResultCountMismatch,
    Retry,
    RouteTo,
    Skip,
    Stage,
    StageDown,
    StartError,
    WeightedBatch,
    local,
    router,
    worker,
)
from slither_actors.testing import Crash, Hang, InvariantBroken, Simulation, check_many
from slither_actors.testing.__main__ import main


def double(values):
    return [value * 2 for value in values]


def picky(values):
    if 13 in values:
        raise ValueError("thirteen")
    if 20 in values:
        raise Crash
    if 30 in values:
        raise Hang
    return values


def too_few(values):
    return values[1:]


class Counting(Executor):
    def __init__(self):
        self.seen = 0

    def execute_batch(self, items, ctx):
        self.seen += len(items)
        return [item.with_payload(self.seen) for item in items]


class Words(Stage):
    @attrs.frozen
    class Options:
        least: int = 1

    def setup(self, ctx):
        self.stage = ctx.stage

    def handle_item(self, item, ctx):
        if not item.payload:
            return Drop("empty")
        if item.payload == "away":
            return RouteTo("away", item)
        return Emit([word for word in item.payload.split() if len(word) >= self.options.least])


class Twice(Pipe):
    one = local(lambda item: Emit([item.payload]))
    two = local(lambda item: Emit([item.payload, -item.payload]))


class Scores(Pipe):
    @local
    def prepare(item):
        return item.payload + 1

    predict = worker(double, batch_size=4)
    route = router((lambda item: item.payload > 20, "high"))
    outputs = ["high"]


def numbers(items):
    return [item.payload for item in items]


def some_trouble(simulation):
    results = simulation.dispatch(range(40), picky, batch_size=3, on_error=Skip(isolate=True), timeout_s=1.0)
    assert {13, 20, 30} & set(numbers(results)) == set()


def wrong(simulation):
    assert simulation.seed != 4, "four"


def cut_short(simulation):
    simulation.dispatch(range(40), picky)


class TestDispatch:
    def test_it_gives_the_results_of_the_executor(self):
        simulation = Simulation(seed=3)
        results = simulation.dispatch(range(100), double, batch_size=7)
        assert numbers(results) == [2 * n for n in range(100)]
        assert not results.skipped
        report = simulation.report
        assert len(report.executions) == 15
        assert {execution.outcome for execution in report.executions} == {"done"}
        assert {report.attempts(item.id) for item in results} == {1}
        assert report.deaths == ()

    def test_ends_stand_where_they_stand_in_a_system(self):
        simulation = Simulation()
        seen = []
        results = simulation.dispatch(
            range(40),
            picky,
            batch_size=3,
            on_error=Retry(max_attempts=2, isolate=True, then="skip"),
            timeout_s=1.0,
            on_end=lambda item, end: seen.append(end),
        )
        assert numbers(results) == [n for n in range(40) if n not in (13, 20, 30)]
        assert seen == ["dead"] * 3
        kinds = {item.payload: type(item.meta["error"]).__name__ for item in results.dead}
        assert kinds == {13: "RemoteError", 20: "WorkerCrashed", 30: "BatchTimeout"}
        assert "pools/default/workers/worker-1" in simulation.report.deaths

    def test_a_halt_raises_what_a_system_raises_and_the_report_is_there(self):
        simulation = Simulation()
        with pytest.raises(DispatchError) as caught:
            simulation.dispatch(range(40), picky, batch_size=1, max_in_flight=1)
        assert numbers(caught.value.partial_results) == list(range(13))
        assert simulation.report.executions[-1].outcome == "failed"

    def test_the_state_of_an_executor_dies_with_its_worker(self):
        simulation = Simulation(workers=1)
        assert numbers(simulation.dispatch(range(3), Counting, batch_size=1)) == [1, 2, 3]
        dying = Simulation(workers=1, crashes=0.5, seed=1)
        results = dying.dispatch(range(30), Counting, batch_size=1, on_error=Retry(max_attempts=50, backoff_s=0.0))
        assert len(results) == 30
        assert numbers(results) != list(range(1, 31))
        assert dying.report.deaths

    def test_an_endless_source_may_be_left(self):
        results = Simulation().dispatch(itertools.count(), double, batch_size=4, leave_after=10)
        assert numbers(results)[:10] == [2 * n for n in range(10)]

    def test_a_source_may_take_its_time(self):
        simulation = Simulation(laziness=0.0)

        def slowly():
            for number in range(6):
                simulation.sleep(0.1)
                yield number

        results = simulation.dispatch(slowly(), double, strategy=FixedBatch(5, max_wait_s=0.15))
        assert len(results) == 6
        assert simulation.report.virtual_s >= 0.6
        assert [len(execution.items) for execution in simulation.report.executions] == [3, 3]
        with pytest.raises(RuntimeError, match="is for what the simulation calls"):
            simulation.sleep(1)

    def test_a_strategy_cuts(self):
        simulation = Simulation()
        simulation.dispatch([3, 3, 3, 9, 1], double, strategy=WeightedBatch(6, lambda item: item.payload))
        assert sorted(len(execution.items) for execution in simulation.report.executions) == [1, 1, 1, 2]

    def test_a_wrong_number_of_results_is_an_error_and_no_loss(self):
        """I22."""
        with pytest.raises(DispatchError) as caught:
            Simulation().dispatch(range(10), too_few)
        assert isinstance(caught.value.reason, ResultCountMismatch)
        assert len(Simulation().dispatch(range(10), too_few, on_error="skip").skipped) == 10

    @pytest.mark.parametrize("seed", range(20))
    def test_as_completed_really_is(self, seed):
        """I9: with one slow batch and a spare worker the later ones come out first."""
        simulation = Simulation(seed=seed, seconds=lambda values: 9.0 if 0 in values else 0.001)
        results = simulation.dispatch(range(10), double, batch_size=1, ordering="as_completed")
        # one batch may wait behind the slow one
        assert 0 in numbers(results)[-2:]

    def test_what_the_source_raises_comes_through(self):
        def bad():
            yield 1
            raise KeyError("source")

        with pytest.raises(KeyError):
            Simulation().dispatch(bad(), double)

    def test_a_deadline_is_virtual(self):
        simulation = Simulation(seconds=10.0)
        with pytest.raises(DispatchError) as caught:
            simulation.dispatch(range(100), double, batch_size=1, deadline_s=25.0)
        assert type(caught.value.reason).__name__ == "DeadlineExceeded"
        assert len(caught.value.partial_results) == 4

    def test_a_dispatcher_that_dies_ends_the_run_with_a_typed_error(self):
        seen = set()
        for seed in range(40):
            try:
                Simulation(seed=seed, node_crashes=0.02).dispatch(range(60), double, batch_size=2)
            except DispatchError as error:
                seen.add(type(error.reason))
        assert seen == {StageDown}


class TestPipes:
    def test_a_pipe_runs(self):
        outputs = Simulation(seed=5, crashes=0.0).run_pipe(Scores, range(20))
        assert numbers(outputs.default) == [2 * (n + 1) for n in range(20) if 2 * (n + 1) <= 20]
        assert numbers(outputs.high) == [2 * (n + 1) for n in range(20) if 2 * (n + 1) > 20]

    def test_what_is_made_of_what_was_made_of_an_input_is_not_lost(self):
        assert numbers(Simulation().run_pipe(Twice, [1, 2]).default) == [1, -1, 2, -2]

    def test_stages_of_executions_are_named(self):
        simulation = Simulation()
        simulation.run_pipe(Scores, range(20))
        assert {execution.stage for execution in simulation.report.executions} == {"predict"}

    def test_a_stage_runs_by_itself(self):
        simulation = Simulation()
        outputs = simulation.run_stage(Words, ["one two", "", "away", "a bee"], outputs=["away"], least=2)
        assert numbers(outputs.default) == ["one", "two", "bee"]
        assert numbers(outputs.away) == ["away"]
        assert numbers(outputs.dropped) == [""]

    def test_a_stage_that_does_not_start(self):
        class Broken(Words):
            def setup(self, ctx):
                raise OSError("no file")

        with pytest.raises(StartError, match="no file"):
            Simulation().run_stage(Broken, ["x"])

    def test_a_stage_that_dies_ends_the_run_with_a_typed_error(self):
        reasons = set()
        for seed in range(40):
            try:
                Simulation(seed=seed, node_crashes=0.02).run_pipe(Scores, range(100))
            except PipeError as error:
                reasons.add(type(error.reason))
        assert reasons == {StageDown}

    @pytest.mark.parametrize("policy", ["skip", Skip(isolate=True), Retry(max_attempts=2, backoff_s=0.0, then="skip")])
    def test_a_policy_means_the_same_in_every_form(self, policy):
        """I21: a dispatch, one that is left at its end, and a pipe give the same results and the same ends."""

        class One(Pipe):
            run = worker(picky, batch_size=3, timeout_s=1.0, on_error=policy)

        options = {"batch_size": 3, "timeout_s": 1.0, "on_error": policy}
        plain = Simulation().dispatch(range(40), picky, **options)
        by_arrival = Simulation().dispatch(range(40), picky, ordering="as_completed", **options)
        pipe = Simulation().run_pipe(One, range(40))
        assert numbers(plain) == sorted(numbers(by_arrival)) == numbers(pipe.default)
        for end in ("skipped", "dropped", "dead"):
            assert sorted(numbers(getattr(plain, end))) == sorted(numbers(getattr(pipe, end)))


class TestSeeds:
    def test_the_same_seed_is_the_same_run(self):
        def trace(seed):
            simulation = Simulation(seed=seed, crashes=0.1, hangs=0.05, pool_crashes=0.001)
            try:
                simulation.dispatch(range(60), double, batch_size=2, on_error=Retry(then="skip"), timeout_s=1.0)
            except DispatchError:
                pass
            return simulation.report.trace

        assert trace(1) == trace(1) != trace(2)

    def test_also_in_another_process(self):
        program = (
            "from slither_actors.testing import Simulation\n"
            "s = Simulation(seed=9, crashes=0.1)\n"
            "s.dispatch(range(60), 'builtins:list', batch_size=2, on_error='skip')\n"
            "import hashlib; print(hashlib.sha256(s.report.trace.encode()).hexdigest(), len(s.report.trace) > 5000)"
        )
        said = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(said) == 1
        assert said.pop().endswith("True\n")

    def test_many_seeds(self):
        report = check_many(some_trouble, seeds=30, crashes=0.0)
        assert (report.seeds, report.halted) == (30, 0)
        assert report.deaths >= 30
        assert check_many(cut_short, seeds=3).halted == 3

    def test_a_failure_tells_how_to_play_it_again(self):
        with pytest.raises(AssertionError, match="four") as caught:
            check_many(wrong, seeds=10, crashes=0.5)
        (note,) = caught.value.__notes__
        command = f"-m slither_actors.testing {wrong.__module__}:wrong --seed 4 --crashes 0.5"
        assert note == f"seed 4; to play it again: {sys.executable} {command}"

    def test_the_command_plays_it_again(self, capsys):
        before = list(sys.path)
        assert main([f"{__name__}:wrong", "--seed", "4"]) == 1
        assert "AssertionError: four" in capsys.readouterr().out
        assert main([f"{__name__}:some_trouble", "--seed", "4", "--workers", "1"]) == 0
        said = capsys.readouterr().out
        assert "pools/default/workers/worker-1#1 crashes over a batch" in said
        assert said.endswith("seed 4: nothing is wrong\n")
        assert sys.path == before

    def test_random_is_left_as_it_was(self):
        import random

        before = random.getstate()
        Simulation().dispatch(range(3), double)
        assert random.getstate() == before


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"seed": "x"}, "Simulation: seed is 'x'; allowed: a whole number"),
            ({"crashes": 2}, "Simulation: crashes is 2; allowed: a number from 0 to 1"),
            ({"pool_crashes": 0.9}, "a number from 0 to 0.5"),
            ({"workers": 0}, "Simulation: workers is 0; allowed: a whole number of at least 1"),
            ({"seconds": (2, 1)}, "a pair of the least and the most"),
            ({"crash": 0.1}, "did you mean 'crashes'?"),
        ],
    )
    def test_options_of_the_simulation(self, options, text):
        with pytest.raises(InvalidOption) as caught:
            Simulation(**options)
        assert text in str(caught.value)

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"batchsize": 3}, "did you mean 'batch_size'?"),
            ({"batch_size": 0}, "dispatch: batch_size is 0"),
            ({"on_error": "ignore"}, "on_error"),
            ({"leave_after": 0}, "leave_after is 0; allowed: None, or a whole number of at least 1"),
            ({"on_end": 3}, "on_end is 3"),
            ({"deadline_s": -1}, "deadline_s is -1"),
        ],
    )
    def test_options_of_a_dispatch_are_those_of_a_system(self, options, text):
        with pytest.raises(InvalidOption) as caught:
            Simulation().dispatch([1], double, **options)
        assert text in str(caught.value)

    def test_what_is_no_executor_no_iterable_and_no_pipe(self):
        with pytest.raises(InvalidOption, match="executor is 3"):
            Simulation().dispatch([1], 3)
        with pytest.raises(InvalidOption, match="items is 3"):
            Simulation().dispatch(3, double)
        with pytest.raises(InvalidOption, match="a subclass of"):
            Simulation().run_pipe(double, [1])
        with pytest.raises(InvalidOption, match="scenario is 3"):
            check_many(3)
        with pytest.raises(InvalidOption, match="did you mean 'crashes'"):
            check_many(wrong, crash=1)


def test_user_errors_of_this_library_are_told_apart_from_a_broken_rule():
    assert issubclass(InvariantBroken, AssertionError)
    error = InvariantBroken("I6", "2 items are lost", 7, 1.5, ("line",))
    assert str(error) == "I6 is broken with seed 7, after 1.5000 s: 2 items are lost\nline"
