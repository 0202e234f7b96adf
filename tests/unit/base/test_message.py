"""@message: frozen, slotted, constant text, pickled by position."""

import copy
import pickle

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
    parts: tuple[int, ...] = ()


class Loud:
    def __repr__(self) -> str:
        raise AssertionError("the payload was formatted")

    __str__ = __repr__


@pytest.mark.parametrize(
    "sent",
    [Empty(), One(7), One((1, 2)), Five(1, "x"), Five(1, "x", {"a": [1]}, 2.5, (1, 2)), Five(1, text="x", ratio=3.0)],
    ids=repr,
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_message_comes_back_with_the_same_fields(sent, protocol):
    received = pickle.loads(pickle.dumps(sent, protocol))
    assert type(received) is type(sent)
    assert tuple(received) == tuple(sent)


def test_the_text_is_the_class_name_and_never_formats_a_payload():
    assert (str(One(Loud())), repr(One(Loud())), f"{One(Loud())}") == ("<One>",) * 3


def test_a_message_cannot_be_changed_or_extended():
    sent = One(1)
    with pytest.raises(AttributeError):
        sent.value = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        sent.other = 2  # type: ignore[attr-defined]
    assert not hasattr(sent, "__dict__")


def test_messages_are_compared_by_identity_whatever_they_hold():
    one = One([])
    assert one != One([])
    assert len({one, one, One([])}) == 2


def test_a_copy_is_a_message_of_its_own_class():
    copied = copy.copy(Five(1, "x", ratio=9.0))
    assert (type(copied), copied.ratio) == (Five, 9.0)


def test_fields_come_by_place_or_by_name_and_the_rest_are_defaults():
    sent = Five(1, text="x", ratio=2.0)
    assert (sent.number, sent.text, sent.data, sent.ratio, sent.parts) == (1, "x", None, 2.0, ())
    match sent:
        case Five(number, text):
            assert (number, text) == (1, "x")
        case _:
            raise AssertionError("it has no pattern")


@pytest.mark.parametrize(
    "make", [lambda: Five(1), lambda: Empty(1), lambda: One(1, value=2), lambda: One(2, other=1), lambda: One(other=1)]
)
def test_fields_that_do_not_fit_are_refused(make):
    with pytest.raises(TypeError, match="takes"):
        make()


def test_a_message_is_true_also_without_a_field():
    assert Empty()


def test_a_message_has_no_base_class():
    with pytest.raises(TypeError, match="a message has no base class"):

        @message
        class Six(Five):
            extra: int = 6
