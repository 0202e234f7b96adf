"""What runs in the processes of the soak. Every execution is written down before it begins, in a file of the test."""

from __future__ import annotations

import os
import random
import signal
import time
import zlib

import slither_actors as slither

FAILS = 0.02
DIES = 0.01
# So long that who is killed has mostly something to do.
LONGEST_S = 0.03


def note(ctx, what, numbers):
    """One line, whole or not at all, whatever happens to this process."""
    line = f"{os.getpid()} {what} {','.join(map(str, numbers))}\n"
    ledger = os.open(ctx.metadata["ledger"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


def take_time(ctx):
    """As work does; and now and then it costs a worker its life, which no budget minds."""
    time.sleep(random.random() * LONGEST_S)
    if ctx.metadata.get("dies") and random.random() < DIES:
        os.kill(os.getpid(), signal.SIGKILL)


def work(payloads, ctx):
    """Payloads are a number and some bytes; results the number and the check sum of the bytes."""
    numbers = [number for number, _ in payloads]
    note(ctx, "begun", numbers)
    take_time(ctx)
    if ctx.metadata.get("fails") and random.random() < FAILS:
        note(ctx, "failed", numbers)
        raise ValueError("it fails now and then")
    return [(number, zlib.crc32(data)) for number, data in payloads]


def count(payloads, ctx):
    """Counts each payload in the store, and looks whether its tables agree."""
    book = ctx.store("Book")
    note(ctx, "begun", payloads)
    take_time(ctx)
    for number in payloads:
        book.counts.increment(("worker", number), default=0)
    note(ctx, "counted", payloads)
    return [(number, ctx.view("agree"), ctx.view("pair") is not None) for number in payloads]


def add(amounts, ctx):
    """The sum of all amounts of the session so far, for each."""
    totals = []
    time.sleep(random.random() * LONGEST_S)
    for amount in amounts:
        ctx.state["total"] = ctx.state.get("total", 0) + amount
        totals.append(ctx.state["total"])
    return totals


class Book(slither.Store):
    """Two tables of which the rows "pair" and "loads" always agree, over all loads."""

    counts = slither.Table()
    mirror = slither.Table(kind="ordered_set")

    def load(self, tables):
        for old, new in ((self.counts, tables.counts), (self.mirror, tables.mirror)):
            new.bulk_insert(old.select())
            new.put("loads", old.get("loads", 0) + 1)

    @slither.view
    def pair(self, params, ctx):
        return self.counts.get("pair", 0)

    @slither.view
    def agree(self, params, ctx):
        """Whether one moment is the same in both tables."""
        with ctx.store("Book").snapshot() as moment:
            return all(moment.counts.get(key) == moment.mirror.get(key) for key in ("pair", "loads"))


class SoakPipe(slither.Pipe):
    """All kinds of stages one behind the other."""

    stores = [Book]

    @slither.local
    def prepare(item, ctx):
        number, data = item.payload
        if number % 101 == 0:
            return slither.Drop("every hundred and first")
        ctx.state["seen"] = ctx.state.get("seen", 0) + 1
        return number, data

    work = slither.worker(
        work, batch_size=8, max_in_flight=4, on_error=slither.Retry(max_attempts=4, backoff_s=0.01, then="skip")
    )

    @slither.local(many=True)
    def pair(item):
        yield ("a", *item.payload)
        yield ("b", *item.payload)

    route = slither.router((lambda item: item.payload[0] == "a", "first"), (lambda item: True, "second"))

    outputs = ["first", "second"]
