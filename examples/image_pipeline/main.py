"""Makes files, runs them through the pipe with and without its bound, and adds up what was decoded at one time."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import slither_actors as slither
from slither_actors.examples.contract import Display, conclude

from .pipe import BATCH_PIXELS, PIXELS_AT_ONCE, ImagePipe, Unbounded, draw_batch
from .work import plan


@dataclass(frozen=True)
class Part:
    """One run over all images."""

    seconds: float
    routes: dict[str, int]
    skipped: int
    heaviest_batch: int
    heaviest_image: int
    pixels_at_once: int
    thumbnails: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Both runs; `broken` is how many files are no images."""

    images: int
    broken: int
    bounded: Part
    unbounded: Part

    @property
    def problems(self) -> list[str]:
        """What does not hold, one sentence each."""
        found = []
        one = self.bounded
        # What is heavier than a bound goes alone.
        if one.heaviest_batch > max(BATCH_PIXELS, one.heaviest_image):
            found.append(f"a batch had {one.heaviest_batch:,} pixels")
        if one.pixels_at_once > max(PIXELS_AT_ONCE, one.heaviest_image):
            found.append(f"{one.pixels_at_once:,} pixels were with workers at one time")
        if sum(one.routes.values()) != self.images - self.broken or one.skipped != self.broken:
            found.append(f"{sum(one.routes.values()):,} images came out, {one.skipped:,} files were skipped")
        if one.thumbnails != self.unbounded.thumbnails:
            found.append("the thumbnails differ")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        parts = {name: asdict(part) for name, part in (("bounded", self.bounded), ("unbounded", self.unbounded))}
        for part in parts.values():
            del part["thumbnails"]
        return {
            "images": self.images,
            "broken": self.broken,
            **parts,
            "problems": self.problems,
            "ok": not self.problems,
        }


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report.

    Returns:
        0, or 1 where more was decoded at one time than the bound allows, or an image is not accounted for.
    """
    report = main(args.images, args.workers, args.seed, console)
    return conclude(report, console, args.json, lambda: _print(report, console))


def main(total: int, workers: int, seed: int, display: Display, pipe: type[slither.Pipe] = ImagePipe) -> Report:
    """Make `total` files and run them through `pipe`, and through one without a bound."""
    with (
        tempfile.TemporaryDirectory() as folder,
        slither.start(pools={"default": workers}) as system,
        display.progress("shrinking", 3) as meter,
    ):
        orders = plan(total, Path(folder), seed)
        system.dispatch(orders, draw_batch, batch_size=8)
        meter.advance()
        parts = []
        for one in (pipe, Unbounded):
            parts.append(_part(system, one, orders))
            meter.advance()
    return Report(total, sum(order["broken"] for order in orders), *parts)


def _part(system: slither.System, pipe: type[slither.Pipe], orders: list[dict[str, Any]]) -> Part:
    started = time.perf_counter()
    outputs = system.run_pipe(pipe, orders)
    seconds = time.perf_counter() - started
    images = sorted((item.payload for items in outputs.values() for item in items), key=lambda one: int(one["id"]))
    batches = {(one["batch"]["pid"], one["batch"]["from"]): one["batch"] for one in images}.values()
    return Part(
        seconds,
        {route: len(items) for route, items in outputs.items()},
        len(outputs.skipped),
        max((batch["pixels"] for batch in batches), default=0),
        max((one["pixels"] for one in images), default=0),
        at_once(batches),
        tuple(one["thumbnail"] for one in images),
    )


def at_once(batches: Iterable[Mapping[str, Any]]) -> int:
    """The most pixels that were in work at one time, by the clock that all processes of a machine share."""
    changes = []
    for batch in batches:
        changes += [(batch["from"], batch["pixels"]), (batch["to"], -batch["pixels"])]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _print(report: Report, console: Display) -> None:
    console.write(f"{report.images:,} files, {report.broken:,} of them no images")
    console.write()
    console.write(f"{'':<28} {'by pixels':>12} {'by number':>12}")
    rows = {
        "seconds": (f"{report.bounded.seconds:.2f}", f"{report.unbounded.seconds:.2f}"),
        "largest image, pixels": (f"{report.bounded.heaviest_image:,}", f"{report.unbounded.heaviest_image:,}"),
        "largest batch, pixels": (f"{report.bounded.heaviest_batch:,}", f"{report.unbounded.heaviest_batch:,}"),
        "most at one time, pixels": (f"{report.bounded.pixels_at_once:,}", f"{report.unbounded.pixels_at_once:,}"),
    }
    for name, (first, second) in rows.items():
        console.write(f"{name:<28} {first:>12} {second:>12}")
    console.write()
    routes = ", ".join(
        f"{times:,} {'square' if route == 'default' else route}" for route, times in report.bounded.routes.items()
    )
    console.write(f"{routes}; {report.bounded.skipped:,} skipped")
    if not report.problems:
        console.write(f"never more than {max(PIXELS_AT_ONCE, report.bounded.heaviest_image):,} pixels at one time")
