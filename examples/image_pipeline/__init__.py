"""Images of very different sizes through workers, with a bound on what is decoded at one time."""

from __future__ import annotations

import argparse
from typing import Final

from slither_actors.examples.contract import Display, count

SUMMARY: Final = "200 images of all sizes: batches by pixels, and a bound on the pixels in memory at one time"
NEEDS: Final = {"PIL": "Pillow>=11"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the example's options to its parser."""
    add = parser.add_argument
    add("--images", type=count, default=200, metavar="N", help="how many (default %(default)s)")
    add("--workers", type=count, default=2, metavar="N", help="worker processes (default %(default)s)")
    add("--seed", type=int, default=1948, metavar="N", help="what they are drawn from (default %(default)s)")


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report; 1 where something does not add up."""
    from .main import run

    return run(args, console)
