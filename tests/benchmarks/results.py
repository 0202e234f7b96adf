"""Runs boiled down: medians, and ratios of medians."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import NamedTuple

from tests.benchmarks.catalogue import OURS, PIPE, Workload
from tests.benchmarks.driver import Run, Runs


class Spread(NamedTuple):
    """A figure over all its runs."""

    median: float
    least: float
    most: float
    runs: int


class Results:
    """The figures of all runs, by workload, peer and metric."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    def spread(self, workload: str, peer: str, key: str) -> Spread | None:
        """A figure, or `None` where it was not measured."""
        values = [run[key] for run in self._runs_of(workload, peer) if isinstance(run.get(key), int | float)]
        return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None

    def median(self, workload: str, peer: str, key: str) -> float | None:
        """The median of a figure, or `None` where it was not measured."""
        spread = self.spread(workload, peer, key)
        return spread.median if spread else None

    def ratio(self, workload: Workload, peer: str) -> float | None:
        """How many times better our stream is than another peer: above 1 we are ahead, whichever way it counts.

        `None` for ourselves, and where there is nothing to divide.
        """
        metric = workload.metric
        ours, theirs = (self.median(workload.name, name, metric.key) for name in (OURS, peer))
        if peer in (OURS, PIPE) or not ours or not theirs or metric.more_is_better is None:
            return None
        return ours / theirs if metric.more_is_better else theirs / ours

    def notes(self, workload: str, peer: str) -> str:
        """What has to be said beside the figures: why there are none, what a fault led to, what was left behind."""
        words: Counter[str] = Counter()
        runs = self._runs_of(workload, peer)
        for run in runs:
            words.update(_words_of(run))
        counted = ((word, "" if times == len(runs) else f" ({times} of {len(runs)})") for word, times in words.items())
        return "; ".join(word + share for word, share in counted)

    def noise(self) -> float:
        """The median share of the machine that others took."""
        shares = [run["noise"] for of_peers in self.runs.values() for runs in of_peers.values() for run in runs]
        return statistics.median(shares) if shares else 0.0

    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """All medians, as plain data."""
        return {
            workload: {
                peer: {key: found for key in _keys(runs) if (found := self.median(workload, peer, key)) is not None}
                for peer, runs in of_peers.items()
            }
            for workload, of_peers in self.runs.items()
        }

    def _runs_of(self, workload: str, peer: str) -> list[Run]:
        return self.runs.get(workload, {}).get(peer, [])


def _keys(runs: list[Run]) -> dict[str, None]:
    return dict.fromkeys(key for run in runs for key in run)


def _words_of(run: Run) -> list[str]:
    words = [run[key] for key in ("status", "outcome") if key in run]
    if "stop" in run:
        words.append(f"its stop {run['stop']}")
    if "left_behind" in run:
        words.append(f"left {len(run['left_behind'])} processes behind")
    if run.get("ended", "").startswith("ended"):
        words.append(run["ended"])
    return words
