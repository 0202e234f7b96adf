"""Pipes whose stages are several processes, or have a rate limit. What they do is told in files of a directory."""

import os
from pathlib import Path

import slither_actors as slither
from tests.system.waiting import eventually


def note(directory, name, text=""):
    """Write a file that is whole as soon as it is there."""
    path = Path(directory, f".{name}")
    path.write_text(str(text))
    path.rename(Path(directory, str(name)))


def notes(directory, prefix=""):
    return sorted(name for name in os.listdir(directory) if name.startswith(prefix) and not name.startswith("."))


def together(item, ctx):
    """Goes on when as many are at it as the item says."""
    directory, name, count = item.payload
    note(directory, f"{ctx.run_id}-{name}", os.getpid())
    eventually(lambda: len(notes(directory, ctx.run_id)) >= count, "the others never came")
    ctx.state["seen"] = ctx.state.get("seen", 0) + 1
    return name, os.getpid(), ctx.state["seen"]


def held(item, ctx):
    """Never ends, unless told to."""
    directory, name = item.payload
    note(directory, name, os.getpid())
    eventually(lambda: Path(directory, "go").exists(), "nobody came")
    return name


class Together(slither.Pipe):
    meet = slither.local(replicas=3)(together)
    after = slither.local(lambda item: item.payload)


class InPairs(slither.Pipe):
    meet = slither.local(replicas=2)(together)


class Held(slither.Pipe):
    hold = slither.local(replicas=2, ordered=False)(held)


def noted(item):
    directory, name = item.payload
    note(directory, name)
    return name


def all_noted(payloads):
    for directory, name in payloads:
        note(directory, name)
    return [name for _, name in payloads]


class Slow(slither.Pipe):
    step = slither.local(rate=slither.Rate(0.001, burst=1))(noted)


class SlowWorkers(slither.Pipe):
    work = slither.worker(all_noted, rate=slither.Rate(0.001, burst=2), max_in_flight=8)
