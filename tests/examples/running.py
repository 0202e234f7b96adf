"""`slither example NAME --strict`, as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs

from slither_actors.cli._examples import PACKAGE, find_examples

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = {example.name: example for example in find_examples(PACKAGE)}
PROGRAMS = [name for name, example in EXAMPLES.items() if example.program is not None]
FOLDERS = [name for name, example in EXAMPLES.items() if example.program is None]
# Below the timeout of the tests that run one, so that the failure names the example.
LIMIT_S = 170.0


@attrs.frozen
class Run:
    """What an example printed: its report, and the table of its baseline."""

    report: list[str]
    baseline: list[str]


def run(name: str, folder: Path) -> Run:
    """Run one from an empty folder, so that the library is found where it is installed; it has to pass."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "slither_actors", "example", name, "--strict"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    table = next((place for place, line in enumerate(lines) if line.startswith(f"{name}: ")), len(lines))
    return Run([line for line in lines[:table] if line], lines[table:])
