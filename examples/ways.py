"""Does the work of one example in several ways, each in a copy of this process, and prints a line of JSON for each.

    python -m slither_actors.examples.ways MODULE SIZE WORKERS WAY...

`slither baseline` starts it once for each Python. All ways find the same inputs and imports, and none finds warm caches
or threads of another one. It imports the standard library alone, and so do the baselines of examples that need
nothing: any Python can run their threads.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Final

LIMIT_S: Final = 120


def main(module: str, size: int, workers: int, ways: list[str]) -> None:
    """Run functions of a baseline, such as `"slither_actors.examples.batch_stats.baseline"`, and print their figures.

    Args:
        module: has `make(size)`, which is not timed, and the ways, functions of the inputs and a number of workers.
        size: how many inputs.
        workers: how many threads or processes.
        ways: names of functions.
    """
    signal.alarm(LIMIT_S)  # ends this process, also in the midst of an import
    try:
        baseline = importlib.import_module(module)
        inputs = baseline.make(size)
    except Exception as error:
        for _ in ways:
            _print(_failure(error))
        return
    finally:
        signal.alarm(0)
    for way in ways:
        _in_a_copy(partial(measure, baseline, way, inputs, workers))


def measure(baseline: ModuleType, way: str, inputs: Any, workers: int) -> dict[str, Any]:
    """Time one way in this process.

    Returns:
        Its `result` and `seconds`, the version of Python, and whether that has a `gil`.
    """
    pipe = f"{baseline.__name__.rpartition('.')[0]}.pipe"
    if way == "with_slither" and importlib.util.find_spec(pipe):
        importlib.import_module(pipe)  # imports are not timed for the others either
    started = time.perf_counter()
    result = getattr(baseline, way)(inputs, workers)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "result": result, "python": platform.python_version(), "gil": has_gil()}


def has_gil() -> bool:
    """Whether one lock lets only one thread of this process run Python code at a time."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _in_a_copy(work: Callable[[], dict[str, Any]]) -> None:
    sys.stdout.flush()
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed_by = os.WTERMSIG(status)
            late = killed_by == signal.SIGALRM
            _print({"error": f"not done in {LIMIT_S} s" if late else f"failed: {signal.Signals(killed_by).name}"})
        return
    signal.alarm(LIMIT_S)
    try:
        _print(work())
    except BaseException as error:
        _print(_failure(error))
    os._exit(0)  # what the first process has to tidy up at its end is not the copy's


def _failure(error: BaseException) -> dict[str, Any]:
    return {"error": f"failed: {type(error).__name__}: {error}"}


def _print(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
