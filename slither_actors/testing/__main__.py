"""Plays one seed of a scenario again, and shows what happens.

python -m slither_actors.testing package.module:scenario --seed 17 --crashes 0.02
"""

from __future__ import annotations

import argparse
import sys

import attrs

from slither_actors._code import Code
from slither_actors.errors import DispatchError, PipeError
from slither_actors.testing._faults import Faults
from slither_actors.testing.simulation import Simulation

_SIZES = ("workers",)


def main(arguments: list[str] | None = None) -> int:
    """The exit code is 1 if the scenario fails."""
    parser = argparse.ArgumentParser("python -m slither_actors.testing", description="Play one seed of a scenario.")
    parser.add_argument("scenario", help="its path, package.module:function")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="leave out what happens in between")
    for field in attrs.fields(Faults):
        kind = int if field.name in _SIZES else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS)
    given = vars(parser.parse_args(arguments))
    scenario, seed, quiet = Code.of(given.pop("scenario")).load(), given.pop("seed"), given.pop("quiet")
    simulation = Simulation(seed=seed, **given)
    failure: BaseException | None = None
    try:
        scenario(simulation)
    except (DispatchError, PipeError) as error:
        _say(f"ends with {type(error).__name__}: {error}")
    except Exception as error:
        failure = error
    if simulation.report is not None and not quiet:
        _say(simulation.report.trace)
    if failure is not None:
        _say(f"{type(failure).__name__}: {failure}")
        return 1
    _say(f"seed {seed}: nothing is wrong")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
