"""Notes to self at the head of the inbox."""

from __future__ import annotations

from collections import deque
from typing import Any

from slither_actors.otp._life import Life, Settled


class _Transport:
    """Is its own hub, with an inbox."""

    address = "/run/me"

    def __init__(self) -> None:
        self.hub = self
        self.inbox: deque[tuple[Any, str]] = deque()
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def put_behind(self, note: object) -> None:
        self.inbox.append((note, self.address))


def make_life() -> tuple[Life, _Transport]:
    life = object.__new__(Life)
    transport = life.transport = _Transport()
    life._next = 0
    return life, transport


def test_they_come_before_all_that_has_arrived_in_their_own_order_time_and_again() -> None:
    life, transport = make_life()
    done: list[str] = []

    def first() -> None:
        done.append("first")
        life.next_up(lambda: done.append("third"))

    transport.inbox.append(("message", "/run/you"))
    life.next_up(first)
    life.next_up(lambda: done.append("second"))
    while isinstance(transport.inbox[0][0], Settled):
        transport.inbox.popleft()[0].action()
    assert done == ["first", "second", "third"]

    transport.inbox.append(("another", "/run/you"))
    life.next_up(lambda: done.append("fourth"))

    assert isinstance(transport.inbox[0][0], Settled)
    assert [message for message, _ in transport.inbox if isinstance(message, str)] == ["message", "another"]
    assert transport.woken == 4, "a loop that waits for a descriptor would not look into the inbox"


def test_what_comes_behind_all_comes_at_once_where_there_is_nothing() -> None:
    life, transport = make_life()
    done: list[str] = []
    life.behind_all(lambda: done.append("at once"))
    assert done == ["at once"]
    assert not transport.inbox

    transport.inbox.append(("message", "/run/you"))
    life.behind_all(lambda: done.append("behind"))
    assert done == ["at once"]
    (_, _), (note, _) = transport.inbox
    note.action()
    assert done == ["at once", "behind"]
