"""Names for the parts of a run that meet in one dispatcher: stages of one pipe. Their edges tell them apart."""

from __future__ import annotations

from slither_actors.dispatch._dispatch_run import DispatchPlan


class EdgeKeys:
    """Keys of runs by run and edge."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[int, str]] = {}

    def open(self, run: str, plan: DispatchPlan) -> str:
        """The key of what this plan says of a run."""
        key = run if plan.session is None or plan.session.stage is None else f"{run}/{plan.session.stage}"
        edges = {plan.output.edge, plan.sink.edge, *(port.edge for port in plan.inputs)}
        self._keys.setdefault(run, {}).update(dict.fromkeys(edges, key))
        return key

    def of(self, run: str, edge: int) -> str:
        """What the part of a run with this edge is called; nothing is called ""."""
        return self._keys.get(run, {}).get(edge, "")

    def all_of(self, run: str) -> set[str]:
        return set(self._keys.get(run, {}).values())

    def close(self, run: str, key: str) -> None:
        left = {edge: other for edge, other in self._keys.pop(run, {}).items() if other != key}
        if left:
            self._keys[run] = left
