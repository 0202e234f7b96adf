"""What is done to images: plain functions with Pillow, the same whoever runs them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random
from typing import Any, Final

from PIL import Image, ImageFilter, ImageOps, ImageStat

SIDE: Final = 96


def plan(total: int, folder: Path, seed: int) -> list[dict[str, Any]]:
    """What images to make: most are small, a few have a hundred times as many pixels; every fiftieth is broken."""
    random = Random(seed)
    orders = []
    for number in range(total):
        long = min(900, int(90 * random.paretovariate(1.1)))
        short = int(long * random.uniform(0.5, 1.0))
        size = random.choice([(long, short), (short, long), (long, long)])
        path = str(folder / f"{number:04}.jpg")
        orders.append({"id": number, "path": path, "size": size, "broken": number % 50 == 49})
    return orders


def draw(order: dict[str, Any]) -> None:
    """Make one image and write it to its file."""
    random = Random(order["id"])
    colours = [tuple(random.randrange(256) for _ in range(3)) for _ in range(2)]
    image = ImageOps.colorize(Image.radial_gradient("L").resize(order["size"]), *colours)
    if order["broken"]:
        Path(order["path"]).write_bytes(b"this is no image")
    else:
        image.save(order["path"], quality=85)


def measure(path: str) -> int:
    """How many pixels an image has; reads its first bytes only.

    Raises:
        PIL.UnidentifiedImageError: the file is no image.
    """
    with Image.open(path) as image:
        return int(image.width * image.height)


def shrink(path: str) -> dict[str, Any]:
    """Decode an image, sharpen it, and make a thumbnail and figures of it."""
    with Image.open(path) as image:
        image.load()
        sharp = image.filter(ImageFilter.SHARPEN)
        statistics = ImageStat.Stat(sharp)
        thumbnail = ImageOps.fit(sharp, (SIDE, SIDE))
        return {
            "width": image.width,
            "height": image.height,
            "mean": [round(one) for one in statistics.mean],
            "histogram": sharp.convert("L").histogram(),
            "thumbnail": hashlib.sha256(thumbnail.tobytes()).hexdigest(),
        }
