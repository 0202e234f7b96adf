"""The sockets of one process: order, dead and deaf peers, strangers, threads, forks, descriptors."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slither_actors.errors import RunDirectoryError, SendQueueFull, TransportError
from slither_actors.transport import framing
from slither_actors.transport.hub import Hub, Undecodable, Undelivered

MakeHub = Callable[..., Hub]
LIMIT_S = 10.0


def pump(*hubs: Hub, until: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Poll all hubs in turn until the condition holds."""
    deadline = time.monotonic() + limit_s
    while not until():
        assert time.monotonic() < deadline, "it did not come about"
        for hub in hubs:
            hub.poll(0.001)


def inbox_of(hub: Hub) -> list[Any]:
    return [payload for payload, _ in hub.inbox]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def fork(body: Callable[[], object]) -> int:
    """Run `body` in a forked child that exits with 0 if it returns true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: the test runner may have threads
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = 0 if body() else 2
    finally:
        os._exit(code)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Unreadable:
    """Can be pickled, but whoever reads it fails."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _fail, (self.error,)


def _fail(error: type[BaseException]) -> None:
    raise error("no such class here")


# -- delivery


def test_messages_arrive_in_order_with_their_sender(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()

    for number in range(5000):
        here.send(there.address, number)
    pump(here, there, until=lambda: len(there.inbox) == 5000)

    assert list(there.inbox) == [(number, here.address) for number in range(5000)]


def test_order_is_kept_between_small_and_large_messages(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    messages: list[Any] = [b"a", b"x" * 1_000_000, b"b", bytearray(b"y" * 300_000), b"c"] * 3

    for message in messages:
        here.send(there.address, message)
    pump(here, there, until=lambda: len(there.inbox) == len(messages))

    assert inbox_of(there) == messages


def test_none_is_a_message_like_any_other(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()
    here.send(there.address, b"x" * 1_000_000)  # fills the connection, so that the next one waits

    here.send(there.address, None)

    assert here.pending == 2
    there.close()
    pump(here, until=lambda: len(here.inbox) == 2)
    assert here.inbox[1][0].original is None


def test_a_message_to_oneself_arrives(make_hub: MakeHub) -> None:
    here = make_hub()

    here.send(here.address, "note")
    here.poll(LIMIT_S)

    assert list(here.inbox) == [("note", here.address)]


def test_threads_send_at_the_same_time_without_mixing_their_bytes(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()

    def talk(who: int) -> None:
        for number in range(300):
            here.send(there.address, (who, number, b"x" * (number * 50)))

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    pump(here, there, until=lambda: len(there.inbox) == 1200)
    for thread in threads:
        thread.join()

    for who in range(4):
        own = [message for message in inbox_of(there) if message[0] == who]
        assert own == [(who, number, b"x" * (number * 50)) for number in range(300)]


def test_large_messages_both_ways_at_once_do_not_lock_up(make_hub: MakeHub) -> None:
    here, there = make_hub(), make_hub()

    for _ in range(3):
        here.send(there.address, b"h" * 5_000_000)
        there.send(here.address, b"t" * 5_000_000)
    pump(here, there, until=lambda: len(here.inbox) == len(there.inbox) == 3)

    assert {len(message) for message in inbox_of(here) + inbox_of(there)} == {5_000_000}


def test_a_peer_that_does_not_read_delays_nobody_else(make_hub: MakeHub) -> None:
    here, deaf, fine = make_hub(), make_hub(), make_hub()
    for _ in range(50):
        here.send(deaf.address, b"x" * 100_000)

    here.send(fine.address, "hello")
    pump(here, fine, until=lambda: fine.inbox)

    assert inbox_of(fine) == ["hello"]
    assert here.pending > 40
    pump(here, deaf, until=lambda: len(deaf.inbox) == 50)
    assert here.pending == 0
    assert here.statistics().queued_bytes == 0


def test_a_full_queue_is_an_error_and_loses_nothing_that_was_taken(make_hub: MakeHub) -> None:
    here, deaf, fine = make_hub(queue_limit_bytes=1_000_000), make_hub(), make_hub()
    taken = 0

    def fill() -> None:
        nonlocal taken
        while True:
            here.send(deaf.address, b"%d" % taken + b"x" * 100_000)
            taken += 1

    with pytest.raises(SendQueueFull) as caught:
        fill()

    assert caught.value.peer == deaf.address
    assert 1_000_000 < here.queued_bytes(deaf.address) < 1_200_000
    here.send(fine.address, "still sending")
    pump(here, deaf, until=lambda: len(deaf.inbox) == taken)
    here.send(deaf.address, "and again")
    pump(here, deaf, until=lambda: len(deaf.inbox) == taken + 1)


@pytest.mark.parametrize("error", [ImportError, SystemExit])
def test_a_message_that_cannot_be_read_stands_in_the_inbox_as_such(
    make_hub: MakeHub, error: type[BaseException]
) -> None:
    here, there = make_hub(), make_hub()

    here.send(there.address, Unreadable(error))
    here.send(there.address, "after")
    pump(here, there, until=lambda: len(there.inbox) == 2)

    (bad, sender), (after, _) = there.inbox
    assert isinstance(bad, Undecodable)
    assert error.__name__ in bad.error
    assert (sender, after) == (here.address, "after")


# -- dead peers


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


# -- strangers


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
    before = here.statistics().connections
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
    assert here.statistics().connections == before + 1


def test_a_cookie_with_an_address_outside_is_refused(make_hub: MakeHub, directory: Path) -> None:
    here = make_hub()
    cookie = (directory / "cookie").read_bytes()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(here.address)
        stranger.sendall(frame(cookie + b"/elsewhere/1.0.ab") + b"".join(map(bytes, framing.encode("hello"))))
        here.poll(LIMIT_S)
        here.poll(0.01)

    assert not here.inbox
    assert here.statistics().connections == 0


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
    assert here.statistics().connections == 1


# -- waiting


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
    before = open_descriptors()
    for _ in range(20):
        here = Hub(directory)
        thread = in_poll(here)
        here.close()
        thread.join(LIMIT_S)
        assert not thread.is_alive()

    assert open_descriptors() == before


def test_a_late_wake_writes_into_nobody_elses_descriptor(directory: Path) -> None:
    here = Hub(directory)
    here.close()
    spare = [os.pipe() for _ in range(4)]  # takes over the numbers that were freed

    here.wake()

    for reading, writing in spare:
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 8)
        os.close(reading)
        os.close(writing)


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


# -- the end


def test_close_removes_the_socket_and_leaves_no_descriptor(directory: Path) -> None:
    before = open_descriptors()
    here, there = Hub(directory), Hub(directory)
    for one, other in ((here, there), (there, here)):
        one.send(other.address, b"x" * 1_000_000)
    pump(here, there, until=lambda: here.inbox and there.inbox)

    here.close()
    here.close()
    there.close()

    assert open_descriptors() == before
    assert {path.name for path in directory.iterdir()} == {"cookie", "lock"}


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
    before = open_descriptors()

    with pytest.raises(RunDirectoryError, match="takes no socket"):
        Hub(directory, "admin")

    assert open_descriptors() == before


def test_running_out_of_descriptors_is_said_in_words(make_hub: MakeHub) -> None:
    import resource

    here, there = make_hub(), make_hub()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) - 1, hard))
    taken: list[int] = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.dup(0))
        with pytest.raises(TransportError, match="ulimit"):
            here.send(there.address, "hello")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


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
