"""What is done to data sets: plain functions of the standard library, the same whoever runs them."""

from __future__ import annotations

import math
import os
import signal
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple


def summarise(data_sets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summarise a batch of data sets in a worker process.

    Returns:
        One summary per data set; `batch` tells how many data sets, values and different sensors were in the batch.

    Raises:
        ValueError, TypeError: there is one that cannot be worked on, and so there is no answer for the others either.
    """
    values = sum(len(one["values"]) for one in data_sets)
    batch = {"sets": len(data_sets), "values": values, "sensors": len({one["sensor"] for one in data_sets})}
    summaries = []
    for one in data_sets:
        if one["values"] == ["kill -9"]:
            os.kill(os.getpid(), signal.SIGKILL)  # as a broken C library would
        summaries.append({**summary(one), "batch": batch})
    return summaries


def summary(data_set: dict[str, Any]) -> dict[str, Any]:
    """All figures of one data set.

    Raises:
        ValueError: there are no values, or one is not finite. TypeError: one is no number.
    """
    values = sorted(data_set["values"])
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"data set {data_set['id']} has no values, or one that is not finite")
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return {
        "id": data_set["id"],
        "sensor": data_set["sensor"],
        "count": len(values),
        "mean": mean,
        "squares": squares,
        "median": values[len(values) // 2],
        "spread": math.sqrt(squares / len(values)),
        "bins": Counter(round(value) for value in values),
    }


class Totals(NamedTuple):
    """The sums over many data sets; never changed, only replaced."""

    sets: int = 0
    values: int = 0
    mean: float = 0.0
    squares: float = 0.0
    bins: Counter[int] = Counter()

    def with_one(self, one: dict[str, Any]) -> Totals:
        """These sums and one more summary: means and squares are merged as by Chan, Golub and LeVeque (1979)."""
        count = self.values + one["count"]
        delta = one["mean"] - self.mean
        return Totals(
            self.sets + 1,
            count,
            self.mean + delta * one["count"] / count,
            self.squares + one["squares"] + delta * delta * self.values * one["count"] / count,
            self.bins + one["bins"],
        )

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        figures = {"sets": self.sets, "values": self.values, "mean": self.mean}
        return {**figures, "deviation": math.sqrt(self.squares / self.values) if self.values else 0.0}


def total_of(summaries: Iterable[dict[str, Any]]) -> Totals:
    """The sums over `summaries`, in their order."""
    totals = Totals()
    for one in summaries:
        totals = totals.with_one(one)
    return totals
