"""The supervisor without its process: events go in, a list of actions comes out; no clock, no messages, no waiting."""

import enum
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from slither_actors.otp import _rulings as rulings
from slither_actors.otp._actions import (
    Action,
    ApiError,
    Cause,
    GiveUp,
    Reply,
    RetryLater,
    Started,
    StartFailed,
    Stopped,
)
from slither_actors.otp._budget import RestartBudget
from slither_actors.otp._by_hand import ByHand
from slither_actors.otp._plans import ALL, Plan, PlanRunner, nothing
from slither_actors.otp._roster import Child, ChildCounts, ChildInfo, Roster, Status
from slither_actors.otp._template import Template, check_change
from slither_actors.otp.backoff import Backoff
from slither_actors.otp.child import ChildSpec, ExitReason, Restart, Strategy, SupervisorOptions, check_childspecs

# By a child's id, its exit and the time: after how many seconds it is restarted without a charge, if that is so.
PauseOf = Callable[[str, ExitReason, float], float | None]


class _Phase(enum.Enum):
    NEW = enum.auto()
    STARTING = enum.auto()
    UP = enum.auto()
    OVER = enum.auto()
    """Ending, or ended."""


class SupervisorCore:
    """Decides when which child is started, stopped or killed, and when the supervisor gives up.

    Each event method returns the actions that follow from it, to be carried out in order; if an event arises while
    they are carried out, its actions come after them. An incarnation is a number that one core never uses twice.
    Events of an incarnation that is not the present one are ignored, and so are repeated events. Every StartChild must
    lead to at least one ``child_exited`` in the end, also where the process could not be made. After ``StartFailed``,
    ``GiveUp`` or ``Stopped`` nothing lives, and nothing follows but refusals.

    An API method is answered by one ``Reply`` with the caller's token, at once or later; calls that are open when the
    supervisor begins to end are answered with ``ApiError.SHUTDOWN``. Queries are answered at any time.

    Args:
        options: How the children hang together.
        specs: The initial children in start order; of a dynamic supervisor the template, if it has one.
        draw: Random numbers from 0 to 1, for the jitter of pauses.
        pause_s: Asked before a restart is charged, with the child's id, its exit and the time: after how many seconds
            it is restarted without a charge; None charges it.
        ruled: Told what becomes of each child that ended by itself.

    Raises:
        InvalidSpec: As ``check_childspecs``.
    """

    def __init__(
        self,
        options: SupervisorOptions,
        specs: Iterable[ChildSpec] = (),
        draw: Callable[[], float] = random.random,
        pause_s: PauseOf = lambda *death: None,
        ruled: Callable[[rulings.Ruling], None] = lambda ruling: None,
    ) -> None:
        specs = check_childspecs(options, specs)
        template = Template(specs[0]) if options.dynamic and specs else None
        self._options = options
        self._draw = draw
        self._pause_s = pause_s
        self._ruled = ruled
        self._roster = Roster(() if options.dynamic else specs)
        self._budget = RestartBudget(options.intensity, options.period_s)
        self._plans = PlanRunner(self._roster, dynamic=options.dynamic, lane_of=self._lane_of)
        self._by_hand = ByHand(self._roster, self._plans, self._lane_of, dynamic=options.dynamic, template=template)
        self._phase = _Phase.NEW
        self._now = 0.0
        self._retry_asked = False

    # Events of the supervisor

    def start(self, now: float) -> list[Action]:
        """Start the initial children; leads to ``Started`` or ``StartFailed``. Only the first call counts."""
        if self._phase is _Phase.NEW:
            self._now = now
            self._phase = _Phase.STARTING
            at_once = self._options.parallel_start
            self._plans.run(Plan(ALL, self._is_up, self._cannot_start, starts=self._roster, at_once=at_once))
        return self._plans.take_actions()

    def stop(self, now: float) -> list[Action]:
        """Stop all children, also one that is just starting; leads to ``Stopped``, unless an end is under way."""
        self._now = now
        if self._phase is not _Phase.OVER:
            self._end(Stopped())
        return self._plans.take_actions()

    def retry(self, now: float) -> list[Action]:
        """Restart the children whose turn has come: the last restart failed, or their pause is over."""
        self._now = now
        self._retry_asked = False
        for child in [child for child in self._roster if self._is_due(child)]:
            self._plans.submit(child.id, partial(self._retry_one, child))
        return self._plans.take_actions()

    # Events of children

    def child_started(self, child_id: str, incarnation: int, now: float) -> list[Action]:
        """The child is up."""
        child = self._roster.find(child_id, incarnation)
        if child is not None and child.status is Status.STARTING:
            self._now = child.up_since = now
            self._plans.child_is_up(child)
        return self._plans.take_actions()

    def child_ignored(self, child_id: str, incarnation: int, now: float) -> list[Action]:
        """The child does not want to run, which is no failure: it is ending. What follows waits for its exit."""
        child = self._roster.find(child_id, incarnation)
        if child is not None and child.status is Status.STARTING:
            self._now = now
            child.ignored = True
        return self._plans.take_actions()

    def child_start_failed(self, child_id: str, incarnation: int, reason: ExitReason, now: float) -> list[Action]:
        """The child said that it cannot start, or its time is over. It is killed; what follows waits for its exit."""
        child = self._roster.find(child_id, incarnation)
        if child is not None and child.status is Status.STARTING:
            self._now = now
            child.failure = reason
            self._plans.kill(child, Status.FAILING)
        return self._plans.take_actions()

    def child_exited(
        self, child_id: str, incarnation: int, reason: ExitReason, now: float, charge: bool = True
    ) -> list[Action]:
        """The process of the child is gone.

        Args:
            child_id: Which child.
            incarnation: Which process of it.
            reason: What it announced; ``unknown`` where it announced nothing.
            now: The time, of a clock that never goes back.
            charge: False if the death is charged elsewhere: the child is restarted, but not out of the budget.

        Returns:
            What to do.
        """
        child = self._roster.find(child_id, incarnation)
        if child is None or not child.is_alive:
            return []
        self._now = now
        before, child.status = child.status, Status.EXITED
        if before is Status.RUNNING:
            child.ran_s = now - child.up_since
            self._plans.submit(child_id, partial(self._ended_by_itself, child, incarnation, reason, charge))
        elif before is Status.STARTING and child.ignored:
            child.wanted = False
            self._plans.child_is_gone(child)
        elif before in (Status.STARTING, Status.FAILING):
            self._plans.child_failed(child, child.failure or reason)
        else:
            self._plans.child_is_gone(child)
        return self._plans.take_actions()

    def child_stop_timeout(self, child_id: str, incarnation: int) -> list[Action]:
        """The time for a polite stop is over: kill the child if it still lives."""
        child = self._roster.find(child_id, incarnation)
        if child is not None and child.status is Status.STOPPING:
            self._plans.kill(child, Status.KILLING)
        return self._plans.take_actions()

    # API

    def start_child(self, spec: ChildSpec, now: float, token: object) -> list[Action]:
        """Add a child and start it. The spec is not kept if the child does not come up."""
        return self._call(token, partial(self._by_hand.start, spec), now)

    def start_more(self, args: Any, now: float, token: object) -> list[Action]:
        """Add a child of the template, with these arguments behind those that all have, and start it."""
        return self._call(token, partial(self._by_hand.start_more, args), now)

    def terminate_child(self, child_id: str, now: float, token: object, incarnation: int | None = None) -> list[Action]:
        """Stop a child, or end the attempts to restart it. The spec stays, unless it is temporary or dynamic.

        Where there is a template a child is meant by its incarnation too; one that is dead already is fine.
        """
        return self._call(token, partial(self._by_hand.terminate, child_id, incarnation), now)

    def restart_child(self, child_id: str, now: float, token: object) -> list[Action]:
        """Start a child that is stopped; it stays stopped if it does not come up."""
        return self._call(token, partial(self._by_hand.restart, child_id), now)

    def delete_child(self, child_id: str, token: object) -> list[Action]:
        """Forget the spec of a child that is stopped."""
        return self._call(token, partial(self._by_hand.delete, child_id), self._now)

    def change(self, options: SupervisorOptions, specs: Iterable[ChildSpec], now: float, token: object) -> list[Action]:
        """Take new options, and new specs of children: known ones run on as they are, new ones are not started, and
        those that are missing stay.

        Raises:
            InvalidSpec: As ``check_childspecs``, or ``dynamic`` would change; all is as it was.
        """
        specs = check_change(self._options, self._by_hand.template, options, specs)

        def apply() -> None:
            self._options = options
            self._budget.change(options.intensity, options.period_s)

        return self._call(token, partial(self._by_hand.change, apply, specs), now)

    def which_children(self) -> tuple[ChildInfo, ...]:
        """All children, newest first, as they are now."""
        return self._roster.which()

    def count_children(self) -> ChildCounts:
        """How many specs, living processes, supervisors and workers there are now."""
        return self._roster.counts()

    def get_childspec(self, child_id: str) -> ChildSpec | ApiError:
        """The spec of one child, or ``ApiError.NOT_FOUND``."""
        child = self._roster.find(child_id)
        return ApiError.NOT_FOUND if child is None else child.spec

    def _call(self, token: object, operation: Callable[[object], None], now: float) -> list[Action]:
        self._now = now
        if self._phase is _Phase.OVER:
            self._plans.emit(Reply(token, error=ApiError.SHUTDOWN))
        else:
            operation(token)
        return self._plans.take_actions()

    # Restarts

    def _ended_by_itself(self, child: Child, incarnation: int, reason: ExitReason, charge: bool) -> None:
        if child.status is not Status.EXITED or child.incarnation != incarnation:
            # a group restart has dealt with it while this waited
            self._ruled(rulings.overtaken(child, incarnation))
        elif child.spec.restart.revives(reason):
            self._restart(child, reason, charge=charge)
        else:
            self._ruled(rulings.retired(child))
            child.wanted = False
            self._plans.retire(child)

    def _restart(self, child: Child, reason: ExitReason, *, charge: bool = True) -> None:
        cause = Cause(child.id, reason)
        uncharged_s = self._pause_s(child.id, reason, self._now) if charge else None
        charge = charge and uncharged_s is None
        if uncharged_s:
            self._ruled(rulings.restarted_later(child, False, self._options, uncharged_s))
            self._await(child, reason, uncharged_s)
        elif charge and not self._budget.spend(self._now, cause):
            self._ruled(ruling := rulings.gave_up(child, self._options))
            self._end(GiveUp(ExitReason("shutdown", ruling.rule), self._budget.causes), cause)
        elif charge and child.spec.backoff is not None:
            self._pause(child, cause, child.spec.backoff)
        else:
            self._ruled(rulings.restarted(child, charge, self._options, self._stops_with(child)))
            self._start_again(child, cause)

    def _start_again(self, child: Child, cause: Cause) -> None:
        """Stop the children that hang together with this one, and start them all."""
        stops, starts = self._stops_with(child), [member for member in self._group_of(child) if self._returns(member)]
        self._plans.run(Plan(self._lane_of(child.id), nothing, self._restart_failed, stops, starts, cause=cause))

    def _pause(self, child: Child, cause: Cause, backoff: Backoff) -> None:
        """Stop those that hang together with this one now, and start them all when its pause is over."""
        pause_s = child.next_pause_s(backoff, self._draw())
        self._ruled(rulings.restarted_later(child, True, self._options, pause_s))

        def done() -> None:
            self._await(child, cause.reason, pause_s)

        self._plans.run(Plan(self._lane_of(child.id), done, stops=self._stops_with(child), cause=cause))

    def _await(self, child: Child, reason: ExitReason, pause_s: float | None) -> None:
        """Restart the child later: after a pause, which comes behind the charge, or as soon as may be, to be charged
        then."""
        child.status, child.failure = Status.RESTARTING, reason
        child.due, child.paid = self._now + (pause_s or 0.0), pause_s is not None
        if pause_s is not None:
            self._plans.emit(RetryLater(pause_s))
        elif not self._retry_asked:
            self._retry_asked = True
            self._plans.emit(RetryLater())

    def _restart_failed(self, child: Child, reason: ExitReason) -> None:
        # Not tried again at once: calls that wait get through first, and terminate_child can end the attempts.
        child.ran_s = 0.0
        self._await(child, reason, None)

    def _is_due(self, child: Child) -> bool:
        return child.status is Status.RESTARTING and child.due <= self._now

    def _retry_one(self, child: Child) -> None:
        if not self._is_due(child) or child.failure is None:
            return
        if child.paid:
            self._start_again(child, Cause(child.id, child.failure))
        else:
            self._restart(child, child.failure)

    def _stops_with(self, child: Child) -> list[Child]:
        return [member for member in reversed(self._group_of(child)) if member is not child]

    def _returns(self, member: Child) -> bool:
        """Whether a group restart starts this one."""
        return member.spec.restart is not Restart.TEMPORARY and (member.wanted or self._options.revive_stopped)

    def _group_of(self, child: Child) -> list[Child]:
        match self._options.strategy:
            case Strategy.ONE_FOR_ONE:
                return [child]
            case Strategy.ONE_FOR_ALL:
                return list(self._roster)
            case Strategy.REST_FOR_ONE:
                return self._roster.since(child)

    # Beginning and end

    def _lane_of(self, child_id: str) -> str:
        independent = self._phase is _Phase.UP and self._options.strategy is Strategy.ONE_FOR_ONE
        return child_id if independent else ALL

    def _is_up(self) -> None:
        self._phase = _Phase.UP
        self._plans.emit(Started())

    def _cannot_start(self, child: Child, reason: ExitReason) -> None:
        self._end(StartFailed(child.id, reason), Cause(child.id, reason))

    def _end(self, last: StartFailed | GiveUp | Stopped, cause: Cause | None = None) -> None:
        """Stop all children, whatever they are doing, newest first; then say ``last``."""
        self._phase = _Phase.OVER
        self._plans.abandon()
        self._by_hand.refuse_all()

        done = partial(self._plans.emit, last)
        at_once = self._options.dynamic or self._options.parallel_stop
        self._plans.run(Plan(ALL, done, stops=reversed(self._roster), at_once=at_once, cause=cause))
