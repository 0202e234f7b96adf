"""The pipes: the same two stages, with batches cut by number, by weight and by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import slither_actors as slither

BATCH: Final = 16
MAX_VALUES: Final = 1_000
SUMMARISE: Final = "slither_actors.examples.batch_stats.work:summarise"
# A batch that fails is run again in halves, down to the data set that cannot be worked on.
_CULPRITS: Final = slither.Skip(isolate=True)


def values_of(item: slither.Item) -> int:
    """What a data set weighs; an empty one weighs something too."""
    return max(1, len(item.payload["values"]))


def sensor_of(item: slither.Item) -> str:
    """Data sets of one sensor belong together."""
    return str(item.payload["sensor"])


def is_erratic(item: slither.Item) -> bool:
    """Whether the readings of a data set scatter much."""
    return bool(item.payload["spread"] > 3.0)


class ByNumber(slither.Pipe):
    """Batches of 16 data sets, whatever is in them."""

    CUT: slither.Strategy = slither.FixedBatch(BATCH)
    summarise = slither.worker(SUMMARISE, strategy=CUT, on_error=_CULPRITS)
    route = slither.router((is_erratic, "erratic"))
    outputs = ["erratic"]

    @staticmethod
    def is_kept(batch: Mapping[str, int]) -> bool:
        """Whether a batch is one that this cut may make."""
        return batch["sets"] <= BATCH


class ByWeight(ByNumber):
    """Batches of about as many values: many small data sets, or a few large ones."""

    CUT = slither.WeightedBatch(MAX_VALUES, values_of, max_size=4 * BATCH)
    summarise = slither.worker(SUMMARISE, strategy=CUT, on_error=_CULPRITS)

    @staticmethod
    def is_kept(batch: Mapping[str, int]) -> bool:
        return batch["values"] <= MAX_VALUES or batch["sets"] == 1


class ByKey(ByNumber):
    """Batches of one sensor each; those of a sensor run one at a time, so its data sets stay in order."""

    CUT = slither.KeyPartition(sensor_of, max_size=BATCH)
    summarise = slither.worker(SUMMARISE, strategy=CUT, on_error=_CULPRITS)

    @staticmethod
    def is_kept(batch: Mapping[str, int]) -> bool:
        return batch["sensors"] == 1
