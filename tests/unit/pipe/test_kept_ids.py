"""A stage in a run that is fed item by item: who was what is known, in the order in which it can be believed."""

import random

import pytest

from slither_actors import Emit, Halt, Item, Pipe, Retry, Route, Skip, local, worker
from slither_actors._record import replaced
from slither_actors.dispatch.messages import Expanded
from slither_actors.pipe._per_item import PerItem, outlived
from slither_actors.pipe._stage_run import StageRun
from slither_actors.workers.parcel import pack_items, unpack_items
from tests.unit.pipe.playing_edges import SINK, Neighbours, one_way_plan


def played(handler, feed, policy=None, **options):
    plan = replaced(one_way_plan(policy or Skip(), **options), keeps_ids=True)
    around = Neighbours(random.Random(1), plan, handler, feed)
    while around.step():
        pass
    return around


def failing(*before):
    def parts(item):
        yield from before
        raise ValueError("half way")

    return lambda item: Emit(parts(item))


def test_an_item_has_one_id_on_its_whole_way():
    around = played(lambda item: Item.wrap(item.payload + 1), [1, 2])
    assert [(item.id, item.payload) for item in around.arrived["sink"]] == [
        (around.fed[0].id, 2),
        (around.fed[1].id, 3),
    ]


def test_what_is_emitted_twice_is_two_items():
    one = Item.wrap("one")
    around = played(lambda item: Emit([one, one, item]), ["x"])
    made = around.arrived["sink"]
    assert len({item.id for item in made} | {one.id, around.fed[0].id}) == 5
    assert [(item.parent_id, item.index) for item in made] == [(around.fed[0].id, index) for index in range(3)]


def test_while_an_item_goes_on_becoming_others_the_service_hears_of_it_now_and_then():
    around = Neighbours(random.Random(1), one_way_plan(Skip()), lambda item: Emit(range(item.payload)), [2000])
    most = 0
    while around.step():
        told = sum(more for _, _, more, _ in around.expanded)
        most = max(most, len(around.arrived["sink"]) - 2 * told, len(around.arrived["sink"]) - told - 300)
    assert most <= 32, "what comes of a batch may come before the word of it"
    assert 5 < len(around.expanded) < 20
    (x,) = around.fed
    assert {one for one, *_ in around.expanded} == {x.id}
    assert [sum(note[place] for note in around.expanded) for place in (2, 3)] == [2000, 1]


@pytest.mark.parametrize("keeps_ids", [True, False])
def test_one_that_fails_half_way_and_is_routed_is_one_of_those_that_it_became(keeps_ids):
    """So nothing of it comes out before it is known that there is more."""
    plan = replaced(one_way_plan(Route("out")), keeps_ids=keeps_ids)
    around = Neighbours(random.Random(1), plan, failing("a", "b"), ["x"])
    while around.step():
        pass
    (x,) = around.fed
    a, b, routed = around.arrived["sink"]
    assert (routed.payload, routed.route, routed.parent_id) == ("x", "out", x.id)
    assert len({x.id, a.id, b.id, routed.id}) == 4
    assert [item.index for item in (a, b, routed)] == [0, 1, 2]
    assert around.expanded == [(x.id, None, 3, 1)]


def test_one_that_fails_before_it_became_anything_is_routed_as_itself():
    around = played(failing(), ["x"], Route("out"))
    assert [item.id for item in around.arrived["sink"]] == [around.fed[0].id]
    assert around.expanded == []


def test_what_an_item_became_is_told_before_its_own_end():
    run = StageRun("r", "s", replaced(one_way_plan(Skip()), keeps_ids=True))
    run.batch(1, 1, (pack_items([Item.wrap("x")]),))
    items = run.next_batch()
    run.begin(iter([run.outcome(items[0], failing("a")(items[0])) or 0.0]))
    while run.step() or run._emission is not None or run._work is not None:
        pass
    said = [one for _, batch in run.flush() if getattr(batch, "edge", 0) == SINK for one in getattr(batch, "ends", ())]
    kinds = [type(one).__name__ for one in said]
    assert kinds == ["Expanded", "Ends"]
    assert isinstance(said[0], Expanded)
    assert [item.payload for item in unpack_items(said[1].parcels)] == ["x"]


class Clocked(Pipe):
    first = local(lambda item: item, on_error=Retry(max_attempts=2))
    work = worker("m:f")
    late = worker("m:g", ordering="preserve", on_error="skip")
    on_error = {"*": "halt"}


def test_policies_that_halt_skip_and_are_remembered():
    per_item = PerItem.of(Clocked.definition, "halt")
    policies = [per_item.definition.policy(stage, "halt") for stage in per_item.definition.stages]
    assert policies == [Retry(max_attempts=2, then=Skip()), Skip(), Skip()]
    assert per_item.halting == {"first", "work"}
    orders = [stage.declaration.options.get("ordering") for stage in per_item.definition.stages[1:]]
    assert orders == ["as_completed", "preserve"]


@pytest.mark.parametrize("policy", [Skip(isolate=True), Route("x"), Retry(then="skip"), Retry(then=Route("x"))])
def test_other_policies_stay_as_they_are(policy):
    assert outlived(policy) is policy
    assert outlived(Halt()) == Skip()
