"""A seeded source of data sets: readings of sensors, some of them poison."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

SENSORS: Final = 24
DEADLY: Final = 1

_POISON: Final[tuple[list[Any], ...]] = (
    [],
    [1.0, None, 2.0],
    [3.5, "n/a"],
    [1.0, float("nan"), 4.0],
    [float("inf"), 2.0],
)


def generate(total: int, poison: int, seed: int, deadly: int = DEADLY) -> Iterator[dict[str, Any]]:
    """Yield `total` data sets, `poison` of them at random places; `deadly` of these kill the process that opens them.

    Most data sets are small and a few are twenty times as large, as such things are.
    """
    random = Random(seed)
    bad = random.sample(range(total), min(poison, total))
    killers = set(bad[:deadly])
    culprits = set(bad)
    for number in range(total):
        sensor = random.randrange(SENSORS)
        values: list[Any] = [random.gauss(20.0 + sensor, 1.0 + sensor / 8) for _ in range(_length(random))]
        if number in culprits:
            values = ["kill -9"] if number in killers else random.choice(_POISON)
        yield {"id": number, "sensor": f"sensor-{sensor:02}", "values": values}


def _length(random: Random) -> int:
    return min(400, int(20 * random.paretovariate(1.2)))
