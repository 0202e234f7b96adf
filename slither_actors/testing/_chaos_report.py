"""What a chaos did and what came of it, as plain data and as a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs


@attrs.frozen
class Hit:
    """One thing that was done to one process.

    Attributes:
        number: of the strike, counted from 1.
        at_s: when, in seconds after the beginning.
        kind: "kill", "stop" or "slow".
        name: the process's name in the tree.
        pid: its number.
        role: what it is: "workers", "stores" ...
        lasts_s: for how long it was to be stopped or slowed; 0 for a kill.
        share: what a slowed process was left of its time, from 0 to 1; else 0.
        lost: whether it is gone: that it was killed, or that it was taken for dead when it was stopped.
        back_after_s: how many seconds after the hit another one had its name; `None` where there was none.
        others: names of processes that seem to have gone with it.
    """

    number: int
    at_s: float
    kind: str
    name: str
    pid: int
    role: str
    lasts_s: float
    share: float
    lost: bool
    back_after_s: float | None
    others: tuple[str, ...]

    def __str__(self) -> str:
        how = {
            "kill": "",
            "stop": f" for {self.lasts_s:.2f} s",
            "slow": f" to {self.share:.0%} for {self.lasts_s:.1f} s",
        }
        words = [f"{self.at_s:8.2f} s  {self.kind:<4}  {self.name} ({self.pid}){how[self.kind]}"]
        if self.back_after_s is not None:
            words.append(f"back after {self.back_after_s:.2f} s")
        elif self.lost:
            words.append("did not come back")
        if self.others:
            words.append(f"{len(self.others)} more went with it")
        return ": ".join([words[0], ", ".join(words[1:])] if words[1:] else words)


@attrs.frozen
class ChaosReport:
    """What a chaos did, and what the tree made of it.

    Attributes:
        seed: what makes the same strikes come again.
        seconds: how long it took, without the time that the tree was given to settle.
        hits: what was done, in order.
        missed: how many strikes found nobody that they may hit.
        by_itself: names of processes that went without any strike that explains it, in order.
        missing: names of those that went for a strike and had not come back at the end. What is started on demand does
            not come back with its supervisor but when it is wanted: pipes, dispatchers of sessions, children of dynamic
            supervisors.
        alive: whether the system lives.
    """

    seed: int
    seconds: float
    hits: tuple[Hit, ...]
    missed: int
    by_itself: tuple[str, ...]
    missing: tuple[str, ...]
    alive: bool

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return attrs.asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"chaos with seed {self.seed}, {self.seconds:.1f} s"
        yield from map(str, self.hits)
        kinds = [hit.kind for hit in self.hits]
        counts = ", ".join(f"{kinds.count(kind)} {word}" for kind, word in _DONE.items())
        yield f"{counts}; {self.missed} strikes found nobody"
        for name in self.by_itself:
            yield f"went by itself: {name}"
        for name in self.missing:
            yield f"did not come back: {name}"
        yield "the system lives" if self.alive else "the system is gone"


_DONE = {"kill": "killed", "stop": "stopped", "slow": "slowed"}
