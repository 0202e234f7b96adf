"""The same work in several ways, each in a process of its own, as rows of a table."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import attrs

import slither_actors

from ._console import Console
from ._coordination import coordination_lines
from ._examples import PACKAGE, Example

WAYS = {
    "plain_loop": "plain loop",
    "naive_threads": "naive threads",
    "careful_threads": "careful threads",
    "process_pool": "process pool",
    "with_slither": "slither",
}
_MAY_BE_WRONG = "naive_threads"
_THREADS = ("plain_loop", "naive_threads", "careful_threads")
# How long a process that has closed its output may take to end, and how much of what it said is read then.
_END_S = 10.0
_TAIL_BYTES = 4096
_FREE_THREADED = ("python3.15t", "python3.14t", "python3.13t")


@attrs.frozen
class Row:
    """One way of doing it, by one Python.

    Attributes:
        way: the name of the function in the example's `baseline` module.
        seconds: from inputs at hand to the result; None where there is none.
        problem: what is wrong with the result, or why there is none; empty where it is that of a plain loop.
        lines: how many lines of code coordinate.
        python: its version.
        gil: whether that lets one thread at a time run Python code.
        elsewhere: whether it is another Python than the one that runs the command.
    """

    way: str
    seconds: float | None
    problem: str
    lines: int
    python: str
    gil: bool
    elsewhere: bool = False

    @property
    def label(self) -> str:
        """The name for the table."""
        free = "" if self.gil else " without GIL"
        return WAYS[self.way] + (f", Python {self.python}{free}" if self.elsewhere else "")


@attrs.frozen
class Table:
    """All ways of one example."""

    name: str
    size: int
    workers: int
    rows: list[Row]
    free_threaded: str

    @property
    def sound(self) -> bool:
        """Whether all came to the right result but naive threads, which are here to show what goes wrong.

        Another Python may lack what an example imports.
        """
        careful = (row for row in self.rows if row.way != _MAY_BE_WRONG)
        return not any(row.problem for row in careful if not row.elsewhere or row.seconds is not None)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**attrs.asdict(self), "sound": self.sound}

    def lines(self) -> Iterator[str]:
        """For people."""
        width = max(len(row.label) for row in self.rows)
        first = self.rows[0]
        lock = "one thread at a time (GIL)" if first.gil else "no GIL"
        yield f"{self.name}: {self.size:,} inputs, {self.workers} at a time, Python {first.python}, {lock}"
        yield f"  {'way':<{width}}  seconds  lines  result"
        for row in self.rows:
            seconds = "-" if row.seconds is None else f"{row.seconds:.2f}"
            result = row.problem or ("right this time" if row.way == _MAY_BE_WRONG else "right")
            yield f"  {row.label:<{width}}  {seconds:>7}  {row.lines:>5}  {result}"
        yield self.free_threaded


def compare(
    example: Example,
    console: Console,
    *,
    size: int | None = None,
    workers: int | None = None,
    python: str | None = None,
) -> Table:
    """Run all ways of an example that has a baseline; `python` is a free-threaded one, looked for by default."""
    assert example.module is not None
    module = f"{example.module.__name__}.baseline"
    baseline = importlib.import_module(module)
    folder = Path(str(baseline.__file__)).parent
    size, workers = size or int(baseline.SIZE), workers or max(2, min(4, len(os.sched_getaffinity(0))))
    other, said = _free_threaded(python)
    plan = [(sys.executable, tuple(WAYS)), *([(other, _THREADS)] if other else [])]
    rows: list[Row] = []
    expected: Any = None
    with console.progress(f"baseline of {example.name}", sum(len(ways) for _, ways in plan)) as meter:
        for program, way, figures in _figures(plan, [module, str(size), str(workers)]):
            if not rows:
                expected = figures.get("result")  # of the plain loop, which comes first
            problem = figures.get("error") or _judged(baseline, expected, figures["result"])
            lines = coordination_lines(folder, "baseline", way, baseline.WORK)
            version, gil = figures.get("python", program), figures.get("gil", True)
            rows.append(Row(way, figures.get("seconds"), problem, lines, version, gil, program != sys.executable))
            meter.advance()
    return Table(example.name, size, workers, rows, said)


def _judged(baseline: ModuleType, expected: Any, got: Any) -> str:
    return "nothing to hold it against" if expected is None else str(baseline.judge(expected, got))


def _figures(
    plan: Iterable[tuple[str, Sequence[str]]], arguments: Sequence[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Program, way, and what `examples/ways.py` prints of it, or an `error`."""
    parent = str(Path(slither_actors.__file__).parents[1])
    paths = [parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for program, ways in plan:
        command = [program, "-P", "-m", f"{PACKAGE}.ways", *arguments, *ways]
        # In a session of its own, so that whatever ends this ends all that it has started.
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            ) as process,
        ):
            assert process.stdout is not None
            try:
                for way in ways:
                    line = process.stdout.readline()
                    yield program, way, _read(line) if line else {"error": _last_words(process, said)}
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _read(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {"error": "failed without a word"}


def _last_words(process: subprocess.Popen[bytes], said: IO[bytes]) -> str:
    """Why a process prints no more: the last line on its standard error, or how it ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    code = process.returncode
    if code == -signal.SIGALRM:
        return "failed: its inputs were not there in time"
    size = os.fstat(said.fileno()).st_size
    # Not by seek: the process writes where that leads.
    tail = os.pread(said.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace").split("\n")
    if words := [line.strip() for line in tail if line.strip()]:
        return f"failed: {words[-1]}"
    if code is None or code == 0:
        return "failed without a word"
    return f"failed: exit code {code}" if code > 0 else f"failed: {signal.Signals(-code).name}"


def _free_threaded(python: str | None) -> tuple[str | None, str]:
    """A Python without a GIL, and what to say about it."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None, "this Python is free-threaded: its threads run side by side"
    for name in [python] if python else _FREE_THREADED:
        if found := shutil.which(name):
            return found, f"threads ran with {found} too"
    wanted = python or " or ".join(_FREE_THREADED)
    return None, f"no free-threaded Python was found ({wanted}), so threads share one GIL here"
