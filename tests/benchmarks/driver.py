"""Runs every pair of peer and workload in fresh interpreters, and ends what they leave behind."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.benchmarks.catalogue import PeerInfo, Workload

ROOT = Path(__file__).parents[2]
PR_SET_CHILD_SUBREAPER = 36
LEAVE_S = 0.5  # what a peer's processes get to follow it before they count as left behind

Run = dict[str, Any]
Runs = dict[str, dict[str, list[Run]]]


class Plan(NamedTuple):
    """What to run."""

    workloads: list[Workload]
    peers: list[PeerInfo]
    repetitions: int
    quick: bool
    limit_s: float = 180.0


def run_all(plan: Plan, told: Callable[[str], None]) -> Runs:
    """All runs by workload and peer.

    Peers take turns, so that a machine that drifts does so for all of them. One that cannot be measured is asked once.

    Args:
        plan: what to run.
        told: called with a line before each run.
    """
    _adopt_orphans()
    runs: Runs = {}
    try:
        for workload in plan.workloads:
            _run_workload(workload.name, plan, runs.setdefault(workload.name, {}), told)
    except KeyboardInterrupt:
        told("interrupted; what was measured so far follows")
    return runs


def _run_workload(workload: str, plan: Plan, runs: dict[str, list[Run]], told: Callable[[str], None]) -> None:
    for repetition in range(plan.repetitions):
        for peer in (peer.name for peer in plan.peers if peer.takes_part_in(workload)):
            of_peer = runs.setdefault(peer, [])
            if not any("status" in run for run in of_peer):
                told(f"{workload} {peer} {repetition + 1}/{plan.repetitions}")
                of_peer.append(run_once(workload, peer, plan))


def run_once(workload: str, peer: str, plan: Plan) -> Run:
    """One run in a fresh interpreter. Nothing of it is left when this returns."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        with Path(folder, "log").open("w+") as log:
            meter = _Meter()
            began = time.monotonic()
            try:
                word = _run_child([peer, workload, str(result), repr(began), _sizes(plan)], log, plan.limit_s)
                ended = time.monotonic()
            finally:
                left = end_descendants(LEAVE_S)
            log.seek(0)
            said = log.read()[-2000:]
        run: Run = json.loads(result.read_text()) if result.exists() else {"status": word or "ended without a result"}
    if "stopping" in run:
        run["stop_s"] = ended - run.pop("stopping")
    if left and not word and "status" not in run:
        # an interpreter that had to be ended could not clean up
        run["left_behind"] = left
    if word or run.get("status", "").startswith(("failed", "ended")):
        run |= {"ended": word, "log": said}
    return run | {"noise": meter.others()}


def _sizes(plan: Plan) -> str:
    return "quick" if plan.quick else "full"


def _run_child(arguments: list[str], log: Any, limit_s: float) -> str:
    """Wait for an interpreter; a word about its end if that was not a good one."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.child", *arguments],
        cwd=Path(log.name).parent,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # Ctrl-C is for the driver, which then ends this.
        start_new_session=True,
    )
    try:
        code = child.wait(limit_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return f"ended after {limit_s:g} s"
    return f"exit code {code}" if code else ""


class _Meter:
    """The share of the machine that others take while a run goes on, the hypervisor among them."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._busy, self._ours = self._read()

    def others(self) -> float:
        """Call it when everything of the run has been reaped: only then its time is known."""
        busy, ours = self._read()
        capacity = (time.monotonic() - self._wall) * (os.cpu_count() or 1)
        return round(max(0.0, busy - self._busy - (ours - self._ours)) / capacity, 3)

    def _read(self) -> tuple[float, float]:
        times = psutil.cpu_times()
        busy = sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq", "steal"))
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return busy, sum(usage.ru_utime + usage.ru_stime for usage in used)


def _adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none escapes."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(grace_s: float) -> list[str]:
    """Wait a little for all descendants to end, then kill and reap the rest.

    Returns:
        The names of those that had to be killed.
    """
    _, left = psutil.wait_procs(_descendants(), grace_s)
    names = []
    while left:
        for process in left:
            names.append(_name(process))
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, 5.0)
        left = _descendants()
    _reap()
    return sorted(names)


def _descendants() -> list[psutil.Process]:
    _reap()
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return str(process.pid)


def _reap() -> None:
    """Reap the dead that were adopted."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # there is no child at all


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    model = _lines_with(Path("/proc/cpuinfo"), "model name")
    return {
        "processor": f"{os.cpu_count()} x {next(model, platform.machine())}",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _lines_with(file: Path, key: str) -> Iterator[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return (line.partition(":")[2].strip() for line in lines if line.startswith(key))
