"""Limit: forked workers on socket pairs, pickle protocol 5, and nothing else. No supervision, no names, no retries."""

from __future__ import annotations

import itertools
import os
import pickle
import selectors
import signal
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from tests.benchmarks.peers.base import How, Peer, batches
from tests.benchmarks.work.jobs import Counter, Job

NUMBER = struct.Struct("<Q")
PARTS = struct.Struct("<I")
READ = 1 << 18


class Wire:
    """Pickled objects on a stream socket, with large buffers beside the pickle. Works on blocking and other sockets.

    A frame is the number of its parts, their sizes, and the parts: the pickle, then its buffers.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._unsent: deque[memoryview] = deque()
        self._read = bytearray()
        self._frame: tuple[list[int], bytearray, int] | None = None  # a large one: sizes, parts, how much is there

    def put(self, value: Any) -> None:
        """Have an object ready to be sent."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(value, 5, buffer_callback=buffers.append)
        parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
        head = PARTS.pack(len(parts)) + b"".join(NUMBER.pack(part.nbytes) for part in parts)
        if buffers:
            self._unsent.extend([memoryview(head), *parts])
        else:
            self._unsent.append(memoryview(head + body))

    def send(self) -> bool:
        """Send what the socket takes; whether nothing is left."""
        while self._unsent:
            try:
                sent = self.connection.send(self._unsent[0])
            except BlockingIOError:
                return False
            if sent == self._unsent[0].nbytes:
                self._unsent.popleft()
            else:
                self._unsent[0] = self._unsent[0][sent:]
        return True

    def receive(self) -> list[Any]:
        """Read once, and return all objects that are complete.

        Raises:
            EOFError: the other end is gone.
        """
        if self._frame is not None:
            return self._receive_large(*self._frame)
        data = self.connection.recv(READ)
        if not data:
            raise EOFError
        self._read += data
        return self._complete()

    def _complete(self) -> list[Any]:
        values: list[Any] = []
        at = 0
        while len(self._read) - at >= PARTS.size:
            (parts,) = PARTS.unpack_from(self._read, at)
            start = at + PARTS.size + parts * NUMBER.size
            if len(self._read) < start:
                break
            sizes = [size for (size,) in NUMBER.iter_unpack(self._read[at + PARTS.size : start])]
            have = self._read[start : start + sum(sizes)]
            if len(have) < sum(sizes):
                if sum(sizes) > READ:
                    frame = bytearray(sum(sizes))
                    frame[: len(have)] = have
                    self._frame = sizes, frame, len(have)
                    at = len(self._read)
                break
            values.append(loads(sizes, have))
            at = start + sum(sizes)
        del self._read[:at]
        return values

    def _receive_large(self, sizes: list[int], frame: bytearray, have: int) -> list[Any]:
        got = self.connection.recv_into(memoryview(frame)[have:])
        if not got:
            raise EOFError
        if have + got < len(frame):
            self._frame = sizes, frame, have + got
            return []
        self._frame = None
        return [loads(sizes, frame)]


def loads(sizes: list[int], frame: bytearray) -> Any:
    """The object in a frame; its buffers stay where they are."""
    rest = memoryview(frame)
    parts = []
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    return pickle.loads(parts[0], buffers=parts[1:])


def serve(wire: Wire) -> None:
    """A worker: jobs, and additions to its counters, until the other end is gone."""
    counters: dict[str, Counter] = {}
    while True:
        for number, function, argument in wire.receive():
            if function is None:
                key, amount = argument
                wire.put((number, counters.setdefault(key, Counter()).add(amount)))
            else:
                wire.put((number, function(argument)))
        wire.send()


class RawPipes(Peer):
    """At most `in_flight` messages are out; each goes to the worker with the fewest."""

    def start(self) -> None:
        self.wires: list[Wire] = []
        self.pids: list[int] = []
        for _ in range(self.workers):
            ours, theirs = socket.socketpair()
            self.pids.append(os.fork())
            if self.pids[-1] == 0:
                self._be_worker(ours, theirs)
            theirs.close()
            ours.setblocking(False)
            self.wires.append(Wire(ours))

    def _be_worker(self, ours: socket.socket, theirs: socket.socket) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for end in [ours, *(wire.connection for wire in self.wires)]:
            end.close()
        try:
            serve(Wire(theirs))
        except (EOFError, OSError):
            os._exit(0)
        finally:
            os._exit(1)

    def stop(self) -> None:
        for wire in self.wires:
            wire.connection.close()
        for pid in self.pids:
            os.waitpid(pid, 0)

    def dispatch(self, job: Job, items: Iterable[Any], how: How) -> Iterator[Any]:
        work = ((None, job.batch, batch) for batch in batches(items, how.batch))
        for results in self._exchange(work, how.in_flight, how.ordered):
            yield from results

    def sessions(self, calls: list[tuple[str, int]], window: int) -> dict[str, int]:
        homes = {key: place % self.workers for place, key in enumerate(dict(calls))}
        work = ((homes[call[0]], None, call) for call in calls)
        answers = self._exchange(work, window, ordered=True)
        return {key: answer for (key, _), answer in zip(calls, answers, strict=True)}

    def _exchange(self, work: Iterator[tuple[int | None, Any, Any]], window: int, ordered: bool) -> Iterator[Any]:
        with selectors.DefaultSelector() as selector:
            for place, wire in enumerate(self.wires):
                selector.register(wire.connection, selectors.EVENT_READ, place)
            load = [0] * self.workers
            numbers, out, due = itertools.count(), 0, 0
            done: dict[int, Any] = {}
            while True:
                while out < window and (task := next(work, None)) is not None:
                    self._give(selector, load, next(numbers), task)
                    out += 1
                if not out:
                    return
                done.update(self._take(selector, load))
                ready = list(itertools.takewhile(done.__contains__, itertools.count(due))) if ordered else list(done)
                due += len(ready)
                for number in ready:
                    out -= 1
                    yield done.pop(number)

    def _give(self, selector: Any, load: list[int], number: int, task: tuple[int | None, Any, Any]) -> None:
        home, function, argument = task
        place = load.index(min(load)) if home is None else home
        load[place] += 1
        wire = self.wires[place]
        wire.put((number, function, argument))
        if not wire.send():
            selector.modify(wire.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, place)

    def _take(self, selector: Any, load: list[int]) -> Iterator[tuple[int, Any]]:
        for key, events in selector.select():
            wire = self.wires[key.data]
            if events & selectors.EVENT_WRITE and wire.send():
                selector.modify(wire.connection, selectors.EVENT_READ, key.data)
            if events & selectors.EVENT_READ:
                for answer in wire.receive():
                    load[key.data] -= 1
                    yield answer
