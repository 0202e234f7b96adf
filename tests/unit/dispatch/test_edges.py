"""Credit, under any order of events."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.dispatch._dispatch_run import DispatchPlan, DispatchRun
from slither_actors.dispatch._edges import InEdge, OutEdge, ProtocolError, Share
from slither_actors.dispatch.messages import Ask, Batch, Complete, Ends, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.workers.parcel import pack_items

PARCELS = (pack_items([Item.wrap(1)]),)


class TwoEnds(RuleBasedStateMachine):
    """A producer and a consumer; asks are delayed, repeated and shuffled on the way, batches only delayed."""

    @initialize(window=st.integers(1, 12))
    def begin(self, window):
        self.window = window
        self.upstream = InEdge(InPort(1, "source", 10_000))
        self.out = OutEdge("run", OutPort(7, "consumer", window, 10))
        self.into = InEdge(InPort(7, "producer", window))
        self.down, self.up, self.old = [], [], []
        self.put = self.settled = 0
        self.limits = [window]
        self.batches = []
        self.complete = None

    @precondition(lambda self: self.complete is None)
    @rule()
    def the_producer_makes_a_batch(self):
        self.put += 1
        self.upstream.receive(self.put)
        self.out.put(PARCELS, owner=self.upstream)
        self.down += self.out.take()

    @precondition(lambda self: self.down)
    @rule()
    def a_batch_arrives(self):
        batch = self.down.pop(0)
        self.into.receive(batch.seq)
        self.batches.append(batch.seq)

    @precondition(lambda self: self.into.held)
    @rule()
    def the_consumer_settles_one(self):
        self.into.held -= 1
        self.settled += 1
        ask = self.into.ask("run")
        if ask is not None:
            assert isinstance(ask, Ask)
            assert ask.limit > self.limits[-1], "the limit only grows"
            assert ask.limit == self.settled + self.window, "what is settled lies a window below it"
            self.limits.append(ask.limit)
            self.up.append(ask.limit)

    @precondition(lambda self: self.up)
    @rule(data=st.data())
    def an_ask_arrives(self, data):
        limit = self.up.pop(data.draw(st.integers(0, len(self.up) - 1)))
        self.old.append(limit)
        self.out.ask(limit)
        self.down += self.out.take()

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def an_old_ask_arrives_again(self, data):
        before = self.state()
        self.out.ask(data.draw(st.sampled_from(self.old)))
        assert self.out.take() == []
        assert self.state() == before, "repeating an Ask changes nothing"

    @precondition(lambda self: self.complete is None)
    @rule()
    def the_producer_is_done(self):
        self.complete = self.out.complete()
        if self.complete is not None:
            assert self.out.waiting == 0
            assert self.complete.last_seq == self.put
            assert self.out.complete() is None, "said once"

    @precondition(lambda self: self.complete is not None)
    @rule()
    def the_producer_stays_done(self):
        assert self.out.complete() is None

    def state(self):
        return self.out.sent, self.out.credit, self.out.waiting, self.upstream.held

    @invariant()
    def never_more_is_sent_than_the_limit(self):
        assert self.out.sent <= max(self.limits)
        assert self.into.held <= self.window
        assert self.out.sent + self.out.waiting == self.put

    @invariant()
    def the_sequence_has_no_gap(self):
        assert self.batches == list(range(1, len(self.batches) + 1))

    @invariant()
    def settling_here_settles_there_as_far_as_asks_have_told(self):
        told = max([self.window, *self.old]) - self.window
        assert self.upstream.held == self.put - min(told, self.out.sent)

    def teardown(self):
        """Once everything has arrived and everything is settled, nothing waits for credit."""
        if not hasattr(self, "out"):
            return
        for _ in range(2 * self.put + 2):
            while self.down:
                self.a_batch_arrives()
            while self.into.held:
                self.the_consumer_settles_one()
            for limit in self.up:
                self.out.ask(limit)
            self.up.clear()
            self.down += self.out.take()
        assert self.out.waiting == 0, "the flow runs dry"
        assert self.settled == self.put
        assert self.out.credit >= self.window - max(1, self.window // 4), "at most a quarter is held back"


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.fixture
def into():
    return InEdge(InPort(3, "producer", 2))


@pytest.mark.parametrize("seqs", [[2], [1, 1], [1, 3], [1, 2, 3], [0]])
def test_a_gap_a_repetition_or_too_much_is_a_breach_of_the_protocol(into, seqs):
    *fine, wrong = seqs
    for seq in fine:
        into.receive(seq)
    with pytest.raises(ProtocolError, match=f"batch {wrong} .*edge 3"):
        into.receive(wrong)


def test_an_edge_is_done_when_the_last_batch_has_come(into):
    assert not into.done
    into.last_seq = 1
    assert not into.done
    into.receive(1)
    assert into.done
    into.held -= 1
    assert into.ask("run") is None, "nothing more will come, so nothing is asked for"


def test_an_edge_that_is_never_used_is_done_at_once(into):
    into.last_seq = 0
    assert into.done


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40))
def test_credit_is_given_in_steps_of_at_most_a_quarter(window):
    into = InEdge(InPort(1, "p", window))
    for seq in range(1, window + 1):
        into.receive(seq)
    asks = []
    for _ in range(window):
        into.held -= 1
        asks.append(into.ask("run"))
    given = [ask.limit for ask in asks if ask is not None]
    assert len(given) <= 7, "an Ask does not follow each batch"
    assert given[-1] >= 2 * window - max(1, window // 4) + 1
    assert [b - a for a, b in zip([window, *given], given, strict=False)] == [max(1, window // 4)] * len(given)


def test_where_there_is_a_way_back_nobody_asks():
    """What is settled on the way back makes room on the way there, at both ends alike."""
    there, into = OutEdge("run", OutPort(1, "there", 2, 10, back=2)), InEdge(InPort(1, "here", 2, back=2))
    for _ in range(5):
        there.put(PARCELS)
    for batch in there.take(limit=9):
        assert batch.limit == 9, "that of the way back, whatever it is"
        into.receive(batch.seq)
    assert there.waiting == 3

    into.held -= 1
    there.settle(1)
    assert into.ask("run") is None
    assert [batch.seq for batch in there.take()] == [3]
    into.receive(3)
    with pytest.raises(ProtocolError, match="limit 3"):
        into.receive(4)


def test_last_words_ignore_credit_and_keep_the_order():
    out = OutEdge("run", OutPort(7, "c", 1, 10))
    ends = Ends("skipped", PARCELS, RemoteError("E", "", "", ("E",)), None, 1)
    out.put(PARCELS)
    out.put((), (ends,))
    out.put(PARCELS)
    assert [batch.seq for batch in out.take()] == [1]
    rest = out.take(regardless=True)
    assert [batch.seq for batch in rest] == [2, 3]
    assert rest[0].ends == (ends,)
    assert all(isinstance(batch, Batch) and batch.edge == 7 and batch.run == "run" for batch in rest)
    complete = out.complete()
    assert isinstance(complete, Complete)
    assert complete.last_seq == 3


def test_a_batch_that_goes_out_on_several_edges_is_settled_when_all_its_parts_are():
    came = InEdge(InPort(1, "before", 4))
    came.receive(1)
    output, sink = (OutEdge("r", OutPort(edge, "behind", 4, 1)) for edge in (2, 3))
    share = Share(came, 2)
    for edge in (output, sink):
        edge.put((), (), share)
        edge.take()
    output.settle(1)
    assert came.held == 1
    sink.settle(1)
    assert came.held == 0


def test_results_and_ends_of_one_batch_on_different_edges_hold_it_together():
    output, sink = OutPort(2, "stage", 4, 1), OutPort(3, "service", 4, 1)
    run = DispatchRun("r", DispatchPlan((InPort(1, "before", 4),), output, sink, None, DispatchOptions()))
    came = run.inputs[1]
    came.receive(1)
    run.put(
        (
            (pack_items([Item.wrap(1)]),),
            (Ends("skipped", (), RemoteError("ValueError", "boom", "", ()), None, 1),),
            came,
            None,
        )
    )
    assert [len(edge.take()) for edge in run.edges] == [1, 1]
    run.ask(2, 5)
    assert came.held == 1
    run.ask(3, 5)
    assert came.held == 0
