"""What carries the events of the tree itself to the service: when, and how many at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.errors import SendQueueFull
from slither_actors.otp.reports import Reports, reports_of, tell

GATEWAY = "/run/gateway"


class Actor:
    """A server, as far as reports use it."""

    name = "pools/default/dispatcher"

    def __init__(self, gateway: str | None = GATEWAY) -> None:
        self.sent: list[tuple[tuple[Any, ...], ...]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.uncorked = 0
        self.full = False
        surroundings = SimpleNamespace(gateway=gateway)
        self.life = self._life = SimpleNamespace(surroundings=surroundings, transport=SimpleNamespace(hub=self))

    def _clock(self) -> float:
        return 100.0

    def post(self, to: str, message: Any) -> None:
        assert to == GATEWAY
        if self.full:
            raise SendQueueFull(to, 10, 5)
        self.sent.append(message.events)

    def start_timer(self, delay_s: float, action: Callable[[], None]) -> None:
        self.timers.append((delay_s, action))

    def uncork(self) -> None:
        self.uncorked += 1


@pytest.fixture
def actor() -> Actor:
    return Actor()


def add(reports: Reports, *numbers: int) -> None:
    for number in numbers:
        reports.add(telemetry.BATCH, {"time_s": 90.0 + number}, {"n": number})


def test_events_leave_together_when_there_are_many_and_at_a_flush(actor: Actor) -> None:
    reports = Reports(actor, GATEWAY)  # type: ignore[arg-type]
    add(reports, *range(63))
    assert actor.sent == []
    add(reports, 63)
    assert [len(events) for events in actor.sent] == [64]
    add(reports, 64)
    reports.flush()
    reports.flush()
    assert [len(events) for events in actor.sent] == [64, 1]
    assert actor.uncorked == 2, "what is sent to others after a flush may not overtake it"


def test_what_comes_slowly_waits_for_a_tenth_of_a_second_at_most(actor: Actor) -> None:
    reports = Reports(actor, GATEWAY)  # type: ignore[arg-type]
    add(reports, 1, 2)
    ((delay_s, action),) = actor.timers
    assert delay_s == 0.1
    action()
    assert [[about["n"] for _, _, about in events] for events in actor.sent] == [[1, 2]]
    add(reports, 3)
    assert len(actor.timers) == 2


def test_the_time_of_day_is_put_in_where_they_leave(actor: Actor) -> None:
    reports = Reports(actor, GATEWAY)  # type: ignore[arg-type]
    add(reports, 1)
    before = time.time()
    reports.flush()
    ((_, measured, _),) = actor.sent[0]
    assert before - 9.0 <= measured["time_s"] <= time.time() - 9.0  # 91 where it is 100


def test_where_nobody_reads_events_are_lost_and_counted(actor: Actor, caplog: pytest.LogCaptureFixture) -> None:
    actor.full = True
    reports = Reports(actor, GATEWAY)  # type: ignore[arg-type]
    add(reports, 1, 2)
    with caplog.at_level(logging.WARNING):
        reports.flush()
    assert "2 events are lost" in caplog.text
    tell(actor, telemetry.WORKER, {})  # type: ignore[arg-type]


def test_there_are_none_where_there_is_no_service() -> None:
    nobody: Any = Actor(None)
    assert reports_of(nobody) is None
    tell(nobody, telemetry.WORKER, {})
    assert nobody.sent == []
