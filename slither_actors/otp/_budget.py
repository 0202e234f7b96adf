"""How many restarts are too many."""

from collections import deque

from slither_actors.otp._actions import Cause


class RestartBudget:
    """Counts restarts in a sliding window; the far edge of the window still counts.

    Args:
        intensity: How many restarts within the window are accepted.
        period_s: The length of the window.
    """

    def __init__(self, intensity: int, period_s: float) -> None:
        self._intensity = intensity
        self._period_s = period_s
        self._charged: deque[tuple[float, Cause]] = deque()

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What was charged within the window, oldest first."""
        return tuple(cause for _, cause in self._charged)

    def change(self, intensity: int, period_s: float) -> None:
        """New limits; what was charged before still counts."""
        self._intensity, self._period_s = intensity, period_s

    def spend(self, now: float, cause: Cause) -> bool:
        """Charge one restart.

        Returns:
            False if this one is too many.
        """
        self._charged.append((now, cause))
        while now - self._charged[0][0] > self._period_s:
            self._charged.popleft()
        return len(self._charged) <= self._intensity
