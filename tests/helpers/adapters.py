"""Adapters and warm-ups, importable by path in a worker."""

from __future__ import annotations

import os
from pathlib import Path

from slither_actors import Adapter

# As the worker's environment was when this was imported.
THREADS = os.environ.get("OMP_NUM_THREADS")

warmed: list[str] = []


class Scorer(Adapter):
    """Keeps a figure per process, and says what it was given."""

    def setup(self):
        self.threads = THREADS
        self.batches = 0

    def score(self, payloads):
        self.batches += 1
        return [payload * 10 for payload in payloads]

    def tell(self, payloads, ctx):
        return [(os.getpid(), self.threads, list(warmed), ctx.metadata.get("tag")) for _ in payloads]

    def break_on_three(self, payloads):
        if 3 in payloads:
            raise ValueError("three")
        return payloads

    def figures(self):
        return os.getpid(), self.batches

    @staticmethod
    def plain(payloads):
        return [-payload for payload in payloads]

    @property
    def size(self):
        raise AssertionError("nobody reads a property of a class")


class Leaves(Adapter):
    """Leaves a file behind when it is torn down; the folder is in the environment."""

    def teardown(self):
        Path(os.environ["LEAVES"], str(os.getpid())).touch()

    def pid(self, payloads):
        return [os.getpid()] * len(payloads)


class Broken(Adapter):
    def setup(self):
        raise ValueError("no model here")

    def score(self, payloads):
        return payloads


def warm_up(ctx):
    warmed.append(f"warm {ctx.run_id}")


def fail():
    raise ValueError("stays cold")


def leave():
    raise SystemExit(3)


def fail_the_second_time():
    """The marker tells the first worker from those that come after it."""
    marker = Path(os.environ["MARKER"])
    if marker.exists():
        raise ValueError("cold again")
    marker.touch()
