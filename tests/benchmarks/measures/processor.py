"""The processor time of this process and its relatives."""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks.measures.memory import family

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

# Where /proc/PID/stat has what the children used that were reaped, counted behind the name in brackets.
_REAPED = slice(13, 15)


def spent_s() -> float:
    """What the family has used so far: all threads of those that live, and what these have reaped."""
    return sum(map(_spent_s, family()))


def _spent_s(pid: int) -> float:
    folder = Path(f"/proc/{pid}")
    try:
        reaped = (folder / "stat").read_text().rpartition(")")[2].split()[_REAPED]
        running = [int((task / "schedstat").read_text().split()[0]) for task in (folder / "task").iterdir()]
    except OSError:
        return 0.0  # it has just ended
    return sum(running) / 1e9 + sum(map(int, reaped)) * _TICK_S
