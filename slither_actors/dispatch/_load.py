"""Credit by weight: what the batches that are with workers may weigh together."""

from __future__ import annotations

import math


class Load:
    """Of one run. A batch that is heavier than the limit may go alone."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._weights: dict[int, float] = {}

    def fits(self, weight: float) -> bool:
        """Whether a batch of this weight may go to a worker now."""
        # Summed anew, and exactly: what is added and taken away in turn drifts.
        return not self._weights or math.fsum((*self._weights.values(), weight)) <= self._limit

    def add(self, number: int, weight: float) -> None:
        """The batch with this number goes to a worker."""
        self._weights[number] = weight

    def remove(self, number: int) -> None:
        """It came back."""
        del self._weights[number]
