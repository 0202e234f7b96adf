"""Large buffers go through shared memory: whole, unshared in what is changed, and used again when nobody holds them."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from typing import Any

import pytest

from slither_actors.errors import SendQueueFull, TransportError
from slither_actors.transport import _segments, framing
from slither_actors.transport._segments import LEAST_BYTES, MOST_RECEIVED, MOST_SENT, Mapping, Segments, passage_of
from slither_actors.transport.framing import KEPT_BUFFER
from slither_actors.transport.hub import Hub
from tests.helpers.descriptors import open_descriptors
from tests.unit.transport.hubs import MakeHub, exit_code, fork, inbox_of, no_descriptor_left, pump

LARGE = 2 * LEAST_BYTES
LIMIT = 1 << 30


class Blob:
    """Carries its bytes out of band, as an array does."""

    def __init__(self, data: Any) -> None:
        self.data = memoryview(data)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Blob, (pickle.PickleBuffer(self.data),)


def blob(fill: int, size: int = LARGE) -> Blob:
    return Blob(bytearray([fill]) * size)


def exchange(here: Hub, there: Hub, *messages: Any) -> list[Any]:
    """Send messages, and what arrived of them."""
    for message in messages:
        here.send(there.address, message)
    pump(here, there, until=lambda: len(there.inbox) == len(messages))
    return [there.inbox.popleft()[0] for _ in messages]


def came_by_segment(arrived: Blob) -> bool:
    return isinstance(_segments._owner(arrived.data), Mapping)


def test_all_but_the_first_large_message_of_a_connection_go_by_segment(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    arrived = exchange(here, there, blob(1), blob(2), "small", blob(3), blob(4, 100))

    assert [bytes(arrived[place].data[:1]) for place in (0, 1, 3, 4)] == [b"\1", b"\2", b"\3", b"\4"]
    assert [came_by_segment(arrived[place]) for place in (0, 1, 3, 4)] == [False, True, True, False]
    assert arrived[2] == "small"


@pytest.mark.parametrize("size", [KEPT_BUFFER - 200, KEPT_BUFFER - 1, KEPT_BUFFER, KEPT_BUFFER + 1, LEAST_BYTES])
def test_whatever_the_first_size_what_follows_arrives(make_hub: MakeHub, size: int) -> None:
    """A descriptor that came before the reader looks out for it would be lost, and the message with it."""
    here, there = make_hub(), make_hub()
    for turn in range(3):
        first, second = exchange(here, there, blob(turn, size), blob(turn + 100))
        assert bytes(first.data) == bytes([turn]) * size
        assert bytes(second.data) == bytes([turn + 100]) * LARGE


def test_several_buffers_of_any_size_come_back_in_their_places(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    sizes = [LARGE, 0, 1, 63, 64, 65, LEAST_BYTES + 7]
    exchange(here, there, blob(0))

    (arrived,) = exchange(here, there, [blob(number, size) for number, size in enumerate(sizes)])

    assert [bytes(one.data) for one in arrived] == [bytes([number]) * size for number, size in enumerate(sizes)]
    assert came_by_segment(arrived[-1])


def test_what_the_receiver_changes_nobody_else_sees(make_hub: MakeHub) -> None:
    here, relay, there = make_hub(), make_hub(), make_hub()
    relay.segments.relays = True
    exchange(here, relay, blob(0))
    exchange(relay, there, blob(0))

    sent = blob(7)
    (passing,) = exchange(here, relay, sent)
    (first,) = exchange(relay, there, passing)
    memoryview(first.data)[:3] = b"abc"
    (second,) = exchange(relay, there, passing)

    assert bytes(first.data[:4]) == b"abc\7"
    assert bytes(second.data[:4]) == bytes(passing.data[:4]) == bytes(sent.data[:4]) == b"\7\7\7\7"


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_relay_passes_the_segment_on_and_others_copy(make_hub: MakeHub, kind: type) -> None:
    """Who runs user code may have changed what it holds, which no other process sees in the segment."""
    here, relay, editor, there = (make_hub() for _ in range(4))
    relay.segments.relays = True
    for sender, receiver in ((here, relay), (here, editor), (relay, there), (editor, there)):
        exchange(sender, receiver, blob(0))
    (passing,) = exchange(here, relay, Blob(kind(b"\1") * LARGE))
    (edited,) = exchange(here, editor, blob(1))
    memoryview(edited.data)[:1] = b"e"

    (passed,), (copied,) = exchange(relay, there, passing), exchange(editor, there, edited)

    def passed_on(hub: Hub) -> bool:
        return not hub.segments._filled

    assert came_by_segment(passed)
    assert passed_on(relay)
    assert came_by_segment(copied)
    assert not passed_on(editor)
    assert bytes(copied.data[:2]) == b"e\1"


def test_a_segment_is_used_again_only_when_nobody_holds_it() -> None:
    segments = Segments()
    held = []
    for number in range(3):
        passage = segments.put([memoryview(bytes([number]) * LARGE)], LIMIT)
        assert passage is not None
        held += segments.receive(passage, [LARGE])
        del passage
    assert [bytes(view[:1]) for view in held] == [b"\0", b"\1", b"\2"]
    before = {os.fstat(segment.fd).st_ino for segment in segments._filled}
    del held[1]
    gc.collect()

    again = segments.put([memoryview(b"z" * LARGE)], LIMIT)

    assert again is not None
    assert os.fstat(again.fd).st_ino in before
    assert [bytes(view[:1]) for view in held] == [b"\0", b"\2"]


def test_a_segment_on_its_way_is_not_used_again(make_hub: MakeHub) -> None:
    """Nobody has mapped what still waits in a queue or in the kernel."""
    here, there = make_hub(), make_hub()
    messages = [blob(number) for number in range(12)]

    arrived = exchange(here, there, *messages)

    assert [bytes(one.data) for one in arrived] == [bytes([number]) * LARGE for number in range(12)]


def test_what_a_killed_receiver_held_is_free_again() -> None:
    segments = Segments()
    under_way = [segments.put([memoryview(b"x" * LARGE)], LIMIT)]

    def hold() -> bool:
        assert under_way[0] is not None
        views = segments.receive(under_way[0], [LARGE])
        signal.pause()
        return bool(views)

    pid = fork(hold)
    under_way.clear()
    (segment,) = segments._filled
    assert not segment.is_free()
    os.kill(pid, signal.SIGKILL)
    assert exit_code(pid) == -signal.SIGKILL
    assert segment.is_free()


def test_no_more_is_with_others_than_the_limit_allows() -> None:
    segments = Segments()
    held = [segments.put([memoryview(b"x" * LARGE)], 3 * LARGE) for _ in range(5)]
    assert [passage is None for passage in held] == [False, False, False, True, True]
    assert segments.put([memoryview(b"y" * 4 * LARGE)], 3 * LARGE) is None, "larger than the limit"

    held.clear()

    assert segments.put([memoryview(b"y" * 2 * LARGE)], 3 * LARGE) is not None, "idle ones make room"
    assert len(segments._filled) == 1


def test_no_more_segments_are_with_others_than_they_have_descriptors_for() -> None:
    segments = Segments()
    held = [segments.put([memoryview(b"x" * LARGE)], 1 << 40) for _ in range(MOST_SENT + 2)]
    assert [passage is None for passage in held] == [False] * MOST_SENT + [True] * 2


def test_who_holds_many_gets_copies(make_hub: MakeHub) -> None:
    """Or each result that somebody collects would cost a descriptor."""
    there = make_hub()
    senders = [make_hub() for _ in range(MOST_RECEIVED // MOST_SENT + 2)]
    collected = [exchange(sender, there, blob(n))[0] for sender in senders for n in range(MOST_SENT)]

    assert sum(came_by_segment(one) for one in collected) == MOST_RECEIVED
    assert [bytes(one.data) for one in collected] == [bytes([n]) * LARGE for _ in senders for n in range(MOST_SENT)]


def test_what_goes_beyond_arrives_through_the_socket(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    collected = [exchange(here, there, blob(number))[0] for number in range(MOST_SENT + 10)]

    assert sum(came_by_segment(one) for one in collected) == MOST_SENT
    assert [bytes(one.data) for one in collected] == [bytes([number]) * LARGE for number in range(MOST_SENT + 10)]


def test_descriptors_stay_flat_and_are_gone_in_the_end(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    exchange(here, there, blob(0))
    before = len(open_descriptors())

    for number in range(50):
        (arrived,) = exchange(here, there, blob(number))
        assert came_by_segment(arrived)
    del arrived
    gc.collect()

    assert len(open_descriptors()) <= before + 4  # two segments that take turns, with two descriptors each
    here.segments.release()
    assert len(open_descriptors()) == before


def test_messages_for_a_peer_that_dies_take_their_segments_along(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    before = len(open_descriptors())
    for number in range(20):
        here.send(there.address, blob(number))
    there.close()
    pump(here, until=lambda: here.pending == 0)
    here.inbox.clear()
    here.segments.release()
    gc.collect()

    assert len(open_descriptors()) < before


def test_without_shared_memory_they_go_through_the_socket(make_hub: MakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(24, "Too many open files")

    here, there = make_hub(), make_hub()
    exchange(here, there, blob(0))
    monkeypatch.setattr(os, "memfd_create", refuse)

    (arrived,) = exchange(here, there, blob(5))

    assert bytes(arrived.data) == b"\5" * LARGE
    assert not came_by_segment(arrived)


def test_only_a_whole_segment_is_passed_on() -> None:
    segments = Segments()
    segments.relays = True
    passage = segments.put([memoryview(b"a" * LARGE), memoryview(b"b" * LARGE)], LIMIT)
    assert passage is not None
    views = [memoryview(buffer) for buffer in segments.receive(passage, [LARGE, LARGE])]

    assert passage_of(views) is passage
    assert passage_of([view.toreadonly() for view in views]) is passage
    assert passage_of(views[:1]) is None
    assert passage_of([views[1], views[0]]) is None
    assert passage_of([views[0][:10], views[1]]) is None
    assert passage_of([memoryview(b"x" * LARGE)]) is None


def test_garbage_that_claims_a_segment_does_no_harm(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    exchange(here, there, "hello")
    frame = b"".join(map(bytes, framing.apart(framing.encode(blob(1)))))
    link = here._outgoing[there.address]

    link.sock.sendall(frame)
    here.send(there.address, "after")
    pump(here, there, until=lambda: len(there.inbox) == 2)

    undecodable, after = inbox_of(there)
    assert "IndexError" in undecodable.error
    assert after == "after"


def test_behind_a_large_message_that_was_refused_the_next_one_arrives(make_hub: MakeHub) -> None:
    """The peer has seen nothing large yet, so it does not look out for descriptors."""
    here, there = make_hub(queue_limit_bytes=LARGE), make_hub()
    fill = b"x" * (KEPT_BUFFER // 2)
    sent = 0
    while here.queued_bytes(there.address) <= LARGE:
        here.send(there.address, fill)
        sent += 1
    with pytest.raises(SendQueueFull):
        here.send(there.address, blob(1))
    pump(here, there, until=lambda: len(there.inbox) == sent)
    there.inbox.clear()

    (first, second) = exchange(here, there, blob(2), blob(3))

    assert [bytes(one.data) for one in (first, second)] == [b"\2" * LARGE, b"\3" * LARGE]
    assert not came_by_segment(first)


def test_a_process_without_a_descriptor_for_a_segment_says_so_and_trusts_the_connection_no_more(
    make_hub: MakeHub,
) -> None:
    """What was read is lost; what comes behind it must not be taken for the next message."""
    here, there = make_hub(), make_hub()
    exchange(here, there, blob(0))
    here.send(there.address, blob(1))
    with no_descriptor_left(), pytest.raises(TransportError, match="ulimit"):
        there.poll(1.0)
    pump(here, until=lambda: there.address not in here._outgoing)

    (after,) = exchange(here, there, "after")
    assert after == "after"
