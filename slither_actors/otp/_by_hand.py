"""What callers do with the children of a supervisor, beside what it does of its own accord."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from slither_actors.otp._actions import ApiError, Reply
from slither_actors.otp._plans import Plan, PlanRunner
from slither_actors.otp._roster import Child, Roster, Status
from slither_actors.otp._template import Template
from slither_actors.otp.child import ChildSpec, ExitReason


class ByHand:
    """Pure: API calls, each of which is answered by one ``Reply``, at once or when its plan is done.

    Args:
        roster: The children.
        plans: What carries out starts and stops.
        lane_of: The lane of a child id, at this moment.
        dynamic: Whether children are forgotten when they end.
        template: What the children of a dynamic supervisor have in common, where they are of one kind.
    """

    def __init__(
        self,
        roster: Roster,
        plans: PlanRunner,
        lane_of: Callable[[str], str],
        *,
        dynamic: bool,
        template: Template | None,
    ) -> None:
        self._roster = roster
        self._plans = plans
        self._lane_of = lane_of
        self._dynamic = dynamic
        self.template = template
        self._tickets = itertools.count()
        self._open: dict[int, object] = {}  # by ticket, since tokens may be equal, or not hashable

    # The calls; each takes the caller's token

    def start(self, spec: ChildSpec, token: object) -> None:
        """Add a child and start it."""
        ticket = self._admit(token)
        if self.template is not None:
            self._reply(ticket, error=ApiError.SIMPLE_ONE_FOR_ONE)
        else:
            self._plans.submit(spec.id, partial(self._start, spec, ticket))

    def start_more(self, args: Any, token: object) -> None:
        """Add a child of the template."""
        ticket = self._admit(token)
        if self.template is None:
            self._reply(ticket, error=ApiError.INVALID_CHILD_SPEC)
        else:
            spec = self.template.make(args)
            self._plans.submit(spec.id, partial(self._start, spec, ticket))

    def terminate(self, child_id: str, incarnation: int | None, token: object) -> None:
        """Stop a child: by its id, or by incarnation where there is a template."""
        ticket = self._admit(token)
        by_incarnation = incarnation is not None
        if by_incarnation is (self.template is not None):
            self._plans.submit(child_id, partial(self._terminate, child_id, incarnation, ticket))
        else:
            self._reply(ticket, error=ApiError.NOT_FOUND if by_incarnation else ApiError.SIMPLE_ONE_FOR_ONE)

    def restart(self, child_id: str, token: object) -> None:
        """Start a child that is stopped."""
        self._plans.submit(child_id, partial(self._restart, child_id, self._admit(token)))

    def delete(self, child_id: str, token: object) -> None:
        """Forget a child that is stopped."""
        self._plans.submit(child_id, partial(self._delete, child_id, self._admit(token)))

    def change(self, apply: Callable[[], None], specs: Iterable[ChildSpec], token: object) -> None:
        """Take new specs, and do something else, while nothing is under way."""
        self._plans.submit_alone(partial(self._change, apply, tuple(specs), self._admit(token)))

    def refuse_all(self) -> None:
        """Answer what is open: the supervisor is ending."""
        for ticket in list(self._open):
            self._reply(ticket, error=ApiError.SHUTDOWN)

    # What each does when its turn has come

    def _admit(self, token: object) -> int:
        ticket = next(self._tickets)
        self._open[ticket] = token
        return ticket

    def _reply(
        self,
        ticket: int,
        value: int | None = None,
        error: ApiError | ExitReason | None = None,
        child_id: str | None = None,
    ) -> None:
        self._plans.emit(Reply(self._open.pop(ticket), value, error, child_id))

    def _start(self, spec: ChildSpec, ticket: int) -> None:
        known = self._roster.find(spec.id)
        if known is None:
            self._start_for(self._roster.add(spec), ticket, keep=False)
        elif known.is_alive:
            self._reply(ticket, known.incarnation, ApiError.ALREADY_STARTED)
        else:
            self._reply(ticket, error=ApiError.ALREADY_PRESENT)

    def _restart(self, child_id: str, ticket: int) -> None:
        child = self._stopped_child(child_id, ticket)
        if child is not None:
            child.pauses = 0
            self._start_for(child, ticket, keep=True)

    def _delete(self, child_id: str, ticket: int) -> None:
        child = self._stopped_child(child_id, ticket)
        if child is not None:
            self._plans.forget(child)
            self._reply(ticket)

    def _terminate(self, child_id: str, incarnation: int | None, ticket: int) -> None:
        child = self._roster.find(child_id)
        if child is not None and (incarnation is None or self._is_meant(child, incarnation)):

            def done() -> None:
                child.wanted = False
                self._reply(ticket)

            self._plans.run(Plan(self._lane_of(child_id), done, stops=[child]))
        else:  # whoever says which process it means has met it: it is dead, as wished
            self._reply(ticket, error=ApiError.NOT_FOUND if incarnation is None else None)

    def _is_meant(self, child: Child, incarnation: int) -> bool:
        # between two processes it is the next one that would come
        return child.incarnation == incarnation or child.status is Status.RESTARTING

    def _stopped_child(self, child_id: str, ticket: int) -> Child | None:
        """The child if it may be restarted or deleted by hand; else the call is refused."""
        child = self._roster.find(child_id)
        if self._dynamic:
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
        child_id = child.id if self.template is not None else None

        def failed(child: Child, reason: ExitReason) -> None:
            child.status, child.wanted = Status.STOPPED, False
            if not keep:
                self._plans.forget(child)
            self._reply(ticket, error=reason, child_id=child_id)

        def done() -> None:
            self._reply(ticket, None if child.ignored else child.incarnation, child_id=child_id)

        self._plans.run(Plan(self._lane_of(child.id), done, failed, starts=[child]))

    def _change(self, apply: Callable[[], None], specs: tuple[ChildSpec, ...], ticket: int) -> None:
        apply()
        if self.template is not None:
            for spec in specs:
                self.template.spec = spec
        else:
            for spec in specs:
                self._take(spec)
        self._reply(ticket)

    def _take(self, spec: ChildSpec) -> None:
        known = self._roster.find(spec.id)
        if known is None:
            self._roster.add(spec).wanted = False
        else:
            known.spec = spec
