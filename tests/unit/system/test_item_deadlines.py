"""The deadlines of items that were submitted: kept by one thread, while there are any."""

import threading
import weakref
from concurrent.futures import Future

from slither_actors.dispatch._deadline import Deadline
from slither_actors.system._item_deadlines import ItemDeadlines
from tests.helpers.patience import PATIENCE_S
from tests.system.waiting import eventually


def threads(name):
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_each_that_is_not_done_by_then_is_told_in_the_order_of_the_deadlines():
    now = [0.0]
    deadlines = ItemDeadlines("in-order", lambda: now[0])
    told, over = [], threading.Event()
    futures = {number: Future() for number in range(4)}
    futures[2].set_result(None)
    for number, at in ((0, 30.0), (1, 10.0), (2, 5.0), (3, 20.0)):
        deadlines.watch(futures[number], Deadline(at, at), lambda _, number=number: told.append(number))
    assert told == []
    now[0] = 50.0
    deadlines.watch(Future(), Deadline(1.0, 1.0), lambda _: over.set())
    assert over.wait(PATIENCE_S)
    eventually(lambda: len(told) == 3, "all are told")
    assert told == [1, 3, 0]


def test_its_thread_is_there_only_while_somebody_has_a_deadline():
    deadlines = ItemDeadlines("only-while")
    for _ in range(2):
        future: Future[None] = Future()
        deadlines.watch(future, Deadline.of("submit", 1000), lambda _: None)
        assert len(threads("only-while")) == 1
        future.set_result(None)
        eventually(lambda: not threads("only-while"), "its thread ends")


def test_what_is_done_is_not_remembered():
    deadlines = ItemDeadlines("forgets")
    last: Future[None] = Future()
    deadlines.watch(last, Deadline.of("submit", 1000), lambda _: None)
    for _ in range(1000):
        future: Future[None] = Future()
        deadlines.watch(future, Deadline.of("submit", 1000), lambda _: None)
        seen = weakref.ref(future)
        future.cancel()
    del future
    assert len(deadlines._heap) < 100
    assert len(deadlines._open) == 1
    assert seen() is None
    last.cancel()


def test_neither_is_what_was_told():
    deadlines = ItemDeadlines("lets-go")
    payload = threading.Event()
    seen = weakref.ref(payload)
    last = Future()
    deadlines.watch(last, Deadline.of("submit", 1000), lambda _: None)
    deadlines.watch(Future(), Deadline.of("submit", 0.001), lambda _, payload=payload: None)
    del payload
    eventually(lambda: seen() is None, "it is told and forgotten, though others are not over")
    last.cancel()


def test_where_no_thread_can_be_had_who_asked_is_told_and_the_next_ones_are_kept(monkeypatch):
    deadlines = ItemDeadlines("no-room")
    told = []
    start = threading.Thread.start

    def refuse(thread):
        if thread.name != "no-room":
            return start(thread)
        # Another thread comes at this moment, and relies on this one.
        deadlines.watch(Future(), Deadline.of("submit", 1000), told.append)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    deadlines.watch(Future(), Deadline.of("submit", 1000), told.append)
    assert [str(error) for error in told] == ["can't start new thread"] * 2
    assert not deadlines._open
    monkeypatch.undo()
    over = threading.Event()
    deadlines.watch(Future(), Deadline.of("submit", 0.001), lambda _: over.set())
    assert over.wait(PATIENCE_S)


def test_one_that_goes_wrong_is_logged_and_the_next_ones_are_kept(caplog):
    deadlines = ItemDeadlines("goes-on")
    over = threading.Event()

    def broken(_):
        raise ValueError("anything")

    last = Future()
    deadlines.watch(last, Deadline.of("submit", 1000), lambda _: None)
    deadlines.watch(Future(), Deadline.of("submit", 0.001), broken)
    deadlines.watch(Future(), Deadline.of("submit", 0.002), lambda _: over.set())
    assert over.wait(PATIENCE_S)
    assert "what was to be done at a deadline raised" in caplog.text
    last.cancel()
