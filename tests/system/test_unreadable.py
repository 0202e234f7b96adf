"""Results and errors that can be pickled where they are made, and unpickled nowhere: whoever made them is charged."""

from __future__ import annotations

import time

import pytest

import slither_actors as slither
from slither_actors import DispatchError, InvalidOutcome, PipeError, RemoteError
from tests.helpers import jobs
from tests.helpers.patience import AT_ONCE_S

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


@pytest.fixture(autouse=True)
def soon():
    """A lost message costs 30 seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE_S


def payloads(items):
    return [item.payload for item in items]


class Fussy(Exception):
    """As many exception classes are: pickle calls it with the text alone, and it wants more."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def fussy(value):
    return Fussy(1, "x") if value == "bad" else value


def fussy_batch(values):
    return [fussy(value) for value in values]


class FussyStage(slither.Stage):
    def handle_item(self, item, ctx):
        return fussy(item.payload)


PRODUCERS = {
    "local": lambda on_error: slither.local(on_error=on_error)(lambda item: fussy(item.payload)),
    "own": lambda on_error: slither.stage(FussyStage, on_error=on_error),
    "worker": lambda on_error: slither.worker(fussy_batch, batch_size=4, on_error=on_error),
}
CONSUMERS = {
    "service": lambda on_error: None,
    "local": lambda on_error: slither.local(on_error=on_error)(lambda item: item),
    "worker": lambda on_error: slither.worker(jobs.same, batch_size=4, on_error=on_error),
}
GIVEN = [*range(6), "bad", *range(7, 12), "bad", *range(13, 20)]


def two_stages(producer, consumer, on_error):
    """The one behind has the opposite policy, so that it would be seen whose policy holds."""
    body = {"maker": PRODUCERS[producer](on_error)}
    behind = CONSUMERS[consumer]("skip" if on_error == "halt" else "halt")
    if behind is not None:
        body["behind"] = behind
    return type(slither.Pipe)("Two", (slither.Pipe,), body)


@pytest.mark.parametrize("consumer", list(CONSUMERS))
@pytest.mark.parametrize("producer", list(PRODUCERS))
def test_under_skip_the_one_result_that_nobody_can_read_is_skipped_in_the_name_of_its_maker(system, producer, consumer):
    outputs = system.run_pipe(two_stages(producer, consumer, "skip"), GIVEN)
    assert payloads(outputs.default) == [value for value in GIVEN if value != "bad"]
    assert outputs.skipped.total == 2
    for item in outputs.skipped:
        assert item.payload is None
        assert item.meta["stage"] == "maker"
        assert isinstance(item.meta["error"], InvalidOutcome)
        assert "maker gave an answer that cannot be used: it can be pickled, but not unpickled" in str(
            item.meta["error"]
        )
        assert "missing 1 required positional argument: 'text'" in str(item.meta["error"])


@pytest.mark.parametrize("consumer", list(CONSUMERS))
@pytest.mark.parametrize("producer", list(PRODUCERS))
def test_under_halt_a_result_that_nobody_can_read_ends_the_run_in_the_name_of_its_maker(system, producer, consumer):
    with pytest.raises(PipeError) as caught:
        system.run_pipe(two_stages(producer, consumer, "halt"), GIVEN)
    assert caught.value.stage == "maker"
    assert isinstance(caught.value.reason, InvalidOutcome)
    assert caught.value.reason.stage == "maker"
    finished = payloads(caught.value.partial_results["default"])
    assert "bad" not in finished
    if consumer == "service":
        assert finished[:6] == list(range(6)), "also the earlier items of the same batch"


def test_a_dispatch_charges_its_function_and_keeps_what_was_finished(system):
    results = system.dispatch(GIVEN, fussy_batch, batch_size=4, on_error="skip")
    assert payloads(results) == [value for value in GIVEN if value != "bad"]
    assert results.skipped.total == 2
    with pytest.raises(DispatchError) as caught:
        system.dispatch(GIVEN, fussy_batch, batch_size=4)
    assert isinstance(caught.value.reason, InvalidOutcome)
    assert "fussy_batch gave an answer" in str(caught.value.reason)
    assert caught.value.batch_ref == 2
    finished = payloads(caught.value.partial_results)
    assert finished[:7] == [0, 1, 2, 3, 4, 5, 7]
    assert finished == sorted(finished)


def test_a_stream_yields_what_was_finished_and_then_says_whose_result_nobody_can_read(system):
    seen = []
    with pytest.raises(DispatchError, match="fussy_batch gave an answer"):  # noqa: PT012 - the loop is what raises
        for item in system.stream(GIVEN, fussy_batch, batch_size=2, max_in_flight=1):
            seen.append(item.payload)
    assert seen[:6] == list(range(6))
    ended = []
    stream = system.stream(GIVEN, fussy_batch, on_error="skip", on_end=lambda item, end: ended.append(end))
    assert len(list(stream)) == 18
    assert ended == ["skipped", "skipped"]


def test_one_ready_batch_and_a_call_for_each_worker_say_whose_result_nobody_can_read(system):
    with pytest.raises(InvalidOutcome, match="fussy_batch gave an answer"):
        system.call_batch(["bad"], fussy_batch)
    with pytest.raises(InvalidOutcome, match=r"lambda.* gave an answer .*: it can be pickled, but not unpickled"):
        system.call_each(lambda: Fussy(1, "x"))


def test_an_item_of_the_input_that_nobody_can_read_goes_by_the_policy_of_those_who_should(system):
    given = [1, Fussy(1, "x"), 3]
    results = system.dispatch(given, jobs.same, on_error="skip")
    assert (payloads(results), payloads(results.skipped)) == ([1, 3], [None])
    assert isinstance(results.skipped[0].meta["error"], RemoteError)
    with pytest.raises(DispatchError, match="missing 1 required positional argument"):
        system.dispatch(given, jobs.same)
    outputs = system.run_pipe(two_stages("local", "service", "skip"), given)
    assert (payloads(outputs.default), outputs.skipped.total) == ([1, 3], 1)


def own_error(values=None):
    raise Fussy(1, "x")


def error_of_the_library(values=None):
    raise InvalidOutcome(Fussy(1, "x"), "y")


@pytest.mark.parametrize(("fails", "kind"), [(own_error, "Fussy"), (error_of_the_library, "InvalidOutcome")])
def test_an_error_that_nobody_can_read_arrives_as_text(system, fails, kind):
    results = system.dispatch([1], fails, on_error="skip")
    assert type(results.skipped[0].meta["error"]) is RemoteError
    with pytest.raises(RemoteError, match=kind):
        system.call_each(fails)

    class Failing(slither.Pipe):
        step = slither.local(lambda item: fails())

    with pytest.raises(PipeError, match=kind) as caught:
        system.run_pipe(Failing, [1])
    assert type(caught.value.reason) is RemoteError
