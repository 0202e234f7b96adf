"""Statistics of many data sets, some of which cannot be worked on: only the culprits are lost."""

from __future__ import annotations

import argparse
from typing import Final

from slither_actors.examples.contract import Display, count

SUMMARY: Final = "2,000 data sets, 50 of them poison: three ways to cut batches, and only the 50 are lost"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the example's options to its parser."""
    add = parser.add_argument
    add("--sets", type=count, default=2_000, metavar="N", help="how many data sets (default %(default)s)")
    add("--poison", type=count, default=50, metavar="N", help="how many cannot be worked on (default %(default)s)")
    add("--workers", type=count, default=2, metavar="N", help="worker processes (default %(default)s)")
    add("--seed", type=int, default=1948, metavar="N", help="what the data are drawn from (default %(default)s)")


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report; 1 where something does not add up."""
    from .main import run

    return run(args, console)
