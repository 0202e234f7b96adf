"""Credit: both ends of an edge, as plain book-keeping."""

from __future__ import annotations

from collections import deque

from slither_actors.dispatch.messages import Ask, Batch, Complete, Ends, Expanded, InPort, OutPort, Tag
from slither_actors.workers.parcel import Parcel


class ProtocolError(Exception):
    """A peer broke the flow protocol: a bug, never a user's mistake."""


class InEdge:
    """A consumer's end: what it has received and still holds, and how much more it lets come.

    A batch is *held* from its arrival until it is settled: handed on and taken by whoever comes next.
    """

    __slots__ = ("_limit", "_step", "held", "last_seq", "port", "received")

    def __init__(self, port: InPort) -> None:
        self.port = port
        self.received = 0
        self.held = 0
        self.last_seq: int | None = None
        self._limit = port.window
        # Credit is given in steps, so that an Ask does not follow each batch; a quarter of the window at most is
        # held back, so the flow never runs dry.
        self._step = max(1, port.window // 4)

    @property
    def settled(self) -> int:
        """How many batches were taken by whoever comes next."""
        return self.received - self.held

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.last_seq is not None and self.received >= self.last_seq

    def receive(self, seq: int) -> None:
        """Take note of a batch.

        Raises:
            ProtocolError: a gap, a repetition, or more than was asked for.
        """
        limit = self._limit if self.port.back is None else self.settled + self.port.window
        if seq != self.received + 1 or seq > limit:
            raise ProtocolError(f"batch {seq} after {self.received} on edge {self.port.edge}, limit {limit}")
        self.received = seq
        self.held += 1

    def settle(self) -> None:
        """A batch was taken by whoever comes next."""
        self.held -= 1

    def ask(self, run: str) -> Ask | None:
        """The next `Ask`, when it is time for one."""
        limit = self.settled + self.port.window
        if self.last_seq is not None or self.port.back is not None or limit - self._limit < self._step:
            return None
        self._limit = limit
        return Ask(run, self.port.edge, limit)


class Share:
    """Part of a batch that came in on an edge, and goes out on several: it is settled there when all parts are."""

    __slots__ = ("_owner", "_parts")

    def __init__(self, owner: InEdge, parts: int) -> None:
        self._owner = owner
        self._parts = parts

    def settle(self) -> None:
        self._parts -= 1
        if not self._parts:
            self._owner.settle()


Owner = InEdge | Share


class OutEdge:
    """A producer's end: batches that wait for credit, and those that the consumer has not settled yet.

    Each batch remembers the edge that it came in on, so that settling it here settles it there.
    """

    __slots__ = ("_completed", "_limit", "_owners", "_queue", "_run", "_settled", "port", "sent")

    def __init__(self, run: str, port: OutPort) -> None:
        self._run = run
        self.port = port
        self.sent = 0
        self._limit = port.window
        self._settled = 0
        self._queue: deque[tuple[tuple[Parcel, ...], tuple[Ends | Expanded, ...], Owner | None, Tag | None]] = deque()
        self._owners: deque[Owner | None] = deque()
        self._completed = False

    @property
    def credit(self) -> int:
        """How many batches more could be sent now."""
        return self._limit - self.sent - len(self._queue)

    @property
    def waiting(self) -> int:
        """Batches that wait for credit."""
        return len(self._queue)

    def put(
        self,
        parcels: tuple[Parcel, ...],
        ends: tuple[Ends | Expanded, ...] = (),
        owner: Owner | None = None,
        tag: Tag | None = None,
    ) -> None:
        """Add a batch."""
        self._queue.append((parcels, ends, owner, tag))

    def take(self, *, regardless: bool = False, limit: int = 0) -> list[Batch]:
        """The batches that may be sent now, in order; all of them where credit does not matter any more. `limit` is
        that of the way back."""
        batches = []
        while self._queue and (regardless or self.sent < self._limit):
            parcels, ends, owner, tag = self._queue.popleft()
            self.sent += 1
            self._owners.append(owner)
            batches.append(Batch(self._run, self.port.edge, self.sent, parcels, ends, limit, tag))
        return batches

    def ask(self, limit: int) -> None:
        """The consumer raised the limit, and so settled what lies a window below it. A lower limit changes nothing."""
        if limit <= self._limit:
            return
        self._limit = limit
        while self._settled < limit - self.port.window and self._owners:
            self._settled += 1
            owner = self._owners.popleft()
            if owner is not None:
                owner.settle()

    def settle(self, count: int) -> None:
        """So many batches in all are settled: what an `Ask` would say, where there is a way back."""
        self.ask(count + self.port.window)

    def finish(self) -> None:
        """Nothing more is put in."""

    def complete(self) -> Complete | None:
        """The end of the edge, once, when everything is sent."""
        if self._completed or self._queue:
            return None
        self._completed = True
        return Complete(self._run, self.port.edge, self.sent)
