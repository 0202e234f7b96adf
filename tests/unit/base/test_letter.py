"""What calls and answers carry: plain data as it is, the rest in a frame."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors._codec import LARGE, Frame
from slither_actors._letter import opened, sealed
from slither_actors.errors import NotDecodable, NotPicklable
from slither_actors.otp.messages import Resolve
from slither_actors.store._operations import Put

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
PLAIN = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=20).map(tuple) | st.lists(inner), max_leaves=10)


class Text(str):
    pass


def there_and_back(value: Any) -> Any:
    return opened(pickle.loads(pickle.dumps(sealed(value, lambda: "it"), 5)), lambda: "it")


@settings(max_examples=50)
@given(PLAIN)
def test_every_value_arrives_as_it_was(value: Any) -> None:
    again = there_and_back(value)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize("value", [(None, 1), ("a", (1, (2.0, (b"c", True)))), ()])
def test_plain_tuples_need_no_frame(value: Any) -> None:
    assert type(sealed(value, lambda: "it")) is tuple


def test_a_message_travels_by_its_name() -> None:
    letter = sealed(Resolve(("a", "b")), lambda: "it")
    assert letter == ("Resolve", ("a", "b"))
    again = opened(letter, lambda: "it")
    assert type(again) is Resolve
    assert again.names == ("a", "b")


@pytest.mark.parametrize(
    "value",
    [
        (b"x" * LARGE,),  # beside the pickle it is not copied
        (1, "x" * LARGE),
        ([1],),
        (Text("a"),),
        Put("table", b"key", b"value"),
        tuple(range(17)),
        (((((((1,),),),),),),),
        "text",
    ],
)
def test_all_else_has_a_frame_of_its_own(value: Any) -> None:
    assert type(sealed(value, lambda: "it")) is Frame
    assert there_and_back(value) == value
    assert type(there_and_back(value)) is type(value)


def test_errors_name_it() -> None:
    with pytest.raises(NotPicklable, match="the request to tally"):
        sealed((threading.Lock(),), lambda: "the request to tally")
    with pytest.raises(NotDecodable, match="the answer of tally"):
        opened(Frame(b"no pickle", ()), lambda: "the answer of tally")
