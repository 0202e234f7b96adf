"""Chaos over everything at once: nothing lost, nothing twice without a reason, and nothing grows.

`pytest -m soak tests/system/test_chaos_soak.py`; `SOAK_S` says for how many seconds (600), `SOAK_SEED`
with which seed.
"""

from __future__ import annotations

import faulthandler
import os
import random
import re
import statistics
import sys
import threading
import time
from collections import Counter

import attrs
import psutil
import pytest

from slither_actors.testing import Chaos
from slither_actors.testing._chaos_roles import DEFAULT_ROLES
from slither_actors.transport import running
from tests.helpers.soak import Book, SoakPipe
from tests.system.running import a_system, nothing_left_behind
from tests.system.soak_players import PLAYERS, Clock

pytestmark = [pytest.mark.system, pytest.mark.soak, pytest.mark.timeout(0)]

SECONDS = float(os.environ.get("SOAK_S", "600"))
SEED = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(10**6)))

STORM_S = 10.0
RATE = 3.0
LONGEST_STOP_S = 0.3
# Most storms leave out those whose death ends all runs, or there would be little left to see.
LEAVES = ("workers", "dispatchers", "stages", "stores", "pools")
TARGETS = (LEAVES, ("workers",), DEFAULT_ROLES, LEAVES)
# A round takes a second, and many on a machine with much to do; one that takes so long will never end.
ROUND_LIMIT_S = 90.0


@attrs.frozen
class Sample:
    """What must not grow, taken while nobody does anything."""

    names: frozenset
    figures: dict

    @classmethod
    def of(cls, system):
        found = running.find(system.name)
        processes = running.processes(found)
        figures = {
            "processes": len(processes),
            "descriptors of the service": len(os.listdir("/proc/self/fd")),
            "descriptors of the host": len(os.listdir(f"/proc/{found.host}/fd")),
            "threads of the service": threading.active_count(),
            "files": sum(1 for _ in found.directory.rglob("*")),
            "MB of the tree": sum(one.pss_bytes or 0 for one in processes) / 1e6,
            "MB of the service": psutil.Process().memory_full_info().pss / 1e6,
        }
        # Numbers are those of workers and of starts of a pipe.
        return cls(frozenset(re.sub(r"-\d+", "", one.name) for one in processes), figures)


# What a figure may be more at the end than in the beginning, by its name: a share, and a number.
SLACK = {
    "processes": (0.0, 0),
    # An endpoint that nobody uses for a while keeps its connections to those that died meanwhile.
    "descriptors of the service": (0.4, 20),
    "descriptors of the host": (0.0, 2),
    "threads of the service": (0.0, 2),
    "files": (0.1, 8),
    "MB of the tree": (0.1, 10),
    "MB of the service": (0.1, 20),
}


def check_flat(samples):
    third = max(1, len(samples) // 3)
    for name, (share, more) in SLACK.items():
        first, last = (
            statistics.median(one.figures[name] for one in some) for some in (samples[:third], samples[-third:])
        )
        assert last <= first * (1 + share) + more, f"{name} grow: {[one.figures[name] for one in samples]}"
    for one in samples:
        assert one.names == samples[0].names, f"others run: {one.names ^ samples[0].names}"


class Soak:
    def __init__(self, system, folder):
        self.system = system
        self.clock = Clock()
        self.players = [player(system, self.clock, SEED, folder) for player in PLAYERS]
        for player in self.players:
            player.start()

    def watch(self, seconds):
        """Wait, and look after the players."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.1)  # the soak is about time
            self.look()

    def look(self):
        for player in self.players:
            assert player.failure is None, f"{player.name}: {player.failure}"
            began = player.began
            if began is not None and time.monotonic() - began > ROUND_LIMIT_S:
                faulthandler.dump_traceback(file=sys.__stderr__)
                pytest.fail(f"{player.name} hangs")

    def storm(self, number):
        """Chaos while all play; its report."""
        self.clock.calm = False
        self.clock.plays.set()
        options = {"rate": RATE, "longest_stop_s": LONGEST_STOP_S, "targets": TARGETS[number % len(TARGETS)]}
        with Chaos(self.system, seed=SEED + number, **options) as chaos:
            self.watch(STORM_S)
            self.clock.plays.clear()
        self.pause()
        return chaos.report

    def calm(self):
        """Each player plays a round at least, without any trouble."""
        before = {player: player.rounds["calm"] for player in self.players}
        self.clock.calm = True
        self.clock.plays.set()
        while any(player.rounds["calm"] == before[player] for player in self.players):
            self.watch(0.1)
        self.pause()

    def pause(self):
        """Let all rounds come to their end."""
        self.clock.plays.clear()
        for player in self.players:
            player.waits.clear()
        while not all(player.waits.is_set() for player in self.players):
            self.watch(0.1)

    def end(self):
        self.clock.over.set()
        for player in self.players:
            player.join(10.0)


def test_nothing_is_lost_and_nothing_grows_under_chaos(base, tmp_path):
    faulthandler.cancel_dump_traceback_later()  # of pytest, which is for tests that take less than a minute
    print(f"seed {SEED}, {SECONDS:g} s")
    samples, reports = [], []
    with nothing_left_behind(base), a_system(stores=[Book], pools={"default": 2}, pipes=[SoakPipe]) as system:
        soak = Soak(system, tmp_path)
        end = time.monotonic() + SECONDS
        try:
            soak.calm()
            samples.append(Sample.of(system))
            while time.monotonic() < end:
                reports.append(soak.storm(len(reports)))
                soak.calm()
                samples.append(Sample.of(system))
        except BaseException as error:
            error.add_note(f"SOAK_SEED={SEED}, storm {len(reports)}")
            raise
        finally:
            soak.end()
    tell(soak, samples, reports)
    check_flat(samples)


def tell(soak, samples, reports):
    for player in soak.players:
        slowest = {when: round(seconds, 1) for when, seconds in player.slowest.items()}
        print(f"{player.name}: rounds {dict(player.rounds)}, slowest {slowest}; errors {dict(player.errors)}")
        print(f"    items that ended: {dict(player.ended)}; executed again: {player.again}")
    hits = Counter((hit.role, hit.kind) for report in reports for hit in report.hits)
    print(", ".join(f"{role} {kind} {count}" for (role, kind), count in sorted(hits.items())))
    for report in reports:
        for hit in report.hits:
            if hit.lost and hit.kind != "kill":
                print(f"lost with seed {report.seed}:", hit)
    for name in SLACK:
        print(name, *(f"{one.figures[name]:.0f}" for one in samples))
