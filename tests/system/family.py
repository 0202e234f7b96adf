"""Supervisors of one's own, and actors that link, continue, cling or do not want to run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from slither_actors.otp import (
    IGNORE,
    Caller,
    ChildSpec,
    ExitReason,
    Ref,
    Server,
    Strategy,
    Supervisor,
    SupervisorOptions,
)
from tests.system.leaves import Leaf, Told


class Kin(Leaf):
    """Links with others."""

    def do_link(self, to: Any) -> None:
        self.link(to)
        self.unlink(self.life.address)  # nothing; but the registry answers in order, so the link stands when it has

    def do_unlink(self, to: Any) -> None:
        self.unlink(to)

    def do_unlink_when_it_is_dead(self, ref: Ref) -> list[str]:
        """Kill another and wait until the news of its end has arrived, before this process could read it."""
        os.kill(ref.pid, 9)
        while not any(type(message).__name__ == "LinkEnded" for message, _ in self.life.transport.hub.inbox):
            self.life.transport.hub.poll(1.0)
        self.unlink(ref)
        return [type(message).__name__ for message, _ in self.life.transport.hub.inbox]


class Survivor(Kin):
    """Takes note of the ends of those it is linked with, and lives on."""

    def handle_exit(self, ref: Ref, reason: ExitReason) -> None:
        self._seen.append(f"{ref.name} {reason.kind}")


class Stepwise(Leaf):
    """Goes on after `init`, and after a call."""

    def init(self) -> Any:
        self.continue_with("set up")
        self.continue_with("and more")

    def handle_continue(self, what: Any) -> None:
        self._seen.append(what)
        if what == "set up":
            self.continue_with("at the end")
        if what == "break":
            raise Told("on the way")

    def do_go_on(self, what: str) -> None:
        self.continue_with(what)


class Unwilling(Leaf):
    """Does not want to run; or only where there is no such file."""

    def __init__(self, flag: str = "/") -> None:
        super().__init__()
        self._flag = flag

    def init(self) -> Any:
        return IGNORE if os.path.exists(self._flag) else None


class Clinging(Leaf):
    """Does not end when it is asked to."""

    def terminate(self, reason: ExitReason) -> None:
        time.sleep(60)


class Deserter(Leaf):
    """Ends without a word when it is asked to."""

    def terminate(self, reason: ExitReason) -> None:
        os._exit(0)


class Diarist(Leaf):
    """Writes its name down when it ends."""

    def terminate(self, reason: ExitReason) -> None:
        self.write(self.name.rpartition("/")[2])


class Shop(Supervisor):
    """Makes its plan in its own process."""

    def __init__(self, how: str, count: int = 2) -> None:
        self._how = how
        self._count = count
        self._infos: list[Any] = []

    def init(self) -> Any:
        plans: dict[str, Callable[[], Any]] = {
            "open": lambda: (
                SupervisorOptions(strategy=Strategy.ONE_FOR_ALL),
                (self._clerk(n) for n in range(self._count)),
            ),
            "ignore": lambda: IGNORE,
            "rubbish": lambda: 42,
            "half": lambda: (SupervisorOptions(), None),
            "twins": lambda: (SupervisorOptions(), [self._clerk(1), self._clerk(1)]),
            "raise": self._raise,
        }
        return plans[self._how]()

    def _clerk(self, number: int) -> ChildSpec:
        return ChildSpec(f"clerk-{number}", Leaf)

    def _raise(self) -> None:
        raise Told("in init")

    def child_up(self, ref: Ref, info: Any) -> None:
        self._infos.append(info)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        return self._infos if request == "infos" else super().handle_call(request, caller)


class Greeter(Server):
    """Has arguments of a template and of its own."""

    def __init__(self, word: str, name: str = "all") -> None:
        self._text = f"{word} {name}"

    def handle_call(self, request: Any, caller: Caller) -> Any:
        return self._text
