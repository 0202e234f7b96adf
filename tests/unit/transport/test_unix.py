"""What the Unix base does with messages that no server of ours takes."""

from types import SimpleNamespace

from slither_actors.transport.hub import Undecodable, Unread
from slither_actors.transport.unix import UnixTransport

PEER = "/run/x/1"


def test_what_cannot_be_read_before_there_is_a_server_is_printed_and_told_to_its_sender(capsys):
    sent = []
    transport = object.__new__(UnixTransport)
    transport.hub = SimpleNamespace(send=lambda to, message: sent.append((to, message)))

    assert transport._envelope(Undecodable("it burns", ("Call", 7)), PEER) is None
    assert transport._envelope(Unread("it froze", ("Call", 8)), PEER) is None

    ((to, word),) = sent
    assert (to, word.error, word.head) == (PEER, "it burns", ("Call", 7))
    said = capsys.readouterr().err
    assert f"a message from {PEER} cannot be read: it burns" in said
    assert f"{PEER} cannot read what it was sent: it froze" in said
