"""What the class of a server says about its methods, what those return where they have no answer, and what none of
them is ever asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from slither_actors.errors import InvalidOption
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

_OF_SUPERVISORS = frozenset(
    (
        ChangeSupervisor,
        CountChildren,
        DeleteChild,
        GetChildSpec,
        RestartChild,
        StartChild,
        TerminateChild,
        WhichChildren,
    )
)

_Handler = TypeVar("_Handler", bound=Callable[..., None])


def handles(*classes: type) -> Callable[[_Handler], _Handler]:
    """Mark a method `(self, message, sender)` as the handler of these message classes."""

    def mark(function: _Handler) -> _Handler:
        function._handled = classes  # type: ignore[attr-defined]
        return function

    return mark


def check_addressee(request: Any, name: str, is_supervisor: bool) -> None:
    """Keep what only supervisors understand from the handlers of others, which may be a user's.

    Raises:
        InvalidOption: this is for a supervisor, and the process of this name is none.
    """
    if type(request) in _OF_SUPERVISORS and not is_supervisor:
        got = f"{name!r}, which is no supervisor"
        raise InvalidOption("supervisor", "to", got, "the name or Ref of a supervisor")


class Later:
    """What `init` or `handle_call` returns when the answer comes later."""

    def __reduce__(self) -> str:
        return "LATER"  # there is one, also for a class that travels by value


LATER = Later()


class Ignore:
    """What `init` returns when this process is not wanted, which is no failure."""

    def __reduce__(self) -> str:
        return "IGNORE"


IGNORE = Ignore()
