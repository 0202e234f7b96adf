"""Two sessions that train and predict at the same time, each with a model of its own."""

from __future__ import annotations

import argparse
from typing import Final

from slither_actors.examples.contract import Display, count

SUMMARY: Final = "two models learn and predict at the same time, each in a worker of its own; features are shared"
NEEDS: Final = {"sklearn": "scikit-learn>=1.5"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the example's options to its parser."""
    add = parser.add_argument
    add("--customers", type=count, default=1_000, metavar="N", help="how many (default %(default)s)")
    add("--rounds", type=count, default=8, metavar="N", help="how often each model learns (default %(default)s)")
    add("--seed", type=int, default=1948, metavar="N", help="what the customers are drawn from (default %(default)s)")


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report; 1 where something does not add up."""
    from .main import run

    return run(args, console)
