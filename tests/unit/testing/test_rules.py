"""Each rule finds the fault that it is there for: the cores are broken in one place, and the simulation says so."""

import attrs
import pytest

import slither_actors as slither
from slither_actors import Retry, Skip
from slither_actors.dispatch import _desk, _dispatch_run
from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._desk import Desk
from slither_actors.dispatch._dispatch_run import DispatchRun
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.dispatch._rate_table import Pace
from slither_actors.dispatch._reorder import ReorderBuffer
from slither_actors.dispatch._session_core import SessionCore
from slither_actors.dispatch._session_lines import SessionLines
from slither_actors.dispatch._token_bucket import TokenBucket
from slither_actors.dispatch.messages import Ask, Complete
from slither_actors.dispatch.run import Run
from slither_actors.policy import Verdict, verdict
from slither_actors.testing import InvariantBroken, Simulation
from slither_actors.workers._leases import LeaseBook
from slither_actors.workers.process import Worker
from tests.unit.testing import test_replicas as replicas
from tests.unit.testing import test_session_protocol as session_protocol
from tests.unit.testing.test_protocol import FAULTS, scenario

pytestmark = pytest.mark.thorough


def work(payloads):
    if 13 in payloads:
        raise ValueError("boom")
    return payloads


def plain(seed, *, on_error="skip", **faults):
    options = {"batch_size": 3, "max_in_flight": 4, "on_error": on_error}
    Simulation(seed=seed, **faults).dispatch(range(60), work, **options)


def leaving(seed, **faults):
    Simulation(seed=seed, **faults).dispatch(range(60), work, batch_size=3, on_error="skip", leave_after=7)


def pipes(seed, **faults):
    scenario(seed, **{**FAULTS["pools"], **faults})


def paced(seed, **faults):
    kind = replicas.pipe(work=slither.worker(replicas.same, rate=slither.Rate(50, burst=8)))
    replicas.stream(kind, range(60), seed, **faults)


def hanging(seed, **faults):
    scenario(seed, **{**FAULTS["pools"], "pool_crashes": 0.1, "hangs": 0.2, **faults})


def around(cls, name, change):
    """Replace a method by `change(original, self, ...)`."""

    def break_it(patch):
        original = getattr(cls, name)
        patch.setattr(cls, name, lambda self, *args, **named: change(original, self, *args, **named))

    return break_it


def credit_is_ignored(take, self, *, regardless=False, limit=0):
    return take(self, regardless=True, limit=limit)


def same_limit_again(ask, self, run):
    found = ask(self, run)
    return found and Ask(run, found.edge, self.port.window)


def too_much_credit(ask, self, run):
    found = ask(self, run)
    self._limit += 9 if found else 0
    return found and Ask(run, found.edge, self._limit)


def numbers_with_gaps(take, self, **named):
    batches = take(self, **named)
    self.sent += self.sent == 2
    return batches


def a_result_is_lost(put, self, result):
    if not (result[0] and self.arrived == 5):
        put(self, result)


def a_result_comes_twice(put, self, result):
    put(self, result)
    if self.arrived == 5:
        put(self, result)


def complete_again(complete, self):
    return complete(self) or (Complete(self._run, self.port.edge, self.sent) if not self._queue else None)


def first_is_charged(worker_down, self, worker, running, exit_text, now):
    worker_down(self, worker, None, exit_text, now)


def back_to_the_end(send_again, self, task, *args):
    send_again(self, task, *args)
    run = self._runs.get(task.run)
    if run is not None:
        run.waiting.rotate(-1)


def never_alone(policy, error, attempts, count, **named):
    decision = verdict(policy, error, attempts, count, **named)
    return Verdict.SKIPPED if decision is Verdict.SPLIT else decision


def tries_for_ever(policy, error, attempts, count, **named):
    return Verdict.RETRY if isinstance(policy, Retry) else verdict(policy, error, attempts, count, **named)


def always_credit(patch):
    patch.setattr(OutEdge, "credit", property(lambda self: 1))


def more_slots(patch):
    patch.setattr(_desk, "SLOTS", 4)


def old_leases(patch):
    patch.setattr(Desk, "recall_all", lambda self: None)


def lanes_wait_for_each_other(join, self, session):
    if not self._desk.running():
        join(self, session)


def the_pin_is_forgotten(finish, self, *args):
    task = finish(self, *args)
    for session in self._table._sessions.values():
        if not session.out:
            self._table.unpin(session)
    return task


def past_what_pauses(next_run, self, session):
    return next((self._runs[key] for key in session.runs if self._runs[key].waiting), None)


def pulls_on(close, self):
    self._source.pull(1)
    close(self)


def batch_in_two_places(batch, self, run_id, *args, **named):
    batch(self, run_id, *args, **named)
    run = self._runs.get(run_id)
    if run is not None and run.waiting:
        run.waiting.append(attrs.evolve(run.waiting[0]))


BREAKS = {
    "I1": (around(OutEdge, "take", credit_is_ignored), pipes, {}),
    "I2": (around(InEdge, "ask", same_limit_again), pipes, {}),
    "I3": (around(InEdge, "ask", too_much_credit), pipes, {}),
    "I4": (always_credit, plain, {"seconds": 5.0}),
    "I5": (around(OutEdge, "take", numbers_with_gaps), plain, {}),
    "I6 lost": (around(DispatchRun, "put", a_result_is_lost), plain, {}),
    "I6 twice": (around(DispatchRun, "put", a_result_comes_twice), plain, {}),
    "I7": (
        lambda patch: patch.setattr(_dispatch_run, "verdict", tries_for_ever),
        plain,
        {"on_error": Retry(max_attempts=2, backoff_s=0.0, then="skip")},
    ),
    "I8": (around(ReorderBuffer, "add", lambda add, self, index, value: [value]), plain, {"seconds": (0.0, 0.5)}),
    "I10 leases": (old_leases, pipes, {}),
    "I10 batches": (around(DispatchCore, "batch", batch_in_two_places), plain, {}),
    "I11": (around(OutEdge, "complete", complete_again), pipes, {}),
    "I12 stalls": (around(Desk, "free_worker", lambda free, self, now, **named: None), plain, {}),
    "I12 idles": (
        around(
            Desk, "free_worker", lambda free, self, now, **opts: free(self, now, **opts) if len(self) != 2 else None
        ),
        plain,
        {},
    ),
    "I13": (around(SessionLines, "join", lanes_wait_for_each_other), session_protocol.scenario, {}),
    "I14": (around(DispatchCore, "worker_down", first_is_charged), plain, {"crashes": 0.2}),
    "I15": (around(DispatchCore, "_send_again", back_to_the_end), plain, {"crashes": 0.2}),
    "I16": (
        lambda patch: patch.setattr(_dispatch_run, "verdict", never_alone),
        plain,
        {"on_error": Skip(isolate=True)},
    ),
    "I17 place": (around(SessionCore, "_finish", the_pin_is_forgotten), session_protocol.scenario, {}),
    "I17 order": (around(SessionCore, "_next_run", past_what_pauses), session_protocol.scenario, {}),
    "I18": (around(Run, "close", pulls_on), leaving, {}),
    "I19": (more_slots, plain, {}),
    "I20 leases": (around(DispatchCore, "_return_leases", lambda give_back, self, **named: None), plain, {}),
    "I20 states": (around(Worker, "handle_down", lambda handle_down, self, ref, reason: None), pipes, {}),
    "I20 claims": (around(LeaseBook, "is_left_by", lambda is_left, self, one, holder: bool(holder)), hanging, {}),
    "rate replicas": (around(TokenBucket, "allowed", lambda allowed, self, items, now: items), pipes, {}),
    "rate workers": (around(Pace, "holds", lambda holds, self, items: False), paced, {}),
    "I20 retires": (around(LeaseBook, "_let_go", lambda let_go, self: let_go(self)[:0]), plain, {"recycles": 0.2}),
}


def first_of(invariant, scene, options):
    """The first break of this invariant; a fault may break others too, and under some seeds before it."""
    others = set()
    for seed in range(100):
        try:
            scene(seed, **options)
        except InvariantBroken as broken:
            if broken.invariant == invariant:
                return broken
            others.add(broken.invariant)
    pytest.fail(f"{invariant} was never broken; found: {others}")


@pytest.mark.parametrize("name", BREAKS)
def test_a_rule_finds_what_it_is_there_for(name, monkeypatch):
    break_it, scene, options = BREAKS[name]
    for seed in range(10):
        scene(seed, **options)
    break_it(monkeypatch)
    broken = first_of(name.split()[0], scene, options)
    assert f"seed {broken.seed}" in str(broken)
