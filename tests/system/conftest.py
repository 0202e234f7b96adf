"""Trees in this process, and services in processes of their own that may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import System
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, nothing_left_behind
from tests.system.trees import Tree
from tests.system.waiting import eventually, marked

MARK = "MARK_OF_THE_TESTS"


def unique_name() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """Where the run directories of this test process are; on a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="sl-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(path))
        yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def tidy(base: Path) -> Iterator[None]:
    """Nothing is left behind by the tests of a module."""
    with nothing_left_behind(base):
        yield


@pytest.fixture
def tidy_each(base: Path) -> Iterator[None]:
    """Nothing is left behind by a test."""
    with nothing_left_behind(base):
        yield


@pytest.fixture(scope="module")
def system(tidy: None) -> Iterator[System]:
    """One system for the tests of a module; a module that wants another one has a fixture of the same name."""
    with a_system() as running:
        yield running


@pytest.fixture
def make_tree(base: Path) -> Iterator[Callable[..., Tree]]:
    """Starts trees, all ended afterwards."""
    made: list[Tree] = []

    def make(*children: Any, **options: Any) -> Tree:
        made.append(Tree.up(unique_name(), children or None, **options))
        return made[-1]

    yield make
    for tree in made:
        tree.end()


@pytest.fixture(scope="module")
def shared(base: Path) -> Iterator[Tree]:
    """One tree for all tests that harm nobody but their own guests."""
    tree = Tree.up(unique_name())
    yield tree
    tree.end()


@pytest.fixture
def tree(shared: Tree) -> Iterator[Tree]:
    """The shared tree with an empty inbox."""
    shared.drain()
    yield shared
    shared.drain()


class Service:
    """A service in its own process. All processes of its tree carry a mark in their environment."""

    def __init__(self, base: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.system.service", unique_name()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, MARK: self.mark, "XDG_RUNTIME_DIR": str(base)},
            text=True,
        )
        started = self._answer()
        self.who: dict[str, int] = started["who"]
        self.directory = Path(started["directory"])

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def ask(self, command: str) -> dict[str, Any]:
        self.tell(command)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the service has ended with {self.process.wait(PATIENCE_S)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self, name: str) -> None:
        os.kill(self.who[name], signal.SIGKILL)

    def living(self) -> set[int]:
        return marked(self.mark)

    def wait_until_nothing_is_left(self, *but: int) -> None:
        """After a death nothing of the tree may be left."""
        eventually(lambda: not self.living() - set(but), f"left of {self.who}: {self.living()}")

    def end(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.kill()
        self.process.wait()
        for pid in marked(self.mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def service(base: Path) -> Iterator[Service]:
    """A running service with the standard tree."""
    running = Service(base)
    yield running
    running.end()


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"
