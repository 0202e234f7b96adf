"""The supervisor without its process: events go in, a list of actions comes out; no clock, no messages, no waiting."""

import enum
import itertools
from collections.abc import Callable, Iterable
from functools import partial

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
from slither_actors.otp._plans import ALL, Plan, PlanRunner, nothing
from slither_actors.otp._roster import Child, ChildCounts, ChildInfo, Roster, Status
from slither_actors.otp.child import ChildSpec, ExitReason, Restart, Strategy, SupervisorOptions, check_childspecs


class _Phase(enum.Enum):
    NEW = enum.auto()
    STARTING = enum.auto()
    UP = enum.auto()
    ENDING = enum.auto()
    ENDED = enum.auto()


_OVER = frozenset({_Phase.ENDING, _Phase.ENDED})


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
        specs: The initial children in start order.

    Raises:
        InvalidOption: As ``check_childspecs``.
    """

    def __init__(self, options: SupervisorOptions, specs: Iterable[ChildSpec] = ()) -> None:
        self._options = options
        self._roster = Roster(check_childspecs(options, specs))
        self._budget = RestartBudget(options.intensity, options.period_s)
        self._plans = PlanRunner(self._roster, dynamic=options.dynamic, lane_of=self._lane_of)
        self._phase = _Phase.NEW
        self._now = 0.0
        self._retry_asked = False
        self._tickets = itertools.count()
        self._calls: dict[int, object] = {}

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
        if self._phase not in _OVER:
            self._end(Stopped())
        return self._plans.take_actions()

    def retry(self, now: float) -> list[Action]:
        """Try again to restart the children whose last restart failed. Each attempt is charged."""
        self._now = now
        self._retry_asked = False
        for child in [child for child in self._roster if child.status is Status.RESTARTING]:
            self._plans.submit(child.id, partial(self._retry_one, child))
        return self._plans.take_actions()

    # Events of children

    def child_started(self, child_id: str, incarnation: int, now: float) -> list[Action]:
        """The child is up."""
        child = self._roster.find(child_id, incarnation)
        if child is not None and child.status is Status.STARTING:
            self._now = now
            self._plans.child_is_up(child)
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
            self._plans.submit(child_id, partial(self._ended_by_itself, child, incarnation, reason, charge))
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
        self._now = now
        return self._call(token, spec.id, partial(self._start_child, spec))

    def terminate_child(self, child_id: str, now: float, token: object) -> list[Action]:
        """Stop a child, or end the attempts to restart it. The spec stays, unless it is temporary or dynamic."""
        self._now = now
        return self._call(token, child_id, partial(self._terminate_child, child_id))

    def restart_child(self, child_id: str, now: float, token: object) -> list[Action]:
        """Start a child that is stopped; it stays stopped if it does not come up."""
        self._now = now
        return self._call(token, child_id, partial(self._restart_child, child_id))

    def delete_child(self, child_id: str, token: object) -> list[Action]:
        """Forget the spec of a child that is stopped."""
        return self._call(token, child_id, partial(self._delete_child, child_id))

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

    # What an API call does when its turn has come

    def _call(self, token: object, child_id: str, operation: Callable[[int], None]) -> list[Action]:
        ticket = next(self._tickets)  # tokens may be equal, or not hashable
        self._calls[ticket] = token
        if self._phase in _OVER:
            self._reply(ticket, error=ApiError.SHUTDOWN)
        else:
            self._plans.submit(child_id, partial(operation, ticket))
        return self._plans.take_actions()

    def _reply(self, ticket: int, value: int | None = None, error: ApiError | ExitReason | None = None) -> None:
        self._plans.emit(Reply(self._calls.pop(ticket), value, error))

    def _start_child(self, spec: ChildSpec, ticket: int) -> None:
        known = self._roster.find(spec.id)
        if known is None:
            self._start_for(self._roster.add(spec), ticket, keep=False)
        elif known.is_alive:
            self._reply(ticket, known.incarnation, ApiError.ALREADY_STARTED)
        else:
            self._reply(ticket, error=ApiError.ALREADY_PRESENT)

    def _restart_child(self, child_id: str, ticket: int) -> None:
        child = self._stopped_child(child_id, ticket)
        if child is not None:
            self._start_for(child, ticket, keep=True)

    def _delete_child(self, child_id: str, ticket: int) -> None:
        child = self._stopped_child(child_id, ticket)
        if child is not None:
            self._plans.forget(child)
            self._reply(ticket)

    def _terminate_child(self, child_id: str, ticket: int) -> None:
        child = self._roster.find(child_id)
        if child is None:
            self._reply(ticket, error=ApiError.NOT_FOUND)
        else:
            self._plans.run(Plan(self._lane_of(child_id), partial(self._reply, ticket), stops=[child]))

    def _stopped_child(self, child_id: str, ticket: int) -> Child | None:
        """The child if it may be restarted or deleted by hand; else the call is refused."""
        child = self._roster.find(child_id)
        if self._options.dynamic:
            error = ApiError.SIMPLE_ONE_FOR_ONE
        elif child is None:
            error = ApiError.NOT_FOUND
        elif child.status is Status.STOPPED:
            return child
        else:
            error = ApiError.RUNNING if child.is_alive else ApiError.RESTARTING
        self._reply(ticket, error=error)
        return None

    def _start_for(self, child: Child, ticket: int, *, keep: bool) -> None:
        """Start one child for a caller, who learns how it went."""

        def failed(child: Child, reason: ExitReason) -> None:
            child.status = Status.STOPPED
            if not keep:
                self._plans.forget(child)
            self._reply(ticket, error=reason)

        def done() -> None:
            self._reply(ticket, child.incarnation)

        self._plans.run(Plan(self._lane_of(child.id), done, failed, starts=[child]))

    # Restarts

    def _ended_by_itself(self, child: Child, incarnation: int, reason: ExitReason, charge: bool) -> None:
        if child.status is not Status.EXITED or child.incarnation != incarnation:
            return  # a group restart has dealt with it while this waited
        if child.spec.restart.revives(reason):
            self._restart(child, reason, charge=charge)
        else:
            self._plans.retire(child)

    def _restart(self, child: Child, reason: ExitReason, *, charge: bool = True) -> None:
        cause = Cause(child.id, reason)
        if charge and not self._budget.spend(self._now, cause):
            text = f"more than {self._options.intensity} restarts within {self._options.period_s:g} s"
            self._end(GiveUp(ExitReason("shutdown", text), self._budget.causes), cause)
            return
        group = self._group_of(child)
        stops = [member for member in reversed(group) if member is not child]
        starts = [member for member in group if member.spec.restart is not Restart.TEMPORARY]
        self._plans.run(Plan(self._lane_of(child.id), nothing, self._restart_failed, stops, starts, cause=cause))

    def _restart_failed(self, child: Child, reason: ExitReason) -> None:
        # Not tried again at once: calls that wait get through first, and terminate_child can end the attempts.
        child.status, child.failure = Status.RESTARTING, reason
        if not self._retry_asked:
            self._retry_asked = True
            self._plans.emit(RetryLater())

    def _retry_one(self, child: Child) -> None:
        if child.status is Status.RESTARTING and child.failure is not None:
            self._restart(child, child.failure)

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
        self._end(StartFailed(child.id, reason))

    def _end(self, last: StartFailed | GiveUp | Stopped, cause: Cause | None = None) -> None:
        """Stop all children, whatever they are doing, newest first; then say ``last``."""
        self._phase = _Phase.ENDING
        self._plans.abandon()
        for ticket in list(self._calls):
            self._reply(ticket, error=ApiError.SHUTDOWN)

        def done() -> None:
            self._phase = _Phase.ENDED
            self._plans.emit(last)

        self._plans.run(Plan(ALL, done, stops=reversed(self._roster), at_once=self._options.dynamic, cause=cause))
