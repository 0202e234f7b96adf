"""What runs in the processes of systems that are put to the test. Importable there."""

import ctypes
import os
import time
from pathlib import Path

import attrs

import slither_actors as slither
from slither_actors.otp import Server


def steady(payloads):
    time.sleep(0.002)
    return payloads


def seen(payloads, ctx):
    return [ctx.view("newest") for _ in payloads]


class Ledger(slither.Store):
    rows = slither.Table(kind="set")

    def load(self, tables):
        tables.rows.put("number", 0)

    @slither.view(mode="scalar", scope="global", timeout_s=5.0)
    def newest(self, params, ctx):
        return {"number": self.rows.get("number")}


class Everything(slither.Pipe):
    """A stage of each kind."""

    first = slither.local(lambda item: item)
    work = slither.worker(steady, batch_size=4)
    route = slither.router((lambda item: item.payload % 2 == 0, "even"))

    outputs = ["even"]


class Hapless(Server):
    """An actor of one's own."""

    def handle_call(self, request, caller):
        return misdeed(request)


def misdeed(what):
    """Does what is asked for, or gives it back."""
    if what == "memory":
        raise MemoryError("no more")
    if what == "_exit":
        os._exit(3)
    if what == "crash":
        ctypes.string_at(0)
    if what == "hang":
        ctypes.PyDLL(None).pause()  # C code that does not let go of the interpreter
    return what


def do_all(payloads):
    return [misdeed(payload) for payload in payloads]


def sizes(payloads):
    return [len(payload) for payload in payloads]


def printed(payloads):
    for payload in payloads:
        if payload == "print":
            print("x" * 100_000, flush=True)
    return payloads


def misdeed_of(flag):
    """What a file says is to be done."""
    return misdeed(flag.read_text() if flag.exists() else "")


class Local(slither.Pipe):
    step = slither.local(handle_timeout_s=1.0)(lambda item: misdeed(item.payload))


class Router(slither.Pipe):
    step = slither.router((lambda item: misdeed(item.payload), "other"), handle_timeout_s=1.0)
    outputs = ["other"]


class Doing(slither.Stage):
    def handle_batch(self, items, ctx):
        return [misdeed(item.payload) for item in items]


class Custom(slither.Pipe):
    step = slither.stage(Doing, handle_timeout_s=1.0)


class SetUp(slither.Stage):
    @attrs.frozen
    class Options:
        flag: Path

    def setup(self, ctx):
        misdeed_of(self.options.flag)

    def handle_item(self, item, ctx):
        return item


class Loading(slither.Store):
    """Does while it loads what the file says whose path stands in the environment."""

    rows = slither.Table(kind="set")

    def load(self, tables):
        flag = Path(os.environ["FAULTY_LOAD"])
        flag.with_suffix(".begun").touch()
        misdeed_of(flag)
        tables.rows.put("number", 1)


class Printing(slither.Pipe):
    step = slither.local(on_error="skip")(lambda item: printed([item.payload])[0])
