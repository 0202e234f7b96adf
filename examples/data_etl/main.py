"""Streams rows through the pipe, reloads the store meanwhile, and holds every row against the schemas."""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import slither_actors as slither
from slither_actors.examples.contract import Display, Meter, conclude

from .pipe import RowPipe, Schemas
from .schemas import PHASES, rows, schema
from .work import validate

Reload = Callable[["slither.System"], object]


@dataclass
class Report:
    """What came of all rows."""

    rows: int
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    by_phase: Counter[int] = field(default_factory=Counter)
    torn: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    early: list[dict[str, Any]] = field(default_factory=list)
    reload_s: list[float] = field(default_factory=list)
    during_reload: int = 0

    def add(self, item: slither.Item, sent: Mapping[int, tuple[int, dict[str, Any]]]) -> None:
        """Hold a validated row against what the schemas say of the row that was sent, and in which phase that was."""
        result = item.payload
        phase, row = sent[result["row"]["id"]]
        self.ends[item.route] += 1
        if len(result["phases"]) != 1:
            self.torn.append(result)
            return
        [by] = result["phases"]
        self.by_phase[by] += 1
        if by < phase:
            self.early.append(result)
        if result != validate(row, schema(by)["fields"], schema(by)["products"].get):
            self.wrong.append(result)

    @property
    def problems(self) -> list[str]:
        """What does not hold, one sentence each."""
        found = []
        if self.torn:
            found.append(f"{len(self.torn):,} rows were validated by parts of two schemas")
        if self.wrong:
            found.append(f"{len(self.wrong):,} rows have another result than their schema gives")
        if self.early:
            found.append(f"{len(self.early):,} rows met a schema that was replaced before they were sent")
        if self.ends.total() != self.rows:
            found.append(f"{self.ends.total():,} rows came out of {self.rows:,}")
        if len(self.reload_s) != PHASES - 1 or set(self.by_phase) != set(range(1, PHASES + 1)):
            found.append(f"there were {len(self.reload_s)} reloads, and rows of the phases {sorted(self.by_phase)}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "rows": self.rows,
            "seconds": self.seconds,
            "accepted": self.ends["accepted"],
            "rejected": self.ends["default"],
            "by_phase": {str(phase): times for phase, times in sorted(self.by_phase.items())},
            "reload_s": self.reload_s,
            "read_during_reloads": self.during_reload,
            "torn": len(self.torn),
            "problems": self.problems,
            "ok": not self.problems,
        }


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report.

    Returns:
        0, or 1 where a row met half a schema or an old one, or got another result than its schema gives.
    """
    report = main(args.rows, args.workers, args.seed, console)
    return conclude(report, console, args.json, lambda: _print(report, console))


def reload_schema(system: slither.System) -> object:
    """All tables at once."""
    return system.store(Schemas).reload()


def main(per_phase: int, workers: int, seed: int, display: Display, reload: Reload = reload_schema) -> Report:
    """Stream `per_phase` rows of each form; `reload` brings the next schema while rows flow."""
    report = Report(PHASES * per_phase)
    with slither.start(stores=[Schemas], pools={"default": workers}) as system:
        source = Source(per_phase, seed, lambda: reload(system))
        started = time.perf_counter()
        with (
            system.stream_pipe(RowPipe, source) as stream,
            display.progress("validating", report.rows) as meter,
        ):
            _take(stream, source, report, meter)
        report.seconds = time.perf_counter() - started
    report.reload_s, report.during_reload = source.reload_s, source.during_reload
    return report


def _take(stream: Any, source: Source, report: Report, meter: Meter) -> None:
    for item in stream:
        report.add(item, source.sent)
        meter.advance()


class Source:
    """Rows of all forms. A reload begins four fifths into each form, beside the rows, and ends before the next one."""

    def __init__(self, per_phase: int, seed: int, reload: Callable[[], object]) -> None:
        self.sent: dict[int, tuple[int, dict[str, Any]]] = {}
        self.reload_s: list[float] = []
        self.during_reload = 0
        self._per_phase = per_phase
        self._seed = seed
        self._reload = reload

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for phase in range(1, PHASES + 1):
            reloading = threading.Thread(target=self._timed)
            first = (phase - 1) * self._per_phase
            for place, row in enumerate(rows(phase, self._per_phase, self._seed, first)):
                if phase < PHASES and place == self._per_phase * 4 // 5:
                    reloading.start()
                self.during_reload += reloading.is_alive()
                self.sent[row["id"]] = phase, row
                yield row
            if phase < PHASES:
                reloading.join()

    def _timed(self) -> None:
        started = time.perf_counter()
        self._reload()
        self.reload_s.append(time.perf_counter() - started)


def _print(report: Report, console: Display) -> None:
    console.write(f"{report.rows:,} rows in {report.seconds:.2f} s ({report.rows / report.seconds:,.0f} rows/s)")
    console.write()
    for phase, times in sorted(report.by_phase.items()):
        console.write(f"  by schema {phase}  {times:>7,}")
    console.write(f"  accepted     {report.ends['accepted']:>7,}")
    console.write(f"  rejected     {report.ends['default']:>7,}")
    console.write()
    took = " and ".join(f"{seconds * 1000:.0f} ms" for seconds in report.reload_s)
    console.write(f"reloads took {took}; {report.during_reload:,} rows were read meanwhile")
    if not report.problems:
        console.write("no row met half a schema, or one that had been replaced before it was sent")
