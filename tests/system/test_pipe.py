"""Pipes over real processes: where items go, in what order, and what happens to those that fail."""

from __future__ import annotations

import json
import os
import threading

import pytest

import slither_actors as slither
from slither_actors import InvalidOption, Item, PipeError, StartError, UnknownPool
from tests.helpers import jobs, pipes
from tests.system.running import a_system, processes
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


@pytest.fixture
def run(system):
    """Runs pipes, and stops them afterwards."""
    started = []

    def run_pipe(pipe, inputs, **options):
        started.append(pipe)
        return system.run_pipe(pipe, inputs, **options)

    yield run_pipe
    for pipe in started:
        system.stop_pipe(pipe)


def payloads(items):
    return [item.payload for item in items]


def test_the_pipe_of_the_readme(run):
    outputs = run(pipes.ScorePipe, ["nine chars", "five5", "abc", "four", "seventeen", ""])
    assert [item.payload["text"] for item in outputs.accept] == ["nine chars", "seventeen"]
    assert [item.payload["text"] for item in outputs.review] == ["five5", "four"]
    assert [item.payload["text"] for item in outputs["default"]] == ["abc", ""]
    assert [item.route for item in outputs.accept] == ["accept", "accept"]
    assert list(outputs) == ["default", "accept", "review"]


@pytest.mark.parametrize("count", [0, 1, 33, 5000])
def test_every_item_arrives_in_the_order_of_the_inputs(run, count):
    outputs = run(pipes.ScorePipe, ("x" * (number % 12) for number in range(count)))
    assert sum(map(len, outputs.values())) == count
    for items in outputs.values():
        ids = [item.id for item in items]
        assert ids == sorted(ids)


def test_all_stages_run_at_the_same_time(run):
    outputs = run(pipes.Overlap, [pipes.Stamp(number) for number in range(50)])
    times = [stamp for item in outputs.default for stamp in item.payload.times]
    first, work, last = (
        [(begin, end) for name, _, begin, end in times if name == wanted] for wanted in ("first", "work", "last")
    )
    for earlier, later in ((first, work), (work, last), (first, last)):
        assert min(begin for begin, _ in later) < max(end for _, end in earlier), "each waits for the one before it"
    assert len({pid for _, pid, _, _ in times}) == 4, "two stages and two workers"
    together = max(end for *_, end in times) - min(begin for *_, begin, _ in times)
    one_by_one = sum(end - begin for *_, begin, end in times)
    assert together < one_by_one


def test_the_order_is_kept_on_either_side_of_a_jump(run):
    class Jumping(slither.Pipe):
        sort = slither.router((lambda item: item.payload % 3 == 0, "finish"), (lambda item: item.payload % 3 == 1, "a"))
        slow = slither.worker(jobs.same, batch_size=1, then="b")
        finish = slither.local(then="c")(lambda item: item)
        outputs = ["a", "b", "c"]

    outputs = run(Jumping, range(300))
    assert payloads(outputs.a) == list(range(1, 300, 3))
    assert payloads(outputs.b) == list(range(2, 300, 3))
    assert payloads(outputs.c) == list(range(0, 300, 3))
    assert outputs.default == []


def test_outputs_are_in_the_order_of_the_inputs_even_behind_a_stage_that_is_not(run):
    class Shuffling(slither.Pipe):
        work = slither.worker(jobs.run_slow, batch_size=1, ordering="as_completed")

    given = [jobs.Slow(0.1 * (number == 0), number) for number in range(30)]
    assert payloads(run(Shuffling, given).default) == list(range(30))


def test_several_items_out_of_one_stand_where_their_parent_stood(run):
    class Splitting(slither.Pipe):
        split = slither.local(many=True)(lambda item: [f"{item.payload}{letter}" for letter in "abc"])
        again = slither.local(lambda item: slither.Emit([item.payload, item.payload.upper()]))

    outputs = run(Splitting, ["1", "2"])
    assert payloads(outputs.default) == [w for n in "12" for letter in "abc" for w in (n + letter, n + letter.upper())]
    assert len({item.id for item in outputs.default}) == 12
    assert all(item.parent_id is not None for item in outputs.default)
    assert [item.index for item in outputs.default] == [0, 1] * 6
    counts = outputs.accounting
    assert (counts.inputs, counts.born, counts.expanded, counts.outputs, counts.abandoned) == (2, 18, 8, 12, 0)


def test_items_keep_id_and_meta_through_all_kinds_of_stages(run):
    class Through(slither.Pipe):
        a = slither.local(lambda item: item.payload)
        b = slither.worker(jobs.same)
        c = slither.stage(pipes.Acting)
        d = slither.router((lambda item: True, "out"))
        outputs = ["out"]

    given = [Item.wrap(number).with_meta(n=number) for number in range(5)]
    outputs = run(Through, given)
    assert [(item.id, item.payload, item.meta) for item in outputs.out] == [(i.id, i.payload, i.meta) for i in given]


def test_worker_stages_that_share_a_pool_do_not_share_their_functions(run):
    class Twice(slither.Pipe):
        double = slither.worker(jobs.double, batch_size=3)
        negate = slither.worker(lambda values: [-value for value in values], batch_size=5)
        plus = slither.worker(lambda values: [value + 1 for value in values], batch_size=2)

    for _ in range(5):
        assert payloads(run(Twice, range(300)).default) == [1 - 2 * n for n in range(300)]


def test_large_payloads_go_through_every_kind_of_stage(run):
    given = [b"x" * 300_000, "y" * 300_000, bytearray(b"z" * 2_000_000)]

    class Through(slither.Pipe):
        a = slither.local(lambda item: item.payload)
        b = slither.worker(jobs.same)
        c = slither.worker(jobs.same)

    assert payloads(run(Through, given).default) == given


EACH_KIND = pytest.mark.parametrize("kind", list(pipes.KINDS))
ANSWERING = pytest.mark.parametrize("kind", ["local", "custom", "batch"])


@EACH_KIND
def test_under_skip_the_failing_item_stands_aside_and_all_others_arrive(run, kind):
    given = [*range(50), "raise", *range(50, 100)]
    outputs = run(pipes.KINDS[kind]("skip"), given)
    if kind == "batch":
        assert set(payloads(outputs.skipped)) > {"raise"}, "a batch fails as a whole"
        assert len(outputs.default) + outputs.skipped.total == len(given)
        return
    assert payloads(outputs.default) == list(range(100))
    (skipped,) = outputs.skipped
    assert skipped.payload == "raise"
    assert str(skipped.meta["error"]) == "ValueError: boom"
    assert skipped.meta["stage"] == "step"


@EACH_KIND
def test_under_halt_the_error_names_pipe_and_stage_and_keeps_what_was_finished(run, kind):
    pipe = pipes.KINDS[kind]("halt")
    with pytest.raises(PipeError) as caught:
        run(pipe, [*range(500), "raise", *range(100)])
    halted = caught.value
    assert (halted.pipe, halted.stage, str(halted.reason)) == (pipe.__name__, "step", "ValueError: boom")
    assert halted.__cause__ is halted.reason
    assert set(halted.partial_results) == {"default", "out"}
    finished = payloads(halted.partial_results["default"])
    assert finished == list(range(len(finished)))
    assert finished, "what had reached an output before"


def test_earlier_items_of_the_failing_batch_are_finished_too(run):
    class Last(slither.Pipe):
        step = slither.local(lambda item: pipes.act(item.payload))

    with pytest.raises(PipeError) as caught:
        run(Last, [0, 1, 2, "raise", 4])
    assert payloads(caught.value.partial_results["default"]) == [0, 1, 2]


@pytest.mark.parametrize("mishap", ["kill", "segfault", "_exit", "too few", "lock"])
def test_a_worker_stage_survives_what_its_function_does(run, mishap):
    outputs = run(pipes.worker_pipe("skip"), [*range(20), mishap, *range(20, 40)])
    assert payloads(outputs.default) == list(range(40))
    assert payloads(outputs.skipped) == [mishap]


@ANSWERING
def test_each_answer_goes_where_it_says(run, kind):
    given = ["a", "drop", "three", "jump", "out", "nothing", "fail", "away", "z", "lock", "exit"]
    outputs = run(pipes.KINDS[kind]("skip"), given)
    if kind == "batch":
        assert set(payloads(outputs.skipped)) == set(given), "SystemExit fails the whole batch"
        outputs = run(pipes.KINDS[kind]("skip"), given[:-1])
        given = given[:-1]
    assert [p for p in payloads(outputs.default) if not isinstance(p, int)] == ["a", "jump", "z"]
    assert [p for p in payloads(outputs.default) if isinstance(p, int)] == [1, 2, 3]
    assert payloads(outputs.out) == ["out"]
    dropped = {item.payload: str(item.meta["error"]) for item in outputs.dropped}
    assert dropped["drop"] == "Drop: unwanted"
    assert dropped.keys() == {"drop", "nothing"}, "what became no item at all has an end too"
    errors = {item.payload: str(item.meta["error"]) for item in outputs.skipped}
    assert errors["fail"] == "Fail: bad"
    assert "destination 'nowhere'; a later stage or an output: last, default, out" in errors["away"]
    assert "lock" in errors["lock"]
    assert set(errors) == set(given) & {"fail", "away", "lock", "exit"}
    ends = len(outputs.skipped) + len(outputs.dropped)
    assert sum(map(len, outputs.values())) + ends == len(given) - len(["three"]) + 3


def test_the_policy_of_the_config_holds_where_nobody_else_says_anything(tidy):
    class Plain(slither.Pipe):
        step = slither.local(lambda item: 1 // item.payload)

    config = {"dispatch": {"default_on_error": "skip"}}
    with a_system(pools={"default": 1}, config=config) as system:
        assert len(system.run_pipe(Plain, [0, 1]).skipped) == 1


def test_on_end_sees_every_end_of_a_pipe(run):
    seen = []
    run(pipes.local_pipe("skip"), ["drop", "fail", 1], on_end=lambda item, end: seen.append((item.payload, end)))
    assert sorted(seen) == [("drop", "dropped"), ("fail", "skipped")]


def test_a_stage_of_ones_own_has_options_a_setup_a_state_and_a_teardown(system, tmp_path):
    note = tmp_path / "teardown"

    class Own(slither.Pipe):
        count = slither.stage(pipes.Counter, step=2, note=str(note))

    first = payloads(system.run_pipe(Own, range(3), metadata={"k": "v"}).default)
    second = payloads(system.run_pipe(Own, range(3)).default)
    assert [p["run"] for p in first] == [2, 4, 6]
    assert [p["run"] for p in second] == [2, 4, 6], "the state belongs to the run"
    assert [p["all"] for p in second] == [8, 10, 12], "the stage stays warm"
    assert first[0]["place"] == ("Own", "count")
    assert first[0]["meta"] == {"k": "v"}
    assert first[0]["pid"] == second[0]["pid"] != os.getpid()
    system.stop_pipe(Own)
    assert note.read_text() == str(first[0]["pid"])


def test_a_pipe_is_started_kept_and_stopped(system):
    class Kept(slither.Pipe):
        count = slither.stage(pipes.Counter)

    system.start_pipe(Kept)
    system.start_pipe(Kept)
    (pid,) = {p["pid"] for p in payloads(system.run_pipe(Kept, range(2)).default)}
    assert [node["pid"] for name, node in processes(system).items() if name.endswith("/count")] == [pid]
    assert system.statistics()["pipes"]["Kept"]["kept"] is True
    system.stop_pipe(Kept)
    eventually(lambda: not any("Kept" in name for name in processes(system)), "its processes are gone")
    system.stop_pipe(Kept)
    assert payloads(system.run_pipe(Kept, range(1)).default)[0]["pid"] != pid, "it starts again when it is needed"
    system.stop_pipe(Kept)


def test_pipes_can_be_started_with_the_system(tidy):
    with a_system(pools={"default": 1}, pipes=[pipes.ScorePipe]) as system:
        eventually(lambda: any("ScorePipe" in name for name in processes(system)), "it runs")
        assert len(system.run_pipe(pipes.ScorePipe, ["a"]).default) == 1


class Unready(slither.Pipe):
    fine = slither.local(lambda item: item)
    model = slither.stage(pipes.Unready)


def test_a_stage_that_cannot_start_is_told_with_its_name_and_reason(system):
    for call in (lambda: system.start_pipe(Unready), lambda: system.run_pipe(Unready, [1])):
        with pytest.raises(StartError) as caught:
            call()
        assert "model" in str(caught.value)
        assert "FileNotFoundError: no model" in str(caught.value)
    assert not any("Unready" in name for name in processes(system)), "nothing of it is left running"
    assert "Unready" not in system.statistics()["pipes"]


def test_a_system_with_a_pipe_that_cannot_start_does_not_start(tidy):
    with pytest.raises(StartError, match="no model"):
        slither.start(pools={"default": 1}, pipes=[Unready])


@pytest.mark.parametrize("wrong", [5, "ScorePipe", slither.Pipe, dict, None])
def test_what_is_no_pipe_is_refused(system, wrong):
    for call in (system.start_pipe, system.stop_pipe, lambda pipe: system.run_pipe(pipe, [1])):
        with pytest.raises(InvalidOption, match=r"a subclass of slither_actors\.Pipe"):
            call(wrong)


def test_a_pool_that_does_not_exist_is_told_before_anything_starts(system):
    class Gpu(slither.Pipe):
        work = slither.worker(jobs.same, pool="gpu")

    with pytest.raises(UnknownPool, match="'gpu'; this system has: default"):
        system.run_pipe(Gpu, [1])
    assert not any("Gpu" in name for name in processes(system))


def test_a_session_is_told_to_user_code_and_a_wrong_one_is_refused_before_anything_starts(system):
    class Told(slither.Pipe):
        step = slither.local(lambda item, ctx: (ctx.session_id, ctx.metadata))

    for call in (system.run_pipe, system.stream_pipe):
        with pytest.raises(InvalidOption, match="session_id is 5"):
            call(Told, [1], session_id=5)
    assert not any("Told" in name for name in processes(system))
    (told,) = system.run_pipe(Told, [1], session_id="s-1", metadata={"a": 1}).default
    assert told.payload == ("s-1", {"a": 1})


def test_inputs_that_cannot_be_iterated_are_refused(system):
    with pytest.raises(InvalidOption, match="run_pipe: items is 5"):
        system.run_pipe(pipes.ScorePipe, 5)
    with pytest.raises(InvalidOption, match="stream_pipe: items is 5"):
        system.stream_pipe(pipes.ScorePipe, 5)


def test_a_function_that_cannot_be_imported_ends_the_run_with_that_error(run):
    class Wrong(slither.Pipe):
        work = slither.worker("no_such_module:f", on_error="skip")

    with pytest.raises(slither.NotImportable, match="no_such_module"):
        run(Wrong, range(10))


def test_the_figures_of_a_system_are_plain_data(system):
    system.run_pipe(pipes.ScorePipe, ["a"])
    for figures in (system.topology(), system.statistics()):
        assert json.loads(json.dumps(figures)) == figures
    names = set(processes(system))
    assert {"registry", "pools", "pipes", "pools/default", "pools/default/workers/worker-2"} <= names
    assert any(name.endswith("/predict") for name in names)
    system.stop_pipe(pipes.ScorePipe)


def test_two_pipes_of_one_name_do_not_meet(run):
    def make(value):
        class Same(slither.Pipe):
            step = slither.local(lambda item: value)

        return Same

    first, second = make("first"), make("second")
    assert payloads(run(first, [1]).default) == ["first"]
    assert payloads(run(second, [1]).default) == ["second"]
    assert payloads(run(first, [1]).default) == ["first"]


def test_a_slow_start_of_one_pipe_does_not_hold_up_another(run, tmp_path):
    begun, go_on = tmp_path / "begun", tmp_path / "go on"

    class SlowStart(slither.Stage):
        def setup(self, ctx):
            begun.touch()
            eventually(go_on.exists, "the other pipe has run")

        def handle_item(self, item, ctx):
            return item

    class Slow(slither.Pipe):
        step = slither.stage(SlowStart)

    run(pipes.Overlap, [])
    thread = threading.Thread(target=lambda: run(Slow, []))
    thread.start()
    eventually(begun.exists, "it is starting")
    assert run(pipes.Overlap, [pipes.Stamp(1)]).default
    assert thread.is_alive(), "it has not waited for the other pipe"
    go_on.touch()
    thread.join()
