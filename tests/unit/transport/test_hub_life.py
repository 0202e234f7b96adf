"""Waiting in a hub, and its end: threads, forks, descriptors."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from slither_actors.errors import RunDirectoryError, TransportError
from slither_actors.transport.hub import Hub, Undelivered
from tests.helpers.descriptors import open_descriptors
from tests.unit.transport.hubs import (
    LIMIT_S,
    MakeHub,
    exit_code,
    fork,
    inbox_of,
    no_descriptor_left,
    pump,
)


def in_poll(hub: Hub) -> threading.Thread:
    """A thread that is waiting in `poll` for ever."""
    entered = threading.Event()

    def wait() -> None:
        entered.set()
        hub.poll(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert entered.wait(LIMIT_S)
    return thread


def test_wake_ends_a_poll_in_another_thread(make_hub: MakeHub) -> None:
    here = make_hub()
    thread = in_poll(here)

    here.wake()

    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_report_made_in_another_thread_ends_a_poll(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()
    thread = in_poll(here)

    here.send(str(directory / "nobody"), "hello")

    thread.join(LIMIT_S)
    assert isinstance(here.inbox[0][0], Undelivered)


def test_a_note_to_oneself_made_just_before_a_poll_by_another_thread_is_not_slept_over(make_hub: MakeHub) -> None:
    here = make_hub()
    here.poll(0)  # this thread was the last to poll
    here.send(here.address, "note")

    thread = in_poll(here)
    thread.join(LIMIT_S)

    assert inbox_of(here) == ["note"]


def test_close_ends_a_poll_in_another_thread_and_leaves_no_descriptor(directory: Path) -> None:
    before = len(open_descriptors())
    for _ in range(20):
        here = Hub(directory)
        thread = in_poll(here)
        here.close()
        thread.join(LIMIT_S)
        assert not thread.is_alive()

    assert len(open_descriptors()) == before


def test_a_late_wake_writes_into_nobody_elses_descriptor(directory: Path) -> None:
    here = Hub(directory)
    here.close()
    spare = [one for _ in range(4) for one in socket.socketpair()]  # they take over the numbers that were freed

    here.wake()

    for one in spare:
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(8)
    for one in spare:
        one.close()


def test_a_watched_descriptor_calls_back_until_it_is_unwatched(make_hub: MakeHub) -> None:
    here = make_hub()
    reading, writing = os.pipe()
    calls: list[int] = []
    here.watch(reading, lambda: calls.append(1))
    here.poll(0)
    assert calls == []

    os.write(writing, b"x")
    here.poll(LIMIT_S)
    here.poll(LIMIT_S)
    assert len(calls) == 2

    here.unwatch(reading)
    here.unwatch(reading)
    here.poll(0)
    assert len(calls) == 2
    os.close(reading)
    os.close(writing)


def test_a_callback_that_unwatches_another_ready_one_is_obeyed(make_hub: MakeHub) -> None:
    here = make_hub()
    pipes = [os.pipe(), os.pipe()]
    calls: list[int] = []

    def call(own: int, other: int) -> None:
        calls.append(own)
        here.unwatch(other)

    for (own, writing), (other, _) in zip(pipes, reversed(pipes), strict=True):
        here.watch(own, lambda own=own, other=other: call(own, other))  # type: ignore[misc]
        os.write(writing, b"x")
    here.poll(LIMIT_S)
    here.poll(0)

    assert len(set(calls)) == 1
    for pair in pipes:
        for fd in pair:
            os.close(fd)


def test_what_cannot_be_watched_is_refused_and_forgotten(make_hub: MakeHub, tmp_path: Path) -> None:
    here = make_hub()
    with open(tmp_path / "plain", "w") as plain:
        with pytest.raises(PermissionError):
            here.watch(plain.fileno(), lambda: None)
        assert plain.fileno() not in here.descriptors()


def test_close_removes_the_socket_and_leaves_no_descriptor(directory: Path) -> None:
    before, files = len(open_descriptors()), set(directory.iterdir())
    here, there = Hub(directory), Hub(directory)
    for one, other in ((here, there), (there, here)):
        one.send(other.address, b"x" * 1_000_000)
    pump(here, there, until=lambda: here.inbox and there.inbox)

    here.close()
    here.close()
    there.close()

    assert len(open_descriptors()) == before
    assert set(directory.iterdir()) == files


def test_a_closed_hub_refuses_to_send_and_polls_nothing(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    here.close()

    for address in (here.address, there.address):
        with pytest.raises(TransportError):
            here.send(address, "hello")
    here.poll(None)

    assert not here.inbox


def test_a_directory_without_a_cookie_is_refused(base: Path) -> None:
    base.chmod(0o700)
    with pytest.raises(RunDirectoryError, match="holds no system"):
        Hub(base)


def test_a_name_that_is_taken_is_refused_and_leaves_no_descriptor(make_hub: MakeHub, directory: Path) -> None:
    make_hub(name="admin")
    before = len(open_descriptors())

    with pytest.raises(RunDirectoryError, match="takes no socket"):
        Hub(directory, "admin")

    assert len(open_descriptors()) == before


def test_running_out_of_descriptors_is_said_in_words(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    with no_descriptor_left(), pytest.raises(TransportError, match="ulimit"):
        here.send(there.address, "hello")


def test_a_forked_child_holds_no_connection_and_its_end_harms_nobody(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    here.send(there.address, 1)
    there.send(here.address, 2)
    pump(here, there, until=lambda: here.inbox and there.inbox)
    parents = {os.readlink(f"/proc/self/fd/{fd}") for fd in here.descriptors() + there.descriptors()}
    sockets = {name for name in parents if name.startswith("socket:")}

    def in_child() -> bool:
        held = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_lives(fd)}
        here.close()
        return here.closed and not held & sockets and os.path.exists(here.address)

    assert exit_code(fork(in_child)) == 0
    here.send(there.address, 3)
    pump(here, there, until=lambda: len(there.inbox) == 2)
    assert inbox_of(there) == [1, 3]


def fd_lives(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def test_a_grandchild_closes_no_number_that_means_something_else_by_then(make_hub: MakeHub) -> None:
    make_hub()

    def in_child() -> bool:
        pipes = [os.pipe() for _ in range(8)]  # takes over the numbers that were freed

        def in_grandchild() -> bool:
            return all(fd_lives(str(fd)) for pair in pipes for fd in pair)

        return exit_code(fork(in_grandchild)) == 0

    assert exit_code(fork(in_child)) == 0


def test_a_dead_peer_whose_child_lives_on_is_dead_all_the_same(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()
    reading, writing = os.pipe()

    def parent() -> bool:
        own = Hub(directory)
        own.send(here.address, own.address)
        while not own.inbox:
            own.poll(LIMIT_S)

        def child() -> bool:
            os.close(writing)
            os.read(reading, 1)  # lives until the test lets it go
            return True

        fork(child)
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    pid = fork(parent)
    gone: list[str] = []
    here.on_hang_up = gone.append
    pump(here, until=lambda: here.inbox)
    [(address, _)] = here.inbox
    here.send(address, "die")
    pump(here, until=lambda: gone)

    assert gone == [address]
    exit_code(pid)
    os.close(reading)
    os.close(writing)
