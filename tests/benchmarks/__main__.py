"""The bench: `python -m tests.benchmarks`. What it measures and how is told in docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.bars import standings
from tests.benchmarks.catalogue import OURS, PEERS, WORKLOADS, chosen_peers, chosen_workloads
from tests.benchmarks.curves import curves_svg
from tests.benchmarks.document import around, insert, section
from tests.benchmarks.driver import Plan, machine, run_all
from tests.benchmarks.plot import svg
from tests.benchmarks.results import Results
from tests.benchmarks.tables import bar_table, workload_table


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=f"Medians of {OURS} beside what one would use instead."
    )
    add = made.add_argument
    add(
        "--workloads",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"of {', '.join(WORKLOADS)}; w7 means all three",
    )
    add("--peers", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--heavy", action="store_true", help="also those that bring a cluster: Ray, Dask and xoscar")
    add("--repetitions", type=int, metavar="N", help="runs of each pair (5; with --quick 1)")
    add("--quick", action="store_true", help="little work, to see that all of it runs; the figures mean nothing")
    add("--json", type=Path, default=Path(tempfile.gettempdir(), "slither-bench.json"), metavar="FILE", help="all runs")
    add("--plot", type=Path, metavar="FILE", help="the ratios as an SVG picture")
    add("--curves", type=Path, metavar="FILE", help="the processor time per item as work grows, as an SVG picture")
    add("--markdown", type=Path, metavar="FILE", help="a document whose marked part becomes the results")
    return made


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables, write what was asked for."""
    command = parser()
    given = command.parse_args(arguments)
    try:
        workloads = chosen_workloads(given.workloads)
        peers = chosen_peers(given.peers, heavy=given.heavy)
        if given.markdown:
            around(given.markdown)  # better now than after an hour
    except (ValueError, OSError) as error:
        command.error(str(error))
    plan = Plan(workloads, peers, given.repetitions or (1 if given.quick else 5), given.quick)
    began = time.monotonic()
    runs = run_all(plan, lambda line: print(line, file=sys.stderr, flush=True))
    results = Results(runs)
    about = machine() | {
        "repetitions": str(plan.repetitions),
        "minutes": f"{(time.monotonic() - began) / 60:.0f}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "others": f"{results.noise():.0%}",
    }
    for workload in workloads:
        print(f"\n{workload.name.upper()}: {workload.title}\n\n{workload_table(workload, results)}")
    if plan.quick:
        print("\nquick: so little work that the figures mean nothing")
    print(f"\nBars\n\n{bar_table(results)}\n\nother programs took {about['others']} of the machine meanwhile (median)")
    write(given, results, about)


def write(given: argparse.Namespace, results: Results, about: dict[str, str]) -> None:
    """The files that were asked for."""
    everything: dict[str, Any] = {
        "about": about,
        "quick": given.quick,
        "medians": results.medians(),
        "bars": [standing._asdict() for standing in standings(results)],
        "runs": results.runs,
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(everything, indent=1), "utf-8")
    print(f"all runs are in {given.json}")
    pictures = {}
    for title, file, draw in (
        ("Ratios of all workloads", given.plot, svg),
        ("Processor time per item as work grows", given.curves, curves_svg),
    ):
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(draw(results), "utf-8")
            pictures[title] = file
    if given.markdown:
        there = {title: os.path.relpath(file, given.markdown.parent) for title, file in pictures.items()}
        insert(given.markdown, section(results, about, there))


if __name__ == "__main__":
    main()
