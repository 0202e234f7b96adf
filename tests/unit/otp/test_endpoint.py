"""An endpoint beside another process: what it hears of that one's end, and when."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slither_actors.errors import NoProcess, SystemDown
from slither_actors.otp.endpoint import Ended, Endpoint
from slither_actors.otp.ref import Ref
from slither_actors.transport.framing import KEPT_BUFFER
from slither_actors.transport.hub import Hub
from slither_actors.transport.rundir import RunDirectory
from tests.unit.transport.hubs import LIMIT_S, exit_code, fork

# More than is read at once, and no more than the kernel holds for one who does not read yet.
LETTER = "x" * 20_000
LETTERS = KEPT_BUFFER // len(LETTER) + 2


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    claimed = RunDirectory.create(f"endpoint-{os.getpid()}")
    host = os.pidfd_open(os.getpid())
    made = Endpoint(claimed.path, host, lambda: SystemDown("endpoint", ()))
    yield made
    made.close()
    os.close(host)
    claimed.remove()


def test_the_end_of_a_process_is_told_behind_all_that_it_had_sent(endpoint: Endpoint) -> None:
    directory = Path(endpoint.address).parent

    def speak() -> bool:
        hub = Hub(directory)
        for number in range(LETTERS):
            hub.send(endpoint.address, (number, LETTER))
        return not hub.pending

    speaker = fork(speak)
    forget = endpoint.watch(Ref("speaker", 1, str(directory / f"{speaker}."), speaker))
    os.waitid(os.P_PID, speaker, os.WEXITED | os.WNOWAIT)
    heard = []
    while not heard or not isinstance(heard[-1], Ended):
        received = endpoint.receive(LIMIT_S)
        assert received is not None
        heard.append(received[0])
    forget()

    assert exit_code(speaker) == 0, "all of it was sent"
    assert [number for number, _ in heard[:-1]] == list(range(LETTERS))


def test_a_process_that_is_dead_already_cannot_be_watched(endpoint: Endpoint) -> None:
    pid = fork(lambda: True)
    exit_code(pid)
    with pytest.raises(NoProcess, match="late"):
        endpoint.watch(Ref("late", 1, "/nowhere", pid))


def test_the_end_of_the_host_is_told_behind_all_that_was_sent(endpoint: Endpoint, sender: Hub) -> None:
    pid = fork(lambda: True)
    host = os.pidfd_open(pid)
    exit_code(pid)
    dead = Endpoint(Path(sender.address).parent, host, lambda: SystemDown("endpoint", ()))
    try:
        sender.send(dead.address, "last words")

        assert told(dead) == "last words"
        began = time.monotonic()
        with pytest.raises(SystemDown):
            dead.receive(LIMIT_S)
        assert time.monotonic() - began < LIMIT_S, "it did not wait"
    finally:
        dead.close()
        os.close(host)


@pytest.fixture
def sender(endpoint: Endpoint) -> Iterator[Hub]:
    hub = Hub(Path(endpoint.address).parent)
    yield hub
    hub.close()


def told(endpoint: Endpoint) -> object:
    received = endpoint.receive(LIMIT_S)
    assert received is not None
    return received[0]
