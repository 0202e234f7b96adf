"""The supervisor of workers, made by hand: who is worn out, who makes room, and what the pool is told."""

from __future__ import annotations

import pytest

from slither_actors.errors import PoolQuarantined
from slither_actors.otp.child import ChildSpec, ExitReason, SupervisorOptions
from slither_actors.otp.messages import Surroundings
from slither_actors.otp.ref import Ref
from slither_actors.workers._page import Figures
from slither_actors.workers._staff import Staff
from slither_actors.workers.messages import ListWorkers, Staffing, WatchStaff
from slither_actors.workers.quarantine import Quarantine
from slither_actors.workers.recycle import Recycle
from slither_actors.workers.supervisor import StaffOptions, WorkerSupervisor

POOL = "/run/leases"


def ref_of(number: int) -> Ref:
    return Ref(f"pools/default/workers/worker-{number}", 1, f"/run/{number}", 100 + number)


class ByHand(WorkerSupervisor):
    """Two workers that are up; nothing is started or ended, pages are the test's."""

    name = "pools/default/workers"  # type: ignore[assignment]

    def __init__(self, recycle: Recycle | None = None, quarantine: Quarantine | None = None) -> None:
        specs = [ChildSpec(f"worker-{number}", "a:B") for number in (1, 2)]
        super().__init__(SupervisorOptions(), specs, StaffOptions("default", recycle, quarantine))
        self.surroundings = Surroundings("/nowhere", None, None, 0)
        self._processes = {}
        self._staff = Staff("worker", 2, self._makes_room)
        self.pages = {101: Figures(), 102: Figures()}
        self.posted: list[Staffing] = []
        self.timers: list[float] = []
        self.alive = {1, 2}
        for number in (1, 2):
            self.child_up(ref_of(number), None)
            self._since[f"worker-{number}"] = 0.0

    def refs(self) -> list[Ref]:
        return [ref_of(number) for number in sorted(self.alive)]

    def _page(self, ref: Ref) -> Figures:
        return self.pages.get(ref.pid, Figures())

    def post(self, to: str, message: object) -> None:
        assert to == POOL
        assert isinstance(message, Staffing)
        self.posted.append(message)

    def start_timer(self, delay_s: float, action: object) -> None:  # type: ignore[override]
        self.timers.append(delay_s)

    def _told_of(self, child_id: str, reason: ExitReason) -> str:
        return f"{child_id} {reason}"

    def worn(self, now: float) -> list[str]:
        return [worker for worker, _ in self._worn(now)]


def test_whoever_is_over_a_limit_is_worn_and_nobody_with_a_session_that_would_be_lost() -> None:
    supervisor = ByHand(Recycle(batches=5, jitter=0.0))
    assert supervisor.worn(1.0) == []
    supervisor.pages = {101: Figures(0, 5, 1), 102: Figures(0, 5, 0)}
    assert supervisor.worn(1.0) == ["worker-2"]
    supervisor.pages = {101: Figures(0, 5, 0), 102: Figures(0, 4, 0)}
    assert supervisor.worn(1.0) == ["worker-1"]


def test_age_counts_from_when_the_worker_came_up() -> None:
    supervisor = ByHand(Recycle(age_s=10, jitter=0.0))
    supervisor._since["worker-2"] = 5.0
    assert supervisor.worn(9.9) == []
    assert supervisor.worn(10.0) == ["worker-1"]
    assert supervisor.worn(15.0) == ["worker-1", "worker-2"]


def test_one_in_which_a_session_began_meanwhile_lets_another_worn_one_make_room() -> None:
    supervisor = ByHand(Recycle(batches=5, jitter=0.0))
    supervisor.pages = {101: Figures(0, 5, 1), 102: Figures(0, 5, 0)}
    assert supervisor._makes_room("worker-1") == "worker-2"
    supervisor.pages = {101: Figures(0, 5, 0), 102: Figures(0, 5, 0)}
    assert supervisor._makes_room("worker-2") == "worker-2"
    supervisor.pages = {101: Figures(0, 5, 1), 102: Figures(0, 4, 0)}
    assert supervisor._makes_room("worker-1") == ""


def test_the_pool_is_told_of_changes_once_and_a_new_pool_of_everything() -> None:
    supervisor = ByHand()
    supervisor._on_watch(WatchStaff(1), POOL)
    supervisor._tell_pool()
    assert [(news.retiring, news.missed, news.refusal) for news in supervisor.posted] == [((), (), None)]

    supervisor._staff.resize(1, lambda worker: 0)
    supervisor._tell_pool()
    supervisor._tell_pool()
    assert [news.retiring for news in supervisor.posted[1:]] == [(ref_of(2),)]
    supervisor._on_watch(WatchStaff(1), POOL)
    assert [news.retiring for news in supervisor.posted[2:]] == [(ref_of(2),)]


def test_what_a_dead_pool_had_asked_is_not_heard_behind_the_next_one() -> None:
    supervisor = ByHand()
    supervisor._on_watch(WatchStaff(2), POOL)
    supervisor._on_watch(WatchStaff(1), "the dead pool")
    assert supervisor._pool == POOL
    assert len(supervisor.posted) == 1


def test_deaths_are_charged_where_there_is_no_quarantine() -> None:
    assert ByHand().uncharged_s("worker-1", ExitReason("killed", "SIGKILL"), 0.0) is None


def test_all_in_quarantine_is_a_refusal_with_the_last_death_and_one_is_not() -> None:
    supervisor = ByHand(quarantine=Quarantine(crashes=1, within_s=1e6, pause_s=1e6, longest_s=1e6))
    supervisor._on_watch(WatchStaff(1), POOL)
    now = 0.0
    for number, why in ((1, "SIGKILL"), (2, "SIGSEGV")):
        supervisor.alive.discard(number)
        supervisor._staff.down(f"worker-{number}")
        assert supervisor.uncharged_s(f"worker-{number}", ExitReason("killed", why), now := now + 1e9) == 1e6
        assert supervisor.timers[-2:] == [0.0, 1e6], "told now, and when it is over"
        if number == 1:
            refs, names = supervisor._listed()
            assert (refs, names) == ((ref_of(2),), (ref_of(2).name,))
    refusal = supervisor._refusal()
    assert isinstance(refusal, PoolQuarantined)
    assert (refusal.pool, refusal.workers, refusal.why) == ("default", 2, "worker-2 killed: SIGSEGV")
    with pytest.raises(PoolQuarantined):
        supervisor.handle_call(ListWorkers(), None)  # type: ignore[arg-type]


def test_who_retires_is_not_listed() -> None:
    supervisor = ByHand()
    supervisor._staff.resize(1, lambda worker: 0)
    assert supervisor._listed() == ((ref_of(1),), (ref_of(1).name,))
