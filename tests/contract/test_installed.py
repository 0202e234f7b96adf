"""Where a wheel is installed, it is what the tests test: they stand beside a checkout that holds the package too."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

import slither_actors

# As `python -m` and `python -c` are started by tests; see tests/conftest.py.
WHERE = "import slither_actors, tests.helpers.jobs as jobs; print(slither_actors.__file__); print(jobs.__file__)"


def installed() -> Path | None:
    """The package as it was installed by value; none in an editable install."""
    try:
        listed = files("slither_actors") or []
    except PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in listed if file.as_posix() == "slither_actors/__init__.py"), None)


def test_the_tests_import_the_wheel_where_one_is_installed() -> None:
    wheel = installed()
    if wheel is None:
        pytest.skip("no wheel is installed here")

    assert Path(slither_actors.__file__).resolve() == wheel.resolve()


def test_processes_that_tests_start_import_the_same_package_and_the_tests_helpers() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", WHERE], capture_output=True, text=True, timeout=30, check=True)
    package, helpers = map(Path, done.stdout.splitlines())

    assert package.resolve() == Path(slither_actors.__file__).resolve()
    assert helpers.resolve() == Path(__file__).resolve().parents[1] / "helpers" / "jobs.py"
