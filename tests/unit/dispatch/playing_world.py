"""Plays everything around a `DispatchCore`: pool, workers, registry, services. No process, no clock, one seed.

Messages travel in channels, one per sender and receiver: in order within a channel, in any order between two. A message
to a dead worker comes back; what it had sent arrives before the news of its death.
"""

import math
import random
from collections import Counter, defaultdict, deque

import attrs

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._outbox import send_all
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, Failed, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import BatchTimeout, RemoteError, SendQueueFull, WorkerCrashed
from slither_actors.item import Item
from slither_actors.otp.messages import KillProcess
from slither_actors.otp.ref import Ref
from slither_actors.policy import Retry
from slither_actors.workers._leases import LeaseBook
from slither_actors.workers._salvage import Loss
from slither_actors.workers.messages import (
    BatchDone,
    BatchFailed,
    EndRun,
    LeaseAnswer,
    LeaseGranted,
    LeaseRecalled,
    LeaseRequest,
    LeaseReturned,
    RunBatch,
    Vacate,
    Vacated,
)
from slither_actors.workers.parcel import pack_items, unpack_items

BOOM = RemoteError("ValueError", "boom", "", ("builtins.ValueError", "builtins.Exception"))
UNREAD = RemoteError("LookupError", "cannot be read", "", ("LookupError",))


@attrs.frozen
class Down:
    ref: Ref
    running: int


@attrs.frozen
class Lost:
    """Comes back to the sender of what could not be delivered."""

    to: str
    message: object


class World:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now = 0.0
        self.channels = defaultdict(deque)
        self.nodes = {}
        self.workers = {}
        self.births = 0
        self.struck = set()  # items of batches that a death interrupted
        self.tried = Counter()  # how often an item was begun
        self.refuses = 0.0  # how often a transport does not take a batch
        self.pool = Pool(self)
        self.supervisor = Supervisor(self)

    def send(self, sender, to, message):
        if to in self.nodes:
            self.channels[sender, to].append(message)
        else:
            self.channels[to, sender].append(Lost(to, message))

    def deliver(self, channel):
        sender, to = channel
        message = self.channels[channel].popleft()
        if not self.channels[channel]:
            self.channels.pop(channel)
        if to in self.nodes:
            self.nodes[to].receive(message, sender)

    def birth(self):
        self.births += 1
        ref = Ref(f"workers/worker-{self.births}", 1, f"w{self.births}", 100 + self.births)
        self.workers[ref.address] = self.nodes[ref.address] = Worker(self, ref)
        self.send("registry", "pool", ref)

    def death(self, address):
        worker = self.workers.pop(address)
        del self.nodes[address]
        down = Down(worker.ref, worker.running)
        for name in [name for name, node in self.nodes.items() if name == "pool" or isinstance(node, Dispatcher)]:
            self.send("registry", name, down)
        if worker.running:
            self.struck |= {item.id for item in unpack_items(worker.batches()[0].parcels)}
        for channel in [channel for channel in self.channels if channel[1] == address]:
            del self.channels[channel]

    def choices(self):
        """What can happen now."""
        can = [(self.deliver, channel) for channel, messages in self.channels.items() if messages]
        for node in list(self.nodes.values()):
            can += [(action,) for action in node.choices()]
        return can

    def step(self):
        """One thing happens; false when nothing can."""
        can = self.choices()
        if not can:
            later = [at for node in self.nodes.values() if (at := node.wakes_at()) is not None]
            if not later:
                return False
            self.now = max(self.now, min(later))
            return True
        action, *args = self.rng.choice(can)
        action(*args)
        if self.rng.random() < 0.3:
            self.now += self.rng.random() * 0.02
        return True


class Node:
    def choices(self):
        return []

    def wakes_at(self):
        return None


class Pool(Node):
    def __init__(self, world):
        self.world = world
        self.book = LeaseBook()
        world.nodes["pool"] = self

    def receive(self, message, sender):
        actions = []
        if isinstance(message, Ref):
            self.book.worker_up(message)
            self.world.send("pool", message.address, Vacate(""))
        elif isinstance(message, Vacated):
            if sender in self.world.workers:
                actions = self.book.vacated(self.world.workers[sender].ref, message.holder)
        elif isinstance(message, Down):
            actions = self.book.worker_down(message.ref)
        elif isinstance(message, LeaseRequest):
            actions = self.book.request(sender, message.want)
        elif isinstance(message, LeaseReturned):
            actions = self.book.give_back(sender, message.worker)
        else:
            assert isinstance(message, Lost)
            assert isinstance(message.message, Vacate)
        for holder, news in actions:
            self.world.send("pool", holder, news)

    def restart(self):
        """A new pool: it knows the workers, and nothing of leases."""
        for channel in [channel for channel in self.world.channels if "pool" in channel and channel[0] != "registry"]:
            del self.world.channels[channel]
        self.book = LeaseBook()
        for worker in self.world.workers.values():
            self.book.worker_up(worker.ref)
            self.world.send("pool", worker.ref.address, Vacate(""))
        dead = [m for m in self.world.channels.get(("registry", "pool"), ()) if isinstance(m, Down)]
        self.world.channels["registry", "pool"] = deque(dead)
        for node in self.world.nodes.values():
            if isinstance(node, Dispatcher):
                node.core.pool_up("pool")
                node.carry_out()


class Supervisor(Node):
    def __init__(self, world):
        self.world = world
        world.nodes["supervisor"] = self

    def receive(self, message, sender):
        assert isinstance(message, KillProcess)
        if message.ref.address in self.world.workers:
            self.world.death(message.ref.address)
            self.world.birth()


class Worker(Node):
    """Runs batches one after the other; what a batch does stands in its payloads."""

    def __init__(self, world, ref):
        self.world = world
        self.ref = ref
        self.queue = deque()
        self.running = 0
        self.done_at = None
        self.jobs = {}
        self.history = []

    def receive(self, message, sender):
        assert isinstance(message, EndRun | Vacate | RunBatch)
        self.queue.append((message, sender))

    def batches(self):
        return [message for message, _ in self.queue if isinstance(message, RunBatch)]

    def choices(self):
        if not self.queue or (self.done_at is not None and self.world.now < self.done_at):
            return []
        return [self.work]

    def wakes_at(self):
        return self.done_at if self.queue else None

    def work(self):
        message, sender = self.queue[0]
        if isinstance(message, Vacate):
            self.queue.popleft()
            self.world.send(self.ref.address, sender, Vacated(message.holder))
            return
        if isinstance(message, EndRun):
            self.queue.popleft()
            seen = self.jobs.pop(message.run, None)
            assert seen or self.world.refuses, "told of the end of a run that it never saw"
            return
        if not self.running:
            self.begin(message)
            return
        self.queue.popleft()
        items = unpack_items(message.parcels)
        acts = {item.payload[1] for item in items}
        self.running, self.done_at = 0, None
        if "fail" in acts or self.fresh("shaky", items):
            self.world.send(self.ref.address, sender, BatchFailed(message.number, BOOM, False))
        else:
            done = [item.with_payload(item.payload[0]) for item in items if item.payload[1] != "unread"]
            lost = [item.with_payload(None) for item in items if item.payload[1] == "unread"]
            parcels = (pack_items(done),) if done else ()
            losses = (Loss(pack_items(lost), UNREAD),) if lost else ()
            self.world.send(self.ref.address, sender, BatchDone(message.number, parcels, 0.0, losses))

    def fresh(self, act, items):
        """Whether there is an item with this act that was never begun before."""
        return any(item.payload[1] == act and self.world.tried[item.id] == 1 for item in items)

    def begin(self, message):
        if message.job is not None:
            assert message.run not in self.jobs, "the state of the run would be lost"
            self.jobs[message.run] = message.job
        assert message.run in self.jobs, "a batch of a run that was never introduced"
        items = unpack_items(message.parcels)
        self.jobs[message.run].executions.append((message.number, tuple(item.id for item in items)))
        self.world.tried.update(item.id for item in items)
        self.running = message.number
        self.history.append(message.number)
        acts = {item.payload[1] for item in items}
        if "crash" in acts or self.fresh("brittle", items) or ("sulky" in acts and not self.fresh("sulky", items)):
            self.world.death(self.ref.address)
            self.world.birth()
        else:
            self.done_at = self.world.now + (1e6 if acts & {"hang", "sulky"} else 5.0 if "slow" in acts else 0.001)


@attrs.define
class LoggedJob:
    """In place of a `Job`: knows who executed what."""

    executions: list = attrs.field(factory=list)


class Dispatcher(Node):
    """The actor around the core, as `dispatcher.Dispatcher` is."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.core = DispatchCore(name)
        self.core.supervisor_up("supervisor")
        self.core.pool_up("pool")
        world.nodes[name] = self

    def receive(self, message, sender):
        core, now = self.core, self.world.now
        if isinstance(message, Batch):
            core.batch(message.run, message.edge, message.seq, message.parcels, now, message.limit)
        elif isinstance(message, BatchDone):
            core.done(sender, message.number, message.parcels, now, message.losses)
        elif isinstance(message, BatchFailed):
            core.failed(sender, message.number, message.error, message.fatal, now)
        elif isinstance(message, Ask):
            core.ask(message.run, message.edge, message.limit)
        elif isinstance(message, Complete):
            core.complete(message.run, message.edge, message.last_seq)
        elif isinstance(message, CloseRun):
            core.close_run(message.run, now)
        elif isinstance(message, LeaseGranted):
            core.granted(message.worker, now)
        elif isinstance(message, LeaseAnswer):
            core.answered(message.want, now)
        elif isinstance(message, LeaseRecalled):
            core.recalled(message.worker)
        elif isinstance(message, Down):
            while self.world.channels.get((message.ref.address, self.name)):
                self.world.deliver((message.ref.address, self.name))
            core.worker_down(message.ref, message.running, "SIGKILL", now)
        elif isinstance(message.message, RunBatch):
            assert isinstance(message, Lost)
            core.undelivered(message.to, message.message.number, now)
        self.carry_out()

    def carry_out(self):
        def post(to, message):
            if isinstance(message, Batch | RunBatch) and self.world.rng.random() < self.world.refuses:
                raise SendQueueFull(to, 2, 1)
            self.world.send(self.name, to, message)

        def refused(to, message, error):
            self.core.refused(to, message, error, self.world.now)

        send_all(self.core.outbox, post, refused)

    def choices(self):
        return [self.expire] if self.core.earliest <= self.world.now else []

    def wakes_at(self):
        return self.core.earliest if self.core.earliest < float("inf") else None

    def expire(self):
        self.core.expire(self.world.now)
        self.carry_out()


class Service(Node):
    """One run, seen from the service: feeds it while there is credit, and takes results when it pleases.

    Args:
        acts: what each item does to its batch: "ok", "fail", "crash", "slow", "hang"; "shaky" fails and "brittle"
            crashes the first time, "sulky" hangs and then crashes; or that it cannot be read: "unread". May be endless.
        lazy: how seldom it takes a result, as a probability.
        takes: after that many batches it closes the run.
    """

    def __init__(self, world, name, dispatcher, acts, *, size=2, lazy=0.0, takes=None, **options):
        self.world = world
        self.name = name
        self.dispatcher = dispatcher
        self.options = DispatchOptions(batch_size=size, **options)
        window = self.options.max_in_flight + 2
        self.job = LoggedJob()
        # half of the services know of what is settled by themselves, as the one of a plain dispatch does
        way_back = 2 if world.rng.random() < 0.5 else None
        back = OutPort(2, name, window, size)
        origin = Origin(None, self.options.on_error)
        plan = DispatchPlan((InPort(1, name, window, origin, way_back),), back, back, self.job, self.options)
        self.out = OutEdge(name, OutPort(1, dispatcher.name, window, size, back=way_back))
        self.sink = InEdge(InPort(2, dispatcher.name, window))
        self.limit_back = 0
        self.acts = iter(enumerate(acts))
        self.size = size
        self.lazy = lazy
        self.takes = takes
        self.inbox = deque()
        self.exhausted = False
        self.fed = []
        self.got = []
        self.ended = []
        self.error = None
        self.over = None
        world.nodes[name] = self
        dispatcher.core.open_run(name, plan)

    def receive(self, message, sender):
        assert self.over != "halted" or not isinstance(message, Batch | Complete | Failed), "words after the last one"
        if isinstance(message, Ask):
            self.out.ask(message.limit)
        elif not self.over:
            self.inbox.append(message)

    def choices(self):
        can = []
        if not self.over and not self.exhausted and self.out.credit > 0:
            can.append(self.feed)
        if self.inbox and self.world.rng.random() >= self.lazy:
            can.append(self.consume)
        return can

    def wakes_at(self):
        return self.world.now if self.inbox and not self.over else None

    def feed(self):
        items = [Item.wrap(act) for _, act in zip(range(self.size), self.acts, strict=False)]
        self.fed += items
        if items:
            self.out.put((pack_items(items),))
        self.exhausted = len(items) < self.size
        messages = self.out.take(limit=self.limit_back)
        if self.exhausted:
            messages.append(self.out.complete())
        for message in messages:
            self.world.send(self.name, self.dispatcher.name, message)

    def consume(self):
        message = self.inbox.popleft()
        if isinstance(message, Batch):
            self.sink.receive(message.seq)
            self.note(message)
            self.sink.held -= 1
            ask = self.sink.ask(self.name)
            if ask is not None and self.out.port.back is not None:
                self.limit_back = ask.limit
                self.out.settle(self.sink.settled)
            elif ask is not None:
                self.world.send(self.name, self.dispatcher.name, ask)
        elif isinstance(message, Complete):
            self.sink.last_seq = message.last_seq
        else:
            assert isinstance(message, Failed)
            for batch in message.finished:
                self.note(batch)
            self.error = message
            self.end("halted")
        if not self.over and self.sink.done:
            self.end("done")
        elif not self.over and self.takes is not None and self.sink.received >= self.takes:
            self.end("closed")

    def note(self, batch):
        self.got.append(unpack_items(batch.parcels))
        for ends in batch.ends:
            self.ended.append((ends, unpack_items(ends.parcels)))

    def end(self, how):
        self.over = how
        self.inbox.clear()
        self.world.send(self.name, self.dispatcher.name, CloseRun(self.name))

    # -- what must be true

    @property
    def yielded(self):
        return sum(map(len, self.got)) + sum(len(items) for _, items in self.ended)

    def check(self):
        """At every step."""
        ahead = len(self.fed) - self.yielded
        bound = (self.options.max_in_flight + 4) * self.size
        assert ahead <= bound, f"{self.name}: {ahead} items ahead, {bound} allowed"
        assert not self.over or self.over in ("done", "halted", "closed")
        out_now = Counter(
            (run.run, unpack_items(run.parcels)[0].id)
            for worker in self.world.workers.values()
            for run in worker.batches()
            if run.run == self.name
        )
        assert not out_now or max(out_now.values()) == 1, "one batch at two workers"
        if not self.over:
            assert sum(out_now.values()) <= self.options.max_in_flight
        run = self.dispatcher.core._runs.get(self.name)
        if run is not None:
            assert run.in_work <= self.options.max_in_flight
            assert all(edge.held <= edge.port.window for edge in run.inputs.values())

    def results(self):
        return [item.id for batch in self.got for item in batch]

    def check_end(self):
        """When nothing happens any more."""
        assert self.over, f"{self.name} stalls: {len(self.fed)} fed, {self.yielded} came back"
        acts = {item.id: item.payload[1] for item in self.fed}
        self.check_executions()
        results, ends = self.results(), [item.id for _, items in self.ended for item in items]
        assert len(set(results + ends)) == len(results + ends), "an item came twice"
        assert set(results + ends) <= set(acts)
        if self.over == "done":
            assert set(results + ends) == set(acts), "an item is lost"
        if self.options.ordering == "preserve":
            assert results == sorted(results), "ids sort in the order of the inputs"
            if self.over == "done":
                assert [item.payload for batch in self.got for item in batch] == [
                    item.payload[0] for item in self.fed if item.id in set(results)
                ]
        for ends, items in self.ended:
            self.check_failure(ends.error, items)
            self.check_kind(ends, items)
        if self.error is not None and not isinstance(self.error.error, SendQueueFull):
            first = (self.error.batch_ref - 1) * self.size
            batch = self.fed[first : first + self.size]
            self.check_failure(self.error.error, batch)
            failed = {item.id for item in batch if self.error.error is not UNREAD or item.payload[1] == "unread"}
            if getattr(self.options.on_error, "isolate", False):
                assert failed - set(results), "nothing of the failed batch is missing"
            else:
                assert not failed & set(results), "a failed batch has results"

    def check_executions(self):
        """Nothing runs more often than the policy allows, and what runs once more is a batch or a half of one."""
        policy = self.options.on_error
        isolates = getattr(policy, "isolate", False)
        limit = getattr(policy, "max_attempts", 1) + (math.ceil(math.log2(self.size)) if isolates else 0)
        times = Counter(item for _, items in self.job.executions for item in items)
        assert max(times.values(), default=0) <= limit, f"an item ran {max(times.values())} times, {limit} allowed"
        if not isolates:
            together = {item: items for _, items in self.job.executions for item in items}
            assert all(together[item] == items for _, items in self.job.executions for item in items)

    def check_kind(self, ends, items):
        """Who is given up after all attempts is dead, who is not worth another one is skipped; only culprits are."""
        policy = self.options.on_error
        if ends.error is UNREAD:
            assert (ends.kind, ends.attempts) == ("skipped", 1)
            return
        covered = isinstance(policy, Retry) and policy.covers(ends.error)
        is_deadly = isinstance(policy, Retry) and isinstance(ends.error, WorkerCrashed | BatchTimeout)
        assert ends.kind == ("dead" if covered or is_deadly else "skipped")
        assert ends.attempts == (policy.max_attempts if covered else 1)
        if policy.isolate:
            assert len(items) == 1, "an innocent item was given up together with another one"
            (item,) = items
            acts = {one.id: one.payload[1] for one in self.fed}
            assert acts[item.id] != "ok" or item.id in self.world.struck, "an innocent item was given up"

    def check_failure(self, error, items):
        by_id = {item.id: item.payload[1] for item in self.fed}
        acts = {by_id[item.id] for item in items}
        if error is UNREAD:
            assert "unread" in acts
            assert self.error is not None or acts == {"unread"}, "others were taken along"
        elif isinstance(error, WorkerCrashed):
            assert {item.id for item in items} <= self.world.struck, "a waiting batch was charged for a crash"
        elif isinstance(error, BatchTimeout):
            assert acts & {"hang", "slow", "sulky"}
        else:
            assert error.type_name == "ValueError"
            assert acts & {"fail", "shaky"}
