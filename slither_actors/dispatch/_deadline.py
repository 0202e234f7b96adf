"""When a run must be over."""

from __future__ import annotations

import math
import time
from typing import Any, Self

from slither_actors._record import record
from slither_actors._validators import is_number
from slither_actors.dispatch._strategy_base import Clock
from slither_actors.errors import DeadlineExceeded, InvalidOption, shorten


@record
class Deadline:
    """A moment on the monotonic clock, which all processes of a machine share; `given_s` is what was asked for."""

    at: float = math.inf
    given_s: float = math.inf

    @classmethod
    def of(cls, where: str, deadline_s: Any, clock: Clock = time.monotonic) -> Self:
        """So many seconds from now by this clock; `None` is never.

        Raises:
            InvalidOption: it is no time.
        """
        if deadline_s is None:
            return cls()
        if not is_number(deadline_s) or deadline_s <= 0:
            allowed = "None, or a finite number of seconds above 0"
            raise InvalidOption(where, "deadline_s", shorten(deadline_s), allowed)
        return cls(clock() + deadline_s, deadline_s)

    def error(self) -> DeadlineExceeded:
        return DeadlineExceeded(self.given_s)
