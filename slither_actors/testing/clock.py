"""A clock that goes on when it is told to."""

from __future__ import annotations

from slither_actors._validators import is_number
from slither_actors.errors import InvalidOption, shorten


class FakeClock:
    """Time for tests: call it to know the time in seconds, `advance` it to let time pass.

    It stands wherever a function like `time.monotonic` is wanted.

    Args:
        now: the time it begins with.

    Raises:
        InvalidOption: that is no number.
    """

    def __init__(self, now: float = 0.0) -> None:
        if not is_number(now):
            raise InvalidOption("FakeClock", "now", shorten(now), "a number of seconds")
        self._now = float(now)

    def __call__(self) -> float:
        return self._now

    def __repr__(self) -> str:
        return f"<FakeClock {self._now:g}>"

    @property
    def now(self) -> float:
        """The time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            InvalidOption: it is no number of seconds, or less than 0.
        """
        if not is_number(seconds) or not 0 <= seconds < float("inf"):
            raise InvalidOption("FakeClock.advance", "seconds", shorten(seconds), "a number of at least 0")
        self._now += seconds
