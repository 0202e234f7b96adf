"""The edge from one worker stage to another: whatever is put in, batches have the size that the consumer wants."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.dispatch._edges import InEdge
from slither_actors.dispatch._filling_edge import FillingEdge
from slither_actors.dispatch.messages import InPort, OutPort
from slither_actors.item import Item
from slither_actors.workers.parcel import count, pack_items, unpack_items

WIDE = 10**6


class Bench:
    """A worker stage's way out. Batches come in on `inlet`; `out` lists the payloads of those that left."""

    def __init__(self, size, window=WIDE, max_wait_s=None):
        port = OutPort(2, "next", window, size, wants_full=True, max_wait_s=max_wait_s)
        self.edge = FillingEdge("r", port)
        self.inlet = InEdge(InPort(1, "before", WIDE))
        self.numbers = itertools.count()
        self.out = []

    def put(self, *sizes):
        """A batch whose results are parcels of these sizes."""
        self.inlet.receive(self.inlet.received + 1)
        parcels = tuple(pack_items(Item.wrap_many([*itertools.islice(self.numbers, size)])) for size in sizes)
        self.edge.put(parcels, (), self.inlet)
        return self.take()

    def take(self):
        taken = [[item.payload for item in unpack_items(batch.parcels)] for batch in self.edge.take()]
        self.out += taken
        return taken

    def finish(self):
        self.edge.finish()
        return self.take()

    @property
    def sizes(self):
        return [len(batch) for batch in self.out]


def test_small_ones_are_joined():
    bench = Bench(5)
    assert bench.put(2) == []
    assert bench.put(2) == []
    assert bench.put(2) == [[0, 1, 2, 3, 4]]
    assert bench.finish() == [[5]]
    assert bench.finish() == []


def test_large_ones_are_cut():
    bench = Bench(2)
    assert bench.put(5) == [[0, 1], [2, 3]]
    assert bench.put(4) == [[4], [5, 6], [7, 8]]


def test_what_comes_whole_goes_on_whole_and_nothing_of_it_travels_twice():
    bench = Bench(4)
    bench.put(3)  # one of four was lost
    bench.edge.put((parcel := pack_items(Item.wrap_many(range(3, 7))),))
    before, whole = bench.edge.take()
    assert count(before.parcels) == 3
    assert whole.parcels == (parcel,)


@pytest.mark.parametrize(("size", "sizes"), [(4, (4, 4)), (4, (4, 2)), (9, (4, 4))])
def test_a_parcel_that_fits_is_not_cut(size, sizes):
    edge = FillingEdge("r", OutPort(2, "next", WIDE, size, wants_full=True))
    parcels = tuple(pack_items(Item.wrap_many(range(count))) for count in sizes)
    edge.put(parcels)
    edge.finish()
    assert [parcel for batch in edge.take() for parcel in batch.parcels] == [*parcels]


def test_what_waits_for_more_holds_up_nothing():
    """Else a batch that is larger than all that may be on the way to it would never be full."""
    bench = Bench(100)
    for _ in range(3):
        bench.put(7)
        assert bench.inlet.held == 0


def test_what_waits_for_credit_holds_up_what_comes():
    bench = Bench(2, window=1)
    bench.put(5)
    assert (bench.sizes, bench.inlet.held) == ([2], 1)
    bench.edge.ask(2)  # the first of two is settled
    bench.take()
    assert (bench.sizes, bench.inlet.held) == ([2, 2], 1)
    bench.edge.ask(3)
    assert bench.inlet.held == 0


@given(
    st.integers(1, 7), st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=3), max_size=12), st.integers(1, 3)
)
def test_whatever_comes_everything_goes_on_in_order_and_is_settled(size, puts, window):
    bench = Bench(size, window)
    short = 1  # the last one
    for sizes in puts:
        short += sum(sizes) % size == 0
        bench.put(*sizes)
    bench.edge.finish()
    limit = window
    while bench.edge.waiting or bench.inlet.held:
        bench.take()
        limit += 1
        bench.edge.ask(limit)
        assert limit < 1000, "something is never settled"
    bench.take()
    assert list(itertools.chain(*bench.out)) == list(range(sum(map(sum, puts))))
    assert all(0 < length <= size for length in bench.sizes)
    assert sum(length < size for length in bench.sizes) <= short
    assert bench.edge.complete() is not None


def test_what_is_no_whole_batch_is_due_a_while_after_it_was_first_seen():
    bench = Bench(5, max_wait_s=2.0)
    assert bench.edge.due(1.0) == math.inf
    bench.put(2)
    assert bench.edge.due(1.0) == 3.0
    bench.put(1)
    assert bench.edge.due(2.5) == 3.0, "its oldest item counts"
    bench.put(3)
    assert bench.edge.due(2.5) == 4.5, "another batch has begun"
    assert bench.finish() == [[5]]
    assert bench.edge.due(9.0) == math.inf


def test_what_has_no_limit_of_waiting_is_never_due():
    bench = Bench(5)
    bench.put(2)
    assert bench.edge.due(1.0) == math.inf
