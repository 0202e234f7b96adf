"""What carries events of an actor to the service: which, how many at a time, and when."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from slither_actors import telemetry
from slither_actors.errors import SendQueueFull
from slither_actors.otp.events import EventRelay
from slither_actors.telemetry import Interest

GATEWAY = "/run/gateway"


class Hub:
    def __init__(self):
        self.queued, self.flushes = 0, 0

    def queued_bytes(self, to):
        assert to == GATEWAY
        return self.queued

    def flush(self, limit_s):
        self.flushes += 1


class Transport:
    def __init__(self):
        self.hub, self.sent, self.full = Hub(), [], False

    def post(self, to, message):
        if self.full:
            raise SendQueueFull(to, 10, 5)
        assert to == GATEWAY
        self.sent.append([(name[-1], measurements["n"]) for name, measurements, _ in message.events])


@pytest.fixture
def transport():
    return Transport()


@pytest.fixture
def relay(transport):
    made = EventRelay(SimpleNamespace(transport=transport, name="worker"), GATEWAY)
    yield made
    made.heed(Interest(1 << 60, ()))


def emit(*numbers):
    for number in numbers:
        telemetry.emit(telemetry.STORE_WRITE, {"n": number}, {})


def test_nothing_is_sent_before_somebody_listens(relay, transport):
    assert not telemetry.listening(telemetry.STORE_WRITE)
    emit(1)
    relay.flush()
    assert transport.sent == []


def test_what_is_listened_to_leaves_with_the_next_flush(relay, transport):
    relay.heed(Interest(3, (telemetry.STORE_WRITE,)))
    emit(1, 2)
    assert transport.sent == []
    relay.flush()
    relay.flush()
    assert transport.sent == [[("write", 1), ("write", 2)]]
    assert transport.hub.flushes == 0
    assert not telemetry.listening(telemetry.VIEW)


def test_the_newest_word_holds(relay, transport):
    relay.heed(Interest(3, (telemetry.STORE_WRITE,)))
    relay.heed(Interest(2, ()))
    assert telemetry.listening(telemetry.STORE_WRITE)
    relay.heed(Interest(4, (telemetry.VIEW,)))
    assert not telemetry.listening(telemetry.STORE_WRITE)
    assert telemetry.listening(telemetry.VIEW)


def test_many_do_not_wait_for_the_flush(relay, transport):
    relay.heed(Interest(1, (telemetry.STORE_WRITE,)))
    emit(*range(130))
    assert [len(events) for events in transport.sent] == [64, 64]


def test_what_the_kernel_does_not_take_is_waited_for(relay, transport):
    """Else the news that all is over could overtake it."""
    relay.heed(Interest(1, (telemetry.STORE_WRITE,)))
    emit(1)
    transport.hub.queued = 100
    relay.flush()
    assert transport.hub.flushes == 1


def test_other_threads_send_at_once(relay, transport):
    relay.heed(Interest(1, (telemetry.STORE_WRITE,)))
    emit(1)
    thread = threading.Thread(target=emit, args=(2,))
    thread.start()
    thread.join()
    assert transport.sent == [[("write", 2)]]


def test_events_that_cannot_leave_harm_nobody_and_are_counted_in_the_log(relay, transport, caplog):
    relay.heed(Interest(1, (telemetry.STORE_WRITE,)))
    transport.full = True
    emit(1, 2)
    relay.flush()
    assert "2 events are lost" in caplog.text
    transport.full = False
    emit(3)
    relay.flush()
    assert transport.sent == [[("write", 3)]]
