"""What callers ask of a supervisor, as calls of its core, and the core's answers in the words of the callers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors._record import record
from slither_actors.errors import ChildRefused, SlitherError, StartError
from slither_actors.otp._actions import Action, ApiError, Reply
from slither_actors.otp._restarts import SupervisorCore
from slither_actors.otp._roster import Status
from slither_actors.otp.child import ChildSpec, ExitReason
from slither_actors.otp.messages import (
    ChangeSupervisor,
    CountChildren,
    DeleteChild,
    GetChildSpec,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import Caller

_HINTS = {
    ApiError.ALREADY_STARTED: "it runs already",
    ApiError.ALREADY_PRESENT: "it is stopped, but not forgotten: restart_child starts it, delete_child forgets it",
    ApiError.RUNNING: "it runs: terminate_child stops it",
    ApiError.RESTARTING: "it is being restarted: terminate_child ends that",
    ApiError.NOT_FOUND: "the supervisor has no such child",
    ApiError.SIMPLE_ONE_FOR_ONE: "a dynamic supervisor forgets children that end, and start_child adds new ones; "
    "where it has a template that takes arguments, and terminate_child a Ref",
    ApiError.INVALID_CHILD_SPEC: "the supervisor has no template: start_child takes a ChildSpec",
    ApiError.SHUTDOWN: "the supervisor is stopping",
}


@record
class Request:
    """The core's token for a call that is answered later."""

    caller: Caller
    child_id: str


class Requests:
    """Calls of a supervisor's API.

    Args:
        core: decides.
        name: the name of the supervisor, "" for the root.
        ref_of: the `Ref` of one incarnation of a child that is up, else `None`.
    """

    def __init__(self, core: SupervisorCore, name: str, ref_of: Callable[[str, int], Ref | None]) -> None:
        self._core = core
        self._name = name
        self._ref_of = ref_of

    def answer(self, request: Any) -> Any:
        """The answer to a question, which nothing has to be done for; `None` if it is none.

        Raises:
            ChildRefused: there is no such child.
        """
        match request:
            case GetChildSpec(child_id):
                found = self._core.get_childspec(child_id)
                if isinstance(found, ApiError):
                    raise self._refusal(child_id, found)
                return found
            case WhichChildren():
                return self._core.which_children()
            case CountChildren():
                return self._core.count_children()
        return None

    def carry_out(self, request: Any, caller: Caller, now: float) -> list[Action] | None:
        """What the core wants done for a request, which it answers by a `Reply`; `None` if it is none.

        Raises:
            ChildRefused: the child is another supervisor's. InvalidSpec: a change that cannot be.
        """
        core = self._core
        match request:
            case StartChild(ChildSpec() as spec):
                return core.start_child(spec, now, Request(caller, spec.id))
            case StartChild(args):
                return core.start_more(args, now, Request(caller, ""))
            case TerminateChild(Ref() as ref):
                return self._terminate(ref, caller, now)
            case TerminateChild(str() as child_id):
                return core.terminate_child(child_id, now, Request(caller, child_id))
            case RestartChild(child_id):
                return core.restart_child(child_id, now, Request(caller, child_id))
            case DeleteChild(child_id):
                return core.delete_child(child_id, Request(caller, child_id))
            case ChangeSupervisor(options, specs):
                return core.change(options, specs, now, Request(caller, ""))
        return None

    def _terminate(self, ref: Ref, caller: Caller, now: float) -> list[Action]:
        parent, _, child_id = ref.name.rpartition("/")
        if parent != self._name:
            raise ChildRefused(ref.name, ApiError.NOT_FOUND.value, _HINTS[ApiError.NOT_FOUND])
        known = self._ref_of(child_id, ref.incarnation)
        # one of an earlier process of this supervisor, which may have had the same number, is dead
        incarnation = ref.incarnation if known in (None, ref) else 0
        return self._core.terminate_child(child_id, now, Request(caller, child_id), incarnation)

    def reply(self, reply: Reply) -> tuple[Caller, Any, SlitherError | None]:
        """The core's answer: to whom, a value, and an error."""
        request = reply.token
        assert isinstance(request, Request)
        child_id = reply.child_id or request.child_id
        ref = None if reply.value is None else self._ref_of(child_id, reply.value)
        error: SlitherError | None = None
        if isinstance(reply.error, ApiError):
            error = self._refusal(child_id, reply.error, ref)
        elif isinstance(reply.error, ExitReason):
            error = StartError(self._child_name(child_id), reply.error.text or reply.error.kind)
        elif ref is None and reply.value is not None:
            error = StartError(self._child_name(child_id), "it ended at once")
        return request.caller, None if error else ref, error

    def _refusal(self, child_id: str, error: ApiError, running: Ref | None = None) -> ChildRefused:
        return ChildRefused(self._child_name(child_id), error.value, _HINTS[self._situation(child_id, error)], running)

    def _situation(self, child_id: str, error: ApiError) -> ApiError:
        """OTP has one word for a child that is there without a process, whether it is to get one again or not."""
        children = self._core.which_children() if error is ApiError.ALREADY_PRESENT else ()
        restarting = (child.child_id for child in children if child.status is Status.RESTARTING)
        return ApiError.RESTARTING if child_id in restarting else error

    def _child_name(self, child_id: str) -> str:
        return "/".join(filter(None, (self._name, child_id)))
