"""The first signal drains, the second one means what it always means."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from slither_actors.cli._draining import Draining, draining
from tests.helpers.patience import PATIENCE_S

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def waking() -> Iterator[int]:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    yield writer
    assert signal.set_wakeup_fd(-1) == -1
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_begins_a_drain_and_gives_the_handlers_back(number: signal.Signals, waking: int) -> None:
    before = [signal.getsignal(one) for one in BOTH]
    begun: list[bool] = []
    with draining(lambda: begun.append(True), waking) as handler:
        signal.raise_signal(number)
        assert (begun, handler.received) == ([True], number)
        assert [signal.getsignal(one) for one in BOTH] == before


def test_the_second_one_does_what_it_did_before(waking: int) -> None:
    with draining(lambda: None, waking) as handler:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handler.received == signal.SIGINT


def test_a_second_one_that_comes_while_the_first_is_on_its_way_counts_as_the_second(waking: int) -> None:
    begun: list[bool] = []

    def begin() -> None:
        begun.append(True)
        handler.install()  # as if they had not been given back yet
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    with draining(begin, waking) as handler:
        signal.raise_signal(signal.SIGINT)
    assert begun == [True]


def test_what_is_ignored_stays_so_and_the_end_of_the_block_gives_all_back(waking: int) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with draining(lambda: None, waking) as handler:
            signal.raise_signal(signal.SIGINT)
            assert handler.received == 0
            assert isinstance(signal.getsignal(signal.SIGTERM), Draining)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert not isinstance(signal.getsignal(signal.SIGTERM), Draining)
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_leaves_signals_alone(waking: int) -> None:
    found: list[object] = []

    def look() -> None:
        with draining(lambda: None, waking):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(PATIENCE_S)

    assert not isinstance(found[0], Draining)
