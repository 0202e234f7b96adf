"""Stores of tests, and what reads and writes them in workers and stages."""

from __future__ import annotations

import collections
import mmap
import os
import threading
import time
from pathlib import Path

import slither_actors as slither


class Features(slither.Store):
    """What `load` makes depends on a file, so that a test can say what the next one does."""

    features = slither.Table()
    mirror = slither.Table(kind="ordered_set")
    tags = slither.Table(kind="bag")

    def load(self, tables):
        orders = Path(os.environ["XDG_RUNTIME_DIR"], "orders")
        order, _, rest = (orders.read_text() if orders.exists() else "").partition(" ")
        if order == "raise":
            tables.features.put("half", True)
            raise ValueError(rest)
        if order == "return":
            return rest
        if order == "exit":
            raise SystemExit(3)
        if order == "interrupt":
            raise KeyboardInterrupt
        if order == "die":
            os.kill(os.getpid(), 9)
        if order == "wait":
            marker, release = rest.split()
            Path(marker).touch()
            while not Path(release).exists():
                time.sleep(0.005)
        if order == "carry":
            for key, value in self.features.select():
                tables.features.put(key, value)
        tables.features.put("user:42", {"tier": "gold"})
        tables.features.put("loads", 1)
        return None

    @slither.view
    def look(self, params, ctx):
        return self.features.get(params["key"], "none")

    @slither.view(scope="global", mode="batch")
    def look_all(self, params, ctx):
        return [(self.features.get(one["key"]), len(params)) for one in params]

    @slither.view(scope="global")
    def who(self, params, ctx):
        return (ctx.stage, ctx.session_id, os.getpid())

    @slither.view(timeout_s=0.1)
    def too_slow(self, params, ctx):
        time.sleep(30)

    @slither.view
    def remember(self, params, ctx):
        """How often this object was asked; a new one begins again."""
        self.asked = getattr(self, "asked", 0) + 1
        return self.asked

    @slither.view(scope="global")
    def remember_for_ever(self, params, ctx):
        self.ever = getattr(self, "ever", 0) + 1
        return self.ever

    @slither.view
    def write(self, params, ctx):
        self.features.put(params["key"], os.getpid())
        return self.features[params["key"]]

    @slither.view(mode="batch")
    def too_few(self, params, ctx):
        return []

    @slither.view
    def broken(self, params, ctx):
        raise LookupError("no luck")


class Broken(slither.Store):
    rows = slither.Table()

    def load(self, tables):
        tables.rows.put(1, 1)
        raise ValueError("the source is down")


def view(payloads, ctx):
    """Calls the view that each payload names, with its parameters."""
    return [_tried(lambda one=one: ctx.view(one[0], **one[1])) for one in payloads]


def view_batch(payloads, ctx):
    return [_tried(lambda one=one: ctx.view_batch(one[0], one[1])) for one in payloads]


def views(payloads, ctx):
    return [ctx.views(scope) for scope in payloads]


def _tried(action):
    try:
        return action()
    except Exception as error:
        return type(error).__name__, str(error)


def write(payloads, ctx):
    """Writes each payload, and reads it at once."""
    features = ctx.store("Features").features
    found = []
    for payload in payloads:
        features.put(payload, os.getpid())
        found.append(features.get(payload) == os.getpid())
    return found


def write_from_threads(payloads, ctx):
    features = ctx.store(Features).features
    threads = [
        threading.Thread(target=features.increment, args=("threads", 1), kwargs={"default": 0}) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [features["threads"]] * len(payloads)


def read_handle(payloads):
    """Payloads are handles of stores."""
    for handle in payloads:
        handle.features.put("through a handle", 1)
    return [handle.features.get("through a handle") for handle in payloads]


def acknowledged():
    """A number that all processes share: what was acknowledged last."""
    file = Path(os.environ["XDG_RUNTIME_DIR"], "acknowledged")
    with file.open("r+b") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 8)).cast("Q")


def watch(payloads, ctx):
    """Reads until a key says that it is enough; counts what must never be."""
    store, wrong, reads = ctx.store("Storm"), collections.Counter(), 0
    last, said = 0, acknowledged()
    while "enough" not in store.features:
        least = said[0]
        number = store.features.get("number")
        wrong["stale"] += number is not None and number < least
        with store.snapshot() as moment:
            one, other = moment.features.get("number"), moment.mirror.get("number")
            load, reload = moment.features.get("load"), moment.mirror.get("load")
        wrong["torn"] += one != other or load != reload
        wrong["empty"] += None in (number, one, other, load, reload)
        wrong["backwards"] += (one or 0) < last
        last = one or 0
        reads += 1
    return [(dict(+wrong), reads > 0)] * len(payloads)


class Storm(slither.Store):
    """Two tables that always agree, over all loads."""

    features = slither.Table()
    mirror = slither.Table(kind="ordered_set")

    def load(self, tables):
        load, number, count = (self.features.get(key, 0) for key in ("load", "number", "count"))
        for table in (tables.features, tables.mirror):
            table.put("load", load + 1)
            table.bulk_insert((("filler", n), n) for n in range(500))
            table.put("number", number)
            table.put("count", count)


class Writing(slither.Pipe):
    """Stages of every kind that write, and views from all of them."""

    stores = [Features]

    @slither.local
    def prepare(item, ctx):
        ctx.store(Features).tags.put("prepared", item.payload)
        return item.payload, ctx.view("look", key="user:42")

    work = slither.worker("tests.helpers.stores:looked", batch_size=2)


def looked(payloads, ctx):
    return [(payload, found, ctx.view("look", key="loads")) for payload, found in payloads]


class Remembering(slither.Stage):
    def setup(self, ctx):
        self.tier = ctx.store("Features").features["user:42"]
        self.views = ctx.views()

    def handle_item(self, item, ctx):
        ctx.store("Features").features.put("hooked", item.payload)
        return item.payload, self.tier, self.views


class Hooked(slither.Pipe):
    remember = slither.stage(Remembering)


def begin_session(ctx):
    ctx.store(Features).features.put("begun", ctx.session_id)
    ctx.state["tier"] = ctx.view("look", key="user:42")


def known(keys, ctx):
    return [(ctx.store(Features).features[key], ctx.state["tier"]) for key in keys]


class Unnamed(slither.Pipe):
    """Names no store, so it sees no view of a session."""

    work = slither.worker("tests.helpers.stores:views")
