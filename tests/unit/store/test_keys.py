"""Keys sort as bytes the way Python sorts them, and come back equal."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slither_actors.errors import InvalidOption, KeyTooLong
from slither_actors.store._keys import DEEPEST, LONGER, MOST_BYTES, decode_key, encode_key, span_of_prefix

NUMBERS = st.one_of(st.booleans(), st.integers(), st.integers(-(2**300), 2**300), st.floats(allow_nan=False))
LEAVES = st.one_of(st.none(), NUMBERS, st.text(max_size=8), st.binary(max_size=8))
KEYS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


def rank(key: Any) -> tuple[Any, ...]:
    """The key in a form that Python itself puts in the order that is promised."""
    if key is None:
        return (0,)
    if isinstance(key, int | float):
        return (1, key)
    if isinstance(key, str):
        return (2, key)
    if isinstance(key, bytes):
        return (3, key)
    return (4, tuple(rank(part) for part in key))


@given(KEYS, KEYS)
@example(1, 1.0)
@example(True, 1)
@example(2**53, 2**53 + 1)
@example(2.0**53, 2**53 + 1)
@example(-0.0, 0)
@example("a", "a\0")
@example((), (None,))
@example(("a",), ("a", None))
@example(5e-324, -5e-324)
@example(math.inf, 2**3000)
def test_encodings_sort_as_the_keys_do(one: Any, other: Any) -> None:
    a, b = encode_key(one, "t"), encode_key(other, "t")

    assert (a < b) == (rank(one) < rank(other))
    assert (a == b) == (rank(one) == rank(other))


@given(KEYS)
@example(-(2**3000))
@example(1.5)
@example("\ud800")
def test_a_key_comes_back_equal(key: Any) -> None:
    assert decode_key(encode_key(key, "t")) == key


@given(KEYS, KEYS, st.binary(max_size=9))
@example("a", "a\0", b"")
@example(65536, 65537, bytes(8))
def test_what_follows_a_key_is_told_from_a_longer_one(one: Any, other: Any, more: bytes) -> None:
    a, b = encode_key(one, "t"), encode_key(other, "t")

    assert not b.startswith(a) or b == a or b.startswith(a + LONGER)
    assert (a < b) == (a + b"\0" + more < b + b"\0" + more) or a == b


def begins(key: Any, prefix: Any) -> bool:
    """Whether the encoding of a key is where those that begin with the prefix are."""
    low, high = span_of_prefix(prefix, "t")
    return low <= encode_key(key, "t") < high


@given(st.text(max_size=5), st.text(max_size=5))
@example("a\0b", "a\0")
def test_a_text_has_the_prefix_of_its_beginning(text: str, prefix: str) -> None:
    assert begins(text, prefix) == text.startswith(prefix)


@given(st.binary(max_size=6), st.binary(max_size=4))
@example(b"\xff\xffa", b"\xff\xff")
def test_bytes_have_the_prefix_of_their_beginning(data: bytes, prefix: bytes) -> None:
    assert begins(data, prefix) == data.startswith(prefix)


@given(st.lists(KEYS, max_size=3).map(tuple), st.lists(KEYS, max_size=3).map(tuple))
@example((65537, "x"), (65536,))
@example(("a\0", 1), ("a",))
@example((("a\0",),), (("a",),))
@example((-65537,), (-65536,))
def test_a_tuple_has_the_prefix_of_its_first_elements(key: tuple[Any, ...], prefix: tuple[Any, ...]) -> None:
    assert begins(key, prefix) == (tuple(map(rank, key[: len(prefix)])) == tuple(map(rank, prefix)))


@pytest.mark.parametrize("key", ["a", b"a", 1, None])
def test_what_is_no_tuple_has_no_prefix_of_one(key: Any) -> None:
    assert not begins(key, ())
    assert begins((key,), ())


class Array:
    """As numpy's: it may be one number, or none."""

    __hash__ = None  # type: ignore[assignment]

    def __index__(self) -> int:
        return 5


class Tensor:
    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")


@pytest.mark.parametrize(
    "key", [math.nan, [], {}, object(), ("a", [1]), (math.nan,), 1j, Array(), Tensor(), (Tensor(),)]
)
def test_other_keys_are_refused(key: Any) -> None:
    with pytest.raises(InvalidOption, match=r"table t: key is .*; allowed: None, a bool, a number"):
        encode_key(key, "t")


def test_tuples_in_each_other_have_an_end() -> None:
    key: Any = 1
    for _ in range(DEEPEST):
        key = (key,)
    assert decode_key(encode_key(key, "t")) == key
    with pytest.raises(InvalidOption) as caught:
        encode_key((key,), "t")
    assert caught.value.got == "a tuple with more than 32 of them in each other"
    assert caught.value.allowed.endswith("or a tuple of these, 32 of them in each other")


@pytest.mark.parametrize("key", ["x" * 479, b"\0" * 240, 2**4000 - 1, -(2**4000) + 1, ("x" * 240,) * 2])
def test_a_key_that_does_not_fit_is_too_long(key: Any) -> None:
    with pytest.raises(KeyTooLong, match=f"at most {MOST_BYTES}"):
        encode_key(key, "t")


def test_the_longest_key_fits() -> None:
    assert len(encode_key("x" * 478, "t")) == MOST_BYTES
