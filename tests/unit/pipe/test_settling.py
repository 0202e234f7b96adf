"""What a replica promises its balancer: an `Ask` for what came in is sent behind all that came of it."""

import threading

from slither_actors import Drop, Route, RouteTo
from slither_actors._record import replaced
from slither_actors.dispatch.messages import Ask, Batch
from slither_actors.item import Item
from slither_actors.pipe._stage_run import StageRun
from slither_actors.policy import Skip
from slither_actors.workers.parcel import pack_items, unpack_items
from tests.unit.pipe.playing_edges import SINK, one_way_plan


def worked(plan, answer, items=4):
    """A run that has worked through one batch, and what it sends then."""
    run = StageRun("r", "stage", replaced(plan, settles_last=True))
    run.batch(1, 1, (pack_items(Item.wrap_many(range(items))),))
    handled = run.next_batch()
    run.begin(0.0 for item in handled if run.outcome(item, answer(item)) is None)
    while run.step():
        pass
    return run, [message for _, message in run.flush()]


def test_what_came_in_is_not_settled_while_something_of_it_waits_for_credit():
    plan = one_way_plan(Skip(), window=2)
    run, first = worked(plan, lambda item: Drop("unwanted"))
    assert [type(message) for message in first] == [Batch, Batch], "each end is a batch, and two have credit"
    run.ask(SINK, 3)
    assert [type(message) for _, message in run.flush()] == [Batch]
    run.ask(SINK, 4)
    assert [type(message) for _, message in run.flush()] == [Batch, Ask]


def test_what_fails_on_its_way_and_is_routed_elsewhere_goes_before_it():
    plan = one_way_plan(Route("next"), stages={"next": (2, 8), "later": (2, 8)}, window=2)
    _, messages = worked(plan, lambda item: RouteTo("later", threading.Lock()), items=1)
    *batches, ask = messages
    assert isinstance(ask, Ask)
    assert [[item.payload for item in unpack_items(batch.parcels)] for batch in batches] == [[0]]
    assert batches[0].edge == plan.stages["next"].edge
