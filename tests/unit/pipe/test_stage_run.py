"""One run through one stage: where answers go, what failures mean, credit and completion."""

import itertools
import random
import threading

import pytest

from slither_actors import Drop, Emit, Fail, InvalidOutcome, Item, RouteTo
from slither_actors.dispatch.messages import Batch, Complete, Origin
from slither_actors.errors import RemoteError
from slither_actors.pipe._stage_run import RunHalted, StageRun
from slither_actors.policy import Halt, Route, Skip
from slither_actors.workers.parcel import count as parcel_count
from slither_actors.workers.parcel import pack_items
from tests.unit.pipe.playing_edges import SINK, WAYS, Neighbours, one_way_plan, payloads, play


def halt(answer, *before, **plan):
    """The error of a run that halts at this answer, and what was finished."""
    with pytest.raises(RunHalted) as caught:
        play(lambda item: item.payload, [*before, answer], policy=Halt(), **plan)
    return caught.value.error


def balance(around):
    """For each item that became others: how many, and whether it ended so."""
    sums = {}
    for one, _, more, ended in around.expanded:
        before = sums.get(one, (0, 0))
        sums[one] = (before[0] + more, before[1] + ended)
    return sums


class TestAnswers:
    def test_a_payload_goes_on_to_the_next_stage_in_the_same_item(self):
        around = play(lambda item: item.payload + 1, [1, 2])
        assert payloads(around, "next") == [2, 3]
        assert [item.id for item in around.arrived["next"]] == [item.id for item in around.fed]

    def test_none_is_a_payload(self):
        assert payloads(play(lambda item: None, [1]), "next") == [None]

    def test_an_item_goes_on_as_it_is(self):
        around = play(lambda item: item.with_payload("p").with_meta(n=1), [1])
        (item,) = around.arrived["next"]
        assert (item.id, item.payload, item.meta) == (around.fed[0].id, "p", {"n": 1})

    def test_an_item_of_another_identity_names_the_original_as_its_parent(self):
        around = play(lambda item: Item.wrap("new"), [1])
        (item,) = around.arrived["next"]
        assert (item.parent_id, item.index) == (around.fed[0].id, 0)

    def test_route_to_a_stage_or_an_output(self):
        around = play(lambda item: RouteTo(item.payload, item), ["later", "next", "out", "default"])
        assert payloads(around, "later") == ["later"]
        assert payloads(around, "next") == ["next"]
        assert [(item.payload, item.route) for item in around.arrived["sink"]] == [
            ("out", "out"),
            ("default", "default"),
        ]

    def test_what_goes_on_by_itself_from_the_last_stage_is_in_the_default_output(self):
        around = play(lambda item: item, [1], stages={}, then="default")
        assert [item.route for item in around.arrived["sink"]] == ["default"]

    @pytest.mark.parametrize("destination", ["nowhere", "middle", "", None, 5, ["out"]])
    def test_an_undeclared_destination_is_a_failure_of_the_item(self, destination):
        around = play(lambda item: RouteTo(destination, 1), ["x"])
        ((kind, item, error),) = around.ends
        assert (kind, item.payload) == ("skipped", "x")
        assert isinstance(error, InvalidOutcome)
        assert f"destination {destination!r}; a later stage or an output: next, later, default, out" in str(error)
        assert isinstance(halt(RouteTo(destination, 1)), InvalidOutcome)

    @pytest.mark.parametrize("answer", [Drop, Fail, Emit, RouteTo, Skip(), Halt()])
    def test_an_answer_that_means_nothing_is_a_failure_of_the_item(self, answer):
        around = play(lambda item: answer, ["x"])
        ((kind, item, error),) = around.ends
        assert (kind, item.payload) == ("skipped", "x")
        assert isinstance(error, InvalidOutcome)
        assert "means nothing here" in str(error)

    def test_several_items_instead_of_one_have_ids_of_their_own_and_name_their_parent(self):
        around = play(lambda item: Emit([item.payload, 7, RouteTo("out", 8)]), [1])
        (parent,) = around.fed
        made = around.arrived["next"] + around.arrived["sink"]
        assert [item.payload for item in made] == [1, 7, 8]
        assert [(item.parent_id, item.index) for item in made] == [(parent.id, index) for index in range(3)]
        assert len({item.id for item in made} | {parent.id}) == 4
        assert made[2].route == "out"

    def test_emitted_items_keep_what_they_are_and_name_their_parent_too(self):
        own = Item.wrap("own").with_meta(n=1)
        around = play(lambda item: Emit([own, item, item.with_payload("twin")]), [1])
        first, second, third = around.arrived["next"]
        assert (first.id, first.payload, first.meta) == (own.id, "own", {"n": 1})
        assert [item.parent_id for item in (first, second, third)] == [around.fed[0].id] * 3
        assert [item.index for item in (first, second, third)] == [0, 1, 2]
        assert len({first.id, second.id, third.id, around.fed[0].id}) == 4, "no id twice"

    def test_the_service_is_told_what_became_how_many(self):
        around = play(lambda item: Emit(range(item.payload)), [3, 0, 2])
        first, _, third = around.fed
        assert balance(around) == {first.id: (3, 1), third.id: (2, 1)}, "none of an item that ends as dropped"

    def test_what_fails_half_way_is_no_item_that_ended_as_others(self):
        def parts():
            yield from [1, 2]
            raise ValueError("boom")

        around = play(lambda item: Emit(parts()), ["x"])
        assert balance(around) == {around.fed[0].id: (2, 0)}
        assert [kind for kind, _, _ in around.ends] == ["skipped"]

    @pytest.mark.parametrize("locks", [1, 2, 40])
    @pytest.mark.parametrize("destination", ["next", "out"])
    def test_parts_that_cannot_travel_are_not_counted_whenever_that_is_found(self, destination, locks):
        def parts():
            for number in range(60):
                yield RouteTo(destination, threading.Lock() if number < locks else number)

        plan = {"outputs": ("default", "out"), "stages": {"next": (4, 100)}, "holds": ("next",)}
        around = play(lambda item: Emit(parts()), ["x"], then="next", **plan)
        arrived = around.arrived["next" if destination == "next" else "sink"]
        assert balance(around).get(around.fed[0].id, (0, 0)) == (len(arrived), 0)
        assert [kind for kind, _, _ in around.ends] == ["skipped"]

    def test_emitted_payloads_carry_the_notes_of_their_parent(self):
        feed = [Item.wrap("x").with_meta(source="mail")]
        around = Neighbours(random.Random(0), one_way_plan(Skip(), **WAYS), lambda item: Emit([1]), [])
        around.fed = feed
        around.run.batch(1, 1, (pack_items(feed),))
        around.work()
        while around.step():
            pass
        around.run.complete(1, 1)
        around.work()
        while around.step():
            pass
        assert [item.meta for item in around.arrived["next"]] == [{"source": "mail"}]

    def test_an_item_that_becomes_nothing_has_an_end_too(self):
        around = play(lambda item: Emit([]), [1, 2], policy=Halt())
        assert around.arrived["next"] == []
        assert [(kind, item.payload) for kind, item, _ in around.ends] == [("dropped", 1), ("dropped", 2)]

    def test_a_generator_may_emit(self):
        assert payloads(play(lambda item: Emit(item.payload + n for n in range(3)), [10]), "next") == [10, 11, 12]

    @pytest.mark.parametrize("wrong", [RouteTo("nowhere", 1), Drop("x"), Fail("x"), Emit([1]), Drop, Skip()])
    def test_a_wrong_part_fails_the_item_and_what_came_before_it_stays(self, wrong):
        closed = []

        def parts():
            try:
                yield from [1, wrong, 2]
            finally:
                closed.append(True)

        around = play(lambda item: Emit(parts()), ["x"])
        ((kind, item, error),) = around.ends
        assert (kind, item.payload) == ("skipped", "x")
        assert isinstance(error, InvalidOutcome)
        assert payloads(around, "next") == [1]
        assert closed == [True]

    @pytest.mark.parametrize("wrong", ["text", b"bytes", {"a": 1}, 5, None])
    def test_emit_wants_a_list(self, wrong):
        around = play(lambda item: Emit(wrong), ["x"])
        ((_, _, error),) = around.ends
        assert f"not a {type(wrong).__name__}" in str(error)

    @pytest.mark.parametrize(
        ("reason", "text"),
        [("spam", "Drop: spam"), (None, "Drop"), (ValueError("v"), "ValueError: v"), (7, "Drop: 7")],
    )
    def test_a_dropped_item_leaves_the_flow_whatever_the_policy(self, reason, text):
        for policy in (Halt(), Skip()):
            around = play(lambda item: Drop(reason), ["x"], policy=policy)
            ((kind, item, error),) = around.ends
            assert (kind, item.payload, str(error)) == ("dropped", "x", text)

    @pytest.mark.parametrize(("reason", "text"), [("bad", "Fail: bad"), (ValueError("v"), "ValueError: v")])
    def test_a_failed_item_follows_the_policy(self, reason, text):
        around = play(lambda item: Fail(reason), ["x"])
        ((kind, _, error),) = around.ends
        assert (kind, str(error)) == ("skipped", text)
        with pytest.raises(RunHalted) as caught:
            play(lambda item: Fail(reason), ["x"], policy=Halt())
        assert str(caught.value.error) == text

    @pytest.mark.parametrize("destination", ["next", "out"])
    def test_an_answer_that_cannot_travel_is_a_failure_of_its_item_alone(self, destination):
        def answer(item):
            return RouteTo(destination, threading.Lock() if item.payload == 2 else item)

        around = play(answer, range(6), outputs=("default", "out"))
        ((kind, item, error),) = around.ends
        assert (kind, item.payload) == ("skipped", 2), "the item as it came, since its answer cannot travel"
        assert isinstance(error, InvalidOutcome)
        assert "an item whose payload is of type lock cannot be sent" in str(error)
        assert payloads(around, "next" if destination == "next" else "sink") == [0, 1, 3, 4, 5]

    def test_an_answer_that_cannot_travel_halts_where_the_policy_says_so(self):
        with pytest.raises(RunHalted) as caught:
            play(lambda item: threading.Lock(), [1], policy=Halt())
        assert isinstance(caught.value.error, InvalidOutcome)

    def test_an_item_that_a_handler_spoiled_in_place_still_has_its_end(self):
        def spoil(item):
            item.payload["lock"] = threading.Lock()
            raise ValueError("spoiled")

        around = play(spoil, [{"a": 1}])
        ((kind, item, error),) = around.ends
        assert (kind, item.id, str(error)) == ("skipped", around.fed[0].id, "ValueError: spoiled")


class Unreadable:
    """Can be encoded, and not decoded."""

    def __reduce__(self):
        return _explode, ()


def _explode():
    raise OSError("cannot be read")


def test_a_batch_that_cannot_be_decoded_halts_the_run_and_not_the_stage():
    with pytest.raises(RunHalted) as caught:
        play(lambda item: item, [Unreadable()])
    assert isinstance(caught.value.error, RemoteError)
    assert "cannot be read" in str(caught.value.error)


MAKER = "before"


@pytest.mark.parametrize("policy", [Halt(), Skip()])
def test_what_cannot_be_read_is_charged_to_the_stage_that_made_it_and_goes_by_that_ones_policy(policy):
    feed = [1, Unreadable(), 2, 3, Unreadable()]
    around = play(lambda item: item.payload, feed, policy=policy, origin=Origin(MAKER, Skip(), MAKER))
    assert payloads(around, "next") == [1, 2, 3]
    (first, second) = around.ends
    for number, (kind, item, error) in ((1, first), (4, second)):
        assert (kind, item.id, item.payload) == ("skipped", around.fed[number].id, None)
        assert isinstance(error, InvalidOutcome)
        assert str(error).startswith("before gave an answer that cannot be used: it can be pickled, but not unpickled")
        assert "cannot be read" in str(error)
    with pytest.raises(RunHalted) as caught:
        play(lambda item: item.payload, feed, policy=policy, origin=Origin(MAKER, Halt(), MAKER))
    assert caught.value.stage == MAKER
    assert isinstance(caught.value.error, InvalidOutcome)


def test_what_the_caller_gave_and_cannot_be_read_goes_by_the_policy_of_the_stage_that_wants_to():
    around = play(lambda item: item.payload, [1, Unreadable()], origin=Origin("middle", Skip()))
    ((kind, _, error),) = around.ends
    assert kind == "skipped"
    assert isinstance(error, RemoteError)


class TestHalting:
    def test_what_was_on_its_way_to_the_service_is_handed_over_without_credit(self):
        plan = one_way_plan(Halt(), stages={}, window=100)
        around = Neighbours(random.Random(0), plan, lambda item: 1 // item.payload, [*range(5, 0, -1), 0], size=6)
        with pytest.raises(RunHalted):
            around.push()
        words = around.run.last_words()
        assert [batch.edge for batch in words] == [SINK] * len(words)
        assert sum(parcel_count(batch.parcels) for batch in words) == 5

    def test_what_was_for_another_stage_is_not(self):
        plan = one_way_plan(Halt(), **WAYS)
        around = Neighbours(random.Random(0), plan, lambda item: 1 // item.payload, [1, 1, 0])
        with pytest.raises(RunHalted):
            around.push()
        assert around.run.last_words() == ()


class TestBatches:
    def test_stages_that_handle_items_one_by_one_get_them_at_once(self):
        around = play(lambda item: item, range(10))
        assert around.batches["next"] == [3, 1, 3, 1, 2], "cut at three, never held back"

    def test_workers_get_full_batches_and_the_rest_at_the_end(self):
        around = play(lambda item: item, range(10), holds=("next",))
        assert around.batches["next"] == [3, 3, 3, 1]

    def test_an_empty_run_completes_every_edge_without_a_batch(self):
        around = play(lambda item: item, [])
        assert all(edge.last_seq == 0 for edge in around.consumers.values())


def half_way(item):
    yield item.payload * 10
    yield item.payload * 10 + 1
    raise ValueError("half way")


def routed(item):
    """All sorts of answers, by payload."""
    kind = item.payload % 7
    if item.payload % 11 == 10:
        return Emit(half_way(item))
    if item.payload % 13 == 12:
        return Emit(range(item.payload))
    if kind == 0:
        return Emit([item.payload * 10, RouteTo("later", item.payload * 10 + 1), RouteTo("out", item.payload * 10 + 2)])
    if kind == 1:
        return Drop("one")
    if kind == 2:
        return RouteTo("later", item)
    if kind == 3:
        return RouteTo("out", item)
    if kind == 4 and item.payload % 2:
        raise ValueError("odd")
    return item


def places(payload):
    """In how many places something is that came of an input: it stands in one, or what it became does."""
    if payload % 11 == 10:
        return 3  # two that were emitted, and the input itself, which failed
    if payload % 13 == 12:
        return payload
    return 3 if payload % 7 == 0 else 1


@pytest.mark.parametrize("seed", range(60))
def test_under_any_order_of_events_each_item_ends_in_one_place_and_in_order(seed):
    rng = random.Random(seed)
    count = rng.choice([0, 1, 10, 100])
    plan = one_way_plan(
        Skip(),
        window=rng.choice([1, 2, 9]),
        stages={"next": (rng.choice([1, 2, 6]), rng.choice([1, 3, 50])), "later": (rng.choice([1, 3]), 5)},
        then="next",
        holds=rng.choice([(), ("next",), ("next", "later")]),
    )
    breaks = rng.choice([0.0, 0.2, 0.9])
    around = Neighbours(rng, plan, routed, range(count), size=rng.choice([1, 4, 32]), breaks=breaks)
    while around.step():
        for edge in around.consumers.values():
            assert edge.held <= edge.port.window
        for edge in around.run.inputs.values():
            assert edge.held <= edge.port.window
    assert around.done, f"seed {seed}: the run stalls"
    assert not any(lane.items for lane in (*around.run.lanes.values(), around.run.sink))
    origins = [
        item.parent_id if item.parent_id is not None else item.id for items in around.arrived.values() for item in items
    ] + [item.id for _, item, _ in around.ends]
    assert set(origins) == {item.id for item in around.fed}, f"seed {seed}"
    by_id = {item.id: item.payload for item in around.fed}
    for item_id, payload in by_id.items():
        assert origins.count(item_id) == places(payload), f"seed {seed}, item {payload}"
        assert sum(item.id == item_id for _, item, _ in around.ends) <= 1
    assert around.accounts == len(around.fed), f"seed {seed}"
    for name, items in around.arrived.items():
        order = [item.parent_id if item.parent_id is not None else item.id for item in items]
        assert order == sorted(order), f"seed {seed}: {name} is out of order"
    assert {by_id[item.id] % 7 for kind, item, _ in around.ends if kind == "dropped"} <= {1}


@pytest.mark.parametrize("stuck", ["next", "later", "sink"])
def test_a_consumer_that_stops_taking_stops_the_source(stuck):
    plan = one_way_plan(Skip(), window=2, stages={"next": (2, 4), "later": (2, 4)}, then="next")
    around = Neighbours(random.Random(1), plan, routed, itertools.count(), size=4)
    edge = {name: edge for edge, name in around.names.items()}[stuck]
    take = around.take
    around.take = lambda which: take(which) if which != edge else None
    for _ in range(3000):
        around.step()
    ahead = len(around.fed)
    assert ahead < 4 * 7 * 10, f"{stuck} stands still and {ahead} items were pulled"
    before = ahead
    for _ in range(500):
        around.step()
    assert len(around.fed) == before, "nothing more is pulled"


@pytest.mark.parametrize(("window", "size"), [(1, 1), (2, 4), (2, 32)])
def test_what_a_stage_lets_in_is_bounded_by_what_it_may_send_on(window, size):
    """At most: what its own window allows, and what it has sent on, in batches of its consumer, and one in work."""
    plan = one_way_plan(Skip(), window=window, stages={"next": (window, size)}, then="next", holds=("next",))
    around = Neighbours(random.Random(1), plan, lambda item: item, itertools.count(), size=size)
    around.take = lambda edge: None
    for _ in range(200):
        around.step()
    assert len(around.fed) <= 2 * window * size


def test_every_edge_is_completed_once_and_after_its_last_batch():
    around = play(routed, range(50), seed=3)
    assert all(edge.done for edge in around.consumers.values())
    assert around.run.flush() == []


class TestRoutes:
    def test_what_is_routed_while_it_is_packed_at_the_end_goes_out_before_the_end_does(self):
        """The answer cannot travel, and the way that its item is routed to comes before the one it was on."""
        plan = one_way_plan(
            Route("next"), stages={"next": (4, 3), "later": (4, 3)}, then="later", holds={"next", "later"}
        )
        run = StageRun("r", "middle", plan)
        run.batch(1, 1, (pack_items([Item.wrap("x")]),))
        run.complete(1, 1)
        (item,) = run.next_batch()
        run.outcome(item, threading.Lock())
        run.begin(iter(()))
        run.step()
        to_next = [message for to, message in run.flush() if to == "stage-next"]
        assert [type(message) for message in to_next] == [Batch, Complete]
        assert to_next[1].last_seq == 1
