"""The sockets of one process: what is sent arrives, in order, whatever others do."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from slither_actors.errors import SendQueueFull
from slither_actors.transport.hub import Hub, Undecodable
from tests.unit.transport.hubs import LIMIT_S, MakeHub, exit_code, fork, inbox_of, pump


class Unreadable:
    """Can be pickled, but whoever reads it fails."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _fail, (self.error,)


def _fail(error: type[BaseException]) -> None:
    raise error("no such class here")


def test_messages_arrive_in_order_with_their_sender(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()

    for number in range(5000):
        here.send(there.address, number)
    pump(here, there, until=lambda: len(there.inbox) == 5000)

    assert list(there.inbox) == [(number, here.address) for number in range(5000)]


def test_order_is_kept_between_small_and_large_messages(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    messages: list[Any] = [b"a", b"x" * 1_000_000, b"b", bytearray(b"y" * 300_000), b"c"] * 3

    for message in messages:
        here.send(there.address, message)
    pump(here, there, until=lambda: len(there.inbox) == len(messages))

    assert inbox_of(there) == messages


def test_none_is_a_message_like_any_other(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    here.send(there.address, b"x" * 1_000_000)  # fills the connection, so that the next one waits

    here.send(there.address, None)

    assert here.pending == 2
    there.close()
    pump(here, until=lambda: len(here.inbox) == 2)
    assert here.inbox[1][0].original is None


def test_a_message_to_oneself_arrives(make_hub: MakeHub) -> None:
    here = make_hub()

    here.send(here.address, "note")
    here.poll(LIMIT_S)

    assert list(here.inbox) == [("note", here.address)]


def test_threads_send_at_the_same_time_without_mixing_their_bytes(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def talk(who: int) -> None:
        for number in range(100):
            here.send(there.address, (who, number, b"x" * (number % 2 * 100_000)))

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(4)]
    try:
        for thread in threads:
            thread.start()
        pump(here, there, until=lambda: len(there.inbox) == 400)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    for who in range(4):
        own = [message for message in inbox_of(there) if message[0] == who]
        assert own == [(who, number, b"x" * (number % 2 * 100_000)) for number in range(100)]


def test_large_messages_both_ways_at_once_do_not_lock_up(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()

    for _ in range(3):
        here.send(there.address, b"h" * 5_000_000)
        there.send(here.address, b"t" * 5_000_000)
    pump(here, there, until=lambda: len(here.inbox) == len(there.inbox) == 3)

    assert {len(message) for message in inbox_of(here) + inbox_of(there)} == {5_000_000}


def test_a_peer_that_does_not_read_delays_nobody_else(make_hub: MakeHub) -> None:
    here, deaf, fine = make_hub(), make_hub(), make_hub()
    for _ in range(50):
        here.send(deaf.address, b"x" * 100_000)

    here.send(fine.address, "hello")
    pump(here, fine, until=lambda: fine.inbox)

    assert inbox_of(fine) == ["hello"]
    assert here.pending > 40
    pump(here, deaf, until=lambda: len(deaf.inbox) == 50)
    assert here.pending == 0
    assert here.queued_bytes(deaf.address) == 0


def test_a_full_queue_is_an_error_and_loses_nothing_that_was_taken(make_hub: MakeHub) -> None:
    here, deaf, fine = make_hub(queue_limit_bytes=1_000_000), make_hub(), make_hub()
    taken = 0

    def fill() -> None:
        nonlocal taken
        while True:
            here.send(deaf.address, b"%d" % taken + b"x" * 100_000)
            taken += 1

    with pytest.raises(SendQueueFull) as caught:
        fill()

    assert caught.value.peer == deaf.address
    assert 1_000_000 < here.queued_bytes(deaf.address) < 1_200_000
    here.send(fine.address, "still sending")
    pump(here, deaf, until=lambda: len(deaf.inbox) == taken)
    here.send(deaf.address, "and again")
    pump(here, deaf, until=lambda: len(deaf.inbox) == taken + 1)


def test_word_of_a_refusal_gets_out_behind_a_message_of_any_size(make_hub: MakeHub) -> None:
    here, deaf = make_hub(queue_limit_bytes=100_000), make_hub()
    here.send(deaf.address, b"x" * 5_000_000)
    with pytest.raises(SendQueueFull):
        here.send(deaf.address, b"x" * 70_000)

    here.send(deaf.address, "refused")

    pump(here, deaf, until=lambda: len(deaf.inbox) == 2)
    assert inbox_of(deaf)[1] == "refused"


def test_a_flood_of_small_messages_is_an_error_too(make_hub: MakeHub) -> None:
    here, deaf = make_hub(queue_limit_bytes=1_000_000), make_hub()

    def fill() -> None:
        for _ in range(100_000):
            here.send(deaf.address, b"x" * 1000)

    with pytest.raises(SendQueueFull):
        fill()

    assert here.queued_bytes(deaf.address) < 1_100_000


@pytest.mark.parametrize("error", [ImportError, SystemExit])
def test_a_message_that_cannot_be_read_stands_in_the_inbox_as_such(
    make_hub: MakeHub, error: type[BaseException]
) -> None:
    here, there = make_hub(), make_hub()

    here.send(there.address, Unreadable(error))
    here.send(there.address, "after")
    pump(here, there, until=lambda: len(there.inbox) == 2)

    (bad, sender), (after, _) = there.inbox
    assert isinstance(bad, Undecodable)
    assert error.__name__ in bad.error
    assert (sender, after) == (here.address, "after")


def test_peers_that_flood_each_other_both_get_everything(directory: Path) -> None:
    """In processes of their own, each of which sends all before it reads anything."""

    def flood(mine: str, other: str) -> bool:
        hub = Hub(directory, mine)
        try:
            deadline = time.monotonic() + LIMIT_S
            while not (directory / other).exists() and time.monotonic() < deadline:
                hub.poll(0.01)
            for number in range(20_000):
                hub.send(str(directory / other), (number, b"x" * (number % 300)))
            pump(hub, until=lambda: len(hub.inbox) == 20_000 and not hub.pending)
            return [payload[0] for payload, _ in hub.inbox] == list(range(20_000))
        finally:
            hub.close()

    pids = [fork(lambda: flood("anna", "ben")), fork(lambda: flood("ben", "anna"))]
    assert [exit_code(pid) for pid in pids] == [0, 0]
