"""Plays whoever stands around a balancer: the source before it, its replicas, and the service behind it."""

import math

from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.dispatch.messages import (
    Ask,
    Batch,
    Complete,
    InPort,
    OpenRun,
    OutPort,
    RunOpened,
)
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.pipe._balance_core import BalanceCore
from slither_actors.pipe._balance_plan import BalancePlan
from slither_actors.pipe._stage_plan import StagePlan
from slither_actors.policy import Halt
from slither_actors.workers.parcel import pack_items, unpack_items

SOURCE, SERVICE, WORKERS, BALANCER = "/run/source", "/run/service", "/run/workers", "/run/balancer"


def replica_ref(number, incarnation=1):
    return Ref(f"pipes/P-1/stage/replica-{number + 1}", incarnation, f"/run/r{number}-{incarnation}", 100 + number)


def balance_plan(replicas, *, ordered=True, stages=None, rate=None, window=100):
    inputs = (InPort(1, SOURCE, window),)
    sink = OutPort(3, SERVICE, window, 32)
    plan = StagePlan(inputs, stages or {}, sink, ("default",), "default", Halt(), SealedContext.of(Context()), {})
    return BalancePlan(plan, replicas, ordered, 100, frozenset(), rate)


def ticket(per_second, burst, version=0):
    return RateTicket("P-1/stage", per_second, burst, version)


class Bench:
    """A balancer core with one run, and the time. Messages are looked at where they arrive, by address."""

    def __init__(self, replicas=2, *, up=None, **plan):
        self.core = BalanceCore("stage", "pipes/P-1/stage/balancer", BALANCER)
        self.now = 0.0
        self.inbox = {}
        self.plan = balance_plan(replicas, **plan)
        self.plans = {}
        self.sent = {}  # how many batches a replica has sent on an edge, and how many it has settled
        self.settled = {}
        self.fed = 0
        for number in range(replicas) if up is None else up:
            self.core.replica_up(number, replica_ref(number))
        self.core.open_run("r", self.plan, SERVICE, 0.0)
        self.collect()

    def collect(self):
        """Deliver what the core wants to have sent; replicas that are asked to take part do."""
        while self.core.outbox:
            messages, self.core.outbox = self.core.outbox, []
            for address, message in messages:
                if isinstance(message, OpenRun):
                    self.plans[address] = message.plan
                    self.core.opened("r", address, self.now)
                else:
                    self.inbox.setdefault(address, []).append(message)

    def take(self, address, kind):
        """The messages of a kind that have come there since."""
        found = [one for one in self.inbox.get(address, ()) if isinstance(one, kind)]
        self.inbox[address] = [one for one in self.inbox.get(address, ()) if one not in found]
        return found

    def feed(self, *payloads):
        """One batch from the source."""
        self.fed += 1
        self.core.batch(Batch("r", 1, self.fed, (pack_items(Item.wrap_many(payloads)),), ()), SOURCE, self.now)
        self.collect()

    def end(self):
        self.core.complete(Complete("r", 1, self.fed), SOURCE, self.now)
        self.collect()

    def given(self, number, incarnation=1):
        """Pieces that a replica was given since."""
        batches = self.take(replica_ref(number, incarnation).address, Batch)
        return [[item.payload for item in unpack_items(batch.parcels)] for batch in batches]

    def make(self, number, *payloads, way=None, incarnation=1):
        """A replica sends something on."""
        address = replica_ref(number, incarnation).address
        plan = self.plans[address]
        edge = plan.sink.edge if way is None else plan.stages[way].edge
        seq = self.sent[edge] = self.sent.get(edge, 0) + 1
        parcels = (pack_items(Item.wrap_many(payloads)),) if payloads else ()
        self.core.batch(Batch("r", edge, seq, parcels, ()), address, self.now)
        self.collect()

    def settle(self, number, pieces=1, incarnation=1):
        """A replica has done, and sent on, what it was given first."""
        address = replica_ref(number, incarnation).address
        (port,) = self.plans[address].inputs
        done = self.settled[port.edge] = self.settled.get(port.edge, 0) + pieces
        self.core.ask(Ask("r", port.edge, done + port.window), address, self.now)
        self.collect()

    def finish(self, number, incarnation=1):
        """A replica has heard that nothing more comes, and sends its last word on each edge."""
        address = replica_ref(number, incarnation).address
        assert self.take(address, Complete)
        plan = self.plans[address]
        for port in (*plan.stages.values(), plan.sink):
            self.core.complete(Complete("r", port.edge, self.sent.get(port.edge, 0)), address, self.now)
        self.collect()

    def results(self, address=SERVICE):
        """What has come out since, batch by batch."""
        return [[i.payload for i in unpack_items(batch.parcels)] for batch in self.take(address, Batch)]

    def is_open(self):
        return bool(self.take(SERVICE, RunOpened))

    def later(self, seconds):
        """Time passes; what is due by then is done."""
        end = self.now + seconds
        while self.core.earliest <= end:
            self.now = max(self.now, self.core.earliest)
            self.core.expire(self.now)
            self.collect()
        self.now = end

    @property
    def is_idle(self):
        return self.core.earliest == math.inf
