"""What the tree does about it: who went, with whom, and who came back when. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from slither_actors.testing._chaos_plan import Strike
from slither_actors.testing._chaos_roles import Process, Target

# How long after a death another one may be its consequence: the news has to travel, and a group to be stopped.
_CONSEQUENCE_S = 5.0

# How long a supervisor may take to start its children, on a machine with much to do.
_START_S = 5.0

# A supervisor that is back has started by then whom it starts by itself; others come when they are asked for.
_CHILDREN_S = 1.0

# Who takes those along that have the same supervisor.
_IN_GROUPS = frozenset({"dispatchers", "stages", "pools", "registry", "supervisors"})


@attrs.define
class Loss:
    """A process that went.

    Attributes:
        process: which one.
        seen_s: when that was seen.
        back_s: when another one of this name was seen, `None` as long as there is none.
        strike: number of the strike that hit it, or whose consequence it seems to be; `None` if it went by itself.
    """

    process: Process
    seen_s: float
    back_s: float | None = None
    strike: int | None = None


class Watch:
    """Compares what lives with what lived."""

    def __init__(self) -> None:
        self._living: dict[str, Process] = {}
        self._since: dict[str, float] = {}
        self._away: dict[str, Loss] = {}
        self._hits: list[tuple[Strike, Target, float]] = []
        self.losses: list[Loss] = []

    def hit(self, strike: Strike, target: Target, now: float) -> None:
        """A strike was carried out."""
        self._hits.append((strike, target, now))

    def see(self, processes: Iterable[Process], now: float) -> None:
        """Take note of who lives now."""
        living = {process.name: process for process in processes}
        first = not self._living
        for name, process in self._living.items():
            if living.get(name) != process:
                loss = Loss(process, now, strike=self._cause(process, now))
                self.losses.append(loss)
                self._away[name] = loss
        for name in self._away.keys() & living.keys():
            self._away.pop(name).back_s = now
        self._since |= {
            name: float("-inf") if first else now
            for name, process in living.items()
            if self._living.get(name) != process
        }
        self._living = living

    def young(self, now: float) -> frozenset[str]:
        """Who came so short a time ago that it may still be starting its children."""
        return frozenset(name for name in self._living if now - self._since[name] < _START_S)

    @property
    def missing(self) -> tuple[str, ...]:
        """Who went for a strike and has not come back."""
        return tuple(sorted(name for name, loss in self._away.items() if loss.strike is not None))

    def awaits(self, now: float) -> bool:
        """Whether any of them should come back by itself."""
        return any(self._comes(name, now) for name in self.missing)

    def _comes(self, name: str, now: float) -> bool:
        if name not in self._away or name == "root":
            return False
        above = name.rpartition("/")[0] or "root"
        if above not in self._living:
            return self._comes(above, now)
        # What a new supervisor has not started was started on demand: pipes, or children of a dynamic one.
        return self._since[above] < self._away[name].seen_s or now - self._since[above] < _CHILDREN_S

    def _cause(self, process: Process, now: float) -> int | None:
        for strike, target, at in reversed(self._hits):
            recent = now - at <= _CONSEQUENCE_S
            if strike.kind == "kill" and (target.process == process or (recent and _takes_along(target, process))):
                return strike.number
        # Else it was stopped for so long that somebody took it for dead.
        return next((strike.number for strike, target, _ in reversed(self._hits) if target.process == process), None)


def _takes_along(target: Target, process: Process) -> bool:
    """Whether a process stood below the one that died, or is in its group, or below one that is."""
    if target.process.name in ("root", "registry") or process.name.startswith(target.process.name + "/"):
        return True
    return target.role in _IN_GROUPS and process.name.startswith(target.supervisor + "/")
