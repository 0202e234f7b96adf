"""The wire format: whatever goes in comes out, however the stream is cut; what is not ours is refused."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.otp.messages import Call, Init, ListProcesses
from slither_actors.transport import framing
from slither_actors.transport.framing import KEPT_BUFFER, MAX_BUFFERS, FrameReader, FramingError, decode, encode
from slither_actors.workers.messages import RunOnce

HEAD = struct.Struct("<QI")


class Blob:
    """Carries its bytes out of band, as an array does."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Blob, (pickle.PickleBuffer(self.data),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and bytes(self.data) == bytes(other.data)

    __hash__ = None  # type: ignore[assignment]


def stream_of(messages: Iterable[object]) -> bytes:
    return b"".join(bytes(part) for message in messages for part in encode(message))


def receive(stream: bytes, cuts: Iterable[int], reader: FrameReader | None = None) -> list[object]:
    """What a reader makes of a stream that comes in pieces of these sizes, over and over."""
    reader = reader or FrameReader()
    sizes = [*cuts] or [len(stream)]
    messages, at, turn = [], 0, 0
    while at < len(stream):
        space = reader.space()
        assert len(space) > 0
        count = min(sizes[turn % len(sizes)], len(space), len(stream) - at)
        space[:count] = stream[at : at + count]
        messages += [decode(body, buffers) for body, buffers in reader.advance(count)]
        at, turn = at + count, turn + 1
    return messages


blobs = st.builds(
    lambda fill, size, writable: Blob((bytearray if writable else bytes)(bytes([fill]) * size)),
    st.integers(0, 255),
    st.sampled_from([0, 1, 7, 4096, KEPT_BUFFER - 1, KEPT_BUFFER, KEPT_BUFFER + 1, 300_000]),
    st.booleans(),
)
plain = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=20),
    st.builds(
        lambda size: b"x" * size,
        st.sampled_from([0, 1, 65_000, KEPT_BUFFER - 40, KEPT_BUFFER, KEPT_BUFFER + 40, 2 * KEPT_BUFFER]),
    ),
)
some_messages = st.lists(st.one_of(plain, blobs, st.lists(blobs, max_size=3)), max_size=6)


@settings(max_examples=150, deadline=None)
@given(some_messages, st.lists(st.sampled_from([1, 2, 11, 12, 13, 1000, 65_536, 1 << 20]), min_size=1, max_size=6))
def test_any_messages_cut_anywhere_come_back_equal(messages: list[object], cuts: list[int]) -> None:
    if max(cuts) < 1000:
        cuts = [*cuts, 65_536]  # byte by byte for some of the time is enough

    assert receive(stream_of(messages), cuts) == messages


@pytest.mark.parametrize("size", range(KEPT_BUFFER - 40, KEPT_BUFFER + 4))
def test_frames_at_the_edge_of_the_kept_buffer_come_back(size: int) -> None:
    messages = ["before", b"x" * size, "after"]

    assert receive(stream_of(messages), [65_536, 65_549]) == messages
    assert receive(stream_of(messages), [KEPT_BUFFER]) == messages


def test_a_few_megabytes_come_back_in_small_pieces() -> None:
    messages = [b"x" * 3_000_000, Blob(bytearray(b"y" * 4_000_000)), "end"]

    assert receive(stream_of(messages), [40_000, 1, 200_000]) == messages


def test_an_empty_body_and_an_empty_buffer_are_frames_too() -> None:
    reader = FrameReader()
    stream = framing.encode_bytes(b"") + HEAD.pack(0, 1) + struct.pack("<Q", 0) + framing.encode_bytes(b"z")
    reader.space()[: len(stream)] = stream

    assert [(bytes(body), buffers) for body, buffers in reader.advance(len(stream))] == [
        (b"", []),
        (b"", [bytearray()]),
        (b"z", []),
    ]


def test_a_buffer_comes_back_as_writable_as_it_was() -> None:
    [writable, fixed] = receive(stream_of([Blob(bytearray(b"ab")), Blob(b"cd")]), [])

    assert not memoryview(writable.data).readonly  # type: ignore[attr-defined]
    assert memoryview(fixed.data).readonly  # type: ignore[attr-defined]


def test_large_buffers_travel_without_being_copied() -> None:
    data = bytearray(200_000)

    parts = encode(Blob(data))

    assert [part.obj for part in parts if isinstance(part, memoryview)] == [data]
    assert sum(map(len, parts)) < len(data) + 200


def test_more_buffers_than_a_frame_can_list_go_in_band() -> None:
    message = [Blob(b"%d" % number) for number in range(MAX_BUFFERS + 5)]

    assert receive(stream_of([message, "after"]), [100_000]) == [message, "after"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\xff" * 64,
        HEAD.pack(framing.MAX_PART + 1, 0),
        HEAD.pack(10, MAX_BUFFERS + 1),
        HEAD.pack(10, 1) + struct.pack("<Q", framing.MAX_PART + 1),
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(FramingError):
        receive(stream_of(["fine"]) + garbage, [])


@pytest.mark.parametrize("frame", [HEAD.pack(101, 0), HEAD.pack(5, 1) + struct.pack("<Q", 101)])
def test_a_reader_with_a_limit_sets_no_memory_aside_for_more(frame: bytes) -> None:
    with pytest.raises(FramingError):
        receive(frame, [], FrameReader(max_part=100))


def test_what_cannot_be_pickled_says_so_at_the_sender() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        encode(lambda: None)


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(st.integers(0, 3000), max_size=5),
    size=st.integers(KEPT_BUFFER - 40, KEPT_BUFFER + 40),
    out_of_band=st.booleans(),
    cuts=st.lists(st.sampled_from([1, 13, 1000, 65_536, 1 << 20]), min_size=1, max_size=5),
)
def test_no_byte_behind_a_large_frame_is_read_before_it_is_known(
    before: list[int], size: int, out_of_band: bool, cuts: list[int]
) -> None:
    """A sender may pass descriptors behind such a frame, and a read that does not look out for them loses them."""
    large = encode(Blob(bytearray(size)) if out_of_band else b"x" * size)
    head = stream_of([b"y" * count for count in before])
    stream = head + b"".join(map(bytes, large)) + framing.encode_bytes(b"z") * 3
    reader, at, turn = FrameReader(), 0, 0
    end = len(head) + framing.size_of(large)

    while at < len(stream) and framing.size_of(large) > KEPT_BUFFER:
        if max(cuts) < 1000 and at < len(head) + size - 100:
            cuts = [65_536]
        looked_out = reader.large_seen
        space = reader.space()
        count = min(cuts[turn % len(cuts)], len(space), len(stream) - at)
        space[:count] = stream[at : at + count]
        list(reader.advance(count))
        at, turn = at + count, turn + 1
        assert looked_out or at <= end


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(1, 3000), min_size=1, max_size=4), min_size=1, max_size=5), st.integers(1, 200))
def test_frames_whose_buffers_travel_apart_name_their_sizes_however_they_are_cut(
    frames: list[list[int]], cut: int
) -> None:
    made = [framing.apart(encode([Blob(bytearray(size)) for size in sizes])) for sizes in frames]
    stream = b"".join(bytes(part) for parts in made for part in parts) + framing.encode_bytes(b"end")
    reader, found = FrameReader(), []
    for at in range(0, len(stream), cut):
        piece = stream[at : at + cut]
        while piece:
            space = reader.space()
            count = min(len(space), len(piece))
            space[:count] = piece[:count]
            found += [buffers for _, buffers in reader.advance(count)]
            piece = piece[count:]

    assert [list(each.sizes) for each in found[:-1] if isinstance(each, framing.Apart)] == frames
    assert found[-1] == []


@pytest.mark.parametrize(
    ("message", "head"),
    [
        (Call(7, ("anything", 1)), ("Call", 7)),
        (Call(1 << 40, None), ("Call", 1 << 40)),
        (RunOnce(5, None, None), ("RunOnce", 5)),  # type: ignore[arg-type]
        (Init("a/b", 1, None, (), "x", None), ("Init", "a/b")),  # type: ignore[arg-type]
        (ListProcesses(), ("ListProcesses",)),
        ([Call(7, 1)], ()),
        (3.5, ()),
    ],
)
def test_the_head_of_a_message_is_read_without_the_rest(message: object, head: tuple[object, ...]) -> None:
    [body] = encode(message)
    assert framing.head_of(memoryview(body)[HEAD.size :]) == head
    assert framing.head_of(memoryview(b"GET / HTTP/1.1")) == ()
