"""The codec: frames with buffers beside the pickle, values of __main__, and JSON for everybody else."""

import base64
import copy
import datetime
import enum
import math
import pickle
import signal
import subprocess
import sys
import threading
import uuid

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors._codec import LARGE, Frame, by_value, encode, encode_parts, to_json
from slither_actors.errors import NotDecodable, NotPicklable, StageDown
from tests.helpers.patience import PATIENCE_S

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class Array:
    """What numpy does, without numpy: a buffer that pickle 5 can take out of band."""

    def __init__(self, memory):
        self.memory = memory

    def __reduce_ex__(self, protocol):
        return Array, (pickle.PickleBuffer(self.memory),)


def content(array):
    return bytes(memoryview(array.memory))


@given(PLAIN)
def test_a_value_comes_back(value):
    frame = encode(value)
    assert frame.decode() == value
    assert pickle.loads(pickle.dumps(frame)).decode() == value


def test_a_large_buffer_stays_out_of_the_pickle_and_is_not_copied():
    memory = bytearray(b"x" * LARGE)
    frame = encode([Array(memory), 1])
    assert len(frame.data) < 200
    assert [memoryview(buffer).nbytes for buffer in frame.buffers] == [LARGE]
    memory[0] = ord("y")
    assert content(frame.decode()[0])[:2] == b"yx"


def test_a_small_buffer_stays_in_the_pickle():
    frame = encode(Array(b"x" * (LARGE - 1)))
    assert frame.buffers == ()
    assert content(frame.decode()) == b"x" * (LARGE - 1)


def test_the_size_of_a_frame_counts_pickle_and_buffers():
    assert encode(1).nbytes == len(encode(1).data)
    frame = encode([Array(b"x" * LARGE), Array(b"y" * LARGE)])
    assert frame.nbytes == len(frame.data) + 2 * LARGE


def test_a_frame_in_a_message_gives_its_buffers_on_without_a_copy():
    frame = encode([Array(b"a" * LARGE), Array(b"b" * LARGE)])
    taken: list[pickle.PickleBuffer] = []
    outer = pickle.dumps(["envelope", frame], protocol=5, buffer_callback=taken.append)
    assert len(outer) < 500
    assert [bytes(buffer.raw()[:1]) for buffer in taken] == [b"a", b"b"]
    received = pickle.loads(outer, buffers=[bytearray(buffer.raw()) for buffer in taken])[1]
    assert [content(array)[:1] for array in received.decode()] == [b"a", b"b"]


def test_a_large_pickle_travels_as_a_buffer_too_and_again_from_where_it_arrived():
    text = "x" * (2 * LARGE)
    frame = encode(text)
    for _ in range(2):
        taken: list[pickle.PickleBuffer] = []
        outer = pickle.dumps(frame, protocol=5, buffer_callback=taken.append)
        assert len(outer) < 200
        frame = pickle.loads(outer, buffers=[memoryview(bytes(buffer.raw())) for buffer in taken])
        assert isinstance(frame.data, memoryview)
    assert frame.decode() == text


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_frame_can_be_pickled_without_a_buffer_callback(protocol):
    frame = encode([Array(bytearray(b"a" * LARGE)), "x" * LARGE])
    array, text = pickle.loads(pickle.dumps(frame, protocol)).decode()
    assert (content(array), text) == (b"a" * LARGE, "x" * LARGE)


def test_a_frame_over_borrowed_memory_can_be_pickled_and_copied():
    frame = Frame(memoryview(pickle.dumps([1, 2])), ())
    assert pickle.loads(pickle.dumps(frame, 5)).decode() == [1, 2]
    assert copy.copy(frame).decode() == [1, 2]


def test_a_frame_prints_nothing_of_its_content():
    assert str(encode("secret")) == repr(encode("secret")) == "<Frame>"


def test_what_pickle_cannot_take_goes_by_value():
    factor = 3
    function, memory = encode((lambda number: number * factor, Array(b"x" * LARGE))).decode()
    assert function(2) == 6
    assert content(memory) == b"x" * LARGE


def test_a_value_that_failed_halfway_does_not_leave_its_buffers_twice():
    frame = encode([Array(b"x" * LARGE), lambda: None])
    assert len(frame.buffers) == 1


def test_text_that_looks_like_main_is_only_text():
    assert encode(["__main__", b"__main__"]).decode() == ["__main__", b"__main__"]


def test_what_cannot_travel_is_refused_with_its_type_and_the_reason():
    with pytest.raises(
        NotPicklable, match=r"an object of type builtins.list cannot be sent.*cannot pickle '_thread.lock'"
    ):
        encode([threading.Lock()])
    with pytest.raises(NotPicklable, match=r"type _thread.lock"):
        by_value(threading.Lock())


def test_a_reduce_that_raises_anything_is_contained():
    class Broken:
        def __reduce__(self):
            raise ArithmeticError("no")

    with pytest.raises(NotPicklable, match=r"Broken.*ArithmeticError: no"):
        encode(Broken())


class Impatient:
    """While it is encoded the program's alarm goes off."""

    def __reduce__(self):
        signal.raise_signal(signal.SIGALRM)
        return Impatient, ()


class Clock:
    def rings(self, number, frame):
        raise TimeoutError("time is over")


@pytest.fixture(params=["function", "method"])
def alarm(request):
    """A handler that raises, as a program installs it to bound what it does."""
    handler = Clock().rings if request.param == "method" else lambda number, frame: Clock().rings(number, frame)
    before = signal.signal(signal.SIGALRM, handler)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("function", [encode, by_value])
def test_what_a_signal_handler_raises_meanwhile_passes_through(alarm, function):
    with pytest.raises(TimeoutError, match="time is over"):
        function([Impatient()])


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("function", [encode, by_value])
def test_an_interrupt_passes_through(function, interrupt):
    class Interrupted:
        def __reduce__(self):
            raise interrupt

    with pytest.raises(interrupt):
        function(Interrupted())


def test_a_timeout_of_the_value_itself_is_not_taken_for_one_of_the_program():
    class Remote:
        def __reduce__(self):
            raise TimeoutError("the server does not answer")

    with pytest.raises(NotPicklable, match="TimeoutError: the server does not answer"):
        encode(Remote())


def test_the_first_part_that_cannot_travel_is_named():
    parts = [("one", 1), ("two", threading.Lock()), ("three", threading.Lock())]
    with pytest.raises(NotPicklable, match="two cannot be sent to another process: TypeError"):
        encode_parts([part for _, part in parts], parts, "all")
    with pytest.raises(NotPicklable, match="all cannot be sent"):
        encode_parts(threading.Lock(), [("one", 1)], "all")


class Unreadable:
    """Can be encoded, and not decoded."""

    def __reduce__(self):
        return sys.exit, ("not here",)


def test_what_cannot_be_rebuilt_is_an_error_that_names_it():
    with pytest.raises(NotDecodable, match=r"the letter cannot be read in the process .* SystemExit: not here"):
        encode(Unreadable()).open("the letter")
    assert encode([1]).open("the letter") == [1]


def test_objects_of_main_can_be_decoded_in_another_process():
    script = """
import base64, pickle
from slither_actors._codec import encode
class Point:
    def __init__(self, x): self.x = x
    def double(self): return self.x * 2
print(base64.b64encode(pickle.dumps(encode([Point(21)]))).decode())
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    (point,) = pickle.loads(base64.b64decode(done.stdout)).decode()
    assert point.double() == 42
    # Here Point has no name to be found by; going back it must travel by value again.
    assert encode(point).decode().double() == 42


@attrs.frozen
class Inner:
    values: tuple[int, ...]


@attrs.frozen
class Outer:
    name: str
    inner: Inner


class Colour(enum.Enum):
    RED = "red"


class Named:
    def __str__(self) -> str:
        return "a name"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"a": [1, 2.5, None, True, "ä"]}, {"a": [1, 2.5, None, True, "ä"]}),
        (Outer("x", Inner((1, 2))), {"name": "x", "inner": {"values": [1, 2]}}),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        (Named(), "a name"),
        (b"raw", "b'raw'"),
        ([range(3), {7}, frozenset({8})], [[0, 1, 2], [7], [8]]),
        (Colour.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (math.nan, None),
        (StageDown("sort", "SIGKILL"), "StageDown: stage 'sort' died with SIGKILL while it held the item"),
        ([KeyError("k"), Outer], ["KeyError: 'k'", str(Outer)]),
        (1 << 80, str(1 << 80)),
        (
            {"deep": (Outer("x", Inner((-1 << 80, 5))), "\ud800", {(1, 2): {3}})},
            {"deep": [{"name": "x", "inner": {"values": [str(-1 << 80), 5]}}, "?", {"(1, 2)": [3]}]},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_json_says_what_it_can_and_the_rest_as_text(value, seen):
    assert orjson.loads(to_json(value)) == seen


def test_pretty_json_is_indented():
    assert to_json({"a": 1}, pretty=True) == b'{\n  "a": 1\n}'
    assert to_json({"a": 1 << 70}, pretty=True).startswith(b'{\n  "a"')
    assert to_json({"a": 1}) == b'{"a":1}'
