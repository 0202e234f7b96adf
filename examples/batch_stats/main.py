"""Runs all data sets in batches that fail whole, and then through a pipe that cuts these down to the culprits."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import slither_actors as slither
from slither_actors.examples.contract import Display, conclude

from .data import generate
from .pipe import BATCH, MAX_VALUES, SUMMARISE, ByKey, ByNumber, ByWeight
from .work import summary, total_of

PIPES: Final[Mapping[str, type[ByNumber]]] = {
    f"{BATCH} data sets": ByNumber,
    f"{MAX_VALUES:,} values": ByWeight,
    f"{BATCH} of one sensor": ByKey,
}


@dataclass(frozen=True)
class Part:
    """What came of all data sets, cut in one way: `lost_whole` where a batch fails as a whole."""

    cut: str
    seconds: float
    good: list[dict[str, Any]] = field(repr=False)
    lost: set[int] = field(repr=False)
    lost_whole: int
    kept_to_the_cut: bool


@dataclass(frozen=True)
class Report:
    """All runs; `poison` are the numbers of the data sets that cannot be worked on."""

    sets: int
    poison: set[int]
    parts: list[Part]

    @property
    def problems(self) -> list[str]:
        """What does not hold, one sentence each."""
        found = []
        for part in self.parts:
            if part.lost != self.poison:
                sound = len(part.lost - self.poison)
                found.append(f"{part.cut}: {len(part.lost):,} data sets are lost, {sound:,} of them sound ones")
            if len(part.good) + len(part.lost) != self.sets:
                found.append(f"{part.cut}: {len(part.good) + len(part.lost):,} of {self.sets:,} are accounted for")
            if not part.kept_to_the_cut:
                found.append(f"{part.cut}: a batch was cut in another way")
        totals = [total_of(part.good) for part in self.parts]
        if any(not math.isclose(one.mean, totals[0].mean) or one.bins != totals[0].bins for one in totals):
            found.append("the sums differ from one way to cut to the next")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        parts = [
            {"cut": one.cut, "seconds": one.seconds, "lost": len(one.lost), "lost_whole": one.lost_whole}
            for one in self.parts
        ]
        totals = total_of(self.parts[0].good).as_dict()
        verdict = {"problems": self.problems, "ok": not self.problems}
        return {"sets": self.sets, "poison": len(self.poison), "parts": parts, "totals": totals, **verdict}


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report.

    Returns:
        0, or 1 where anything but the poison was lost, or a batch was cut in another way than it should be.
    """
    report = main(list(generate(args.sets, args.poison, args.seed)), args.workers, console)
    return conclude(report, console, args.json, lambda: _print(report, console))


def main(
    data: list[dict[str, Any]], workers: int, display: Display, pipes: Mapping[str, type[ByNumber]] = PIPES
) -> Report:
    """Run `data` through each of `pipes`, and tell what came of it."""
    parts = []
    with slither.start(pools={"default": workers}) as system, display.progress("cutting", 2 * len(pipes)) as meter:
        for cut, pipe in pipes.items():
            whole = system.dispatch(data, SUMMARISE, strategy=pipe.CUT, on_error="skip")
            meter.advance()
            started = time.perf_counter()
            outputs = system.run_pipe(pipe, data)
            seconds = time.perf_counter() - started
            meter.advance()
            good = sorted((item.payload for items in outputs.values() for item in items), key=_number)
            lost = {item.payload["id"] for item in outputs.skipped}
            kept = all(pipe.is_kept(one["batch"]) for one in good)
            parts.append(Part(cut, seconds, good, lost, len(whole.skipped), kept))
    return Report(len(data), {one["id"] for one in data if is_poison(one)}, parts)


def is_poison(data_set: dict[str, Any]) -> bool:
    """Whether there is no summary of a data set, by itself and in this process."""
    if data_set["values"] == ["kill -9"]:
        return True
    try:
        summary(data_set)
    except (ValueError, TypeError):
        return True
    return False


def _number(one: dict[str, Any]) -> int:
    return int(one["id"])


def _print(report: Report, console: Display) -> None:
    console.write(f"{report.sets:,} data sets, {len(report.poison):,} of them poison; one kills the process it is in")
    console.write()
    console.write(f"{'batches of':<18} {'lost, batches whole':>20} {'lost, cut down':>15} {'seconds':>8}")
    for one in report.parts:
        console.write(f"{one.cut:<18} {one.lost_whole:>20,} {len(one.lost):>15,} {one.seconds:>8.2f}")
    totals = total_of(report.parts[0].good).as_dict()
    console.write()
    console.write(f"{totals['values']:,} values, {totals['mean']:.3f} on average, deviation {totals['deviation']:.3f}")
    if not report.problems:
        console.write(
            f"only the poison is lost: {report.sets - len(report.poison):,} summaries, however batches are cut"
        )
