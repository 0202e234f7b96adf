"""What is submitted waits in a bounded queue, and nothing of it is forgotten or remembered too long."""

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors import InvalidOption, Item, PipeFull, PipeStopped
from slither_actors.dispatch._edges import OutEdge
from slither_actors.dispatch._former import Former
from slither_actors.dispatch._orders import Orders
from slither_actors.dispatch.messages import OutPort
from slither_actors.dispatch.strategy import FixedBatch
from slither_actors.errors import StageDown
from slither_actors.system._submissions import Submissions
from slither_actors.system._submitted_source import SubmittedSource
from slither_actors.workers.parcel import unpack_items
from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.waiting import eventually


def queue(limit=3):
    return Submissions("P", limit)


def put(submissions, payload, timeout_s=0.0):
    return submissions.put(Item.wrap(payload), timeout_s)[0]


def payloads(items):
    return [item.payload for item in items]


def test_items_are_pulled_in_their_order_and_known_until_they_end():
    submissions = queue()
    futures = [put(submissions, number) for number in range(3)]
    assert payloads(submissions.pull(2)) == [0, 1]
    assert list(submissions.under_way.values()) == futures[:2]
    assert [future.running() for future in futures] == [True, True, False]
    assert submissions.queued == 1


def test_there_is_no_room_for_more_than_may_wait():
    submissions = queue(2)
    put(submissions, 1), put(submissions, 2)
    with pytest.raises(PipeFull, match="pipe P has 2 items waiting"):
        put(submissions, 3)
    submissions.pull(1)
    put(submissions, 3)
    assert payloads(submissions.pull(9)) == [2, 3]


def test_who_waits_for_room_gets_it_from_whoever_pulls_or_cancels():
    submissions = queue(1)
    first = put(submissions, 1)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(put, submissions, number, 30.0) for number in (2, 3)]
        assert first.cancel()
        while not all(one.done() for one in waiting):
            submissions.pull(1)
        submissions.pull(1)
        assert [one.result(0).running() for one in waiting] == [True, True]


def test_the_one_that_pulls_does_not_wait_for_itself():
    submissions = queue(1)
    submissions.begin()
    put(submissions, 1, None)
    with pytest.raises(PipeFull):
        put(submissions, 2, None)


def test_one_that_is_cancelled_in_the_queue_is_gone():
    submissions = queue()
    futures = [put(submissions, number) for number in range(3)]
    assert futures[1].cancel()
    assert submissions.queued == 2
    assert payloads(submissions.pull(9)) == [0, 2]
    assert not futures[0].cancel(), "it is under way"
    with pytest.raises(CancelledError):
        futures[1].result(0)


def test_one_that_is_overdue_leaves_the_queue_and_is_remembered_where_it_is_under_way():
    submissions = queue(2)
    items = Item.wrap_many(range(2))
    first, second = [submissions.put(item, 0.0)[0] for item in items]
    submissions.pull(1)
    assert submissions.overdue(items[0].id, first)
    assert submissions.under_way == {items[0].id: first}
    assert submissions.overdue(items[1].id, second)
    assert (submissions.queued, submissions.pull(9)) == (0, [])
    assert not submissions.overdue(items[1].id, second)


def test_whoever_waits_for_several_hears_of_one_that_is_cancelled():
    submissions = queue()
    futures = [put(submissions, number) for number in range(2)]
    assert all(future.cancel() for future in futures * 2), "twice is once"
    assert wait(futures, PATIENCE_S).not_done == set()


@pytest.mark.parametrize("is_under_way", [False, True])
def test_an_item_that_comes_again_has_nothing_to_do_with_its_former_future(is_under_way):
    submissions, item = queue(), Item.wrap(1)
    former, _ = submissions.put(item, 0.0)
    assert former.cancel()
    future, _ = submissions.put(item, 0.0)
    if is_under_way:
        submissions.pull(1)
    assert former.cancel(), "as of any future that was cancelled"
    assert not submissions.overdue(item.id, former)
    assert submissions.overdue(item.id, future)


def test_room_is_told_to_whoever_wants_it_also_where_others_wait_for_something_else():
    submissions = queue(1)
    first, in_turn = put(submissions, 1), submissions._changed
    with ThreadPoolExecutor(2) as pool:
        leaving = pool.submit(submissions.wait_until_left, PATIENCE_S)
        # each waits as soon as the lock is free
        eventually(lambda: len(in_turn._waiters) == 1, "one waits for the end")
        entering = pool.submit(put, submissions, 2, PATIENCE_S)
        eventually(lambda: len(in_turn._waiters) == 2, "one waits for room")
        assert first.cancel()
        assert not entering.result(AT_ONCE_S).done()
        submissions.pull(1)
        submissions.begin(), submissions.leave()
        assert leaving.result(PATIENCE_S)


def test_an_item_is_not_taken_twice_at_a_time():
    submissions = queue()
    item = Item.wrap(1)
    submissions.put(item, 0.0)
    for _ in range(2):  # while it waits, and while it is under way
        with pytest.raises(InvalidOption, match=f"the item {item.id}, which is under way already"):
            submissions.put(item, 0.0)
        submissions.pull(1)
    submissions.under_way.clear()
    submissions.put(item, 0.0)


def test_who_is_refused_is_told_also_while_it_waits_for_room():
    submissions = queue(1)
    put(submissions, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, submissions, 2, None)
        submissions.refuse(PipeStopped("P"))
        with pytest.raises(PipeStopped):
            waiting.result(PATIENCE_S)
    with pytest.raises(PipeStopped):
        put(submissions, 3)
    assert payloads(submissions.pull(9)) == [1], "what it has it keeps"


def test_somebody_has_to_begin_to_pull_once_and_again_when_it_has_left():
    submissions = queue()
    assert [submissions.put(Item.wrap(n), 0.0)[1] for n in range(2)] == [True, False]
    assert not submissions.leave(), "something waits"
    submissions.pull(2)
    assert submissions.leave()
    assert submissions.put(Item.wrap(3), 0.0)[1] is True


def test_who_waits_for_the_end_of_it_does_not_wait_for_itself():
    submissions = queue()
    assert submissions.wait_until_left(0.0)
    put(submissions, 1)
    assert not submissions.wait_until_left(0.0)
    submissions.begin()
    assert submissions.wait_until_left(30.0)


def test_who_waits_for_items_is_woken_once():
    submissions, woken = queue(), []
    submissions.wake = lambda: woken.append(submissions.queued)
    put(submissions, 1)
    assert woken == [], "nobody waits"
    assert submissions.look()
    submissions.pull(1)
    assert not submissions.look()
    put(submissions, 2), put(submissions, 3)
    assert woken == [1]


class Source(SubmittedSource):
    """With a clock of its own, and the batches that it gave."""

    def __init__(self, submissions, former=None, size=0, idle_s=None):
        self.now, self.unfit = 0.0, []
        made = None
        if former is not None:
            made = Former(former, size, lambda item, error: False, lambda: self.now)
        super().__init__(submissions, lambda item, error: self.unfit.append(item), made, size, idle_s, lambda: self.now)
        self.out = OutEdge("r", OutPort(1, "to", 1000, 4))
        self.orders = Orders(lambda: None)

    def given(self):
        """What it gives while it is willing."""
        batches = []
        while self.willing:
            self.feed(self.out, 4)
            batches += [payloads(unpack_items(batch.parcels)) for batch in self.out.take()]
        return batches


def filled(count, limit=1000):
    submissions = queue(limit)
    for number in range(count):
        put(submissions, number)
    return submissions


def test_a_source_gives_what_is_there_and_is_never_at_its_end():
    submissions = filled(6)
    source = Source(submissions)
    assert source.given() == [[0, 1, 2, 3], [4, 5]]
    assert not source.exhausted
    assert source.due_s == float("inf")
    put(submissions, 6)
    assert source.given() == [[6]]
    assert source.pulled == 7


def test_a_batch_is_filled_for_as_long_as_an_item_may_wait():
    submissions = filled(6)
    source = Source(submissions, FixedBatch(4, 2.0), 4)
    assert source.given() == [[0, 1, 2, 3]]
    assert source.due_s == 2.0
    source.now = 1.5
    assert source.given() == []
    assert source.due_s == 0.5
    source.now = 2.0
    assert source.given() == [[4, 5]]
    assert source.due_s == float("inf")


def test_a_source_whose_run_is_drained_gives_what_is_there_and_ends():
    source = Source(filled(6), FixedBatch(4, 2.0), 4)
    assert source.cut()
    assert source.given() == [[0, 1, 2, 3], [4, 5]]
    assert source.exhausted


def test_a_source_whose_run_is_cut_gives_nothing_more():
    submissions = filled(6)
    source = Source(submissions)
    source.orders.cut(StageDown("s", "x"))
    source.cut()
    assert source.given() == []
    assert submissions.queued == 6


def test_a_source_without_an_item_for_long_enough_ends():
    submissions = filled(1)
    source = Source(submissions, idle_s=10.0)
    assert source.given() == [[0]]
    source.now = 50.0
    assert source.given() == [], "somebody waits for what is under way"
    submissions.under_way.clear()
    assert source.given() == []
    assert source.due_s == 10.0
    source.now = 59.0
    assert source.given() == []
    assert source.due_s == 1.0
    put(submissions, 1)
    assert source.given() == [[1]]
    submissions.under_way.clear()
    assert source.given() == []
    assert source.due_s == 10.0, "it begins anew"
    source.now = 69.0
    assert source.given() == []
    assert source.exhausted


@pytest.mark.parametrize("former", [None, FixedBatch(4, 2.0)])
def test_what_cannot_travel_stays_behind_alone(former):
    submissions = queue()
    for payload in (1, threading.Lock(), 2):
        put(submissions, payload)
    source = Source(submissions, former, 4)
    source.cut()
    assert source.given() == [[1, 2]]
    assert len(source.unfit) == 1


@given(st.lists(st.sampled_from(["put", "pull", "cancel", "end"]), max_size=60), st.integers(1, 5))
def test_each_item_is_at_one_place(steps, limit):
    submissions, futures, pulled, ended = queue(limit), [], [], 0
    for step in steps:
        if step == "put":
            try:
                futures.append(put(submissions, len(futures)))
            except PipeFull:
                assert submissions.queued == limit
        elif step == "pull":
            pulled += submissions.pull(2)
        elif step == "cancel" and futures:
            futures[len(steps) % len(futures)].cancel()
        elif submissions.under_way:
            submissions.under_way.pop(next(iter(submissions.under_way))).set_result(None)
            ended += 1
        cancelled = sum(future.cancelled() for future in futures)
        assert submissions.queued <= limit
        assert submissions.queued + len(submissions.under_way) + ended + cancelled == len(futures)
        assert payloads(pulled) == sorted(payloads(pulled))
