"""Does the work of one example in one way, in this process, and prints the figures as a line of JSON.

    python -m slither_actors.examples.one_way MODULE WAY SIZE WORKERS

`slither baseline` starts it for each way, so that no way finds warm caches or threads of another one. It imports the
standard library alone, and so do the baselines of examples that need nothing: any Python can run their threads.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import sys
import time
from typing import Any


def measure(module: str, way: str, size: int, workers: int) -> dict[str, Any]:
    """Run the function `way` of a baseline, such as `"slither_actors.examples.batch_stats.baseline"`.

    Args:
        module: has `make(size)`, which is not timed, and the ways, functions of the inputs and a number of workers.
        way: the name of the function.
        size: how many inputs.
        workers: how many threads or processes.
    """
    baseline = importlib.import_module(module)
    pipe = f"{module.rpartition('.')[0]}.pipe"
    if way == "with_slither" and importlib.util.find_spec(pipe):
        importlib.import_module(pipe)  # imports are not timed for the others either
    inputs = baseline.make(size)
    started = time.perf_counter()
    result = getattr(baseline, way)(inputs, workers)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "result": result, "python": platform.python_version(), "gil": has_gil()}


def has_gil() -> bool:
    """Whether one lock lets only one thread of this process run Python code at a time."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


if __name__ == "__main__":
    module, way, size, workers = sys.argv[1:]
    print(json.dumps(measure(module, way, int(size), int(workers))))
