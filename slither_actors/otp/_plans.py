"""Whatever takes time in a supervisor: stop these children one by one, then start those one by one.

Such a *plan* occupies a *lane* until it is done. Children that depend on each other share one lane, others have one
each, so that a slow start holds up nobody else. What is submitted for an occupied lane is deferred, as it would wait
in the mailbox of a supervisor that blocks. What is submitted *alone* waits for all lanes, and all that comes later
waits for it.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable

import attrs

from slither_actors.otp._actions import Action, Cause, Forgotten, KillChild, Restarted, StartChild, StopChild
from slither_actors.otp._roster import Child, Roster, Status
from slither_actors.otp.child import ExitReason, Restart

# The lane of children that depend on each other. No child id is empty.
ALL = ""


def nothing() -> None:
    """What follows where nothing is left to do."""


def _queue(children: Iterable[Child]) -> deque[Child]:
    return deque(children)


@attrs.define(eq=False)
class Plan:
    """Children to stop, in order, then children to start, in order; one at a time unless ``at_once``.

    ``failed`` takes over if a start fails; what is left of the plan is then dropped. ``cause`` is the exit that led to
    it: whoever is stopped is told, and whoever is started is reported as restarted.
    """

    lane: str
    done: Callable[[], None] = nothing
    failed: Callable[[Child, ExitReason], None] | None = None
    stops: deque[Child] = attrs.field(factory=deque, converter=_queue)
    starts: deque[Child] = attrs.field(factory=deque, converter=_queue)
    at_once: bool = False
    cause: Cause | None = None
    awaited: set[str] = attrs.field(factory=set)


class PlanRunner:
    """Carries out plans as the events of children come in, and collects the actions that follow.

    Args:
        roster: The children.
        dynamic: Whether children are forgotten when they end.
        lane_of: The lane of a child id, at this moment.
    """

    def __init__(self, roster: Roster, *, dynamic: bool, lane_of: Callable[[str], str]) -> None:
        self._roster = roster
        self._dynamic = dynamic
        self._lane_of = lane_of
        # Occupied from the beginning: what comes before the first plan waits for it.
        self._plans = {ALL: Plan(ALL)}
        self._deferred: dict[str, deque[tuple[str, Callable[[], None]]]] = {}
        self._freed: list[str] = []
        self._behind: deque[tuple[str | None, Callable[[], None]]] = deque()  # the first is None: it is to be alone
        self._incarnations = itertools.count(1)
        self._actions: list[Action] = []

    def emit(self, action: Action) -> None:
        """Add an action to those of the present event."""
        self._actions.append(action)

    def take_actions(self) -> list[Action]:
        """Do what waited for lanes that are free again, and hand over all actions of the present event."""
        self._use_free_lanes()
        while self._behind and not (self._behind[0][0] is None and self._plans):
            child_id, operation = self._behind.popleft()
            if child_id is None:
                operation()
            else:
                self._submit(child_id, operation)
            self._use_free_lanes()
        actions, self._actions = self._actions, []
        return actions

    def _use_free_lanes(self) -> None:
        # A loop on the outside, not a call from where a plan ends: a long queue would overflow the stack.
        while self._freed:
            lane = self._freed[-1]
            waiting = self._deferred.get(lane)
            if waiting and lane not in self._plans:
                self._submit(*waiting.popleft())
                continue
            self._freed.pop()
            if not waiting:
                self._deferred.pop(lane, None)

    def submit(self, child_id: str, operation: Callable[[], None]) -> None:
        """Do something that may begin a plan for a child: now, or when the child's lane is free."""
        if self._behind:
            self._behind.append((child_id, operation))
        else:
            self._submit(child_id, operation)

    def submit_alone(self, operation: Callable[[], None]) -> None:
        """Do something that no plan may see half done: when none is under way, and so none waits either."""
        self._behind.append((None, operation))

    def _submit(self, child_id: str, operation: Callable[[], None]) -> None:
        lane = self._lane_of(child_id)
        if lane in self._plans:
            self._deferred.setdefault(lane, deque()).append((child_id, operation))
        else:
            operation()

    def run(self, plan: Plan) -> None:
        """Begin a plan; its lane must be free, or given up by ``abandon``."""
        self._plans[plan.lane] = plan
        self._advance(plan)

    def abandon(self) -> None:
        """Drop all plans, and all that waits for them. Children they had begun to start or stop go on."""
        self._plans.clear()
        self._deferred.clear()
        self._behind.clear()

    def child_is_up(self, child: Child) -> None:
        """A child that was being started is running."""
        child.status = Status.RUNNING
        if child.spec.restart is Restart.TEMPORARY:
            child.spec = child.spec.without_args()  # they may be large, and are never needed again
        cause = self._plans[self._lane_of(child.id)].cause
        if cause is not None:
            self.emit(Restarted(child.id, child.previous, cause.reason))
        self._settle(child)

    def child_failed(self, child: Child, reason: ExitReason) -> None:
        """A child that was being started is gone."""
        plan = self._plans[self._lane_of(child.id)]
        if plan.failed is None:  # everything is being stopped, and so was this one
            self.child_is_gone(child)
            return
        self._leave(plan)
        plan.failed(child, reason)

    def child_is_gone(self, child: Child) -> None:
        """A child that was being stopped is gone."""
        self.retire(child)
        self._settle(child)

    def retire(self, child: Child) -> None:
        """Take note that a child is down and stays down; temporary and dynamic ones are forgotten."""
        if child.status is Status.STOPPED:
            return  # noted before: it was stopped by a plan that was abandoned
        child.status = Status.STOPPED
        if self._dynamic or child.spec.restart is Restart.TEMPORARY:
            self.forget(child)

    def forget(self, child: Child) -> None:
        """Drop the spec of a child that is down."""
        self._roster.remove(child)
        self.emit(Forgotten(child.id))

    def kill(self, child: Child, status: Status) -> None:
        """Kill a child; ``status`` says what for."""
        child.status = status
        self.emit(KillChild(child.id, child.incarnation))

    def _settle(self, child: Child) -> None:
        """One child of a plan is where it should be."""
        plan = self._plans.get(self._lane_of(child.id))
        if plan is not None and child.id in plan.awaited:
            plan.awaited.remove(child.id)
            self._advance(plan)

    def _advance(self, plan: Plan) -> None:
        while not plan.awaited and (plan.stops or plan.starts):
            queue, begin = (plan.stops, self._stop) if plan.stops else (plan.starts, self._start)
            for _ in range(len(queue) if plan.at_once else 1):
                begin(plan, queue.popleft())
        if not plan.awaited:
            self._leave(plan)
            plan.done()

    def _leave(self, plan: Plan) -> None:
        del self._plans[plan.lane]
        self._freed.append(plan.lane)

    def _start(self, plan: Plan, child: Child) -> None:
        child.previous, child.incarnation = child.incarnation, next(self._incarnations)
        child.status, child.failure, child.ignored, child.wanted = Status.STARTING, None, False, True
        plan.awaited.add(child.id)
        self.emit(StartChild(child.id, child.incarnation, child.spec))

    def _stop(self, plan: Plan, child: Child) -> None:
        if not child.is_alive:
            self.retire(child)
            return
        plan.awaited.add(child.id)
        # One that is still starting does not listen yet. One in any other state was asked by an abandoned plan.
        if child.status is Status.STARTING or (child.status is Status.RUNNING and child.spec.shutdown_s == 0):
            self.kill(child, Status.KILLING)
        elif child.status is Status.RUNNING:
            child.status = Status.STOPPING
            self.emit(StopChild(child.id, child.incarnation, child.spec.shutdown_s, plan.cause))
