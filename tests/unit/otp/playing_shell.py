"""Plays the actor around a `SupervisorCore`: pretended processes, a virtual clock, nested supervisors.

Every exit is reported twice, as Thespian may do, and no test can end up with two living processes of one child.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable

import attrs

from slither_actors.otp._actions import (
    Action,
    Cause,
    Forgotten,
    GiveUp,
    KillChild,
    Reply,
    Restarted,
    RetryLater,
    StartChild,
    Started,
    StartFailed,
    StopChild,
    Stopped,
)
from slither_actors.otp._restarts import SupervisorCore
from slither_actors.otp._rulings import Ruling
from slither_actors.otp.child import ChildSpec, ExitReason, Strategy, SupervisorOptions

NORMAL = ExitReason("normal")
SHUTDOWN = ExitReason("shutdown")
CRASH = ExitReason("crash", "ValueError: boom")
KILLED = ExitReason("killed", "SIGKILL")
UNANNOUNCED = ExitReason("unknown")
BROKEN = ExitReason("start_failed", "no such file")


def worker(child_id, **options):
    """A child whose `start` means nothing, since nobody runs it."""
    return ChildSpec(child_id, "a worker", **options)


def workers(ids, **options):
    return [worker(child_id, **options) for child_id in ids]


@attrs.frozen
class Tree:
    """What a child of type supervisor runs."""

    options: SupervisorOptions
    specs: tuple[ChildSpec, ...] = ()


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 0.0
        self._timers = []
        self._numbers = itertools.count()

    def call_in(self, delay_s, action):
        heapq.heappush(self._timers, (self.now + delay_s, next(self._numbers), action))

    def advance(self, seconds):
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, action = heapq.heappop(self._timers)
            action()
        self.now = end


@attrs.define(eq=False)
class Process:
    """One pretended process; `below` is set where it is a supervisor."""

    incarnation: int
    spec: ChildSpec
    is_up: bool = False
    is_asked_to_end: bool = False
    below: "PlayingShell | None" = None


class PlayingShell:
    """Carries out what a core wants.

    `broken` counts the starts of a child that are still to fail, `slow` children come up when the test calls
    `comes_up`, `ignoring` ones do not want to run, and `stubborn` ones ignore polite requests. A `manual` shell does
    nothing by itself: the test reports everything.
    """

    def __init__(
        self, specs=(), *, clock=None, manual=False, on_up=None, on_end=None, draw=lambda: 0.5, pause_s=None, **options
    ):
        self.rulings: list[Ruling] = []
        pause_s = pause_s or (lambda *death: None)
        self.core = SupervisorCore(SupervisorOptions(**options), specs, draw, pause_s, self.rulings.append)
        self.clock = clock or Clock()
        self.manual = manual
        self.holds_retries = manual
        self.broken: Counter[str] = Counter()
        self.slow: set[str] = set()
        self.ignoring: set[str] = set()
        self.stubborn: set[str] = set()
        self.living: dict[str, Process] = {}
        self.log: list[tuple[str, str]] = []
        self.restarted: list[Restarted] = []
        self.stopped_for: list[tuple[str, Cause | None]] = []
        self.forgotten: list[str] = []
        self.is_up = False
        self.is_dead = False
        self.end: StartFailed | GiveUp | Stopped | None = None
        self.retries = 0
        self._on_up: Callable[[], None] = on_up or (lambda: None)
        self._on_end: Callable[[ExitReason], None] = on_end or (lambda reason: None)
        self._queue: deque[Action] = deque()
        self._is_busy = False

    # What a test does

    def start(self):
        self._feed(self.core.start(self.clock.now))
        return self

    def stop(self):
        self._feed(self.core.stop(self.clock.now))

    def retry(self):
        self.retries = 0
        self._feed(self.core.retry(self.clock.now))

    def pause_is_over(self):
        self._feed(self.core.retry(self.clock.now))

    def exits(self, child_id, reason=CRASH, *, charge=True):
        """A child dies, and what it has below it; twice reported."""
        process = self.living.pop(child_id)
        if process.below is not None:
            process.below.dies_with_its_parent()
        self.log.append(("exit", child_id))
        for _ in range(2):
            self._feed(self.core.child_exited(child_id, process.incarnation, reason, self.clock.now, charge))

    def dies_with_its_parent(self):
        for process in self.living.values():
            if process.below is not None:
                process.below.dies_with_its_parent()
        self.living.clear()
        self.is_dead = True

    def comes_up(self, child_id):
        process = self.living[child_id]
        process.is_up = True
        self._feed(self.core.child_started(child_id, process.incarnation, self.clock.now))

    def does_not_want_to_run(self, child_id):
        process = self.living[child_id]
        self._feed(self.core.child_ignored(child_id, process.incarnation, self.clock.now))
        self.exits(child_id, UNANNOUNCED)

    def cannot_start(self, child_id):
        incarnation = self.living[child_id].incarnation
        self._feed(self.core.child_start_failed(child_id, incarnation, BROKEN, self.clock.now))

    def stop_time_is_over(self, child_id, incarnation):
        self._feed(self.core.child_stop_timeout(child_id, incarnation))

    # API calls give a list that holds the reply as soon as there is one. A list is also an odd token.

    def start_child(self, spec):
        return self._call(lambda token: self.core.start_child(spec, self.clock.now, token))

    def start_more(self, *args):
        return self._call(lambda token: self.core.start_more(args, self.clock.now, token))

    def terminate_child(self, child_id, incarnation=None):
        return self._call(lambda token: self.core.terminate_child(child_id, self.clock.now, token, incarnation))

    def change(self, specs=(), **options):
        changed = attrs.evolve(self.options, **options)
        return self._call(lambda token: self.core.change(changed, specs, self.clock.now, token))

    def restart_child(self, child_id):
        return self._call(lambda token: self.core.restart_child(child_id, self.clock.now, token))

    def delete_child(self, child_id):
        return self._call(lambda token: self.core.delete_child(child_id, token))

    def _call(self, method):
        answers: list[Reply] = []
        self._feed(method(answers))
        return answers

    # What a test looks at

    @property
    def options(self):
        """Those that count now: a change may still wait."""
        return self.core._options

    @property
    def ids(self):
        """All children that have a spec, in start order."""
        return [info.child_id for info in reversed(self.core.which_children())]

    def incarnation(self, child_id):
        return self.living[child_id].incarnation

    def incarnations(self):
        return {child_id: process.incarnation for child_id, process in self.living.items()}

    def status(self, child_id):
        return next(info.status.value for info in self.core.which_children() if info.child_id == child_id)

    def logged(self, *kinds):
        """The log as words ("stop a"), of all kinds or of some, and forgets it."""
        words = [f"{kind} {child_id}" for kind, child_id in self.log if not kinds or kind in kinds]
        self.log.clear()
        return words

    @property
    def _starts_one_by_one(self):
        """Whether no child may be started while another one is on its way up or down."""
        if self.is_up:
            return self.options.strategy is not Strategy.ONE_FOR_ONE
        return not self.options.parallel_start

    # Carrying out

    def _feed(self, actions):
        """Actions of an event that arises inside another come after those that still wait."""
        self._queue.extend(actions)
        if self._is_busy or self.is_dead:
            return
        self._is_busy = True
        while self._queue or (self.retries and not self.holds_retries):
            if self._queue:
                self._carry_out(self._queue.popleft())
            else:
                self.retry()
        self._is_busy = False

    def _carry_out(self, action):
        assert self.end is None or isinstance(action, Reply)
        match action:
            case StartChild(child_id, incarnation, spec):
                self._start_child(child_id, incarnation, spec)
            case StopChild(child_id, incarnation, shutdown_s, cause):
                self.stopped_for.append((child_id, cause))
                self._stop_child(child_id, incarnation, shutdown_s)
            case KillChild(child_id, incarnation):
                self._kill_child(child_id, incarnation)
            case Restarted():
                self.restarted.append(action)
            case Forgotten(child_id):
                assert child_id not in self.living
                self.forgotten.append(child_id)
            case RetryLater(pause_s) if pause_s:
                self.clock.call_in(pause_s, self.pause_is_over)
            case RetryLater():
                assert not self.retries
                self.retries += 1
            case Reply(token):
                assert token == []  # the very list of the caller, and its first answer
                assert isinstance(token, list)
                token.append(action)
            case Started():
                self.is_up = True
                self._on_up()
            case StartFailed() | GiveUp() | Stopped():
                assert not self.living
                self.end = action
                self._on_end(action.reason if not isinstance(action, Stopped) else SHUTDOWN)

    def _start_child(self, child_id, incarnation, spec):
        assert child_id not in self.living
        if self._starts_one_by_one:
            assert all(process.is_up and not process.is_asked_to_end for process in self.living.values())
        self.log.append(("start", child_id))
        process = self.living[child_id] = Process(incarnation, spec)
        if self.manual or child_id in self.slow:
            return
        if child_id in self.ignoring:
            self.does_not_want_to_run(child_id)
        elif self.broken[child_id]:
            self.broken[child_id] -= 1
            self.cannot_start(child_id)
        elif isinstance(spec.start, Tree):
            tree = spec.start
            options = attrs.asdict(tree.options)
            process.below = PlayingShell(
                tree.specs,
                clock=self.clock,
                on_up=lambda: self.comes_up(child_id),
                on_end=lambda reason: self.exits(child_id, reason),
                **options,
            )
            process.below.start()
        else:
            self.comes_up(child_id)

    def _stop_child(self, child_id, incarnation, shutdown_s):
        self.log.append(("stop", child_id))
        process = self.living[child_id]
        assert process.incarnation == incarnation
        assert process.is_up
        process.is_asked_to_end = True
        if self.manual:
            return
        if shutdown_s is not None:
            self.clock.call_in(shutdown_s, lambda: self.stop_time_is_over(child_id, incarnation))
        if process.below is not None:
            process.below.stop()
        elif child_id not in self.stubborn:
            self.exits(child_id, SHUTDOWN)

    def _kill_child(self, child_id, incarnation):
        self.log.append(("kill", child_id))
        process = self.living[child_id]
        assert process.incarnation == incarnation
        process.is_asked_to_end = True
        if not self.manual:
            self.exits(child_id, KILLED)
