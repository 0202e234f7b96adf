"""Carries out the plan of a chaos, step by step; clock, signals and the list of processes are handed in."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import Protocol

import attrs

from slither_actors.testing._chaos_hold import Hold
from slither_actors.testing._chaos_plan import Aim, ChaosOptions, Strike, schedule
from slither_actors.testing._chaos_report import ChaosReport, Hit
from slither_actors.testing._chaos_roles import Process, Target, targets_of
from slither_actors.testing._chaos_watch import Watch

# How often it looks who lives: a process that came back is known to be back no earlier.
_GLANCE_S = 0.05


class Grip(Protocol):
    """A hold on one process that never becomes one on another process of the same number."""

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; false if the process is gone."""

    def release(self) -> None:
        """Let go of it."""


@attrs.frozen
class Surroundings:
    """All that a campaign knows of the world.

    Attributes:
        look: who lives; `None` when the system is gone.
        grip: takes hold of a process; `None` where it is gone.
        clock: seconds.
        wait: waits for that many seconds, or less; true when the campaign shall end.
        sleep: waits for that many seconds.
    """

    look: Callable[[], Iterable[Process] | None]
    grip: Callable[[Process], Grip | None]
    clock: Callable[[], float]
    wait: Callable[[float], bool]
    sleep: Callable[[float], None]


@attrs.define
class _Held:
    hold: Hold
    grip: Grip


class Campaign:
    """One chaos. `run` is called once; `report` at any time, also if `run` raised."""

    def __init__(self, options: ChaosOptions, world: Surroundings) -> None:
        self._options = options
        self._world = world
        self._strikes = schedule(options)
        self._next = next(self._strikes, None)
        self._aim = Aim(options)
        self._watch = Watch()
        self._held: dict[int, _Held] = {}
        self._hits: list[tuple[Strike, Target, float]] = []
        self._killed: set[Process] = set()
        self._missed = 0
        self._living: tuple[Process, ...] = ()
        self._looked_s = -_GLANCE_S
        self._began = world.clock()
        self._seconds = 0.0
        self._alive = True

    def run(self) -> None:
        """Strike until the time is over, `wait` says so, or the system is gone; whatever ends it, nobody stays stopped.

        Then the tree is given `settle_s` to bring back who is missing.
        """
        self._began = self._world.clock()
        try:
            while self._goes_on():
                if self._world.wait(self._pause_s()):
                    break
        finally:
            self._seconds = self._now()
            self._release_all()
        self._settle()

    def _goes_on(self) -> bool:
        """Do all that is due; whether there is more to come."""
        now = self._now()
        due = self._next is not None and self._next.at_s <= now
        if due or now >= self._looked_s + _GLANCE_S:
            self._look(now)
        if due:
            self._strike(now)
        self._turn_holds()
        over = self._options.duration_s is not None and now >= self._options.duration_s
        return self._alive and not over

    def _pause_s(self) -> float:
        moments = [self._looked_s + _GLANCE_S, *(held.hold.due for held in self._held.values() if held.hold.due)]
        if self._next is not None:
            moments.append(self._next.at_s)
        if self._options.duration_s is not None:
            moments.append(self._options.duration_s)
        return max(0.0, min(moments) - self._now())

    def _look(self, now: float) -> None:
        living = self._world.look()
        self._looked_s = now
        self._alive = living is not None
        if living is not None:
            self._living = tuple(living)
            self._watch.see(self._living, now)

    def _strike(self, now: float) -> None:
        # The dead may be among the living for a while, on a machine with much to do.
        targets = tuple(target for target in targets_of(self._living) if target.process not in self._killed)
        young = self._watch.young(now)
        while self._next is not None and self._next.at_s <= now:
            strike, self._next = self._next, next(self._strikes, None)
            target = self._aim.choose(strike, targets, self._held.keys(), young, now)
            if target is None or not self._hit(strike, target, now):
                self._missed += 1
            elif strike.kind == "kill":
                doomed = tuple(other for other in targets if other.dies_with(target))
                self._killed.update(other.process for other in doomed)
                targets = tuple(other for other in targets if other not in doomed)

    def _hit(self, strike: Strike, target: Target, now: float) -> bool:
        """Begin a strike; false if its target has just gone."""
        grip = self._world.grip(target.process)
        if grip is None:
            return False
        if strike.kind == "kill":
            hit = grip.send(signal.SIGKILL)
            grip.release()
        else:
            hit = True
            self._held[target.process.pid] = _Held(Hold(strike, now), grip)
        if hit:
            self._watch.hit(strike, target, now)
            self._hits.append((strike, target, now))
        return hit

    def _turn_holds(self) -> None:
        for pid, held in list(self._held.items()):
            now = self._now()
            if held.hold.due is not None and held.hold.due <= now:
                number = held.hold.step(now)
                if number is not None and not held.grip.send(number):
                    held.hold.due = None  # it is dead
            if held.hold.due is None:
                self._held.pop(pid).grip.release()

    def _release_all(self) -> None:
        while self._held:
            _, held = self._held.popitem()
            held.grip.send(signal.SIGCONT)
            held.grip.release()

    def _settle(self) -> None:
        deadline = self._now() + self._options.settle_s
        while self._alive:
            self._look(self._now())
            if not self._watch.awaits(self._now()) or self._now() >= deadline:
                return
            self._world.sleep(_GLANCE_S)

    def _now(self) -> float:
        return self._world.clock() - self._began

    def report(self) -> ChaosReport:
        """What happened so far."""
        return ChaosReport(
            self._options.seed,
            self._seconds or self._now(),
            tuple(self._told(*hit) for hit in self._hits),
            self._missed,
            tuple(loss.process.name for loss in self._watch.losses if loss.strike is None),
            self._watch.missing,
            self._alive,
        )

    def _told(self, strike: Strike, target: Target, at_s: float) -> Hit:
        losses = [loss for loss in self._watch.losses if loss.strike == strike.number]
        own = next((loss for loss in losses if loss.process == target.process), None)
        back_s = own.back_s if own else None
        return Hit(
            strike.number,
            at_s,
            strike.kind,
            target.process.name,
            target.process.pid,
            target.role,
            strike.lasts_s,
            strike.share,
            own is not None,
            None if back_s is None else back_s - at_s,
            tuple(loss.process.name for loss in losses if loss is not own),
        )
