"""Tests of what is plugged in: a simulated system in one process, and chaos among the processes of a real one."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.testing._chaos_report import ChaosReport, Hit
    from slither_actors.testing._faults import Crash, Hang
    from slither_actors.testing._inline_endpoint import Stuck
    from slither_actors.testing._process import NotSimulated
    from slither_actors.testing._rules import InvariantBroken
    from slither_actors.testing.chaos import Chaos
    from slither_actors.testing.checks import ContractBroken, check_executor, check_stage, check_store, check_strategy
    from slither_actors.testing.clock import FakeClock
    from slither_actors.testing.inline import InlineSystem
    from slither_actors.testing.recording import RecordedBatch, RecordingExecutor
    from slither_actors.testing.report import Execution, SimulationReport
    from slither_actors.testing.simulation import Simulation, check_many

__all__ = [
    "Chaos",
    "ChaosReport",
    "ContractBroken",
    "Crash",
    "Execution",
    "FakeClock",
    "Hang",
    "Hit",
    "InlineSystem",
    "InvariantBroken",
    "NotSimulated",
    "RecordedBatch",
    "RecordingExecutor",
    "Simulation",
    "SimulationReport",
    "Stuck",
    "check_executor",
    "check_many",
    "check_stage",
    "check_store",
    "check_strategy",
]

# Where each name comes from: a chaos has no use for what a simulation is made of, which is nearly everything.
_NAMES = {
    "_chaos_report": "ChaosReport Hit",
    "_faults": "Crash Hang",
    "_inline_endpoint": "Stuck",
    "_process": "NotSimulated",
    "_rules": "InvariantBroken",
    "chaos": "Chaos",
    "checks": "ContractBroken check_executor check_stage check_store check_strategy",
    "clock": "FakeClock",
    "inline": "InlineSystem",
    "recording": "RecordedBatch RecordingExecutor",
    "report": "Execution SimulationReport",
    "simulation": "Simulation check_many",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # else a misspelt name would be of type Any

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
