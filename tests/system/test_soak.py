"""Minutes of traffic among actors of which some are killed all the time. Run by `pytest -m soak`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import attrs
import psutil
import pytest

from slither_actors import NoProcess
from slither_actors.otp import ChildSpec, Server, Supervisor, SupervisorOptions, handles
from slither_actors.otp.messages import Down, Subscribe, Up
from tests.system.running import a_system, nothing_left_behind
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.soak, pytest.mark.timeout(1200)]

ACTORS = 20
MESSAGES = 1_000_000
WINDOW = 8
KILLS = 40
KILLS_EVERY_S = 0.2
QUIET_LIMIT_S = 60.0


@attrs.frozen
class Note:
    """One numbered message of a pair of actors; the payload is now and then a large one."""

    number: int
    payload: bytes


@attrs.frozen
class Received:
    """All notes up to this number have come."""

    number: int


class Chatter(Server):
    """Sends numbered notes to all others, at most `WINDOW` unanswered ones to each, and checks what it gets."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.peers = []
        self.sent = {}
        self.answered = {}
        self.got = {}
        self.faults = []
        self.talking = True

    def init(self):
        self.post(self.life.surroundings.registry, Subscribe("children/"))

    @handles(Up)
    def on_up(self, message, sender):
        peer = message.ref.address
        if peer != self.address and message.kind == "worker":
            self.peers.append(peer)
            self.sent[peer] = self.answered[peer] = 0
            self.talk_to(peer)

    @handles(Down)
    def on_down(self, message, sender):
        if message.ref.address in self.peers:
            self.peers.remove(message.ref.address)

    @handles(Note)
    def on_note(self, message, sender):
        before = self.got.get(sender, 0)
        if message.number != before + 1:
            self.faults.append(f"{sender} sent {message.number} after {before}")
        self.got[sender] = message.number
        if message.number % (WINDOW // 2) == 0:
            self.post(sender, Received(message.number))

    @handles(Received)
    def on_received(self, message, sender):
        self.answered[sender] = message.number
        self.talk_to(sender)

    def talk_to(self, peer):
        while self.talking and peer in self.peers and self.sent[peer] - self.answered[peer] < WINDOW:
            self.sent[peer] += 1
            size = 300_000 if self.random.random() < 0.001 else self.random.randrange(400)
            self.post(peer, Note(self.sent[peer], b"x" * size))

    def handle_call(self, request, caller):
        if request == "stop talking":
            self.talking = False
        memory = psutil.Process().memory_info().rss
        return {
            "address": self.address,
            "sent": {peer: self.sent[peer] for peer in self.peers},
            "got": dict(self.got),
            "faults": self.faults,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "memory": memory,
        }


@pytest.mark.parametrize("base_name", ["unix", "tcp"])
def test_nothing_is_lost_between_the_living_and_nothing_grows(base, base_name):
    specs = [ChildSpec(f"chatter-{number}", Chatter, (number,)) for number in range(ACTORS)]
    budget = SupervisorOptions(intensity=10**6)
    chatters = ChildSpec("chatters", Supervisor, (budget, specs), type="supervisor")
    chance = random.Random(7)
    options = {"base": base_name, "trusted_network": True}
    with nothing_left_behind(base), a_system(children=[chatters], pools={"default": 1}, **options) as system:
        names = [f"children/chatters/{spec.id}" for spec in specs]
        survivors, victims = names[: ACTORS // 2], names[ACTORS // 2 :]
        first = None
        total = kills = 0
        while total < MESSAGES or kills < KILLS:
            time.sleep(KILLS_EVERY_S)  # the soak is about time
            victim = system.whereis(chance.choice(victims))
            if victim is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim.pid, signal.SIGKILL)
                    kills += 1
            reports = {name: system.call(name, "report", timeout_s=30.0) for name in survivors}
            total = sum(sum(report["got"].values()) for report in reports.values())
            if first is None and kills == 10:
                first = reports

        def quiet():
            try:
                now = {name: system.call(name, "stop talking", timeout_s=30.0) for name in names}
            except NoProcess:
                return None  # the last victim is being restarted
            by_address = {report["address"]: report for report in now.values()}
            lacking = [
                (sender, receiver)
                for sender, report in by_address.items()
                for receiver, count in report["sent"].items()
                if receiver in by_address and by_address[receiver]["got"].get(sender, 0) != count
            ]
            return now if not lacking else None

        last = eventually(quiet, "everything that the living sent to the living has arrived")
    assert [fault for report in last.values() for fault in report["faults"]] == []
    for name in survivors:
        assert last[name]["descriptors"] <= first[name]["descriptors"] + 8, name
        assert last[name]["memory"] <= 1.3 * first[name]["memory"] + 8e6, name
