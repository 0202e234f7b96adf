"""One peer, one workload, in this fresh interpreter: `python -m tests.benchmarks.child PEER WORKLOAD FILE BEGAN SIZES`.

The result is written to FILE as JSON, and again when it changes, since a peer may take this process down.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from tests.benchmarks.catalogue import PEERS, WORKERS, WORKLOADS
from tests.benchmarks.measures.trial import QUICK, Result, Sizes, Trial
from tests.benchmarks.peers.base import NotPossible


def load(package: str, address: str) -> Any:
    """What stands at "module:name" in one of the bench's packages."""
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(f"tests.benchmarks.{package}.{module}"), name)


def measure(peer: str, workload: str, trial_of: Any) -> Result:
    """The result, or a `status` that says why there is none."""
    try:
        made = load("peers", PEERS[peer].address)(WORKERS)
        result: Result = load("measures", WORKLOADS[workload].measure)(trial_of(made))
        return result
    except ModuleNotFoundError as error:
        return {"status": f"not installed: {error.name}"}
    except NotPossible as error:
        return {"status": f"not possible: {error}"}
    except Exception as error:
        traceback.print_exc()
        return {"status": f"failed: {type(error).__name__}: {error}"[:200]}


def main() -> None:
    peer, workload, file, began, sizes = sys.argv[1:]

    def report(result: Result) -> None:
        # whoever reads it sees all of it or the one before
        with open(f"{file}.new", "w") as new:
            json.dump(result, new)
        os.replace(f"{file}.new", file)

    how_much = QUICK if sizes == "quick" else Sizes()
    result = measure(peer, workload, lambda made: Trial(made, how_much, float(began), report))
    report(result)
    if "status" in result:
        sys.stderr.flush()
        os._exit(0)  # what was not stopped might keep the interpreter from ending


if __name__ == "__main__":
    main()
