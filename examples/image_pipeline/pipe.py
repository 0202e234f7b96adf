"""The pipe: look at the header, decode and shrink in workers, sort by shape."""

from __future__ import annotations

import os
import time
from typing import Any, Final

import slither_actors as slither

from . import work

BATCH_PIXELS: Final = 400_000
PIXELS_AT_ONCE: Final = 1_200_000


def draw_batch(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the files, in workers too."""
    for order in orders:
        work.draw(order)
    return orders


def shrink_batch(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shrink a batch in a worker; each result tells when its batch was there, and how many pixels that had."""
    started = time.monotonic()
    results = [work.shrink(one["path"]) for one in images]
    batch = {
        "pid": os.getpid(),
        "from": started,
        "to": time.monotonic(),
        "pixels": sum(one["pixels"] for one in images),
    }
    return [{**image, **result, "batch": batch} for image, result in zip(images, results, strict=True)]


def pixels_of(item: slither.Item) -> int:
    """What an image weighs."""
    return int(item.payload["pixels"])


def is_wide(item: slither.Item) -> bool:
    """Whether an image lies."""
    return bool(item.payload["width"] > item.payload["height"])


def is_tall(item: slither.Item) -> bool:
    """Whether an image stands."""
    return bool(item.payload["width"] < item.payload["height"])


class ImagePipe(slither.Pipe):
    """Files in; `wide` and `tall` ones, and on `default` squares. A file that is no image is skipped."""

    @slither.local
    def measure(item: slither.Item) -> dict[str, Any]:
        return {**item.payload, "pixels": work.measure(item.payload["path"])}

    shrink = slither.worker(
        shrink_batch,
        strategy=slither.WeightedBatch(BATCH_PIXELS, pixels_of, max_size=16),
        max_in_flight_weight=PIXELS_AT_ONCE,
    )
    sort = slither.router((is_wide, "wide"), (is_tall, "tall"))
    outputs = ["wide", "tall"]
    on_error = {"measure": "skip", "*": "halt"}


class Unbounded(ImagePipe):
    """The same with batches of 16 images, whatever their size, to see the difference."""

    shrink = slither.worker(shrink_batch, batch_size=16)
