"""Which deaths are behind an error that befell a run: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slither_actors.errors import BatchTimeout, SlitherError, StageDown, WorkerCrashed
from slither_actors.incident import Incident

# A death that is longer ago has nothing to do with an error that is told now.
_RECENT_S = 60.0


def deaths_behind(
    error: SlitherError, process: int, known: Callable[[], Iterable[Incident]], now: float
) -> list[Incident]:
    """The death of the process that the error tells of, or that on whose account it was stopped; oldest first.

    Args:
        error: what befell the run.
        process: the id of the process that it befell, 0 where the error says so itself.
        known: gives the incidents; not asked where none can be behind the error.
        now: seconds since 1970.
    """
    name = getattr(error, "name", "") if process or isinstance(error, StageDown) else ""
    if not name and not isinstance(error, WorkerCrashed | BatchTimeout):
        return []
    recent = [incident for incident in known() if now - incident.at < _RECENT_S]
    if isinstance(error, WorkerCrashed):
        return [incident for incident in recent if incident.pid == error.pid and incident.name == error.worker][-1:]
    if isinstance(error, BatchTimeout):
        return [incident for incident in recent if incident.ordered and incident.name == error.worker][-1:]
    own = [incident for incident in recent if process in (0, incident.pid) and incident.name == name]
    return own[-1:] or [incident for incident in recent if name in incident.together or _is_above(incident, name)][-1:]


def _is_above(incident: Incident, name: str) -> bool:
    return name.startswith(f"{incident.name}/")
