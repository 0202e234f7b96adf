"""The other commands, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import slither_actors
from tests.helpers.patience import PATIENCE_S
from tests.system.command import slither

pytestmark = pytest.mark.system


def test_a_wrong_option_names_the_nearest(base: Path) -> None:
    code, out, err = slither(base, "example", "text_analysis", "--documnets", "5")

    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith("error: unknown option --documnets; did you mean --documents?")


def test_this_machine_is_ready(base: Path) -> None:
    code, out, err = slither(base, "doctor")

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == f"all {len(lines) - 1} checks passed"


def test_reap_removes_what_the_dead_left_and_nothing_of_the_living(base: Path) -> None:
    with slither_actors.start(pools={"default": 1}) as system:
        dead = base / f"slither-{os.getuid()}-dead"  # only now, since a system that starts reaps too
        dead.mkdir(mode=0o700)
        (dead / "lock").touch(mode=0o600)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "slither_actors", "reap", "--json"],
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )

        assert json.loads(done.stdout) == {"removed": [str(dead)], "left": [], "ok": True}
        assert system.dispatch([1, 2], len, batch_size=1, on_error="skip").skipped.total == 2
    assert not dead.exists()


def test_a_system_that_cannot_start_says_why_in_one_line(base: Path) -> None:
    long = base / ("d" * 100)
    long.mkdir()

    code, out, err = slither(long, "example", "text_analysis")

    assert (code, out) == (3, "")
    (line,) = err.splitlines()
    assert line.startswith("slither: StartError: the host process did not start: run directory ")
    assert "set XDG_RUNTIME_DIR or TMPDIR to a shorter directory" in line


def test_the_installed_program_is_the_same(base: Path) -> None:
    program = Path(sys.executable).with_name("slither")
    if not program.exists():
        pytest.skip("the package is not installed, only on the path")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=True)

    assert slither(base, "--version") == (0, done.stdout, "")
