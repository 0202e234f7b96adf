"""Peers of a hub that die, and strangers."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from slither_actors.transport import framing
from slither_actors.transport.hub import Hub, Undelivered
from tests.unit.transport.hubs import LIMIT_S, MakeHub, connections, exit_code, fork, inbox_of, pump


def test_a_peer_that_never_was_is_reported_with_the_message(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()
    nobody = str(directory / "nobody")

    here.send(nobody, "hello")
    here.poll(LIMIT_S)

    [(report, sender)] = here.inbox
    assert isinstance(report, Undelivered)
    assert (report.to, report.original, sender) == (nobody, "hello", nobody)


def test_a_peer_that_died_is_reported_with_all_that_waited_for_it(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    for number in range(40):
        here.send(there.address, (number, b"x" * 100_000))
    waiting = here.pending

    there.close()
    pump(here, until=lambda: len(here.inbox) >= waiting)

    numbers = [report.original[0] for report in inbox_of(here)]
    assert numbers == list(range(40 - waiting, 40))
    assert here.pending == 0


def test_after_a_death_the_next_message_is_reported_too(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    here.send(there.address, "first")
    there.close()

    here.send(there.address, "second")
    here.send(there.address, "third")
    pump(here, until=lambda: len(here.inbox) == 2)

    assert [report.original for report in inbox_of(here)] == ["second", "third"]


def test_a_hang_up_is_reported_at_once_and_once(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    gone: list[str] = []
    here.on_hang_up = gone.append
    here.send(there.address, "hello")

    there.close()
    pump(here, until=lambda: gone)
    here.poll(0)

    assert gone == [there.address]


def test_a_hang_up_that_a_sender_finds_first_is_reported_all_the_same(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    gone: list[str] = []
    here.on_hang_up = gone.append
    here.send(there.address, "hello")
    there.close()

    here.send(there.address, "again")
    pump(here, until=lambda: gone)

    assert gone == [there.address]


def test_a_hang_up_comes_behind_what_the_peer_had_sent(make_hub: MakeHub) -> None:
    here = make_hub()
    seen: list[Any] = []
    there = make_hub()
    here.send(there.address, "question")
    here.on_hang_up = lambda address: seen.extend([*inbox_of(here), "gone"])

    there.send(here.address, "answer")  # its first word: this connection is not even accepted yet
    there.close()
    here.poll(LIMIT_S)

    assert seen == ["answer", "gone"]


def test_settle_reads_all_that_a_killed_process_had_sent(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()

    def last_words() -> bool:
        own = Hub(directory)
        for number in range(100):
            own.send(here.address, number)
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    pid = fork(last_words)
    assert exit_code(pid) == -signal.SIGKILL
    here.settle(str(directory / f"{pid}."))

    assert inbox_of(here) == list(range(100))


def test_settle_waits_neither_for_the_living_nor_for_silent_strangers(make_hub: MakeHub, directory: Path) -> None:
    here, living = make_hub(), make_hub()
    living.send(here.address, "I am fine")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(here.address)

        before = time.process_time()
        for number in range(100):
            here.settle(str(directory / f"{number}."))

        assert time.process_time() - before < 0.5
    assert inbox_of(here) == ["I am fine"]


def frame(body: bytes) -> bytes:
    return framing.encode_bytes(body)


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame(b"not the cookie" + b"/somewhere/1.0.ab"),
        frame(b""),
        struct.pack("<QI", 1 << 35, 0),  # claims to be huge
        struct.pack("<QI", 8, 1) + struct.pack("<Q", 1 << 35),
    ],
)
def test_a_stranger_is_dropped_and_harms_nobody(make_hub: MakeHub, words: bytes) -> None:
    here, friend = make_hub(), make_hub()
    before = connections(here)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(here.address)
        stranger.sendall(words)
        friend.send(here.address, "hello")

        pump(here, until=lambda: here.inbox)
        stranger.settimeout(LIMIT_S)
        try:
            end = stranger.recv(1)
        except ConnectionResetError:  # it had said more than was read
            end = b""

    assert end == b""
    assert inbox_of(here) == ["hello"]
    assert connections(here) == before + 1


def test_an_address_inside_without_the_cookie_is_refused(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(here.address)
        greeting = frame(bytes(16) + os.fsencode(directory / "1.0.ab"))
        stranger.sendall(greeting + b"".join(map(bytes, framing.encode("hello"))))
        here.poll(LIMIT_S)
        here.poll(0.01)

    assert not here.inbox
    assert connections(here) == 0


def test_a_cookie_with_an_address_outside_is_refused(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()
    cookie = (directory / "cookie").read_bytes()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(here.address)
        stranger.sendall(frame(cookie + b"/elsewhere/1.0.ab") + b"".join(map(bytes, framing.encode("hello"))))
        here.poll(LIMIT_S)
        here.poll(0.01)

    assert not here.inbox
    assert connections(here) == 0


def test_garbage_from_a_known_peer_ends_its_connection_only(make_hub: MakeHub, directory: Path) -> None:
    here, friend = make_hub(), make_hub()
    cookie = (directory / "cookie").read_bytes()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(here.address)
        peer.sendall(frame(cookie + os.fsencode(directory / "9.0.ab")) + b"\xff" * 50)
        friend.send(here.address, "hello")
        pump(here, until=lambda: here.inbox)
        here.poll(0)

    assert inbox_of(here) == ["hello"]
    assert connections(here) == 1
