"""Those who use the system of the soak, each in a thread of its own, and keep books about what must hold."""

from __future__ import annotations

import itertools
import random
import threading
import time
import traceback
import zlib
from collections import Counter
from pathlib import Path

import slither_actors as slither
from slither_actors import SlitherError
from slither_actors.transport.process import has_ended
from tests.helpers import soak as work

# By the error, or the error and its reason: what a death may lead to, and nothing else.
RUNS_MAY_END_WITH = frozenset({"StageDown", "WorkerCrashed", "NoProcess"})
SESSIONS_MAY_END_WITH = frozenset({"StageDown", "SessionLost", "NoProcess"})
# What an item may be skipped or dead for.
ENDS = frozenset({"WorkerCrashed", "RemoteError"})
RELOADS_MAY_END_WITH = frozenset({"StoreLoadError"})


class Clock:
    """When players play, and when they wait."""

    def __init__(self):
        self.plays = threading.Event()
        self.over = threading.Event()
        self.calm = False


class Ledger:
    """The lines that executions wrote, read as far as they came."""

    def __init__(self, path: Path):
        self.path = path
        path.touch()
        self._file = path.open("rb")

    def read(self):
        """What came since the last time: process, word and numbers."""
        for line in self._file:
            pid, what, numbers = line.decode().split()
            yield int(pid), what, [int(number) for number in numbers.split(",")]

    def close(self):
        self._file.close()


class Player(threading.Thread):
    """Plays rounds. An error that is not among `may` ends the soak, and in calm times each does but a lost session."""

    may = frozenset()
    may_when_calm = frozenset()
    # Those who are quick leave the others some time.
    rest_s = 0.0

    def __init__(self, system, clock, seed, folder):
        super().__init__(daemon=True, name=type(self).__name__)
        self.system, self.clock = system, clock
        self.random = random.Random(f"{seed} {self.name}")
        self.ledger = Ledger(folder / self.name)
        self.numbers = itertools.count(1)
        self.rounds = Counter()
        self.errors = Counter()  # that rounds ended with
        self.ended = Counter()  # by the kind of error
        self.again = 0  # executions after the first of an item
        self.slowest = Counter()
        self.failure = None
        self.began = None
        self.waits = threading.Event()

    def run(self):
        while not self.clock.over.is_set():
            if not self.clock.plays.is_set():
                self.waits.set()
                self.clock.plays.wait(0.1)
                continue
            self.waits.clear()
            calm = self.clock.calm
            self.began = time.monotonic()
            try:
                self.round()
                self.clock.over.wait(self.rest_s)
                self.rounds["calm" if calm else "wild"] += 1
            except SlitherError as error:
                self.judge(error, calm)
            except BaseException:
                self.failure = traceback.format_exc()
            took = time.monotonic() - self.began
            self.slowest["calm" if calm else "wild"] = max(took, self.slowest["calm" if calm else "wild"])
            self.began = None
            if self.failure is not None:
                break
        self.waits.set()
        self.ledger.close()

    def judge(self, error, calm):
        reason = getattr(error, "reason", None)
        kind = type(reason if isinstance(reason, SlitherError) else error).__name__
        self.errors[kind] += 1
        if kind not in (self.may_when_calm if calm else self.may):
            self.failure = f"calm: {calm}\n{''.join(traceback.format_exception(error))}"

    def metadata(self, fails=False):
        """What workers are told: where they write, and what may happen to them."""
        return {"ledger": str(self.ledger.path), "fails": fails, "dies": not self.clock.calm}

    def note_end(self, item, end):
        kind = type(item.meta["error"]).__name__
        assert end == "dropped" or kind in ENDS, f"an item ended with {item.meta['error']!r}"
        self.ended[kind] += 1

    def items(self, count):
        """Fresh items; now and then one is large."""
        for number in itertools.islice(self.numbers, count):
            size = 300_000 if self.random.random() < 0.01 else self.random.randrange(200)
            yield number, bytes([number % 256]) * size

    def check_executions(self, run):
        """`run` may have executed an item again only where the one before died of it, or failed."""
        begun: dict[int, list[int]] = {}
        failed = set()
        for pid, what, numbers in self.ledger.read():
            for number in numbers:
                if what == "begun":
                    begun.setdefault(number, []).append(pid)
                elif what == "failed":
                    failed.add((number, pid))
        self.again += sum(len(pids) - 1 for pids in begun.values())
        for number, pids in begun.items():
            assert len(pids) <= run.attempts, f"{number} was executed {len(pids)} times, by {run}"
            for pid in pids[:-1]:
                assert (number, pid) in failed or has_ended(pid), (
                    f"{number} was executed twice without a reason: {pids}"
                )
        return begun


class Books:
    """What a run was given and what it gave back, by number."""

    def __init__(self, player, attempts=1):
        self.player, self.attempts = player, attempts
        self.given = {}
        self.ended = Counter()

    def __repr__(self):
        return f"a run of {len(self.given)} items with {self.attempts} attempts"

    def source(self, count):
        for number, data in self.player.items(count):
            self.given[number] = zlib.crc32(data)
            yield number, data

    def on_end(self, item, end):
        self.ended[item.payload[0]] += 1
        self.player.note_end(item, end)

    def check_figures(self, results):
        """The library's own numbers are ours, and nothing is left of a run that came to its end."""
        told = results.accounting
        assert (told.inputs, told.abandoned) == (len(self.given), 0), told
        assert told.skipped + told.dropped + told.dead == sum(self.ended.values()), told

    def check(self, results, copies=1, whole=True):
        """Each item is somewhere, as often as it should be, and what came out of it is right.

        `results` are numbers and check sums; `copies` says how many come of an item that comes out. A run that was
        ended may have left items, and says of none that it is in two places.
        """
        out = Counter()
        for number, checksum in results:
            assert self.given[number] == checksum, f"the result of {number} is wrong"
            out[number] += 1
        executed = self.player.check_executions(self)
        for number in self.given:
            places = (out[number], self.ended[number])
            if whole:
                assert places in ((copies, 0), (0, 1)), f"{number} came out {places[0]} times, and ended {places[1]}"
            else:
                assert places in ((0, 0), (0, 1), *((n, 0) for n in range(1, copies + 1))), (number, places)
            assert not out[number] or number in executed, f"{number} came out, and nobody executed it"
        assert self.ended.keys() <= self.given.keys()


class Dispatching(Player):
    """Whole dispatches with all policies."""

    may = RUNS_MAY_END_WITH

    def round(self):
        policies = {
            "halt": ("halt", 1),
            "skip": ("skip", 1),
            "isolate": (slither.Skip(isolate=True), 9),
            "retry": (slither.Retry(max_attempts=3, backoff_s=0.01, then="skip"), 3),
            "both": (slither.Retry(max_attempts=3, backoff_s=0.01, then="skip", isolate=True), 30),
        }
        name = self.random.choice(list(policies))
        policy, attempts = policies[name]
        fails = name in ("retry", "both")
        books = Books(self, attempts)
        options = {
            "batch_size": self.random.randint(2, 16),
            "max_in_flight": self.random.randint(1, 8),
            "ordering": self.random.choice(["preserve", "as_completed"]),
        }
        context = slither.Context(metadata=self.metadata(fails))
        source = books.source(self.random.randint(1, 100))
        try:
            results = self.system.dispatch(
                source, work.work, on_error=policy, on_end=books.on_end, context=context, **options
            )
        except slither.DispatchError as error:
            books.check([item.payload for item in error.partial_results], whole=False)
            raise
        books.check([item.payload for item in results])
        books.check_figures(results)
        ids = [item.id for item in results]
        assert options["ordering"] == "as_completed" or ids == sorted(ids), "out of order"


class Streaming(Player):
    """Endless streams that are left at some moment."""

    may = RUNS_MAY_END_WITH

    def round(self):
        books = Books(self)
        size, flight = self.random.randint(2, 16), self.random.randint(1, 8)
        context = slither.Context(metadata=self.metadata())
        enough = self.random.randint(1, 100)
        results = []
        try:
            with self.system.stream(
                books.source(10**6),
                work.work,
                batch_size=size,
                max_in_flight=flight,
                on_error="skip",
                on_end=books.on_end,
                context=context,
            ) as stream:
                for item in stream:
                    results.append(item.payload)
                    ahead = len(books.given) - len(results) - sum(books.ended.values())
                    assert ahead <= (flight + 4) * size, f"{ahead} items ahead"
                    if len(results) >= enough:
                        break
        finally:
            books.check(results, whole=False)


class Piping(Player):
    """Runs of a pipe with all kinds of stages, whole and as streams."""

    may = RUNS_MAY_END_WITH

    def round(self):
        books = Books(self, attempts=4)
        options = {"on_end": books.on_end, "metadata": self.metadata(fails=True)}
        source = books.source(self.random.randint(1, 100))
        results, whole = [], False
        try:
            if self.random.random() < 0.5:
                outputs = self.system.run_pipe(work.SoakPipe, source, **options)
                results = [item.payload for item in (*outputs.first, *outputs.second)]
                assert not outputs.default
                books.check_figures(outputs)
                assert [one[1] for one in (item.payload for item in outputs.first)] == sorted(
                    item.payload[1] for item in outputs.first
                ), "out of order"
            else:
                with self.system.stream_pipe(work.SoakPipe, source, **options) as stream:
                    results.extend(item.payload for item in stream)
                books.check_figures(stream)
            whole = True
        except slither.PipeError as error:
            results.extend(item.payload for items in error.partial_results.values() for item in items)
            raise
        finally:
            books.check([(number, checksum) for _, number, checksum in results], copies=2, whole=whole)


class Writing(Player):
    """Writes what others read, and reloads. No death shows: a write happens once, and waits for the next owner."""

    may = RELOADS_MAY_END_WITH
    rest_s = 0.02

    def __init__(self, *args):
        super().__init__(*args)
        self.written = 0
        self.store = self.system.store(work.Book)
        self.loads = self.store.counts["loads"]

    def round(self):
        for _ in range(self.random.randint(1, 10)):
            self.written += 1
            with self.store.transaction() as writes:
                writes.counts.put("pair", self.written)
                writes.mirror.put("pair", self.written)
            assert self.store.counts.increment("writes", default=0) == self.written
            assert self.store.mirror["pair"] == self.written
        if self.random.random() < 0.3:
            self.store.reload()
            self.loads += 1
            assert self.store.counts["loads"] >= self.loads
        assert self.store.counts["pair"] == self.store.mirror["pair"] == self.written


class Counting(Player):
    """Workers that write: each count is that of the executions."""

    may = RUNS_MAY_END_WITH

    def round(self):
        numbers = list(itertools.islice(self.numbers, self.random.randint(1, 100)))
        context = slither.Context(metadata=self.metadata())
        policy = slither.Retry(max_attempts=3, backoff_s=0.01, then="skip")
        try:
            results = self.system.dispatch(
                numbers, work.count, batch_size=8, on_error=policy, context=context, on_end=self.note_end
            )
            assert len(results) + results.dead.total + results.skipped.total == len(numbers)
            assert [item.payload[1:] for item in results] == [(True, True)] * len(results), "tables that disagree"
        finally:
            self.check_counts(numbers)

    def check_counts(self, numbers):
        begun, done = Counter(), Counter()
        for _, what, some in self.ledger.read():
            (begun if what == "begun" else done).update(some)
        store = self.system.store(work.Book)
        for number in numbers:
            count = store.counts.get(("worker", number), 0)
            assert done[number] <= count <= begun[number] <= 3, (number, done[number], count, begun[number])
        with store.transaction() as writes:
            for number in numbers:
                writes.counts.delete(("worker", number))


class Conversing(Player):
    """Sessions: their sum is exact, or they are lost."""

    may = SESSIONS_MAY_END_WITH
    may_when_calm = frozenset({"SessionLost"})

    def round(self):
        with self.system.session() as session:
            total = 0
            for _ in range(self.random.randint(1, 20)):
                amounts = [self.random.randint(1, 100) for _ in range(self.random.randint(1, 10))]
                if self.random.random() < 0.5:
                    found = [future.result() for future in [session.submit(amount, work.add) for amount in amounts]]
                else:
                    found = [item.payload for item in session.dispatch(amounts, work.add, batch_size=3)]
                assert found == list(itertools.accumulate(amounts, initial=total))[1:], "the state is not exact"
                total = found[-1]


class Watching(Player):
    """Two tables agree at every moment, also in the service."""

    rest_s = 0.1

    def round(self):
        store = self.system.store(work.Book)
        last = 0
        for _ in range(50):
            with store.snapshot() as moment:
                pair, loads = (
                    [table.get(key) for table in (moment.counts, moment.mirror)] for key in ("pair", "loads")
                )
            assert (pair[0], loads[0]) == (pair[1], loads[1]), "tables that disagree"
            assert (pair[0] or 0) >= last, "an older state"
            last = pair[0] or 0


PLAYERS = (Dispatching, Streaming, Piping, Writing, Counting, Conversing, Watching)
