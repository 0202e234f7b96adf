"""The results of a whole run of a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from slither_actors.dispatch.ends import EndLog, WithEnds
from slither_actors.item import Item


class Outputs(WithEnds, Mapping[str, list[Item]]):
    """Items by output, as a mapping and as attributes (`outputs.accept`), each in input order."""

    def __init__(self, by_output: dict[str, list[Item]], ends: EndLog) -> None:
        self._by_output = by_output
        self._ends = ends

    def __getitem__(self, name: str) -> list[Item]:
        found = self._by_output.get(name)
        if found is None:
            raise KeyError(_no_output(name, self._by_output))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_output)

    def __len__(self) -> int:
        return len(self._by_output)

    def __getattr__(self, name: str) -> list[Item]:
        by_output: dict[str, list[Item]] = self.__dict__.get("_by_output", {})
        if name in by_output:
            return by_output[name]
        raise AttributeError(_no_output(name, by_output))

    def __repr__(self) -> str:
        counts = [f"{name}={len(items)}" for name, items in self._by_output.items()]
        counts += [f"{kind}={getattr(self, kind).total}" for kind in ("skipped", "dropped", "dead")]
        return f"<Outputs {' '.join(counts)}>"


def _no_output(name: str, there: Iterable[str]) -> str:
    return f"there is no output {name!r}; this pipe has: {', '.join(there)}"
