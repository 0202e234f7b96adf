"""Runs executors, strategies, stages and pipes in a simulated system: one process, one seed, no waiting."""

from slither_actors.testing._faults import Crash, Hang
from slither_actors.testing._rules import InvariantBroken
from slither_actors.testing.report import Execution, SimulationReport
from slither_actors.testing.simulation import Simulation, check_many

__all__ = ["Crash", "Execution", "Hang", "InvariantBroken", "Simulation", "SimulationReport", "check_many"]
