"""Plug-in stages, made by hand and called without any actor system."""

import functools
import itertools
import types

import attrs
import pytest

import slither_actors as slither
from slither_actors import Context, DefinitionError, InvalidOption, Item, NoProcess
from slither_actors._validators import positive_int
from slither_actors.dispatch.messages import (
    Ask,
    Batch,
    CloseRun,
    Complete,
    Failed,
    OpenRun,
    Origin,
    RunOpened,
    RunRefused,
    Surrender,
    Surrendered,
    ends_of,
)
from slither_actors.errors import SendQueueFull
from slither_actors.otp.child import ExitReason
from slither_actors.pipe.stage import _GoOn
from slither_actors.policy import Halt, Skip
from slither_actors.workers.parcel import pack_items, unpack_items
from tests.unit.pipe.playing_edges import one_way_plan


class Scale(slither.Stage):
    @attrs.frozen
    class Options:
        factor: int = attrs.field(default=2, validator=positive_int)
        label: str = "x"

    def setup(self, ctx):
        self.base = self.options.factor

    def handle_item(self, item, ctx):
        return item.with_payload(item.payload * self.base)

    def teardown(self):
        self.base = None


def test_hooks_can_be_called_without_a_system():
    stage = Scale(factor=3)
    stage.setup(Context())
    assert stage.handle_item(Item.wrap(5), Context()).payload == 15
    stage.teardown()
    assert stage.base is None


def test_options_are_read_as_declared_with_their_defaults():
    stage = Scale(label="y")
    assert (stage.options.factor, stage.options.label) == (2, "y")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stage.options.factor = 5


def test_an_unknown_option_is_told_the_nearest_one():
    with pytest.raises(InvalidOption) as caught:
        Scale(facto=3)
    assert str(caught.value) == ("stage Scale: facto is not an option; allowed: factor, label; did you mean 'factor'?")


def test_a_wrong_value_is_refused_by_the_validator_when_the_pipe_is_defined():
    with pytest.raises(InvalidOption, match="factor is 0; allowed: a whole number of at least 1"):
        slither.stage(Scale, factor=0)


@pytest.mark.parametrize("limit", [0, -1, None, True, float("inf"), "5"])
def test_a_start_limit_that_is_none_is_refused_when_the_pipe_is_defined(limit):
    with pytest.raises(InvalidOption, match=r"start_timeout_s is .*; allowed: a finite number of seconds above 0"):
        slither.stage(Scale, start_timeout_s=limit)


def test_any_other_error_of_the_options_names_the_stage():
    class Fussy(Scale):
        @attrs.frozen
        class Options:
            factor: int = attrs.field(converter=int)

    with pytest.raises(
        DefinitionError, match=r"stage Fussy: its options are refused \(given: factor\): invalid literal"
    ):
        slither.stage(Fussy, factor="a")
    with pytest.raises(DefinitionError, match=r"stage Fussy: its options are refused \(given: none\): .*factor"):
        slither.stage(Fussy)


def test_options_must_be_an_attrs_class():
    with pytest.raises(DefinitionError, match="stage Odd: Options is no attrs class"):

        class Odd(slither.Stage):
            class Options:
                factor = 2


@pytest.mark.parametrize("name", ["__init__", "receiveMessage"])
def test_overriding_what_belongs_to_the_library_is_refused(name):
    with pytest.raises(DefinitionError) as caught:
        type("Mine", (Scale,), {name: lambda self, *args: None})
    assert str(caught.value).startswith(f"stage Mine: it overrides {name}, which belongs to the library; allowed: ")


def test_a_stage_made_by_hand_is_no_process():
    stage = Scale()
    with pytest.raises(NoProcess, match="Scale"):
        stage.address  # noqa: B018
    assert stage.name == "Scale"


def test_the_default_hooks_do_nothing_and_a_handler_must_be_written():
    stage = slither.Stage()
    assert stage.setup(Context()) is None
    assert stage.teardown() is None
    with pytest.raises(NotImplementedError):
        stage.handle_item(Item.wrap(1), Context())
    with pytest.raises(NotImplementedError):
        stage.handle_batch([Item.wrap(1)], Context())


# -- the actor's handlers, called by hand


class Bench:
    """A stage whose messages are kept."""

    def __init__(self, cls, policy=None, **plan):
        self.sent = []
        actor = {"post": lambda _, to, message: self.sent.append(message), "address": "itself"}
        self.stage = type(cls.__name__, (cls,), actor)()
        self.stage._on_open(OpenRun("r", one_way_plan(policy or Halt(), **plan)), "service")
        assert isinstance(self.sent.pop(), RunOpened)
        self.seq = 0

    def feed(self, *payloads, last=False):
        items = Item.wrap_many(payloads)
        if items:
            self.seq += 1
            self.stage._on_batch(Batch("r", 1, self.seq, (pack_items(items),), ()), "source")
        if last:
            self.stage._on_complete(Complete("r", 1, self.seq), "source")
        self.go_on_to_the_end()  # a slow machine may make turns of it
        return items

    def go_on_to_the_end(self):
        while self.go_on():
            pass

    def go_on(self):
        """What the stage told itself; false if it told nothing."""
        notes = self.of(_GoOn)
        self.sent = [message for message in self.sent if not isinstance(message, _GoOn)]
        for note in notes:
            self.stage._on_go_on(note, "itself")
        return bool(notes)

    def results(self):
        return [item.payload for batch in self.batches() for item in unpack_items(batch.parcels)]

    def batches(self):
        found = []
        for message in self.sent:
            found += [message] if isinstance(message, Batch) else getattr(message, "finished", ())
        return found

    def ends(self):
        return [
            (ends.kind, [item.payload for item in unpack_items(ends.parcels)], str(ends.error))
            for batch in self.batches()
            for ends in ends_of(batch)
        ]

    def of(self, kind):
        return [message for message in self.sent if isinstance(message, kind)]


class Explosive(slither.Stage):
    """Raises, or answers, what the payload says."""

    def handle_item(self, item, ctx):
        ctx.state["seen"] = ctx.state.get("seen", 0) + 1
        if isinstance(item.payload, BaseException):
            raise item.payload
        return item.payload


class Batchwise(slither.Stage):
    def handle_batch(self, items, ctx):
        if items[0].payload == "short":
            return [1]
        if items[0].payload == "none":
            return None
        if items[0].payload == "raise":
            raise ValueError("boom")
        return (item.payload.upper() for item in items)


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), KeyboardInterrupt()])
def test_a_failing_item_is_skipped_and_its_neighbours_go_on(error):
    bench = Bench(Explosive, Skip())
    bench.feed(1, error, 2, last=True)
    assert bench.results() == [1, 2]
    ((kind, _, text),) = bench.ends()
    assert kind == "skipped"
    assert type(error).__name__ in text
    assert bench.of(Complete)
    assert not bench.stage._runs


def test_at_a_halt_earlier_items_of_the_same_batch_are_finished():
    bench = Bench(Explosive, Halt())
    bench.feed(1, 2, ValueError("boom"), 4)
    (failed,) = bench.of(Failed)
    assert bench.results() == [1, 2]
    assert str(failed.error) == "ValueError: boom"
    assert failed.run == "r"
    assert not bench.stage._runs
    bench.feed(5)
    assert len(bench.of(Failed)) == 1, "a run that is over hears nothing more"


def test_a_batch_handler_is_not_called_where_nothing_can_be_read():
    bench = Bench(Batchwise, Skip(), origin=Origin("before", Skip(), "before"))
    bench.feed(Foreign(), last=True)
    ((kind, payloads, error),) = bench.ends()
    assert (kind, payloads) == ("skipped", [None])
    assert "before gave an answer" in error


def test_a_run_that_another_stage_halts_is_charged_to_that_one():
    bench = Bench(Explosive, Skip(), origin=Origin("before", Halt(), "before"))
    bench.feed(Foreign())
    (failed,) = bench.of(Failed)
    assert failed.stage == "before"


class Foreign:
    """Its class is missing in the stage's process."""

    def __reduce__(self):
        return _missing, ()


def _missing():
    raise ImportError("not installed")


def test_a_run_whose_context_cannot_be_read_is_refused():
    bench = Bench(Explosive)
    bench.stage._on_open(OpenRun("other", one_way_plan(Halt(), context=Context(metadata={"a": Foreign()}))), "service")
    (refused,) = bench.of(RunRefused)
    assert refused.run == "other"
    assert isinstance(refused.error, slither.NotDecodable)
    assert "not installed" in str(refused.error)
    assert list(bench.stage._runs) == ["r"]


def test_the_state_belongs_to_one_run():
    bench = Bench(Explosive)
    context = bench.stage._runs["r"].context
    bench.feed(1, 2)
    assert context.state == {"seen": 2}
    bench.stage._on_open(OpenRun("other", one_way_plan(Halt())), "service")
    assert bench.stage._runs["other"].context.state == {}


def test_a_closed_run_is_forgotten_with_its_state():
    bench = Bench(Explosive)
    bench.stage._on_close(CloseRun("r"), "service")
    bench.stage._on_close(CloseRun("r"), "service")
    bench.feed(1)
    assert bench.results() == []
    assert not bench.stage._runs


class Reporting:
    """The stores of a stage, as far as they have events to tell."""

    def __init__(self, bench):
        self.bench = bench

    def report(self):
        self.bench.sent.append("events")


@pytest.mark.parametrize("end", ["closed", "surrendered"])
def test_what_user_code_did_at_the_end_of_a_run_is_reported(end):
    class Endless(slither.Stage):
        def handle_item(self, item, ctx):
            def parts():
                try:
                    while True:
                        yield 1
                finally:
                    bench.sent.append("left")

            return slither.Emit(parts())

    bench = Bench(Endless, window=1)
    bench.stage._stores = Reporting(bench)
    bench.go_on_to_the_end = lambda: None
    bench.feed(1)
    del bench.sent[:]
    if end == "closed":
        bench.stage._on_close(CloseRun("r"), "service")
        assert bench.sent == ["left", "events"]
    else:
        bench.stage._on_surrender(Surrender("r"), "service")
        first, words, *others = bench.sent
        assert (first, type(words), others) == ("events", Surrendered, ["left", "events"]), "events come before it"


def test_a_batch_handler_answers_for_each_item():
    bench = Bench(Batchwise)
    bench.feed("a", "b", last=True)
    assert bench.results() == ["A", "B"]


@pytest.mark.parametrize(
    ("word", "text"),
    [("short", "got 2 items and gave 1 results"), ("none", "TypeError"), ("raise", "ValueError: boom")],
)
def test_a_batch_handler_that_fails_fails_for_all_its_items(word, text):
    bench = Bench(Batchwise, Skip())
    bench.feed(word, "b", last=True)
    ((kind, payloads, error),) = bench.ends()
    assert (kind, payloads) == ("skipped", [word, "b"])
    assert text in error
    assert bench.results() == []


class Numbers(slither.Stage):
    """Each item becomes all numbers."""

    def handle_item(self, item, ctx):
        return slither.Emit(self.numbers()) if item.payload == "all" else item

    def numbers(self):
        self.closed = False
        try:
            yield from itertools.count()
        finally:
            self.closed = True


def endless():
    """A stage that is in the middle of an item that never ends, with credit for all of it."""
    bench = Bench(Numbers, window=10**9)
    bench.stage._on_batch(Batch("r", 1, 1, (pack_items([Item.wrap("all")]),), ()), "source")
    return bench


def test_an_item_that_never_ends_is_worked_on_in_turns_and_others_come_in_between():
    bench = endless()
    sent = len(bench.results())
    assert sent > 0, "what there is goes out at the end of a turn"
    bench.stage._on_open(OpenRun("other", one_way_plan(Halt())), "service")
    bench.stage._on_batch(Batch("other", 1, 1, (pack_items([Item.wrap("mine")]),), ()), "source")
    assert bench.results()[sent:] == ["mine"]
    assert len(bench.of(_GoOn)) == 1
    assert bench.go_on()
    assert len(bench.of(_GoOn)) == 1
    assert len(bench.results()) > sent + 1


def test_whatever_arrives_meanwhile_there_is_one_note_to_go_on():
    bench = endless()
    for _ in range(3):
        bench.stage._on_ask(Ask("r", 99, 10**9 + 5), "service")
    assert len(bench.of(_GoOn)) == 1


def test_a_closed_run_closes_what_an_item_was_becoming():
    bench = endless()
    bench.stage._on_close(CloseRun("r"), "service")
    assert bench.stage.closed
    bench.go_on()
    assert not bench.of(_GoOn)


def test_a_stage_that_ends_closes_what_items_were_becoming():
    bench = endless()
    bench.stage.terminate(ExitReason("shutdown"))
    assert bench.stage.closed


def test_a_generator_that_cannot_be_closed_harms_nobody(caplog):
    class Stubborn(Numbers):
        def numbers(self):
            try:
                yield from itertools.count()
            finally:
                raise ValueError("not now")

    bench = Bench(Stubborn, window=10**9)
    bench.stage._on_batch(Batch("r", 1, 1, (pack_items([Item.wrap("all")]),), ()), "source")
    bench.stage._on_close(CloseRun("r"), "service")
    assert "ValueError: not now" in caplog.text
    bench.stage._on_open(OpenRun("r", one_way_plan(Halt())), "service")


@pytest.mark.parametrize("full", [Batch, Complete])
def test_a_queue_that_is_full_ends_the_run_and_closes_what_an_item_was_becoming(full):
    bench = Bench(Numbers)
    post = type(bench.stage).post

    def refuse(stage, to, message):
        if isinstance(message, full):
            raise SendQueueFull(to, 2, 1)
        post(stage, to, message)

    type(bench.stage).post = refuse
    bench.feed("all" if full is Batch else "one", last=True)
    (failed,) = bench.of(Failed)
    assert isinstance(failed.error, SendQueueFull)
    assert not bench.stage._runs
    assert full is Complete or bench.stage.closed


def test_words_of_a_failure_that_are_too_large_go_without_the_results():
    bench = Bench(Explosive, Halt())
    post = type(bench.stage).post

    def refuse(stage, to, message):
        if isinstance(message, Failed) and message.finished:
            raise SendQueueFull(to, 2, 1)
        post(stage, to, message)

    type(bench.stage).post = refuse
    bench.feed(1, ValueError("boom"))
    (failed,) = bench.of(Failed)
    assert (str(failed.error), failed.finished) == ("ValueError: boom", ())


def test_the_error_of_a_user_class_reaches_others_as_text():
    from tests.helpers import jobs

    class Raising(slither.Stage):
        def handle_item(self, item, ctx):
            raise jobs.OwnError("mine")

    bench = Bench(Raising, Halt())
    bench.feed(1)
    (failed,) = bench.of(Failed)
    assert str(failed.error) == "OwnError: mine"


@pytest.mark.parametrize(
    "lost",
    [
        RunOpened("r"),  # whose answer nobody awaits: of a replica, that is a balancer which died meanwhile
        Ask("r", 1, 9),
        Complete("r", 1, 1),
        Failed("r", "s", slither.RemoteError.of(ValueError()), 0, ()),
    ],
)
def test_a_run_that_the_others_have_left_without_a_word_is_forgotten(lost):
    bench = Bench(Explosive)
    bench.stage.handle_undelivered("something else", "service")
    assert list(bench.stage._runs) == ["r"]
    bench.stage.handle_undelivered(lost, "service")
    assert not bench.stage._runs


# -- another attempt


class Moody(slither.Stage):
    """Raises on what it sees for the first time, if its payload says so; keeps what it saw, call by call."""

    @functools.cached_property
    def calls(self):
        return []


class MoodyItems(Moody):
    def handle_item(self, item, ctx):
        self.calls.append(item.payload)
        if self.calls.count(item.payload) <= MOODS.get(item.payload, 0):
            raise ValueError(item.payload)
        return item


class MoodyBatches(Moody):
    def handle_batch(self, items, ctx):
        payloads = [item.payload for item in items]
        self.calls.append(payloads)
        if any(sum(payload in call for call in self.calls) <= MOODS.get(payload, 0) for payload in payloads):
            raise ValueError("one of them")
        return items


class MoodyAnswers(Moody):
    def handle_batch(self, items, ctx):
        self.calls += [item.payload for item in items]
        return [
            slither.Fail("not yet") if self.calls.count(item.payload) <= MOODS.get(item.payload, 0) else item
            for item in items
        ]


MOODS = {"once": 1, "twice": 2, "never": 10**6}
AT_ONCE = {"backoff_s": 0.0, "then": "skip"}


class Clocked(Bench):
    """A bench whose stage has timers that are set off by hand."""

    def __init__(self, cls, policy, **plan):
        self.timers = []
        super().__init__(cls, policy, **plan)
        self.stage.start_timer = self.start_timer

    def start_timer(self, delay_s, function):
        self.timers.append((delay_s, function))
        return types.SimpleNamespace(cancel=self.timers.clear)

    def ring(self):
        delay_s, function = self.timers.pop(0)
        function()
        self.go_on_to_the_end()
        return delay_s


@pytest.mark.parametrize("cls", [MoodyItems, MoodyAnswers])
def test_an_item_that_fails_is_handled_again_and_stays_in_its_place(cls):
    bench = Bench(cls, slither.Retry(max_attempts=3, **AT_ONCE))
    bench.feed(1, "once", 2, "twice", 3, last=True)
    assert bench.results() == [1, "once", 2, "twice", 3]
    assert sorted(map(str, bench.stage.calls)) == sorted(["1", "2", "3", "once", "once", "twice", "twice", "twice"])
    assert not bench.ends()


@pytest.mark.parametrize("cls", [MoodyItems, MoodyAnswers])
def test_an_item_whose_attempts_are_used_up_is_dead_or_ends_the_run(cls):
    bench = Bench(cls, slither.Retry(max_attempts=2, **AT_ONCE))
    bench.feed(1, "twice", 2, last=True)
    assert bench.results() == [1, 2]
    assert [(kind, payloads) for kind, payloads, _ in bench.ends()] == [("dead", ["twice"])]
    assert [ends.attempts for batch in bench.batches() for ends in batch.ends] == [2]

    bench = Bench(cls, slither.Retry(max_attempts=2, backoff_s=0.0))
    bench.feed(1, "twice", 2, last=True)
    assert bench.results() == [1]
    assert len(bench.of(Failed)) == 1


def test_an_error_that_is_not_worth_it_is_not_tried_again():
    bench = Bench(MoodyItems, slither.Retry(on=KeyError, **AT_ONCE))
    bench.feed(1, "once", 2, last=True)
    assert bench.stage.calls == [1, "once", 2]
    assert [(kind, payloads) for kind, payloads, _ in bench.ends()] == [("skipped", ["once"])]


def test_a_batch_that_raises_is_handled_again_as_a_whole():
    bench = Bench(MoodyBatches, slither.Retry(max_attempts=3, **AT_ONCE))
    bench.feed(1, "twice", 2, last=True)
    assert bench.stage.calls == [[1, "twice", 2]] * 3
    assert bench.results() == [1, "twice", 2]


@pytest.mark.parametrize("policy", [slither.Skip(isolate=True), slither.Retry(isolate=True, max_attempts=2, **AT_ONCE)])
def test_a_batch_that_raises_is_halved_down_to_the_culprit(policy):
    bench = Bench(MoodyBatches, policy)
    bench.feed(1, 2, 3, "never", 4, 5, 6, 7, last=True)
    assert bench.results() == [1, 2, 3, 4, 5, 6, 7]
    kind = "skipped" if isinstance(policy, slither.Skip) else "dead"
    assert [(kind_, payloads) for kind_, payloads, _ in bench.ends()] == [(kind, ["never"])]
    assert bench.stage.calls[:3] == [[1, 2, 3, "never", 4, 5, 6, 7], [1, 2, 3, "never"], [1, 2]]


def test_a_pause_is_a_timer_and_other_runs_go_on_meanwhile():
    bench = Clocked(MoodyItems, slither.Retry(backoff_s=20.0, factor=2.0, jitter=0.0, then="skip"))
    bench.stage._on_open(OpenRun("other", one_way_plan(slither.Skip())), "service")
    bench.feed(1, "twice", 2, last=True)
    assert bench.results() == [1]
    bench.stage._on_batch(Batch("other", 1, 1, (pack_items([Item.wrap("meanwhile")]),), ()), "source")
    assert bench.results() == [1, "meanwhile"]
    assert bench.ring() == 20.0
    assert bench.ring() == 40.0
    assert bench.results() == [1, "meanwhile", "twice", 2]
    assert not bench.timers


def test_the_timer_of_a_run_that_is_over_is_cancelled():
    bench = Clocked(MoodyItems, slither.Retry())
    bench.feed("once")
    bench.stage._on_close(CloseRun("r"), "service")
    assert not bench.timers
    assert bench.stage.calls == ["once"]


@pytest.mark.parametrize("cls", [MoodyItems, MoodyBatches])
def test_each_failure_ends_a_turn_that_has_lasted_long_enough(cls):
    bench = Bench(cls, slither.Skip(isolate=True))
    bench.stage._clock = lambda: float(len(bench.stage.calls))  # each call takes a second
    bench.go_on_to_the_end = lambda: None
    bench.feed("never", "never", "never", "never")
    turns = 0
    while bench.go_on():
        turns += 1
    assert turns >= 4


def test_the_attempts_before_the_last_outcome_are_told():
    class Thrice(slither.Stage):
        def handle_item(self, item, ctx):
            seen.append(item.payload)
            if seen.count(item.payload) < 3:
                raise ValueError("not yet")
            if item.payload == "nothing":
                return slither.Emit([])
            return slither.Drop("at last") if item.payload == "drop" else slither.Emit(1 / 0 for _ in "x")

    seen = []
    bench = Bench(Thrice, slither.Retry(**AT_ONCE))
    bench.feed("drop", "emit", "nothing", last=True)
    found = [(ends.kind, ends.attempts) for batch in bench.batches() for ends in batch.ends]
    assert found == [("dropped", 3), ("skipped", 3), ("dropped", 3)]


def test_what_was_emitted_before_an_error_is_not_emitted_again():
    class Half(slither.Stage):
        def handle_item(self, item, ctx):
            def parts():
                yield "first"
                raise ValueError("then this")

            return slither.Emit(parts())

    bench = Bench(Half, slither.Retry(max_attempts=5, **AT_ONCE))
    bench.feed("x", last=True)
    assert bench.results() == ["first"]
    assert [(kind, payloads) for kind, payloads, _ in bench.ends()] == [("skipped", ["x"])]


@pytest.mark.parametrize("policy", [slither.Skip(), slither.Skip(isolate=True), slither.Retry(**AT_ONCE)])
def test_a_handler_may_use_its_list_up(policy):
    class Greedy(slither.Stage):
        def handle_batch(self, items, ctx):
            answers = []
            while items:
                answers.append(items.pop(0))
                if answers[-1].payload == "never":
                    raise ValueError("never")
            return answers

    bench = Bench(Greedy, policy)
    bench.feed(1, 2, 3, last=True)
    assert bench.results() == [1, 2, 3]
    bench = Bench(Greedy, policy)
    given = bench.feed(1, "never", 3, last=True)
    ended = [payload for _, payloads, _ in bench.ends() for payload in payloads]
    assert sorted(map(str, bench.results() + ended)) == sorted(str(item.payload) for item in given)
