"""A supervisor's core under random events: against a model that blocks as OTP does, and step by step in any order."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.otp import Backoff
from slither_actors.otp._actions import GiveUp, Stopped
from slither_actors.otp.child import Restart, Strategy
from tests.unit.otp.playing_shell import CRASH, NORMAL, SHUTDOWN, UNANNOUNCED, PlayingShell, worker

pytestmark = pytest.mark.thorough

REASONS = st.sampled_from([NORMAL, SHUTDOWN, CRASH, UNANNOUNCED])
RESTARTS = st.sampled_from(list(Restart))
STRATEGIES = st.sampled_from(list(Strategy))
BACKOFFS = st.sampled_from([None, None, Backoff(min_s=2.0, max_s=7.0, jitter=0.5, reset_s=4.0)])


class BlockingModel:
    """What OTP's supervisor does, told as one that waits for each step; children are a list, oldest first."""

    def __init__(self, strategy, intensity, period_s, restarts):
        self.strategy, self.intensity, self.period_s = strategy, intensity, period_s
        self.restarts = dict(restarts)
        self.living = set(restarts)
        self.charges = []
        self.gave_up = False
        self.log = []

    def exits(self, child_id, reason, now, *, charge, broken):
        """One child dies; its next `broken` starts fail."""
        self.living.remove(child_id)
        restart = self.restarts[child_id]
        if restart is Restart.TEMPORARY:
            del self.restarts[child_id]
        elif restart is Restart.PERMANENT or not reason.is_normal:
            while not self.gave_up and not self._restart(child_id, now, charge=charge, fails=broken > 0):
                broken, charge = broken - 1, True

    def _restart(self, child_id, now, *, charge, fails):
        if charge:
            self.charges.append(now)
            if sum(1 for time in self.charges if time >= now - self.period_s) > self.intensity:
                self._stop(list(self.restarts))
                self.gave_up = True
                return False
        group = self._group(child_id)
        self._stop(group)
        for member in group:
            if self.restarts[member] is Restart.TEMPORARY:
                del self.restarts[member]
                continue
            self.log.append(f"start {member}")
            if fails and member == child_id:
                return False
            self.living.add(member)
        return True

    def _group(self, child_id):
        order = list(self.restarts)
        if self.strategy is Strategy.ONE_FOR_ONE:
            return [child_id]
        return order if self.strategy is Strategy.ONE_FOR_ALL else order[order.index(child_id) :]

    def _stop(self, group):
        for member in reversed(group):
            if member in self.living:
                self.living.remove(member)
                self.log.append(f"stop {member}")


@settings(max_examples=200, deadline=None)
@given(
    strategy=STRATEGIES,
    intensity=st.integers(0, 6),
    restarts=st.lists(RESTARTS, min_size=1, max_size=5),
    deaths=st.lists(
        st.tuples(st.integers(0, 4), REASONS, st.booleans(), st.integers(0, 2), st.sampled_from([0, 1, 2.5, 5, 6])),
        max_size=25,
    ),
)
def test_restarts_order_and_budget_are_those_of_a_supervisor_that_waits_for_each_step(
    strategy, intensity, restarts, deaths
):
    kinds = {f"c{number}": restart for number, restart in enumerate(restarts)}
    specs = [worker(child_id, restart=restart) for child_id, restart in kinds.items()]
    shell = PlayingShell(specs, strategy=strategy, intensity=intensity, period_s=5).start()
    model = BlockingModel(strategy, intensity, 5, kinds)
    shell.logged()
    for number, reason, charge, broken, pause_s in deaths:
        shell.clock.advance(pause_s)
        child_id = f"c{number % len(kinds)}"
        if child_id not in model.living:
            continue
        shell.broken.clear()
        shell.broken[child_id] = broken
        shell.exits(child_id, reason, charge=charge)
        model.exits(child_id, reason, shell.clock.now, charge=charge, broken=broken)
        assert shell.logged("start", "stop") == model.log
        model.log.clear()
        assert isinstance(shell.end, GiveUp) is model.gave_up
        assert set(shell.living) == model.living
        if model.gave_up:
            return
        assert shell.ids == list(model.restarts)


IDS = [f"c{number}" for number in range(5)]


class AnyOrder(RuleBasedStateMachine):
    """Nothing happens by itself: children come up, fail, die and linger in any order, and calls come at any time."""

    @initialize(
        strategy=STRATEGIES,
        dynamic=st.booleans(),
        parallel_start=st.booleans(),
        revive_stopped=st.booleans(),
        intensity=st.integers(0, 5),
        kinds=st.lists(st.tuples(RESTARTS, BACKOFFS), max_size=4),
    )
    def begin(self, strategy, dynamic, parallel_start, revive_stopped, intensity, kinds):
        specs = [
            worker(child_id, restart=restart, backoff=backoff)
            for child_id, (restart, backoff) in zip(IDS, kinds, strict=False)
        ]
        if dynamic:
            strategy, specs = Strategy.ONE_FOR_ONE, []
        self.calls = []
        self.ending_from = None
        self.was_asked = set()
        self.shell = PlayingShell(
            specs,
            manual=True,
            strategy=strategy,
            dynamic=dynamic,
            parallel_start=parallel_start,
            revive_stopped=revive_stopped,
            intensity=intensity,
        ).start()

    def any_living(self, number):
        living = sorted(self.shell.living)
        return living[number % len(living)]

    @precondition(lambda self: self.shell.living)
    @rule(number=st.integers(0, 4))
    def one_comes_up(self, number):
        child_id = self.any_living(number)
        if self.shell.status(child_id) in ("starting", "killing", "failing"):
            self.shell.comes_up(child_id)

    @precondition(lambda self: self.shell.living)
    @rule(number=st.integers(0, 4))
    def one_cannot_start(self, number):
        child_id = self.any_living(number)
        if not self.shell.living[child_id].is_up:
            self.was_asked.add(child_id)  # if the end has begun, it is killed before its turn
            self.shell.cannot_start(child_id)

    @precondition(lambda self: self.shell.living)
    @rule(number=st.integers(0, 4))
    def one_does_not_want_to_run(self, number):
        child_id = self.any_living(number)
        if not self.shell.living[child_id].is_up:
            self.shell.does_not_want_to_run(child_id)

    @precondition(lambda self: self.shell.living)
    @rule(number=st.integers(0, 4), reason=REASONS, charge=st.booleans())
    def one_dies(self, number, reason, charge):
        self.shell.exits(self.any_living(number), reason, charge=charge)

    @precondition(lambda self: self.shell.living)
    @rule(number=st.integers(0, 4))
    def the_time_to_stop_is_over(self, number):
        child_id = self.any_living(number)
        self.shell.stop_time_is_over(child_id, self.shell.incarnation(child_id))

    @rule()
    def a_retry_comes(self):
        self.shell.retry()

    @rule(seconds=st.sampled_from([0.5, 3, 6]))
    def time_passes(self, seconds):
        self.shell.clock.advance(seconds)

    @rule(child_id=st.sampled_from(IDS), restart=RESTARTS, backoff=BACKOFFS)
    def somebody_starts_a_child(self, child_id, restart, backoff):
        self.calls.append(self.shell.start_child(worker(child_id, restart=restart, backoff=backoff)))

    @rule(strategy=STRATEGIES, child_id=st.none() | st.sampled_from(IDS), restart=RESTARTS)
    def somebody_changes_it(self, strategy, child_id, restart):
        if self.shell.options.dynamic:
            strategy, child_id = Strategy.ONE_FOR_ONE, None
        specs = [] if child_id is None else [worker(child_id, restart=restart)]
        self.calls.append(self.shell.change(specs, strategy=strategy))

    @rule(child_id=st.sampled_from(IDS), method=st.sampled_from(["terminate_child", "restart_child", "delete_child"]))
    def somebody_calls(self, child_id, method):
        self.calls.append(getattr(self.shell, method)(child_id))

    @precondition(lambda self: self.shell.end is None and self.ending_from is None)
    @rule(really=st.integers(0, 5))
    def the_supervisor_is_stopped(self, really):
        if really == 0:  # seldom, or most runs would be over before they have begun
            self.order = self.shell.ids
            self.ending_from = len(self.shell.log)
            self.was_asked = {child for child, process in self.shell.living.items() if process.is_asked_to_end}
            self.shell.stop()

    @invariant()
    def the_core_knows_exactly_who_lives(self):
        infos = self.shell.core.which_children()
        known = {info.child_id: info.incarnation for info in infos if info.incarnation is not None}
        assert known == self.shell.incarnations()

    @invariant()
    def a_supervisor_that_gave_up_had_spent_its_budget_exactly(self):
        if isinstance(self.shell.end, GiveUp):
            assert len(self.shell.end.causes) == self.shell.options.intensity + 1

    def teardown(self):
        if not hasattr(self, "shell"):
            return
        self.comes_to_rest()
        assert all(len(answers) == 1 for answers in self.calls)
        if self.shell.end is None:
            assert {info.status.value for info in self.shell.core.which_children()} <= {"running", "stopped"}
            assert not any(process.is_asked_to_end for process in self.shell.living.values())
            self.order, self.ending_from, self.was_asked = self.shell.ids, len(self.shell.log), set()
            self.shell.stop()
            self.comes_to_rest()
            assert self.shell.end == Stopped()
        assert not self.shell.living
        if self.ending_from is not None and not self.shell.options.dynamic:
            self.the_end_was_orderly()

    def comes_to_rest(self):
        for _ in range(200):
            restless = [child for child, process in self.shell.living.items() if not process.is_up]
            leaving = [child for child, process in self.shell.living.items() if process.is_asked_to_end]
            if leaving:
                self.shell.exits(leaving[0], SHUTDOWN)
            elif restless:
                self.shell.comes_up(restless[0])
            elif self.shell.retries:
                self.shell.retry()
            elif any(info.status.value == "restarting" for info in self.shell.core.which_children()):
                self.shell.clock.advance(7.0)
            else:
                return
        raise AssertionError("never comes to rest")

    def the_end_was_orderly(self):
        """Newest first, and nobody is asked before the one in front of it is gone."""
        asked: list[str] = []
        gone: set[str] = set()
        for kind, child_id in self.shell.log[self.ending_from :]:
            assert kind != "start"
            if kind == "exit":
                gone.add(child_id)
            elif child_id not in asked and child_id not in self.was_asked:
                assert gone.issuperset(asked)
                asked.append(child_id)
        positions = [self.order.index(child_id) for child_id in asked]
        assert positions == sorted(positions, reverse=True)


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
