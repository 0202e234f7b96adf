"""The pool's actor, made by hand: whom it tells what when a process ends."""

from slither_actors.otp.child import ExitReason
from slither_actors.otp.messages import Down, Up
from slither_actors.otp.ref import Ref
from slither_actors.workers.messages import LeaseRequest, Vacate, Vacated
from slither_actors.workers.pool import Pool

WORKER = Ref("pools/default/workers/worker-1", 1, "/run/worker", 11)
DISPATCHER = Ref("pools/default/dispatcher", 1, "/run/dispatcher", 12)
STRANGER = Ref("children/tally", 1, "/run/tally", 13)


class RecordingPool(Pool):
    def __init__(self):
        super().__init__("pools/default/workers/")
        self.posted = []

    def post(self, to, message):
        self.posted.append((to, message))

    def start_timer(self, delay_s, action):
        return None

    def vacates(self):
        found = [(to, message.holder) for to, message in self.posted if isinstance(message, Vacate)]
        self.posted.clear()
        return found


def test_workers_are_told_of_the_deaths_of_those_who_leased_them_and_of_no_others():
    pool = RecordingPool()
    pool._on_up(Up(WORKER, "worker"), "/run/registry")
    pool._on_vacated(Vacated(""), WORKER.address)
    pool._on_request(LeaseRequest(1), DISPATCHER.address)
    pool._on_request(LeaseRequest(0), DISPATCHER.address)
    assert pool.vacates() == [(WORKER.address, "")]

    pool._on_down(Down(STRANGER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == []

    pool._on_down(Down(DISPATCHER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == [(WORKER.address, DISPATCHER.address)]
    pool._on_down(Down(DISPATCHER, ExitReason("crash")), "/run/registry")
    assert pool.vacates() == []
