"""What a drain says at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

from slither_actors.dispatch._pulled_ids import PulledIds

RunOutcome = Literal["finished", "drained", "failed", "cut", "closed"]

_KINDS = ("skipped", "dropped", "dead")


@attrs.frozen
class IdTally:
    """How many items there are of a kind, and their ids: all of them, or the newest if there are very many."""

    count: int = 0
    ids: tuple[int, ...] = attrs.field(default=(), repr=lambda ids: f"<{len(ids)} ids>")

    def __bool__(self) -> bool:
        return bool(self.count)

    def __add__(self, other: IdTally) -> IdTally:
        return IdTally(self.count + other.count, self.ids + other.ids)


@attrs.frozen
class RunReport:
    """How a run ended that was open when a drain began.

    Every item that was read from its source is in exactly one of `finished`, `skipped`, `dropped`, `dead`, `failed` and
    `abandoned`; their counts add up to `pulled`. An item that a stage made into several has come to its end with the
    first of these.

    Attributes:
        run: its id, as telemetry has it.
        kind: "dispatch" or "pipe".
        name: of the pool or the pipe.
        outcome: "finished" (its source was at its end), "drained" (that was cut, and all that was read has come to its
            end), "failed" (its error policy or its deadline ended it, or something died), "cut" (there was no time
            left) or "closed" (by whoever held it).
        pulled: how many items were read from the source.
        finished: how many results there are of them; whoever asked for them has them, or finds them in the stream.
        skipped, dropped, dead: items that left the flow; ids of the newest 1,000 of each.
        failed: items that were under way when the run failed.
        abandoned: items that were under way when it was cut or closed.
        places: where the abandoned ones were: ids by the name of a process, "source" or "unknown".
    """

    run: str
    kind: str
    name: str
    outcome: RunOutcome
    pulled: int
    finished: int
    skipped: IdTally = IdTally()
    dropped: IdTally = IdTally()
    dead: IdTally = IdTally()
    failed: IdTally = IdTally()
    abandoned: IdTally = IdTally()
    places: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls,
        run: str,
        about: Mapping[str, str],
        outcome: RunOutcome,
        pulled: int,
        ids: PulledIds,
        places: Mapping[str, Iterable[int]],
    ) -> RunReport:
        """Out of what a run knows; whatever of it is unaccounted for has failed, or was abandoned, if it has not come
        to its end."""
        ends = {kind: IdTally(*ids.ended(kind)) for kind in _KINDS}
        left = IdTally(pulled - ids.finished - sum(end.count for end in ends.values()), ids.open)
        kind, name = ("pipe", about["pipe"]) if "pipe" in about else ("dispatch", about.get("pool", ""))
        finished, failed, abandoned, found = ids.finished, IdTally(), IdTally(), {}
        if outcome in ("finished", "drained"):  # what cannot be told by its id has come to its end all the same
            finished += left.count
        elif outcome == "failed":
            failed = left
        else:
            abandoned, found = left, placed(left.ids, places)
        return cls(run, kind, name, outcome, pulled, finished, **ends, failed=failed, abandoned=abandoned, places=found)


def placed(ids: Iterable[int], places: Mapping[str, Iterable[int]]) -> dict[str, tuple[int, ...]]:
    """Each of the ids at one place, at the first that has it."""
    left = set(ids)
    found: dict[str, tuple[int, ...]] = {}
    for place, held in places.items():
        here = left.intersection(held)
        left -= here
        if here:
            found[place] = tuple(sorted(here))
    if left:
        found["unknown"] = tuple(sorted(left))
    return found


@attrs.frozen
class DrainReport:
    """How a system, or a pipe, was stopped.

    Attributes:
        pipe: the pipe's name; `None` where it is a whole system.
        runs_finished: runs that were open and came to their own end, however.
        runs_ended: runs that were still open and were ended.
        duration_s: how long it took, in seconds.
        runs: each of these runs.
        killed: names of the processes that did not end when they were asked to.
        system: the system's name; `None` where it is a pipe.
    """

    pipe: str | None
    runs_finished: int
    runs_ended: int
    duration_s: float
    runs: tuple[RunReport, ...] = ()
    killed: tuple[str, ...] = ()
    system: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was read has come to its end, and nobody had to be killed."""
        return not self.killed and not self.abandoned and not self.failed

    @property
    def pulled(self) -> int:
        """How many items the runs have read."""
        return sum(run.pulled for run in self.runs)

    @property
    def finished(self) -> int:
        """How many results there are of them."""
        return sum(run.finished for run in self.runs)

    @property
    def skipped(self) -> IdTally:
        return _sum(run.skipped for run in self.runs)

    @property
    def dropped(self) -> IdTally:
        return _sum(run.dropped for run in self.runs)

    @property
    def dead(self) -> IdTally:
        return _sum(run.dead for run in self.runs)

    @property
    def failed(self) -> IdTally:
        """Items that were under way in runs that failed meanwhile."""
        return _sum(run.failed for run in self.runs)

    @property
    def abandoned(self) -> IdTally:
        """Items that were under way in runs that were cut or closed."""
        return _sum(run.abandoned for run in self.runs)


def _sum(tallies: Iterable[IdTally]) -> IdTally:
    return sum(tallies, IdTally())
