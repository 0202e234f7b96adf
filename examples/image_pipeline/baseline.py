"""The same images shrunk, and one histogram of all of them, in five ways."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from .work import draw, plan, shrink

SIZE: Final = 100
WORK: Final = ("work",)


def make(size: int) -> list[str]:
    """The inputs: paths of images, which go when this process ends."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    orders = [{**order, "broken": False} for order in plan(size, Path(folder), seed=1948)]
    for order in orders:
        draw(order)
    return [order["path"] for order in orders]


def judge(expected: dict[str, Any], got: dict[str, Any]) -> str:
    """What is wrong with a result; nothing where it is the same."""
    missing = sum(expected["histogram"]) - sum(got["histogram"])
    if missing:
        return f"WRONG: {missing:,} of {sum(expected['histogram']):,} pixels are not in the histogram"
    return "" if got == expected else "WRONG: other figures"


def _added(histogram: list[int], image: dict[str, Any]) -> list[int]:
    return [one + more for one, more in zip(histogram, image["histogram"], strict=True)]


def plain_loop(inputs: list[str], workers: int) -> dict[str, Any]:
    """One after another."""
    histogram = [0] * 256
    for path in inputs:
        histogram = _added(histogram, shrink(path))
    return {"histogram": histogram}


def _in_threads(inputs: list[str], workers: int, work: Any) -> None:
    threads = [threading.Thread(target=work, args=(inputs[number::workers],)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def naive_threads(inputs: list[str], workers: int) -> dict[str, Any]:
    """All threads add to one histogram: it is read, an image is shrunk and added, and it is written back."""
    board = {"histogram": [0] * 256}

    def work(part: list[str]) -> None:
        for path in part:
            board["histogram"] = _added(board["histogram"], shrink(path))

    _in_threads(inputs, workers, work)
    return board


def careful_threads(inputs: list[str], workers: int) -> dict[str, Any]:
    """The histogram is changed under a lock, the images are shrunk outside of it."""
    board = {"histogram": [0] * 256}
    lock = threading.Lock()

    def work(part: list[str]) -> None:
        for path in part:
            image = shrink(path)
            with lock:
                board["histogram"] = _added(board["histogram"], image)

    _in_threads(inputs, workers, work)
    return board


def process_pool(inputs: list[str], workers: int) -> dict[str, Any]:
    """One image per call; the histogram is made here."""
    histogram = [0] * 256
    with ProcessPoolExecutor(workers) as pool:
        for image in pool.map(shrink, inputs):
            histogram = _added(histogram, image)
    return {"histogram": histogram}


def with_slither(inputs: list[str], workers: int) -> dict[str, Any]:
    """The pipe of the example, with its bound on pixels; the histogram is made here."""
    import slither_actors as slither

    from .pipe import ImagePipe

    histogram = [0] * 256
    with (
        slither.start(pools={"default": workers}) as system,
        system.stream_pipe(ImagePipe, ({"path": path} for path in inputs)) as stream,
    ):
        for item in stream:
            histogram = _added(histogram, item.payload)
    return {"histogram": histogram}
