"""What a stage reports of its batches, of a run that somebody listens to."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import pytest

from slither_actors import Drop, Emit, Item, RouteTo, telemetry
from slither_actors._record import replaced
from slither_actors.context import Context
from slither_actors.errors import RemoteError, StageDown, type_name_of
from slither_actors.pipe._halt import RunHalted
from slither_actors.pipe._handling import singly
from slither_actors.pipe._measured_stage_run import MeasuredStageRun, new_run
from slither_actors.pipe._stage_run import StageRun
from slither_actors.policy import Halt, Policy, Retry, Skip
from slither_actors.telemetry import Event, Interest
from slither_actors.workers.executor import item_error
from slither_actors.workers.parcel import pack_items, size
from tests.unit.pipe.playing_edges import WAYS, Neighbours, one_way_plan


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.flushed = 0

    def add(self, *event: Any) -> None:
        self.events.append(Event(*event))

    def flush(self) -> None:
        self.flushed = len(self.events)


def plan_of(policy: Policy, interest: tuple[telemetry.Name, ...] = (telemetry.STAGE,)) -> Any:
    plan = one_way_plan(policy, context=Context("Score", "middle", "s-1", "r"), **WAYS)
    return replaced(plan, context=attrs.evolve(plan.context, interest=Interest(1, interest)))


class Bench:
    """A stage whose clock goes on by one second whenever it is asked what the time is."""

    def __init__(self, policy: Policy) -> None:
        self.heard = Heard()
        self.ticks = itertools.count()
        plan = plan_of(policy)
        clock = self.ticks.__next__
        self.run: Any = new_run(self.heard, "r", "middle", plan, None, None, clock)  # type: ignore[arg-type]

    def feed(self, payloads: Iterable[Any], seq: int = 1) -> None:
        items = [Item.wrap(payload) for payload in payloads]
        self.fed = size((parcel := pack_items(items),))
        self.run.batch(1, seq, (parcel,))

    def work(self, hook: Callable[[Item], Any]) -> None:
        """As the actor does, without turns."""
        items = self.run.next_batch()
        self.run.begin(singly(lambda item, ctx: hook(item), self.run, items))
        while self.run._work is not None:
            self.run.step()
            self.run.pause_s = 0.0
        self.run.flush()


def test_a_batch_says_what_came_of_it_and_how_long_it_took() -> None:
    bench = Bench(Skip())
    bench.feed([1, 2, 3, 4])  # at 0
    answers = {1: 1, 2: Drop("odd"), 3: Emit([5, 6, 7]), 4: RouteTo("out", 8)}
    bench.work(lambda item: answers[item.payload])
    (event,) = bench.heard.events
    assert event.name == (*telemetry.STAGE, "stop")
    measured = dict(event.measurements)
    duration_s, run_s = measured.pop("duration_s"), measured.pop("run_s")
    assert measured.pop("bytes_in") == bench.fed > 0
    assert 0 < run_s < duration_s - 1
    assert measured == {"time_s": 0, "queue_s": 1, "items_in": 4, "items_out": 5, "attempt": 1}
    about = {"run": "r", "session": "s-1", "pipe": "Score", "stage": "middle"}
    assert event.metadata == {**about, "outcome": "ok"}


def fails_once() -> Callable[[Item], Any]:
    failed: set[int] = set()

    def hook(item: Item) -> Any:
        if item.payload == "odd" and item.id not in failed:
            failed.add(item.id)
            raise ValueError(item.payload)
        return item.payload

    return hook


def test_another_attempt_that_succeeds_is_a_success() -> None:
    bench = Bench(Retry(max_attempts=3, backoff_s=0.1))
    bench.feed(["a", "odd"])
    bench.work(fails_once())
    (event,) = bench.heard.events
    assert (event.metadata["outcome"], event.measurements["attempt"], event.measurements["items_out"]) == ("ok", 2, 2)
    assert "error_type" not in event.metadata


def test_an_item_that_fails_makes_the_batch_an_error_that_does_not_quote_it() -> None:
    bench = Bench(Skip())
    bench.feed(["a", "odd"])
    bench.work(fails_once())
    (event,) = bench.heard.events
    assert (event.name[-1], event.metadata["outcome"], event.metadata["error_type"]) == ("stop", "error", "ValueError")
    assert event.measurements["items_out"] == 1
    assert "odd" not in repr(event)


def test_what_halts_the_run_is_told_before_its_last_words() -> None:
    bench = Bench(Halt())
    bench.feed(["odd"])
    with pytest.raises(RunHalted):
        bench.work(fails_once())
    (event,) = bench.heard.events
    assert (event.name[-1], event.metadata["error_type"]) == ("exception", "ValueError")
    assert "items_out" not in event.measurements
    assert event.measurements["run_s"] > 0
    bench.run.last_words()
    assert bench.heard.flushed == 1


def test_an_answer_that_cannot_travel_halts_the_run_as_well() -> None:
    bench = Bench(Halt())
    bench.feed([1])
    bench.run.complete(1, 1)
    with pytest.raises(RunHalted):
        bench.work(lambda item: threading.Lock())
    assert [(event.name[-1], event.metadata["error_type"]) for event in bench.heard.events] == [
        ("exception", "InvalidOutcome")
    ]


def test_the_last_batch_is_flushed_before_the_end_is_told() -> None:
    bench = Bench(Skip())
    bench.feed([1])
    bench.feed([2], seq=2)
    bench.work(lambda item: item)
    assert bench.heard.flushed == 0
    bench.run.complete(1, 2)
    bench.work(lambda item: item)
    assert bench.heard.flushed == 2


def test_a_batch_that_cannot_be_read_is_told_by_nobody() -> None:
    """It is the fault of whoever made it."""
    bench = Bench(Halt())
    bench.run.batch(1, 1, ((b"broken", (), 0, 1, ()),))
    with pytest.raises(RunHalted):
        bench.run.next_batch()
    assert bench.heard.events == []


def test_a_halt_by_the_fault_of_another_stage_is_none_of_this_one() -> None:
    bench = Bench(Halt())
    bench.feed([1])
    bench.run.next_batch()

    def unfit() -> Iterator[float]:
        raise RunHalted(RemoteError("ValueError", "", "", ()), "later")
        yield 0.0

    bench.run.begin(unfit())
    with pytest.raises(RunHalted):
        bench.run.step()
    assert bench.heard.events == []


@pytest.mark.parametrize("interest", [(), (telemetry.BATCH,)])
def test_a_run_that_nobody_listens_to_is_a_plain_one(interest: tuple[telemetry.Name, ...]) -> None:
    assert type(new_run(Heard(), "r", "middle", plan_of(Skip(), interest))) is StageRun  # type: ignore[arg-type]
    assert type(new_run(None, "r", "middle", plan_of(Skip()))) is StageRun


class Listening(Neighbours):  # type: ignore[misc]
    def __init__(self, rng: random.Random, heard: Heard, handler: Any, feed: Iterable[Any], **more: Any) -> None:
        plan = plan_of(Skip())
        super().__init__(rng, plan, handler, feed, **more)
        self.run = MeasuredStageRun("r", "middle", plan, reports=heard)

    def handle(self, items: list[Item]) -> Iterator[float]:
        for item in items:
            try:
                answer = self.handler(item)
            except Exception as error:
                self.run.failure([item], item_error(error))
            else:
                self.run.outcome(item, answer)
            yield 0.0


@pytest.mark.parametrize("seed", range(20))
def test_however_the_work_is_cut_into_turns_each_item_is_counted_once(seed: int) -> None:
    rng, heard = random.Random(seed), Heard()

    def handler(item: Item) -> Any:
        match item.payload % 4:
            case 0:
                raise ValueError
            case 1:
                return Emit([item.payload] * (item.payload % 3))
            case 2:
                return Drop("two")
            case _:
                return item

    around = Listening(rng, heard, handler, range(50), breaks=0.5)
    while around.step():
        pass
    assert around.done
    assert sum(event.measurements["items_in"] for event in heard.events) == 50
    assert sum(event.measurements["items_out"] for event in heard.events) == sum(map(len, around.arrived.values()))
    assert heard.flushed == len(heard.events) == 13
    assert {event.metadata["outcome"] for event in heard.events} <= {"ok", "error"}


def test_errors_of_others_are_names_too() -> None:
    assert type_name_of(StageDown("x", "y")) == "StageDown"
    assert type_name_of(RemoteError("Odd.Error", "x", "", ())) == "Odd.Error"
