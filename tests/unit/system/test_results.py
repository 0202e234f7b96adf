"""A stream over a run that is played."""

from __future__ import annotations

import pytest

from slither_actors.dispatch._orders import Orders
from slither_actors.dispatch.ends import EndLog
from slither_actors.errors import StreamBusy
from slither_actors.system.results import Stream


class PlayingRun:
    """A run whose end takes a look at the stream that is being closed."""

    def __init__(self) -> None:
        self.during_close = lambda: None
        self.orders = Orders(lambda: None)
        self.driver = None

    def batches(self):
        yield from ()

    def check_process(self) -> None:
        pass

    def close(self) -> None:
        self.during_close()


def test_who_asks_while_another_thread_closes_finds_the_end() -> None:
    run = PlayingRun()
    stream = Stream(run, EndLog(), lambda halt, items: halt)  # type: ignore[arg-type, return-value]
    found: list[object] = []
    run.during_close = lambda: found.append(next(stream, "the end"))  # type: ignore[assignment]
    stream.close()
    assert found == ["the end"]


def test_who_asks_while_another_thread_waits_is_told_so() -> None:
    stream = Stream(PlayingRun(), EndLog(), lambda halt, items: halt)  # type: ignore[arg-type, return-value]
    with stream._waiting, pytest.raises(StreamBusy):
        next(stream)
