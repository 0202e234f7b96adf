"""An adapter hears what it wants, and never harms what it hears of."""

from __future__ import annotations

import logging

import pytest

from slither_actors import telemetry
from slither_actors.observe._hearing import Hearing
from tests.unit.observe import told

AREAS = (telemetry.DISPATCH_RUN, telemetry.BATCH, telemetry.STAGE, telemetry.WORKER, telemetry.STORE_WRITE)


@pytest.mark.parametrize(
    ("batches", "rest", "heard"),
    [
        (True, True, AREAS),
        (False, True, (telemetry.DISPATCH_RUN, telemetry.WORKER, telemetry.STORE_WRITE)),
        (True, False, (telemetry.DISPATCH_RUN, telemetry.BATCH, telemetry.STAGE)),
        (False, False, (telemetry.DISPATCH_RUN,)),
    ],
)
def test_only_what_is_wanted_is_reported_at_all(batches, rest, heard):
    """What nobody listens to is not even sent by the processes where it happens."""
    before = [telemetry.listening(area) for area in AREAS]
    hearing = Hearing("test", (), batches=batches, rest=rest)
    try:
        assert tuple(area for area in AREAS if telemetry.listening(area)) == heard
    finally:
        hearing.close()
        hearing.close()
    assert [telemetry.listening(area) for area in AREAS] == before == [False] * len(AREAS)


def test_two_of_one_kind_hear_side_by_side():
    heard: list[str] = []
    first = Hearing("test", (lambda *event: heard.append("first"),), batches=True, rest=True)
    second = Hearing("test", (lambda *event: heard.append("second"),), batches=True, rest=True)
    told.run_started()
    first.close()
    told.run_started()
    second.close()
    assert heard == ["first", "second", "second"]


def test_an_exporter_that_fails_is_told_of_once_and_called_again(caplog):
    heard: list[str] = []

    def broken(event, measurements, metadata):
        heard.append(event[-1])
        raise ConnectionError("the collector is away")

    hearing = Hearing("otel", (broken, lambda *event: heard.append("after it")), batches=True, rest=True)
    with caplog.at_level(logging.WARNING):
        told.run_started()
        told.run_stopped()
    hearing.close()

    assert heard == ["start", "after it", "stop", "after it"]
    assert [record.getMessage() for record in caplog.records] == ["otel: what exports slither.pipe.run.start raised"]
