"""One run through a balancer: what came in is divided among replicas, and what they make of it goes on.

Items go to whichever replica has the fewest, in pieces as small as what waits allows: so few and slow ones are spread
over all, and many and quick ones travel together. Pieces are numbered as they go. A replica works through its own in
turn, and settles a piece behind the last that came of it: so what comes from it belongs to the first piece that it has
not settled. Where the order counts, what belongs to a later piece than the first open one waits here. It is bounded by
the credit of the replica that made it, and that of the first open piece never waits, so a run cannot stand still.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._filling_edge import FillingEdge
from slither_actors.dispatch.messages import Batch, Complete, Ends, Expanded, InPort, OutPort, Tag
from slither_actors.otp.ref import Ref
from slither_actors.pipe._balance_plan import EDGE_ITEMS, REPLICA_WINDOW, BalancePlan
from slither_actors.workers.parcel import Parcel, count, split_at

Message = tuple[str, Any]

# A piece is to take a replica about as long as it works before it sends on what it has.
TURN_S = 0.01
# What the newest piece counts in how long an item takes.
_NEWEST = 0.2


class Replica:
    """One process of the stage. `load` is how many items it has, of all runs, and `turn` when it last got some."""

    __slots__ = ("load", "number", "ref", "turn")

    def __init__(self, number: int, ref: Ref) -> None:
        self.number = number
        self.ref = ref
        self.load = 0
        self.turn = 0


class _Portion:
    """A batch that came in, and what is left of it to be given. It is settled where it came from when all of it is."""

    __slots__ = ("_open", "edge", "owner", "parcels")

    def __init__(self, edge: int, owner: InEdge, parcels: tuple[Parcel, ...]) -> None:
        self.edge = edge
        self.owner = owner
        self.parcels = parcels
        self._open = 0

    def take(self, items: int) -> tuple[Parcel, ...]:
        """So many of its items, or all."""
        self._open += 1
        taken, self.parcels = (self.parcels, ()) if items >= count(self.parcels) else split_at(self.parcels, items)
        return taken

    def settle(self) -> None:
        self._open -= 1
        if not self._open and not self.parcels:
            self.owner.settle()


class _Piece(NamedTuple):
    """What a replica was given at once."""

    number: int
    edge: int
    parcels: tuple[Parcel, ...]
    items: int
    portion: _Portion
    since: float


class _Made(NamedTuple):
    """What a replica sent."""

    way: OutEdge
    parcels: tuple[Parcel, ...]
    ends: tuple[Ends | Expanded, ...]
    owner: InEdge | None
    tag: Tag | None


class _Seat:
    """The run at one replica."""

    def __init__(self, run: BalanceRun, replica: Replica) -> None:
        self.replica = replica
        self.address = replica.ref.address
        self.plan = run.plan.for_replica(replica.number, run.address, self.address)
        self.opened = False
        self.completed = False  # whether it was told that nothing more comes
        self.pieces: deque[_Piece] = deque()
        self.idle_since = -math.inf  # when it last settled something
        self.edges = dict(zip(run.inputs, (port.edge for port in self.plan.inputs), strict=True))
        self.sent = dict.fromkeys(self.edges.values(), 0)
        self.settled = dict.fromkeys(self.edges.values(), 0)
        ways = [(port, run.ways[name]) for name, port in self.plan.stages.items()] + [(self.plan.sink, run.sink)]
        self.outs = {port.edge: (InEdge(InPort(port.edge, self.address, port.window)), way) for port, way in ways}

    @property
    def begun(self) -> bool:
        """Whether it was ever given something."""
        return any(self.sent.values())

    @property
    def done(self) -> bool:
        """Whether all that it will send has come."""
        return self.completed and all(edge.done for edge, _ in self.outs.values())

    @property
    def free(self) -> bool:
        return self.opened and len(self.pieces) < REPLICA_WINDOW

    def leave(self) -> None:
        """It will settle nothing more."""
        self.replica.load -= sum(piece.items for piece in self.pieces)
        self.pieces.clear()


class BalanceRun:
    """One run through this balancer.

    Args:
        run: its id.
        plan: the balancer's part in it.
        address: of the balancer.
        opener: who wants to know when all replicas are ready.
    """

    def __init__(self, run: str, plan: BalancePlan, address: str, opener: str) -> None:
        self.id = run
        self.plan = plan
        self.address = address
        self.opener: str | None = opener
        self.inputs = {port.edge: InEdge(port) for port in plan.inputs}
        self.ways = {name: self._way(port, name in plan.formed) for name, port in plan.stages.items()}
        self.sink = OutEdge(run, plan.sink)
        self.filling = [edge for edge in self.ways.values() if isinstance(edge, FillingEdge) and edge.port.max_wait_s]
        self.seats: dict[int, _Seat] = {}
        self.items = 0  # that wait
        self._waiting: deque[_Portion] = deque()
        self._item_s: float | None = None  # how long one takes, as far as that is known
        self._per_turn = 1
        self._next = 0  # number of the next piece
        self._first = 0  # number of the first one that is not settled
        self._settled: set[int] = set()
        self._early: dict[int, list[_Made]] = {}

    def _way(self, port: OutPort, is_formed: bool) -> OutEdge:
        return FillingEdge(self.id, port) if port.wants_full and not is_formed else OutEdge(self.id, port)

    @property
    def edges(self) -> tuple[OutEdge, ...]:
        return (*self.ways.values(), self.sink)

    # -- replicas

    def sit_down(self, replica: Replica) -> _Seat:
        """It is to take part."""
        seat = self.seats[replica.number] = _Seat(self, replica)
        return seat

    def seat_at(self, address: str) -> _Seat | None:
        return next((seat for seat in self.seats.values() if seat.address == address), None)

    def stand_up(self, replica: Replica) -> bool:
        """It is dead; whether something is lost with it."""
        seat = self.seats.get(replica.number)
        if seat is None or seat.done:
            return False
        lost = seat.begun
        del self.seats[replica.number]
        seat.leave()
        return lost

    @property
    def ready(self) -> bool:
        return len(self.seats) == self.plan.replicas and all(seat.opened for seat in self.seats.values())

    # -- what comes in

    def batch(self, edge: int, seq: int, parcels: tuple[Parcel, ...]) -> None:
        owner = self.inputs[edge]
        owner.receive(seq)
        self._waiting.append(_Portion(edge, owner, parcels))
        self.items += count(parcels)

    def next_piece(self) -> tuple[_Seat, int] | None:
        """Where the next items go, and how many, if there are any, and somewhere to go. They came together, take no
        longer than a turn, are so few that each replica could be given twice as many of those that wait, and make the
        share of this one no larger than even: so few of them stand behind a slow one."""
        free = [seat for seat in self.seats.values() if seat.free] if self.items else ()
        seat = min(free, key=lambda seat: (seat.replica.load, seat.replica.turn), default=None)
        if seat is None:
            return None
        replicas = self.plan.replicas
        share = -(-(self.items + sum(other.replica.load for other in self.seats.values())) // replicas)
        even = -(-self.items // (REPLICA_WINDOW * replicas))
        items = min(even, self._per_turn, count(self._waiting[0].parcels), share - seat.replica.load)
        return (seat, items) if items > 0 else None

    def give(self, seat: _Seat, items: int, turn: int, now: float) -> Message:
        """The next items go to a replica."""
        portion = self._waiting[0]
        parcels = portion.take(items)
        if not portion.parcels:
            self._waiting.popleft()
        edge = seat.edges[portion.edge]
        seat.pieces.append(_Piece(self._next, edge, parcels, items, portion, now))
        seat.sent[edge] += 1
        seat.replica.load += items
        seat.replica.turn = turn
        self._next += 1
        self.items -= items
        return seat.address, Batch(self.id, edge, seat.sent[edge], parcels, ())

    # -- what comes back

    def made(self, seat: _Seat, batch: Batch) -> None:
        """A replica has sent something on."""
        owner, way = seat.outs[batch.edge]
        owner.receive(batch.seq)
        made = _Made(way, batch.parcels, batch.ends, owner, batch.tag)
        # what a strategy has held back may come when all is settled
        number = seat.pieces[0].number if seat.pieces else self._first
        if self.plan.ordered and number != self._first:
            self._early.setdefault(number, []).append(made)
        else:
            _pass_on((made,))

    def settle(self, seat: _Seat, edge: int, limit: int, now: float) -> None:
        """Nothing more will come of what a replica was given on an edge, up to a window below this limit."""
        while seat.settled[edge] < min(limit - REPLICA_WINDOW, seat.sent[edge]):
            seat.settled[edge] += 1
            piece = seat.pieces.popleft()
            seat.replica.load -= piece.items
            self._note_time(now - max(piece.since, seat.idle_since), piece.items)
            seat.idle_since = now
            piece.portion.settle()
            self._settled.add(piece.number)
        while self._first in self._settled:
            self._settled.remove(self._first)
            self._first += 1
            _pass_on(self._early.pop(self._first, ()))

    def _note_time(self, seconds: float, items: int) -> None:
        item_s = seconds / items
        self._item_s = item_s if self._item_s is None else self._item_s + _NEWEST * (item_s - self._item_s)
        self._per_turn = max(1, int(min(TURN_S / self._item_s, EDGE_ITEMS))) if self._item_s > 0 else EDGE_ITEMS

    # -- what goes out

    @property
    def fed(self) -> bool:
        """Whether all that will come has been settled by the replicas."""
        empty = not self._waiting and not any(seat.pieces for seat in self.seats.values())
        return empty and all(edge.done for edge in self.inputs.values())

    @property
    def finished(self) -> bool:
        """Whether all that will be made has come."""
        return self.fed and all(seat.done for seat in self.seats.values())

    @property
    def over(self) -> bool:
        """Whether nothing is left to do or to send."""
        return self.finished and not any(edge.waiting for edge in self.edges)

    def flush(self) -> Iterator[Message]:
        """What may be sent now, requests for more, and the end where it is reached."""
        is_finished = self.finished
        for out in self.edges:
            if is_finished:
                out.finish()
            for batch in out.take():
                yield out.port.consumer, batch
        for edge in (*self.inputs.values(), *(edge for seat in self.seats.values() for edge, _ in seat.outs.values())):
            if (ask := edge.ask(self.id)) is not None:
                yield edge.port.producer, ask
        if self.fed and not is_finished:
            yield from self._complete_replicas()
        for out in self.edges if is_finished else ():
            if (last := out.complete()) is not None:
                yield out.port.consumer, last

    def _complete_replicas(self) -> Iterator[Message]:
        for seat in self.seats.values():
            if seat.opened and not seat.completed:
                seat.completed = True
                for edge, sent in seat.sent.items():
                    yield seat.address, Complete(self.id, edge, sent)

    def due(self, now: float) -> float:
        """When a batch that is not full is to go as it is. To be asked after whatever happens."""
        return min((edge.due(now) for edge in self.filling), default=math.inf)

    def let_go(self, now: float) -> None:
        """Those that have waited long enough go."""
        for edge in self.filling:
            if edge.due(now) <= now:
                edge.finish()

    # -- the end, before it is reached

    def last_words(self, finished: Iterable[tuple[str, tuple[Batch, ...]]]) -> tuple[Batch, ...]:
        """What is on its way to the service, in order, with what replicas say so of, by address."""
        for address, batches in finished:
            seat = self.seat_at(address)
            number = seat.pieces[0].number if seat is not None and seat.pieces else self._first
            made = [_Made(self.sink, batch.parcels, batch.ends, None, None) for batch in batches]
            self._early.setdefault(number, []).extend(made)
        for number in sorted(self._early):
            _pass_on(made for made in self._early[number] if made.way is self.sink)
        self._early.clear()
        return tuple(self.sink.take(regardless=True))

    def held(self, name: str) -> list[tuple[str, tuple[Parcel, ...]]]:
        """Names of processes with what they have: replicas, and this balancer, which is called so."""
        here = [parcel for portion in self._waiting for parcel in portion.parcels]
        here += [parcel for made in self._bound_for_stages() for parcel in made]
        there = [(seat.replica.ref.name, piece.parcels) for seat in self.seats.values() for piece in seat.pieces]
        return [(name, tuple(here)), *there]

    def _bound_for_stages(self) -> Iterator[tuple[Parcel, ...]]:
        for made in (made for early in self._early.values() for made in early):
            if made.way is not self.sink:
                yield made.parcels
        for way in self.ways.values():
            way.finish()
            for batch in way.take(regardless=True):
                yield batch.parcels


def _pass_on(made: Iterable[_Made]) -> None:
    for way, parcels, ends, owner, tag in made:
        way.put(parcels, ends, owner, tag)
