"""Actors that talk to each other, and errors and requests of their own."""

from __future__ import annotations

import threading
import time
from typing import Any

import attrs

from slither_actors.errors import SlitherError
from slither_actors.otp import Caller, ExitReason, Monitor, Ref, Server


class Refused(SlitherError):
    """An error of the user's own."""


@attrs.frozen
class Add:
    """A request of the user's own."""

    number: int


class Tally(Server):
    """Counts."""

    def __init__(self, start: int = 0) -> None:
        self._total = start
        self._monitors: list[Monitor] = []
        self._ends: list[tuple[str, str]] = []

    def init(self) -> None:
        self._init = threading.current_thread().name

    def handle_call(self, request: Any, caller: Caller) -> Any:
        match request:
            case "total":
                return self._total
            case "sleep":
                return time.sleep(60)
            case "unsendable":
                return threading.Lock()
            case "refuse":
                raise Refused("not today")
            case "ends":
                return self._ends
            case "leave":
                self.exit(ExitReason("normal", "done"))
                return "leaving"
            case ("call", *arguments):
                return self.call(*arguments)
            case ("cast", *arguments):
                return self.cast(*arguments)
            case ("cast and call", to, times):
                return self._cast_and_call(to, times)
            case ("call while others talk", to):
                for number in range(3):
                    self.cast(self.address, Add(number))
                return self.call(to, "total"), self._total
            case ("monitor", to):
                self._monitors.append(self.monitor(to))
            case "cancel":
                for _ in range(2):
                    for monitor in self._monitors:
                        monitor.cancel()
        return None

    def _cast_and_call(self, to: str, times: int) -> list[int]:
        totals = []
        for _ in range(times):
            self.cast(to, Add(1))
            totals.append(self.call(to, "total"))
        return totals

    def handle_cast(self, request: Any) -> None:
        if isinstance(request, Add):
            self._total += request.number
        else:
            super().handle_cast(request)

    def handle_down(self, ref: Ref, reason: ExitReason) -> None:
        self._ends.append((ref.name, str(reason)))
