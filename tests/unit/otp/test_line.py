"""A call over a hub that is played: what is an answer, and what becomes of everything else."""

from collections import deque

import pytest

from slither_actors._codec import encode
from slither_actors.errors import CallTimeout, NoProcess, NotDecodable
from slither_actors.otp.endpoint import HungUp, Line
from slither_actors.otp.messages import Reply
from slither_actors.transport.hub import Undecodable, Undelivered, Unread

TO, OTHER = "/run/to", "/run/other"


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


class PlayingHub:
    """`script` makes of each call that is sent what arrives then, all at once."""

    def __init__(self, script):
        self.inbox = deque()
        self.on_hang_up = None
        self.closed = False
        self._script = script
        self._arriving = []

    def uncork(self):
        pass

    def send(self, to, call):
        self._arriving = self._script(call)

    def wake(self):
        """Somebody else's loop is to look into the inbox."""

    def poll(self, timeout_s):
        self.inbox.extend(self._arriving)
        self._arriving = []


def answer(number, value=None, error=None):
    return Reply(number, encode((value, error))), TO


def test_what_arrives_before_and_behind_the_answer_stays_in_its_order():
    hub = PlayingHub(lambda call: [("b", OTHER), ("c", TO), answer(call.number, 42), ("d", OTHER)])
    hub.inbox.append(("a", OTHER))

    assert Line(hub).call(TO, "x", 1.0) == 42

    assert list(hub.inbox) == [("a", OTHER), ("b", OTHER), ("c", TO), ("d", OTHER)]


def test_an_answer_to_an_earlier_question_is_dropped():
    hub = PlayingHub(lambda call: [answer(call.number - 1, "late"), answer(call.number, "now")])
    assert Line(hub).call(TO, "x", 1.0) == "now"
    assert not hub.inbox


@pytest.mark.parametrize("error", [NoProcess("inner"), ValueError("bad")])
def test_an_error_for_an_answer_is_raised(error):
    hub = PlayingHub(lambda call: [answer(call.number, error=error)])
    with pytest.raises(type(error), match=str(error).split(";")[0]):
        Line(hub).call(TO, "x", 1.0)


@pytest.mark.parametrize(
    "script",
    [
        lambda call: [(Undelivered(TO, call), TO)],
        lambda call: [(HungUp(TO), TO)],
    ],
)
def test_the_end_of_the_process_is_known_at_once(script):
    hub = PlayingHub(script)
    with pytest.raises(NoProcess, match="tally"):
        Line(hub).call(TO, "x", 60.0, "tally")
    assert not hub.inbox
    assert hub.on_hang_up is None


def test_the_ends_of_others_and_other_messages_that_come_back_are_no_answer():
    others = [(HungUp(OTHER), OTHER), (Undelivered(TO, "an earlier message"), TO)]
    hub = PlayingHub(lambda call: [*others, answer(call.number, 42)])
    assert Line(hub).call(TO, "x", 1.0) == 42
    assert list(hub.inbox) == others


def test_without_an_answer_the_call_ends_in_time_whoever_else_talks():
    hub = PlayingHub(lambda call: [(number, OTHER) for number in range(1000)])
    with pytest.raises(CallTimeout, match=r"tally did not answer within 0 s"):
        Line(hub).call(TO, "x", 0.0, "tally")
    assert [message for message, _ in hub.inbox] == list(range(1000))


def test_an_answer_that_cannot_be_read_here_says_so():
    hub = PlayingHub(lambda call: [answer(call.number, Unreadable())])
    with pytest.raises(NotDecodable, match=r"the answer of tally.*ValueError"):
        Line(hub).call(TO, "x", 1.0, "tally")


@pytest.mark.parametrize(
    ("news", "culprit"),
    [
        (lambda number: Unread("it burns", ("Call", number)), "the request to tally"),
        (lambda number: Undecodable("it burns", ("Reply", number)), "the answer of tally"),
    ],
)
def test_a_message_that_was_not_even_read_ends_the_call_it_belongs_to_at_once(news, culprit):
    hub = PlayingHub(lambda call: [(news(call.number + 1), TO), (news(call.number), OTHER), (news(call.number), TO)])
    with pytest.raises(NotDecodable, match=rf"^{culprit} cannot be read .*: it burns"):
        Line(hub).call(TO, "x", 60.0, "tally")
    assert [sender for _, sender in hub.inbox] == [TO, OTHER], "those of others are not for it"
