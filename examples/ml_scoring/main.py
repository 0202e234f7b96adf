"""Two threads, a session each: both learn and predict in rounds, and each model is held against one trained alone."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import slither_actors as slither
from slither_actors.examples.contract import Display, conclude

from .customers import MARKETS, customers, is_wanted
from .pipe import POOL, Features, ScorePipe, begin, learn, tell

Label = Callable[[str, dict[str, Any]], bool]


@dataclass(frozen=True)
class Session:
    """What came of one session."""

    market: str
    pid: int
    right: float
    accepted: int
    rows: int
    hits: int
    misses: int
    began: float
    ended: float
    as_if_alone: bool


@dataclass(frozen=True)
class Report:
    """Both sessions; `cached` is how many customers have features in the store."""

    customers: int
    rounds: int
    seconds: float
    cached: int
    sessions: list[Session]

    @property
    def problems(self) -> list[str]:
        """What does not hold, one sentence each."""
        found = []
        first, second = self.sessions
        if first.pid == second.pid:
            found.append("both sessions were in one worker")
        if max(first.began, second.began) >= min(first.ended, second.ended):
            found.append("the sessions ran one after the other")
        for one in self.sessions:
            if not one.as_if_alone:
                found.append(f"the model of {one.market} is not the one that its own rows make")
        if self.cached != self.customers:
            found.append(f"there are features of {self.cached:,} customers, of {self.customers:,}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "problems": self.problems, "ok": not self.problems}


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report.

    Returns:
        0, or 1 where the sessions shared a worker or a row, or did not run at the same time.
    """
    report = main(args.customers, args.rounds, args.seed, console)
    return conclude(report, console, args.json, lambda: _print(report, console))


def main(total: int, rounds: int, seed: int, display: Display, label: Label = is_wanted) -> Report:
    """Train and predict in both markets; `label` is what the sessions are told of a customer."""
    people = customers(total, seed)
    started = time.perf_counter()
    with (
        slither.start(stores=[Features], pools={"default": POOL}) as system,
        display.progress("learning", rounds) as meter,
        ThreadPoolExecutor(len(MARKETS)) as threads,
    ):
        # Both wait for each other at every round, so neither is done before the other has begun.
        barrier = threading.Barrier(len(MARKETS), action=meter.advance)
        sessions = list(threads.map(lambda one: _market(system, one, people, rounds, label, barrier), MARKETS))
        cached = system.store(Features).features.size()
    return Report(total, rounds, time.perf_counter() - started, cached, sessions)


def _market(
    system: slither.System,
    market: str,
    people: list[dict[str, Any]],
    rounds: int,
    label: Label,
    barrier: threading.Barrier,
) -> Session:
    try:
        with system.session(market, session_start=begin) as session:
            for number in range(rounds):
                barrier.wait()
                session.call_batch(_rows(market, people[number::rounds], label), learn)
                outputs = session.run_pipe(ScorePipe, people)
            [told] = [item.payload for item in session.call_batch(["?"], tell)]
    except BaseException:
        barrier.abort()  # or the other market would wait for ever
        raise
    accepted = {item.payload["id"] for item in outputs.accept}
    scored = {item.payload["id"]: item.payload["score"] for items in outputs.values() for item in items}
    right = sum((scored[one["id"]] >= 0.5) == is_wanted(market, one) for one in people) / len(people)
    return Session(
        market=market,
        pid=told["pid"],
        right=right,
        accepted=len(accepted),
        rows=told["rows"],
        hits=told["hits"],
        misses=told["misses"],
        began=told["batches"][0][0],
        ended=told["batches"][-1][1],
        as_if_alone=told["model"] == _alone(market, people, rounds),
    )


def _rows(market: str, people: list[dict[str, Any]], label: Label) -> list[tuple[dict[str, Any], bool]]:
    return [(one, label(market, one)) for one in people]


def _alone(market: str, people: list[dict[str, Any]], rounds: int) -> list[float]:
    """What a model knows that saw the same rows in the same order, here, with nobody else around."""
    from . import work

    model = work.new_model()
    for number in range(rounds):
        part = people[number::rounds]
        work.learn(model, [work.features_of(one) for one in part], [is_wanted(market, one) for one in part])
    return work.coefficients(model)


def _print(report: Report, console: Display) -> None:
    console.write(f"{report.customers:,} customers, {report.rounds} rounds in {report.seconds:.2f} s")
    console.write()
    console.write(
        f"{'session':<8} {'worker':>8} {'learned':>8} {'right':>6} {'accepted':>9} {'cache hits':>11} {'misses':>7}"
    )
    for one in report.sessions:
        console.write(
            f"{one.market:<8} {one.pid:>8} {one.rows:>8,} {one.right:>6.1%} {one.accepted:>9,} "
            f"{one.hits:>11,} {one.misses:>7,}"
        )
    if not report.problems:
        console.write()
        console.write(
            "both ran at the same time; each model is, to the last digit, the one that its own rows make alone"
        )
