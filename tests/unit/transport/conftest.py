"""A run directory that nobody else uses, on a path short enough for sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slither_actors.transport.hub import Hub
from slither_actors.transport.rundir import RunDirectory


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which run directories are made."""
    path = Path(tempfile.mkdtemp(prefix="sl-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory(base: Path) -> Iterator[Path]:
    """A claimed run directory."""
    claimed = RunDirectory.create("hubs")
    yield claimed.path
    claimed.remove()


@pytest.fixture
def make_hub(directory: Path) -> Iterator[Callable[..., Hub]]:
    """Makes hubs, all closed at the end."""
    made: list[Hub] = []

    def make(**options: object) -> Hub:
        made.append(Hub(directory, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for hub in made:
        hub.close()
