"""@message: frozen, slotted, constant text, pickled by position."""

import copy
import pickle

import attrs
import pytest

from slither_actors._message import message


@message
class Empty:
    """No field."""


@message
class One:
    value: object


@message
class Five:
    number: int
    text: str
    data: object = None
    ratio: float = 1.0
    parts: tuple[int, ...] = attrs.field(factory=tuple)


@message
class Six(Five):
    extra: int = 6


class Loud:
    def __repr__(self) -> str:
        raise AssertionError("the payload was formatted")

    __str__ = __repr__


@pytest.mark.parametrize(
    "sent",
    [Empty(), One(7), One((1, 2)), Five(1, "x"), Five(1, "x", {"a": [1]}, 2.5, (1, 2)), Six(1, "x", extra=9)],
    ids=repr,
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_message_comes_back_with_the_same_fields(sent, protocol):
    received = pickle.loads(pickle.dumps(sent, protocol))
    assert type(received) is type(sent)
    assert attrs.astuple(received) == attrs.astuple(sent)


def test_the_text_is_the_class_name_and_never_formats_a_payload():
    assert (str(One(Loud())), repr(One(Loud())), f"{One(Loud())}") == ("<One>",) * 3
    assert repr(Six(1, "x")) == "<Six>"


def test_a_message_cannot_be_changed_or_extended():
    sent = One(1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        sent.value = 2  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        sent.other = 2  # type: ignore[attr-defined]
    assert not hasattr(sent, "__dict__")


def test_messages_are_compared_by_identity_whatever_they_hold():
    one = One([])
    assert one != One([])
    assert len({one, one, One([])}) == 2


def test_a_copy_is_a_message_of_its_own_class():
    copied = copy.copy(Six(1, "x", extra=9))
    assert (type(copied), copied.extra) == (Six, 9)


def test_a_message_that_could_not_be_rebuilt_by_position_is_refused():
    with pytest.raises(TypeError, match="Keyword: field only must be a positional argument"):

        @message
        class Keyword:
            only: int = attrs.field(kw_only=True)

    with pytest.raises(TypeError, match="field hidden"):

        @message
        class Hidden:
            hidden: int = attrs.field(init=False, default=1)
