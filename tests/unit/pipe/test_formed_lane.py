"""A way out of a stage on which a strategy forms the batches: whatever handlers and strategies do, it goes on."""

import asyncio

import pytest

from slither_actors import KeyPartition
from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch.messages import OutPort
from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.pipe._formed_lane import FormedLane
from slither_actors.testing import FakeClock
from slither_actors.workers.parcel import unpack_items


class Bench:
    def __init__(self, strategy, clock=lambda: 0.0):
        self.losses = []
        self.edge = OutEdge("r", OutPort(1, "d", 100, 4))
        self.lane = FormedLane(self.edge, strategy, self.lose, clock)

    def lose(self, item, error):
        self.losses.append((item.payload, error))
        return False

    def put(self, *items, everything=False):
        """Put items on the lane; returns the payloads of the batches that left."""
        for item in items:
            self.lane.put(item, item)
        self.lane.pack(everything=everything)
        return [[item.payload for item in unpack_items(batch.parcels)] for batch in self.edge.take()]


def payload(item):
    return item.payload


@pytest.mark.parametrize(("size", "batches"), [(1, [[1], [1], [1]]), (2, [[1, 1], [1]]), (4, [[1, 1, 1]])])
def test_one_object_that_is_given_several_times_is_as_many_items(size, batches):
    """Also where the strategy has let go of it, and its batch was not sent yet."""
    item = Item.wrap(1)
    bench = Bench(KeyPartition(payload, max_size=size))
    assert bench.put(item, item, item, everything=True) == batches
    assert bench.put(everything=True) == []


@pytest.mark.parametrize("error", [asyncio.CancelledError("no"), KeyboardInterrupt("no"), GeneratorExit("no")])
def test_whatever_a_key_raises_in_a_stage_it_is_that_item_s_failure(error):
    def key(item):
        if item.payload == 2:
            raise error
        return 1

    bench = Bench(KeyPartition(key))
    assert bench.put(*map(Item.wrap, range(4)), everything=True) == [[0, 1, 3]]
    ((lost, reason),) = bench.losses
    assert lost == 2
    assert isinstance(reason, RemoteError)
    assert str(reason) == f"{type(error).__name__}: no, in the key of KeyPartition"


def test_a_batch_waits_by_the_clock_of_the_stage():
    clock = FakeClock()
    bench = Bench(KeyPartition(payload, max_wait_s=2.0), clock)
    assert bench.put(Item.wrap(1)) == []
    assert bench.lane.due_s == 2.0
    clock.advance(2.0)
    assert bench.put() == [[1]]
