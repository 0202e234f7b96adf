"""`SupervisorHandle`: the calls that every supervisor answers, as methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs

from slither_actors._codec import encode_parts
from slither_actors._keywords import known_keywords
from slither_actors._validators import checked_seconds
from slither_actors.errors import InvalidOption, shorten
from slither_actors.otp._roster import ChildCounts, ChildInfo
from slither_actors.otp.child import ChildSpec, SupervisorOptions, check_childspecs
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

_T = TypeVar("_T")


class SupervisorHandle:
    """A supervisor, seen from elsewhere. All methods wait for its answer.

    Args:
        to: its registered name, such as `"children"`, its `Ref` or its address.
        call: asks a process: `System.call`, or within an actor its own `call`.
        timeout_s: how long to wait. Starts and stops have limits of their own, in the specs of the children.

    Raises:
        ChildRefused: the supervisor refuses; `why` says with OTP's word what is in the way.
        NoProcess, CallTimeout: it is not there, or does not answer. `InvalidOption`: an argument is none of the kind.
    """

    def __init__(self, to: str | Ref, call: Callable[[str | Ref, Any, float], Any], timeout_s: float = 60.0) -> None:
        self._to = to
        self._call = call
        self._timeout_s = checked_seconds("supervisor", timeout_s)

    @known_keywords
    def start_child(self, spec: ChildSpec | tuple[Any, ...]) -> Ref | None:
        """Add a child and start it; a child that does not come up is not added.

        Args:
            spec: the child; under a dynamic supervisor with a template the arguments that this one has besides.

        Returns:
            Its `Ref`; `None` if its `init` returned `IGNORE`. Its spec is kept then too, unless the child is temporary
            or the supervisor dynamic.

        Raises:
            StartError: it did not come up.
            ChildRefused: "already_started", and `running` says as what; "already_present", "simple_one_for_one",
                "invalid_child_spec".
            NotPicklable: what it runs, or an argument, cannot travel.
        """
        if isinstance(spec, tuple):
            args = encode_parts(spec, (), "the arguments of a child")
            return self._started(StartChild(args))
        return self._started(StartChild(_checked("spec", spec, ChildSpec)))

    @known_keywords
    def terminate_child(self, child_id: str | Ref) -> None:
        """Stop a child, or end the attempts to restart it. Its spec stays for `restart_child`, unless the child is
        temporary or the supervisor dynamic. A child of a template is meant by its `Ref`; one that is dead is fine.

        Raises:
            ChildRefused: "not_found"; "simple_one_for_one" for an id where there is a template.
        """
        self._ask(TerminateChild(child_id if isinstance(child_id, Ref) else _checked("child_id", child_id, str)))

    @known_keywords
    def restart_child(self, child_id: str) -> Ref | None:
        """Start a child that is stopped; the answer is that of `start_child`.

        Raises:
            StartError: it did not come up, and stays stopped.
            ChildRefused: "running", "restarting", "not_found", "simple_one_for_one".
        """
        return self._started(RestartChild(_checked("child_id", child_id, str)))

    @known_keywords
    def delete_child(self, child_id: str) -> None:
        """Forget a child that is stopped. ChildRefused: "running", "restarting", "not_found", "simple_one_for_one"."""
        self._ask(DeleteChild(_checked("child_id", child_id, str)))

    @known_keywords
    def change(self, options: SupervisorOptions, children: Iterable[ChildSpec] = ()) -> None:
        """Give a running supervisor other options, and children other specs, once it has nothing under way.

        Children run on as they are: a new spec of a child that is there counts from its next start. A child that is
        new is not started; `restart_child` does that. One that is missing stays. Should the supervisor itself be
        restarted, it begins with what it was started with.

        Args:
            options: all of its options; `dynamic` must be as it was.
            children: specs of children that are there or new; of a dynamic supervisor its new template.

        Raises:
            InvalidSpec: what cannot be; all is as it was.
        """
        _checked("options", options, SupervisorOptions)
        self._ask(ChangeSupervisor(options, check_childspecs(options, children)))

    def which_children(self) -> tuple[ChildInfo, ...]:
        """All children, newest first, and what each is doing."""
        children: tuple[ChildInfo, ...] = self._ask(WhichChildren())
        return children

    def count_children(self) -> ChildCounts:
        """How many specs, living processes, supervisors and workers there are."""
        counts: ChildCounts = self._ask(CountChildren())
        return counts

    @known_keywords
    def get_childspec(self, child_id: str) -> ChildSpec:
        """The spec of a child; its `start` in the form that travels. ChildRefused: "not_found"."""
        spec: ChildSpec = self._ask(GetChildSpec(_checked("child_id", child_id, str)))
        return attrs.evolve(spec, args=spec.args.open(f"args of child {child_id}"))

    def _started(self, request: Any) -> Ref | None:
        ref: Ref | None = self._ask(request)
        return ref

    def _ask(self, request: Any) -> Any:
        return self._call(self._to, request, self._timeout_s)


def _checked(option: str, value: _T, kind: type) -> _T:
    """What the supervisor is asked with: nothing that it would stumble over gets there."""
    if not isinstance(value, kind):
        raise InvalidOption("supervisor", option, shorten(value), f"a {kind.__name__}")
    return value
