"""Pipes and stages of the tests of running systems. Importable in stage processes."""

import os
import time

import attrs

import slither_actors as slither
from tests.helpers import jobs


def predict(texts):
    return [{"score": len(text["text"]) / 10, "text": text["text"]} for text in texts]


class ScorePipe(slither.Pipe):
    """The one of the README."""

    @slither.local
    def prepare(item, ctx):
        return {"text": item.payload}

    predict = slither.worker("tests.helpers.pipes:predict", pool="default", batch_size=32, max_in_flight=4)

    route = slither.router(
        (lambda item: item.payload["score"] >= 0.8, "accept"),
        (lambda item: item.payload["score"] >= 0.4, "review"),
    )

    outputs = ["accept", "review"]
    on_error = {"predict": "skip", "*": "halt"}


class Stamp:
    """What a stage adds to a payload: who had it, from when to when, on the clock that all processes share."""

    def __init__(self, value):
        self.value = value
        self.times = []

    def marked(self, name, seconds):
        begin = time.monotonic()
        time.sleep(seconds)
        self.times = [*self.times, (name, os.getpid(), begin, time.monotonic())]
        return self


def stamp_batch(stamps):
    return [stamp.marked("work", 0.01) for stamp in stamps]


class Stamping(slither.Stage):
    @attrs.frozen
    class Options:
        name: str
        seconds: float = 0.01

    def handle_item(self, item, ctx):
        return item.payload.marked(self.options.name, self.options.seconds)


class Overlap(slither.Pipe):
    first = slither.stage(Stamping, name="first")
    work = slither.worker(stamp_batch, batch_size=2, max_in_flight=2)
    last = slither.stage(Stamping, name="last")


def act(payload):
    """Does what a payload says; others come back."""
    if payload in jobs.MISHAPS:
        return jobs.MISHAPS[payload]([payload])
    answers = {
        "drop": slither.Drop("unwanted"),
        "fail": slither.Fail("bad"),
        "away": slither.RouteTo("nowhere", payload),
        "jump": slither.RouteTo("last", payload),
        "out": slither.RouteTo("out", payload),
        "three": slither.Emit([1, 2, 3]),
        "nothing": slither.Emit([]),
    }
    return answers.get(payload, payload)


class Acting(slither.Stage):
    def handle_item(self, item, ctx):
        return act(item.payload)


class Batching(slither.Stage):
    def handle_batch(self, items, ctx):
        return [act(item.payload) for item in items]


def local_pipe(on_error):
    class Local(slither.Pipe):
        step = slither.local(on_error=on_error)(lambda item: act(item.payload))
        last = slither.local(lambda item: item)
        outputs = ["out"]

    return Local


def custom_pipe(on_error):
    class Custom(slither.Pipe):
        step = slither.stage(Acting, on_error=on_error)
        last = slither.local(lambda item: item)
        outputs = ["out"]

    return Custom


def batch_pipe(on_error):
    class Batch(slither.Pipe):
        step = slither.stage(Batching, on_error=on_error)
        last = slither.local(lambda item: item)
        outputs = ["out"]

    return Batch


def router_pipe(on_error):
    def judge(item):
        if item.payload == "raise":
            raise ValueError("boom")
        return item.payload == "out"

    class Router(slither.Pipe):
        step = slither.router((judge, "out"), on_error=on_error)
        last = slither.local(lambda item: item)
        outputs = ["out"]

    return Router


def worker_pipe(on_error):
    class Worker(slither.Pipe):
        step = slither.worker(jobs.mishaps, batch_size=1, on_error=on_error)
        last = slither.local(lambda item: item)
        outputs = ["out"]

    return Worker


KINDS = {"local": local_pipe, "custom": custom_pipe, "batch": batch_pipe, "router": router_pipe, "worker": worker_pipe}


class Counter(slither.Stage):
    """Options, a resource that lives as long as the process, and a state that lives as long as the run."""

    @attrs.frozen
    class Options:
        step: int = 1
        note: str = ""

    def setup(self, ctx):
        self.place = (ctx.pipe, ctx.stage)
        self.all = 0

    def handle_item(self, item, ctx):
        self.all += self.options.step
        ctx.state["run"] = ctx.state.get("run", 0) + self.options.step
        return {"pid": os.getpid(), "all": self.all, "run": ctx.state["run"], "place": self.place, "meta": ctx.metadata}

    def teardown(self):
        if self.options.note:
            with open(self.options.note, "w") as file:
                file.write(f"{os.getpid()}")


class Unready(slither.Stage):
    def setup(self, ctx):
        raise FileNotFoundError("no model")

    def handle_item(self, item, ctx):
        return item
