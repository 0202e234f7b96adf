"""Large payloads: arrays of a megabyte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.benchmarks.work.jobs import job_of

FLOATS = 131_072
ARRAY_MB = FLOATS * 8 / 1e6
RING = 16


def doubled(array: Any) -> Any:
    """An array back for an array."""
    return array * 2


def summed(array: Any) -> float:
    """A number back for an array."""
    return float(array.sum())


DOUBLED, SUMMED = job_of(doubled), job_of(summed)


def arrays(number: int) -> Iterator[Any]:
    """Arrays out of a small ring, so that making them costs nothing; the one at `n` is full of `n % 16`."""
    ring = [np.full(FLOATS, float(value)) for value in range(RING)]
    return (ring[place % RING] for place in range(number))
