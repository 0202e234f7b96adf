"""Documents through a pipe of three stages, with an index of its own in every worker."""

from __future__ import annotations

import argparse
from typing import Final

from slither_actors.examples.contract import Display, count

SUMMARY: Final = "5,000 documents: words, readability and sentiment; every worker keeps an index of its own"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the example's options to its parser."""
    add = parser.add_argument
    add("--documents", type=count, default=5_000, metavar="N", help="how many (default %(default)s)")
    add("--workers", type=count, default=2, metavar="N", help="worker processes (default %(default)s)")
    add("--seed", type=int, default=1948, metavar="N", help="what they are drawn from (default %(default)s)")


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report; 1 where something does not add up."""
    from .main import run

    return run(args, console)
