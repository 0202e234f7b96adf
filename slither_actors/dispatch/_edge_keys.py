"""Names for the parts of a run that meet in one dispatcher: stages of one pipe. Their edges tell them apart."""

from __future__ import annotations

from slither_actors.dispatch._dispatch_run import DispatchPlan


class EdgeKeys:
    """Keys of runs by run and edge. Both ends of an edge may be here, so each end has a table of its own."""

    def __init__(self) -> None:
        self._from: dict[str, dict[int, str]] = {}
        self._to: dict[str, dict[int, str]] = {}

    def open(self, run: str, plan: DispatchPlan) -> str:
        """The key of what this plan says of a run."""
        key = run if plan.session is None or plan.session.stage is None else f"{run}/{plan.session.stage}"
        ways = {port.edge for port in (plan.output, plan.sink, plan.detour) if port is not None}
        self._from.setdefault(run, {}).update(dict.fromkeys(ways, key))
        self._to.setdefault(run, {}).update({port.edge: key for port in plan.inputs})
        return key

    def producer(self, run: str, edge: int) -> str:
        """What the part of a run is called that sends on this edge; nothing is called ""."""
        return self._from.get(run, {}).get(edge, "")

    def consumer(self, run: str, edge: int) -> str:
        """What the part of a run is called that this edge leads to; nothing is called ""."""
        return self._to.get(run, {}).get(edge, "")

    def all_of(self, run: str) -> set[str]:
        return set(self._from.get(run, {}).values())

    def close(self, run: str, key: str) -> None:
        for keys in (self._from, self._to):
            left = {edge: other for edge, other in keys.pop(run, {}).items() if other != key}
            if left:
                keys[run] = left
