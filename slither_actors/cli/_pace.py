"""How fast a run goes, and when it will be over. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ._words import in_seconds

_WINDOW_S: Final = 10.0
_ENOUGH_S: Final = 1.0


@attrs.frozen(kw_only=True)
class Standing:
    """Where a run is.

    Attributes:
        lines: read. position: their bytes. size: bytes of the whole file; `None` where nobody knows.
        under_way: items that are neither a result nor at an end yet.
        skipped, dropped, dead: items and lines that ended so.
        stages: how many items each stage is done with.
    """

    lines: int
    position: int
    size: int | None
    under_way: int
    skipped: int
    dropped: int
    dead: int
    stages: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def fraction(self) -> float | None:
        """How much of the file is read; `None` where nobody knows."""
        return None if not self.size else min(1.0, self.position / self.size)


class Pace:
    """The rate of the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Standing]] = deque()

    def see(self, now: float, standing: Standing) -> None:
        """Take in where the run is."""
        self._seen.append((now, standing))
        while now - self._seen[0][0] > _WINDOW_S and len(self._seen) > 2:
            self._seen.popleft()

    @property
    def lines_per_s(self) -> float | None:
        """Lines per second; `None` while it is too early to tell."""
        return self._rate(lambda standing: standing.lines - standing.under_way)

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of the file; `None` where nobody can tell."""
        if not self._seen or (last := self._seen[-1][1]).size is None:
            return None
        rate = self._rate(lambda standing: standing.position)
        return max(0, last.size - last.position) / rate if rate else None

    def _rate(self, of: Callable[[Standing], float]) -> float | None:
        if len(self._seen) < 2:
            return None
        (then, first), (now, last) = self._seen[0], self._seen[-1]
        return None if now - then < _ENOUGH_S else max(0.0, of(last) - of(first)) / (now - then)


def words(standing: Standing, pace: Pace) -> str:
    """`"1,200 lines  400/s  64 in flight  3 skipped  eta 12 s  (check 1,200, price 1,136)"`."""
    parts = [f"{standing.lines:,} lines"]
    if (rate := pace.lines_per_s) is not None:
        parts.append(f"{rate:,.0f}/s")
    parts.append(f"{standing.under_way:,} in flight")
    parts.append(f"{standing.skipped:,} skipped")
    parts += [f"{count:,} {kind}" for kind in ("dropped", "dead") if (count := getattr(standing, kind))]
    if (left_s := pace.left_s) is not None:
        parts.append(f"eta {in_seconds(left_s)}")
    if standing.stages:  # last, since a narrow terminal cuts it off
        parts.append(f"({', '.join(f'{name} {done:,}' for name, done in standing.stages.items())})")
    return "  ".join(parts)
