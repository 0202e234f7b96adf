"""What runs in the workers of tests. Importable there, since the repository root is on the path."""

import ctypes
import os
import signal
import sys
import threading
import time

import slither_actors as slither


def same(payloads):
    return payloads


def double(payloads):
    return [payload * 2 for payload in payloads]


def with_context(payloads, ctx):
    return [(payload, ctx.run_id is not None) for payload in payloads]


def keyword_context(payloads, *, ctx):
    return [(payload, ctx.stage) for payload in payloads]


def scaled(factor, payloads):
    return [factor * payload for payload in payloads]


def counted(payloads, ctx):
    """The number of the batch within this run and this worker, for each payload."""
    ctx.state["batches"] = ctx.state.get("batches", 0) + 1
    return [(os.getpid(), ctx.state["batches"])] * len(payloads)


def two_parameters(payloads, other):
    return payloads


def no_parameter():
    return []


def pids(payloads):
    return [os.getpid()] * len(payloads)


def mishaps(payloads):
    """Does what the first odd payload says; other batches come back as they are."""
    for payload in payloads:
        if payload in MISHAPS:
            return MISHAPS[payload](payloads)
    return payloads


def _raise(payloads):
    raise ValueError("boom")


def _hang(payloads):
    time.sleep(60)


def _kill(payloads):
    os.kill(os.getpid(), signal.SIGKILL)


MISHAPS = {
    "raise": _raise,
    "hang": _hang,
    "kill": _kill,
    "segfault": lambda payloads: ctypes.string_at(0),
    "_exit": lambda payloads: os._exit(3),
    "exit": lambda payloads: sys.exit(4),
    "too few": lambda payloads: payloads[:-1],
    "too many": lambda payloads: [*payloads, 1],
    "none": lambda payloads: None,
    "text": lambda payloads: "x" * len(payloads),
    "only for stages": lambda payloads: [slither.Drop("not wanted") for _ in payloads],
    "lock": lambda payloads: [threading.Lock() for _ in payloads],
}


def nap(seconds):
    for one in seconds:
        time.sleep(one)
    return seconds


class Slow:
    """A payload that takes its time; made by `slow(seconds, value)`."""

    def __init__(self, seconds, value):
        self.seconds = seconds
        self.value = value


def run_slow(payloads):
    for payload in payloads:
        if isinstance(payload, Slow):
            time.sleep(payload.seconds)
    return [payload.value if isinstance(payload, Slow) else payload for payload in payloads]


class Tagging(slither.Executor):
    """Counts in the instance, so that a second instance would be seen."""

    def __init__(self):
        self.seen = 0

    def execute_batch(self, items, ctx):
        self.seen += 1
        return [item.with_payload((item.payload, self.seen)).with_meta(by="Tagging") for item in items]


class Broken(slither.Executor):
    def __init__(self):
        raise FileNotFoundError("no model")

    def execute_batch(self, items, ctx):
        return items


class NotItems(slither.Executor):
    def execute_batch(self, items, ctx):
        return [item.payload for item in items]


class Renaming(slither.Executor):
    """Gives items of its own making."""

    def execute_batch(self, items, ctx):
        return [slither.Item.wrap(item.payload) for item in items]


class OwnError(slither.ItemError):
    """An error class that the library does not know, with something in it that cannot travel."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def raises_own_error(payloads):
    raise OwnError("mine")


def touch_and_hang(payloads):
    """Hangs at the first payload that is the path of a file, which is there from then on."""
    for payload in payloads:
        if isinstance(payload, str):
            open(payload, "w").close()
            time.sleep(60)
    return payloads
